"""What a printed number may claim: so many digits of a count or of bytes, in decimal units or binary ones, rounded or cut off."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from archcalc.errors import UsageError
from archcalc.units import parse_bytes, parse_figure

EXACT, ROUNDS, TRUNCATES, PRINTED = "exact", "rounds", "truncates", "printed"
FITS = (EXACT, PRINTED, ROUNDS, TRUNCATES)  # the best first
# How far-fetched a reading is, on the scale of what is changed in a network (see changes.py).
PLAIN, ROUND_NUMBER, BINARY = 0, 2, 3
_BYTES = re.compile(r"(?P<number>.*?[0-9]) ?(?P<unit>(?P<letter>[kKMGT])(?P<binary>i?)[bB]|bytes)", re.DOTALL)
_WORDS = re.compile(
    r"(?i)(?<=[0-9kmgtb ]) ?(flops|flop|macs|mac|ops|mult-adds|multiply-adds|madds|params|parameters|neurons|units|connections)$"
)
_LETTERS = {"K": 1, "k": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_LONGEST = 64  # characters of a figure with its unit
MOST = 2**63 - 1
_ROUND = 2  # zeros at the end of a number from which on it may be a round one


class Reading(NamedTuple):
    """A number as so many ``digits``, of which the last is worth ``unit``; ``level`` says how far-fetched it is to read it so."""

    digits: int
    unit: Fraction
    byte: bool = False
    level: int = PLAIN
    words: str = ""

    @property
    def target(self) -> Fraction:
        """The number itself."""
        return self.digits * self.unit

    @property
    def exact(self) -> bool:
        """Whether no digit was left out."""
        return self.unit <= 1

    @property
    def precision(self) -> int:
        """How many digits count."""
        return len(str(self.digits))

    def fit(self, value: int) -> str | None:
        """Return how the exact value is printed as this number: ``exact``, it ``rounds`` or ``truncates``; None if it is not."""
        if self.exact:
            return EXACT if value == self.target else None
        # halves go up, or to even as floats are printed
        if (self.digits - Fraction(1, 2)) * self.unit <= value <= (self.digits + Fraction(1, 2)) * self.unit:
            return ROUNDS
        return TRUNCATES if self.target <= value < (self.digits + 1) * self.unit else None


def readings(text: str) -> tuple[Reading, ...]:
    """Return what the text may mean, the plainest first. Raises UsageError for what is no number."""
    stripped = text.strip()
    match = _BYTES.fullmatch(stripped) if len(stripped) <= _LONGEST else None
    found = tuple(_of_bytes(match) if match else _of_count(_WORDS.sub("", stripped[: _LONGEST + 1]).strip()))
    if found[0].target > MOST:
        raise UsageError("E230", f"{stripped} is beyond 2**63 - 1, which no count comes near", help="60965224, 4.12G or 97.8MiB")
    return found


def _of_bytes(match: re.Match[str]) -> Iterator[Reading]:
    figure = parse_figure(match["number"])
    unit = 1 if match["unit"] == "bytes" else parse_bytes("1" + match["unit"])
    yield Reading(figure.digits, unit * Fraction(10) ** figure.power, True)
    if match["letter"] and not match["binary"]:
        letter = match["letter"].upper()
        binary = parse_bytes(f"1{letter}iB")
        yield Reading(figure.digits, binary * Fraction(10) ** figure.power, True, words=f"{match['unit']} taken as {letter}iB")


def _of_count(text: str) -> Iterator[Reading]:
    figure = parse_figure(text)
    unit = Fraction(10) ** figure.power
    yield Reading(figure.digits, unit)
    digits = str(figure.digits).rstrip("0")
    zeros = len(str(figure.digits)) - len(digits)
    if zeros >= _ROUND and digits and "." not in text:
        yield Reading(int(digits), unit * 10**zeros, level=ROUND_NUMBER, words="as a round number")
    power = _LETTERS.get(text[-1:])
    if power is not None:
        scale = Fraction(1024**power, 1000**power)
        letter = text[-1].upper().replace("B", "G")
        yield Reading(figure.digits, unit * scale, level=BINARY, words=f"{text[-1]} taken as {1024**power:,}")
        yield Reading(figure.digits, unit * scale, True, BINARY, f"taken as {letter}iB")
    elif figure.power == 0:
        yield Reading(figure.digits, unit, True)
