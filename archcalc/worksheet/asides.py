"""Figures in brackets behind a number: what it is when rounded or in another unit, or the sum that it is.

``61,100,840 (61.1M)``, ``1,161,600 bytes (1.16 MB)``, ``34,944 (34,848 weights + 96 biases)``. One that says the same says nothing
more; of the two the more exact is the claim. One that says otherwise is a claim of its own.
"""

import re
from fractions import Fraction

from archcalc.worksheet.compare import bits_of, follows
from archcalc.worksheet.page import Term
from archcalc.worksheet.terms import read_term

_ASIDE = re.compile(r"(?P<before>.*[^\s(\[])\s*[(\[]\s*(?P<inside>(?=[^()\[\]]*[0-9])[^()\[\]]*)[)\]][\s.,;]*")
_LOOSE = re.compile(r"about|approx|ca\.|약|대략|約|约")
_SCALED = re.compile(r"[0-9]\s?(?:[kKMGBT]|[백천]?[만억천]|[万亿億])(?![A-Za-z])")
_PARTS = re.compile(
    r"(?P<first>[0-9][0-9,]*)\s*(?:weights?|bias(?:es)?)\s*(?:[+&,]|and)\s*(?P<second>[0-9][0-9,]*)\s*(?:weights?|bias(?:es)?)"
)


def with_aside(text: str, loose: bool, in_bytes: bool) -> tuple[Term, ...] | None:
    """Return what a number with figures in brackets behind it says, None where that is something else: ``5(6)`` is a product."""
    found = _ASIDE.fullmatch(text)
    term = read_term(found["before"], loose, in_bytes) if found else None
    if found is None or term is None or term.value is None:
        return None
    inside = found["inside"]
    if parts := _PARTS.fullmatch(inside.strip()):
        inside = f"{parts['first']} + {parts['second']}"
    aside = read_term(inside, bool(_LOOSE.match(inside)), in_bytes)
    if aside is None or aside.value is None:
        return None
    if aside.figure is not None and (_tells_more(aside) or _tells_more(term)):
        return _said_again(term, aside)
    if term.figure is not None and aside.figure is None and (parts or aside.value == term.value):
        return aside, term
    return None


def _tells_more(term: Term) -> bool:
    """Whether a number is written as rounded ones are, or in a unit, and is thus no factor."""
    return bool(term.loose or term.unit or _SCALED.search(term.text))


def _said_again(term: Term, aside: Term) -> tuple[Term, ...]:
    if follows(term, aside) or follows(aside, term):
        return (min(term, aside, key=_coarseness) if bool(term.unit) == bool(aside.unit) else term,)
    return (term, aside) if bool(term.unit) == bool(aside.unit) else (term,)  # numbers of any width may take so many bytes


def _coarseness(term: Term) -> Fraction:
    """Return the step between the numbers that could be written in the term's place: none for arithmetic."""
    return Fraction(10) ** term.figure.power * bits_of(term) if term.figure is not None else Fraction(0)
