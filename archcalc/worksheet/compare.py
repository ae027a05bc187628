"""Whether a written number says an exact one: to the last digit, or rounded as it is printed."""

import math
import re
from fractions import Fraction

from archcalc.errors import ArchcalcError
from archcalc.units import Figure
from archcalc.worksheet.arithmetic import CEIL, EXACT, FLOOR, evaluate
from archcalc.worksheet.page import Term
from archcalc.worksheet.terms import unit_bits

LOOSE = Fraction(1, 20)  # what "about" allows
BYTE = 8  # bits
_SCALED = re.compile(r"[0-9]\s?[KMGTkB](?![A-Za-z])")


def rounds_to(figure: Figure, exact: Fraction, whole: bool = False) -> bool:
    """Whether the exact number rounds or truncates to the figure; before a K or an M zeros may be rounded ones, to two digits.

    A whole number is exact, unless ``whole`` allows that it is rounded too.
    """
    digits, power = figure.digits, figure.power
    while True:
        unit = Fraction(10) ** power
        if (digits - Fraction(1, 2)) * unit <= exact < (digits + 1) * unit and (
            power > 0 or figure.power < 0 or whole or exact == digits * unit
        ):
            return True
        if figure.power <= 0 or digits < 100 or digits % 10:
            return False
        digits, power = digits // 10, power + 1


def says(term: Term, exact: Fraction | int) -> bool:
    """Whether the term says this number."""
    exact = Fraction(exact)
    if term.value is None:
        return False
    if term.value == exact:
        return True
    if (term.loose or (term.figure is None and _SCALED.search(term.text))) and abs(term.value - exact) <= LOOSE * abs(exact):
        return True
    return term.figure is not None and rounds_to(term.figure, exact, whole=term.loose or unit_bits(term.unit) > BYTE)


def bits_of(term: Term, binary: bool = False) -> int:
    """Return how many bits the term's unit is."""
    unit = term.unit
    if binary and len(unit) == 2 and unit[1].lower() == "b" and unit[0].lower() in "kmgt":
        unit = f"{unit[0]}iB"
    return unit_bits(unit)


def follows(before: Term, after: Term, sizes: bool = False) -> bool:
    """Whether what stands right of an equals sign is what stands left of it; a count of windows may be rounded down."""
    if before.value is None or after.value is None:
        return True
    left, right = _in_bits(before, after), _in_bits(after, before)
    if left == right or says(after, left / (bits_of(after) if before.unit and after.unit else 1)):
        return True
    if before.figure is not None and not _is_power(before) and rounds_to(before.figure, right):
        return True  # 3.2M = 3,211,264
    if not before.unit and after.unit and _any_bytes(before, after):
        return True
    return sizes and bool(_floors(before) & {after.value, *map(Fraction, after.shape or ())})


def _is_power(term: Term) -> bool:
    """Whether a figure is arithmetic just as well, and then exact: ``2 x 10^2``, unlike ``2.1 x 10^2``."""
    return "^" in term.text and "." not in term.text


def _floors(size: Term) -> set[Fraction]:
    """Return the whole numbers that a size along an axis goes on as: rounded down, and to the nearest where decimals are shown."""
    down = rounded(size, FLOOR)
    found = set() if down is None else {down}
    if size.figure is not None and size.figure.power < 0 and size.value is not None:
        found.add(Fraction(math.floor(size.value + Fraction(1, 2))))
    return found


def _in_bits(term: Term, other: Term) -> Fraction:
    assert term.value is not None
    return term.value * bits_of(term) if term.unit and other.unit else term.value


def _any_bytes(before: Term, after: Term) -> bool:
    """Whether a bare number is the one of the bytes, or of the float32 numbers, that a figure with a unit says."""
    assert before.value is not None
    counts = [before.value * item for item in (1, 4)]
    return any(says(after, 8 * count / bits_of(after, binary)) for count in counts for binary in (False, True))


def rounded(term: Term, rounding: str) -> Fraction | None:
    """Return the term's value with its divisions rounded, None where it has none; of a decimal, itself rounded: 54.25 → 54."""
    if rounding == EXACT or term.value is None:
        return term.value
    if term.figure is not None:
        return Fraction(math.ceil(term.value) if rounding == CEIL else math.floor(term.value))
    if ("ceil" in term.text or "⌈" in term.text) and rounding == FLOOR:
        return term.value  # the page says itself how it rounds
    try:
        return evaluate(term.text, rounding=rounding)
    except ArchcalcError:
        return None
