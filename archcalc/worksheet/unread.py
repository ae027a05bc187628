"""Lines that were not read: which of them may be a layer, and which may hold a number that a sum takes in."""

import re
from typing import NamedTuple

from archcalc.worksheet import words
from archcalc.worksheet.page import Unread

LONGEST_LAYER = 100  # characters: what is longer is a sentence
LEAST_PART = 100  # what a labelled number must be at least to be a layer's share of a sum
MOST_PARTS = 10  # that a difference is put together from
_MARKS = re.compile(r"[\s\-*+#>|]*(?:[0-9]{1,2}[.)]\s+)?")
_NUMBERED = re.compile(r"[^.]{0,12}[0-9]")
_EQUAL = re.compile(r"[^=:]{0,12}[=:][^=:]{0,40}[0-9]")
_LABEL = re.compile(r"[^\W0-9][^=:|]{0,40}[=:|]")
_NUMBER = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9.])|(?<![0-9.,])[0-9]{1,18}(?![0-9.,])")


class Beside(NamedTuple):
    """A line that may hold another part of a sum, and the number on it; None where no number tells."""

    line: int
    number: int | None
    read: bool = False


def is_layer(text: str) -> bool:
    """Whether an unread line begins as layer lines do."""
    small = words.lower(text)
    place = _start(small)
    operator = words.OPERATOR_LEXICON.at(small, place)
    return operator is not None and _NUMBERED.match(small, place + len(operator)) is not None


def is_labelled(text: str) -> bool:
    """Whether the line begins with a name for the number that it gives: ``layer1 = 1,219,584``."""
    return _LABEL.match(text, _start(text)) is not None


def beside(unread: Unread) -> Beside | None:
    """Return what an unread line may add to a sum, None for one that has no part in it."""
    if is_layer(unread.text) or _is_claim(unread.text):
        return Beside(unread.line, None)
    if len(unread.text) > LONGEST_LAYER or not is_labelled(unread.text):
        return None
    number = max((int(found.replace(",", "")) for found in _NUMBER.findall(unread.text)), default=0)
    return Beside(unread.line, number) if number >= LEAST_PART else None


def explaining(difference: int, besides: list[Beside]) -> int | None:
    """Return the first line whose number may be in a sum that is larger by ``difference``; None if no line can explain that."""
    for place in besides:
        if not place.read and (place.number is None or place.number <= difference):
            return place.line
    sums = {0}
    for place in besides[:MOST_PARTS]:
        sums |= {reached + (place.number or 0) for reached in sums if reached + (place.number or 0) <= difference}
    return besides[0].line if difference in sums - {0} else None


def _start(text: str) -> int:
    marks = _MARKS.match(text)
    return marks.end() if marks else 0


def _is_claim(text: str) -> bool:
    """Whether an unread line seems to give a number for a quantity."""
    small = words.lower(text)
    if len(small) > 4 * LONGEST_LAYER or _EQUAL.search(small) is None:
        return False
    return any(word in small for word in words.QUANTITY_WORDS)
