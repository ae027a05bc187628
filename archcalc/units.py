"""Figures as people print them: ``7.0M`` as a claim about an exact count, ``24GiB`` as a number of bytes.

All of it is arithmetic on the printed digits, in whole numbers: a claim is judged on what it says, not on the nearest float.
"""

import re

import msgspec

from archcalc.errors import UsageError

_SCALES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12}
_BYTE_UNITS: dict[str, int] = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
_HALF_UNITS = frozenset(("k", "m", "g", "t", "ki", "mi", "gi", "ti"))
# Thousands by comma or underscore, or no grouping at all; the exponent is short, so that a small text stays a small number.
_WHOLE = r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)"
_NUMBER = _WHOLE + r"(?:\.(?P<fraction>[0-9]+))?"
# Texts, which the re module compiles when they are first needed: a spec's own figures are mostly plain digits.
_FIGURE = _NUMBER + r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})| ?(?P<scale>[kKMGBT]))?"
_BYTES = _NUMBER + r" ?(?P<unit>[A-Za-z]*)"
_LONGEST = 64


class Figure(msgspec.Struct, frozen=True):
    """A printed figure: its ``digits`` read as one whole number, times ten to the ``power``."""

    text: str
    digits: int
    power: int

    def matches(self, exact: int) -> bool:
        """Whether the exact number rounds (halves up or to even) or truncates to the printed digits.

        Rounding to even agrees with one of the other two on every half, so that all three together allow
        from half a unit of the last printed digit below the figure up to, but without, a whole unit above.
        """
        if self.power <= 0:
            finer: int = 10**-self.power
            return exact * finer == self.digits
        unit: int = 10**self.power
        return (2 * self.digits - 1) * unit <= 2 * exact and exact < (self.digits + 1) * unit


def parse_figure(figure: str | int) -> Figure:
    """Return what ``7.0M``, ``1.8e9``, ``62,378,344`` or a whole number claims; K, M, G (or B) and T are powers of 1000."""
    if isinstance(figure, int) and 0 <= figure < 10**_LONGEST:
        return Figure(str(figure), figure, 0)
    if isinstance(figure, str) and len(figure) <= _LONGEST and figure.isascii() and figure.isdigit():
        return Figure(figure, int(figure), 0)
    match = _matched(_FIGURE, figure) if isinstance(figure, str) else None
    if match is None:
        shown = _shown(figure) if isinstance(figure, str) else "a number below zero or beyond reason"
        raise UsageError("E230", f"{shown} is not a figure", help="write it as 62,378,344, 62.4M or 6.24e7 (K, M, G or B, T)")
    digits, decimals = _digits(match)
    return Figure(match[0], digits, int(match["exponent"] or 0) + _SCALES[match["scale"] or ""] - decimals)


def parse_bytes(text: str) -> int:
    """Return a size in bytes, rounded down: KiB, MiB, GiB and TiB are powers of 1024; kB, MB, GB and TB of 1000."""
    match = _matched(_BYTES, text)
    unit = _BYTE_UNITS.get(match["unit"].lower()) if match else None
    if match is None or unit is None:
        raise UsageError("E230", f"{_shown(text)} is not a number of bytes", help=_bytes_help(match))
    digits, decimals = _digits(match)
    parts: int = 10**decimals
    return digits * unit // parts


def _bytes_help(match: re.Match[str] | None) -> str:
    """Return how to write a size; for ``24G``, which people mean in both ways, how to write this one."""
    if match is None or match["unit"].lower() not in _HALF_UNITS:
        return "write 24GiB (powers of 1024), 24GB (powers of 1000) or the bytes themselves"
    number = match[0].removesuffix(match["unit"]).rstrip()
    letter = match["unit"][0].upper()
    return f"write {number}{letter}iB (powers of 1024) or {number}{letter}B (powers of 1000)"


def _matched(pattern: str, text: str) -> re.Match[str] | None:
    text = text.strip()
    return re.fullmatch(pattern, text) if len(text) <= _LONGEST else None


def _digits(match: re.Match[str]) -> tuple[int, int]:
    """Return the printed digits as one whole number, and how many of them stand after the point."""
    whole: str = match["whole"]
    fraction: str = match["fraction"] or ""
    return int(whole.replace(",", "").replace("_", "") + fraction), len(fraction)


def _shown(text: str) -> str:
    if not text.strip():
        return "an empty text"
    return text if len(text) <= 40 else f"{text[:37]}..."
