"""The smallest single changes that would make a written size right: another input, padding, stride, kernel, or rounding."""

import re
from fractions import Fraction
from typing import NamedTuple

from archcalc.worksheet.page import Term

MOST_HINTS = 3
MOST_TIMES = 10  # what a factor may have been taken too large or too small
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)"
_PADDED = r"(?:\+\(?(?:2\*([0-9]{1,9})|([0-9]{1,9})\*2|([0-9]{1,9}))\)?)?"
# (i + 2p - k)/s + 1 in the orders that people write it in, without spaces.
_FORMULAS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"[(\[⌊]*{_NUMBER}{_PADDED}-{_NUMBER}[)\]]*(?:/{_NUMBER})?[)\]⌋]*\+1",
        rf"[(\[⌊]*{_NUMBER}-{_NUMBER}{_PADDED}[)\]]*(?:/{_NUMBER})?[)\]⌋]*\+1",
        rf"1\+[(\[⌊]*{_NUMBER}{_PADDED}-{_NUMBER}[)\]]*(?:/{_NUMBER})?[)\]⌋]*",
    )
)


class Window(NamedTuple):
    """The numbers of a size's arithmetic: input, kernel, stride, and the padding of both ends together."""

    i: int
    k: int
    s: int
    p: int


def window_in(term: Term) -> Window | None:
    """Return the numbers of ``(224 + 2*0 - 11)/4 + 1``, None where the arithmetic is another."""
    text = re.sub(r"\s+|floor|ceil", "", term.text).replace("x", "*")
    if len(text) > 80:
        return None
    for index, formula in enumerate(_FORMULAS):
        found = formula.fullmatch(text)
        if found is None:
            continue
        groups = found.groups()
        i, rest = groups[0], groups[1:]
        k = rest[0] if index == 1 else rest[3]
        doubled, doubled_too, plain = rest[1:4] if index == 1 else rest[0:3]
        if "." in i or "." in k or "." in (groups[-1] or ""):
            return None
        padding = 2 * int(doubled or doubled_too) if doubled or doubled_too else int(plain or 0)
        return Window(int(i), int(k), int(groups[-1] or 1), padding) if int(groups[-1] or 1) else None
    return None


def size_hints(window: Window, wanted: int) -> tuple[str, ...]:
    """Return what the size ``wanted`` would need, smallest change first: ``input 227 (exact)``, ``rounding up``."""
    i, k, s, p = window
    span = i + p - k
    if wanted < 1:
        return ()
    hints: list[str] = []
    exact_input = (wanted - 1) * s + k - p
    if exact_input > 0 and abs(exact_input - i) <= max(i // 4, s):
        hints.append(f"input {exact_input} (exact)")
    hints += _paddings(window, wanted)
    if span >= 0 and -(-span // s) + 1 == wanted and span % s:
        hints.append("rounding up")
    if span >= 0 and span // s + 1 == wanted and span % s:
        hints.append("rounding down")
    if len(hints) < MOST_HINTS:
        for stride in range(1, 9):
            if stride != s and span >= 0 and span // stride + 1 == wanted:
                hints.append(f"stride {stride}" + (" (exact)" if span % stride == 0 else " (floor)"))
                break
        kernel = i + p - (wanted - 1) * s
        if 1 <= kernel <= 2 * k + 1 and kernel != k:
            hints.append(f"kernel {kernel} (exact)")
    return tuple(hints[:MOST_HINTS])


def _paddings(window: Window, wanted: int) -> list[str]:
    i, k, s, p = window
    for padding in range(k):
        span = i + 2 * padding - k
        if 2 * padding != p and span >= 0 and span // s + 1 == wanted:
            return [f"padding {padding}" + (" (exact)" if span % s == 0 else " (floor)")]
    return []


def factor_hint(terms: tuple[Term, ...], right: int) -> str | None:
    """Return which single number of a product would have to change, and to what: ``364 in place of 363``."""
    text = terms[0].text
    numbers = list(re.finditer(r"[0-9][0-9,]*", text))
    if terms[0].value is None or not terms[0].value or len(numbers) < 2 or len(numbers) > 12 or re.search(r"[-+/^]|\*\*", text):
        return None
    for found in numbers:
        factor = Fraction(found[0].replace(",", ""))
        if factor:
            needed = Fraction(right) / (terms[0].value / factor)
            near = factor <= MOST_TIMES * needed and needed <= MOST_TIMES * factor
            if needed.denominator == 1 and near and needed != factor:
                return f"{int(needed):,} in place of {int(factor):,}"
    return None
