"""The arithmetic that people write in their notes, reckoned exactly: ``364 x 96``, ``(224-11)/4+1``, ``11^2 * 3``, ``floor(27/2)``.

A small parser over fractions with bounds on everything: a page comes from strangers. Nothing is ever executed.
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction

from archcalc.errors import ArchcalcError

MOST_TOKENS = 2_000
DEEPEST = 40
MOST_BITS = 1_000
LARGEST_POWER = 64

SCALES: dict[str, int] = {
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "B": 10**9,
    "T": 10**12,
    "천": 10**3,
    "만": 10**4,
    "백만": 10**6,
    "천만": 10**7,
    "억": 10**8,
    "万": 10**4,
    "亿": 10**8,
    "億": 10**8,
}
# A number with its thousands grouped, or plain; a letter that scales it may not run on into a word.
NUMBER = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z]))?"
    r"(?:\ ?(?:[kKMGBT](?![A-Za-z0-9])|백만|천만|만|억|천|万|亿|億))?"
)
_TOKEN = re.compile(
    rf"\s*(?:({NUMBER})|(floor|ceil|ceiling|sqrt)(?=\s*\()|(\*\*|[-+*/^()\[\]{{}}⌊⌋⌈⌉])|([xX])(?![A-Za-z])|([A-Za-z]+))"
)
_SPLIT = re.compile(r"([0-9.,eE+-]+?)\s?([kKMGBT]|[백천]?[만억천]|[万亿億])?")

_CLOSERS = {"(": ")", "[": "]", "{": "}", "⌊": "⌋", "⌈": "⌉"}
_OPENERS = frozenset(_CLOSERS)

EXACT, FLOOR, CEIL = "exact", "floor", "ceil"


class ArithmeticError(ArchcalcError):
    """What stands there is not arithmetic, or has no value."""

    def __init__(self, message: str):
        super().__init__("E240", message)


def evaluate(text: str, names: Mapping[str, Fraction] | None = None, rounding: str = EXACT) -> Fraction:
    """Return the exact value; ``rounding`` rounds the result of each division down or up, as a count of windows does.

    >>> evaluate("(224-11)/4+1")
    Fraction(217, 4)
    >>> evaluate("(224-11)/4+1", rounding=FLOOR)
    Fraction(54, 1)
    """
    reader = _Reader(_tokens(text), names or {}, rounding)
    value = reader.sum(0)
    if reader.place != len(reader.tokens):
        raise ArithmeticError(f"{reader.tokens[reader.place][1]} cannot stand there")
    return value


def summands(text: str) -> tuple[Fraction, ...]:
    """Return the values that a sum adds up, a single one for what is no sum; none for what is no arithmetic.

    >>> summands("3*3*64 + (64 + 1)")
    (Fraction(576, 1), Fraction(65, 1))
    """
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([{⌊⌈") - (sign in ")]}⌋⌉")
        if sign == "+" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    try:
        return tuple(evaluate(part) for part in parts)
    except ArchcalcError:
        return ()


def number(text: str) -> Fraction:
    """Return the value of one printed number: ``1,234``, ``3.2M``, ``6.24e7``, ``6000만``."""
    found = _SPLIT.fullmatch(text.strip())
    if found is None or len(found[1]) > 64:
        raise ArithmeticError("not a number")
    return Fraction(found[1].replace(",", "")) * SCALES.get(found[2] or "", 1)


Token = tuple[str, str]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or len(tokens) >= MOST_TOKENS:
            raise ArithmeticError("this is no arithmetic, or too much of it")
        place = found.end()
        if found[1]:
            tokens.append(("number", found[1]))
        elif found[2]:
            tokens.append(("function", found[2]))
        elif found[3]:
            tokens.append(("sign", found[3]))
        elif found[4]:
            tokens.append(("sign", "*") if tokens and tokens[-1][1] not in _OPENERS else ("name", found[4]))
        else:
            tokens.append(("name", found[5]))
    return tokens


class _Reader:
    """Recursive descent: a sum of products of powers."""

    def __init__(self, tokens: list[Token], names: Mapping[str, Fraction], rounding: str):
        self.tokens, self.names, self.rounding = tokens, names, rounding
        self.place = 0

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while (sign := self.sign()) in ("+", "-"):
            self.place += 1
            other = self.product(depth)
            value = bounded(value + other if sign == "+" else value - other)
        return value

    def product(self, depth: int) -> Fraction:
        value = self.signed(depth)
        while self.place < len(self.tokens):
            sign = self.sign()
            if sign in ("*", "/"):
                self.place += 1
                other = self.signed(depth)
            elif sign in _OPENERS or (sign is None and self.tokens[self.place][0] != "number"):
                sign, other = "*", self.power(depth)  # 5(6), L(L+1)
            else:
                return value
            value = bounded(value * other) if sign == "*" else self.divided(value, other)
        return value

    def divided(self, value: Fraction, other: Fraction) -> Fraction:
        if not other:
            raise ArithmeticError("a division by zero")
        quotient = bounded(value / other)
        if self.rounding == FLOOR:
            return Fraction(math.floor(quotient))
        return Fraction(math.ceil(quotient)) if self.rounding == CEIL else quotient

    def signed(self, depth: int) -> Fraction:
        if self.sign() == "-":
            self.place += 1
            if self.sign() == "-":
                raise ArithmeticError("two signs in a row")
            return -self.power(depth)
        return self.power(depth)

    def power(self, depth: int) -> Fraction:
        base = self.atom(depth)
        if self.sign() not in ("^", "**"):
            return base
        self.place += 1
        exponent = self.atom(depth)
        if exponent.denominator != 1 or not 0 <= exponent <= LARGEST_POWER:
            raise ArithmeticError(f"a power must be a whole number up to {LARGEST_POWER}")
        if max(abs(base.numerator), base.denominator).bit_length() * int(exponent) > MOST_BITS:
            raise ArithmeticError("a number beyond reason")
        return base ** int(exponent)

    def atom(self, depth: int) -> Fraction:
        if self.place >= len(self.tokens) or depth > DEEPEST:
            raise ArithmeticError("it ends too early, or is nested too deep")
        kind, text = self.tokens[self.place]
        self.place += 1
        if kind == "number":
            return bounded(number(text))
        if kind == "name":
            if text not in self.names:
                raise ArithmeticError(f"{text} has no value")
            return self.names[text]
        if kind == "function":
            return _rounded(text, self.atom(depth + 1))
        if text not in _OPENERS:
            raise ArithmeticError(f"{text} cannot stand there")
        value = self.sum(depth + 1)
        if self.sign() != _CLOSERS[text]:
            raise ArithmeticError(f"{text} is not closed")
        self.place += 1
        return _rounded({"⌊": "floor", "⌈": "ceil"}.get(text, ""), value)

    def sign(self) -> str | None:
        """Return the sign that comes next, None where something else does."""
        if self.place >= len(self.tokens) or self.tokens[self.place][0] != "sign":
            return None
        return self.tokens[self.place][1]


def _rounded(function: str, value: Fraction) -> Fraction:
    if function == "floor":
        return Fraction(math.floor(value))
    if function in ("ceil", "ceiling"):
        return Fraction(math.ceil(value))
    if function == "sqrt":
        root = Fraction(math.isqrt(max(value.numerator, 0)), math.isqrt(value.denominator))
        if root * root != value:
            raise ArithmeticError("not a square")
        return root
    return value


def bounded(value: Fraction) -> Fraction:
    """Return the value unless it is too large to be meant."""
    if max(abs(value.numerator), value.denominator).bit_length() > MOST_BITS:
        raise ArithmeticError("a number beyond reason")
    return value


def written(value: Fraction | int) -> str:
    """Return a number as people write it: 34,944, 54.25, or 54.333... where it does not end.

    >>> written(Fraction(217, 4))
    '54.25'
    """
    value = Fraction(value)
    if value.denominator == 1:
        return f"{value.numerator:,}"
    for decimals in range(1, 7):
        if 10**decimals % value.denominator == 0:
            return f"{'-' * (value < 0)}{_decimal(abs(value), decimals)}"
    return f"{'-' * (value < 0)}{_decimal(abs(value), 3)}..."


def _decimal(value: Fraction, decimals: int) -> str:
    whole, fraction = divmod(value.numerator * 10**decimals // value.denominator, 10**decimals)
    return f"{whole:,}.{fraction:0{decimals}d}"
