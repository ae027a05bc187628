"""Units that stand beside the name of a quantity and not beside its numbers: ``Memory (MB)``, ``Params [M]``, ``GFLOPs``."""

import re

from msgspec.structs import replace

from archcalc.errors import ArchcalcError
from archcalc.worksheet.arithmetic import evaluate
from archcalc.worksheet.page import Term
from archcalc.worksheet.terms import BYTE_UNITS, read_term

IN_BYTES = ("memory", "param_memory")
PERCENT = "%"
_SIZES = ("output", "input", "flat")
_BESIDE = re.compile(
    r"(?P<name>[^()\[\],/]*?)\s*(?:[(\[]\s*(?:in\s+|단위\s*:?\s*)?(?P<unit>[^()\[\]]*?)\s*[)\]]|(?:,\s*|/\s*|\s)(?:in\s+)?(?P<bare>\S+))"
)
_PREFIXED = re.compile(r"(?P<unit>[KMGT])\s?(?P<name>FLOPs?|MACs?)", re.IGNORECASE)
_SCALES = {
    **{letter: letter.upper() for letter in "kmgt"},
    **{f"{sign}10^{power}": letter for sign in ("x ", "x", "*", "") for power, letter in ((3, "K"), (6, "M"), (9, "G"))},
    **dict.fromkeys(("thousand", "thousands", "천"), "K"),
    **dict.fromkeys(("million", "millions", "백만"), "M"),
    **dict.fromkeys(("bn", "billion", "billions"), "G"),
    **{word: word for word in ("만", "억", "万", "亿", "億")},
}
_DIVISOR = re.compile(r"/\s*(\([^()]*\)|[0-9][0-9,]*(?:\s*\^\s*[0-9]{1,2})?)")
_DECIMAL, _BINARY = ("kb", "mb", "gb"), ("KiB", "MiB", "GiB")
_PLAIN = re.compile(r"[0-9][0-9.,]*")


def split(header: str) -> tuple[str, str]:
    """Return the name and what stands beside it as units do: ``Memory`` and ``MB``; no unit where nothing does."""
    found = _PREFIXED.fullmatch(header) or _BESIDE.fullmatch(header)
    return (header, "") if found is None else (found["name"], found["unit"] or found.groupdict().get("bare") or "")


def in_unit(terms: tuple[Term, ...], quantity: str, unit: str) -> tuple[Term, ...]:
    """Return the terms with the result in that unit, unless it has one of its own, or the unit is none of this quantity."""
    return in_powers_of_1024(_in_unit(terms, quantity, unit), quantity)


def in_powers_of_1024(terms: tuple[Term, ...], quantity: str) -> tuple[Term, ...]:
    """Return the terms with MB as MiB where the arithmetic itself divides by 1024: ``290,400*4/1024/1024 = 1.11 MB``."""
    powers = [sum(map(_power_of_1024, _DIVISOR.findall(term.text))) for term in terms]
    if quantity not in IN_BYTES or not 1 <= max(powers) <= len(_BINARY):
        return terms
    units = [f"{term.unit[0]}iB" if term.unit.lower() in _DECIMAL else term.unit for term in terms]
    found: list[Term] = []
    divided = ""  # the unit that a division leaves, until one is written
    for term, unit, following, power in zip(terms, units, [*units[1:], ""], powers, strict=True):
        divided = following or _BINARY[power - 1] if power else "" if unit else divided
        unit = unit or divided
        found.append(replace(term, unit=unit, shape=None) if unit else term)
    return tuple(found)


def _power_of_1024(divisor: str) -> int:
    """Return 2 for ``1024^2`` and for ``(1024*1024)``, 0 for what is no power of 1024."""
    try:
        value = evaluate(divisor)
    except ArchcalcError:
        return 0
    return next((power for power in range(1, len(_BINARY) + 1) if value == 1024**power), 0)


def _in_unit(terms: tuple[Term, ...], quantity: str, unit: str) -> tuple[Term, ...]:
    known = unit if unit.lower() in BYTE_UNITS else _SCALES.get(unit.lower(), "")
    if unit == "B":
        known = "bytes" if quantity in IN_BYTES else "G"
    final = terms[-1]
    if quantity in _SIZES or not known or not _PLAIN.fullmatch(final.text):
        return terms
    scaled = read_term(f"{final.text} {known}", final.loose)
    return terms if scaled is None else (*terms[:-1], scaled)
