"""What a page leaves empty: a quantity and its sign, with nothing behind it that is a number."""

import re

from archcalc.worksheet import words
from archcalc.worksheet.page import Blank, Line
from archcalc.worksheet.text import normalised

_UNANSWERED = re.compile(
    r"(?P<asked>[^=:≈]{1,80})[=:≈][\s`*]*(?:.*[=:≈→>][\s`*]*)?"
    r"(?:_{2,}|\?+|…|\.{3,}|tbd|todo|unknown|no idea|i (?:don['’]?t|do not) know|모름|모르겠\S*|わからない|不知道)[\s.!*`]*",
    re.IGNORECASE,
)
_EMPTY_CELL = re.compile(r"\s*_{2,}\s*")
_NOTE = re.compile(r"\s*\([^()]*\)$")
_WORD_BEFORE = re.compile(r"[a-z0-9_]$")


def blanks(line: Line) -> list[Blank]:
    """Return an item for each answer that the line asks for and does not hold."""
    if line.role == "row":
        return [Blank(line.number, line.text) for cell in line.text.split("|") if _EMPTY_CELL.fullmatch(cell)]
    found = _UNANSWERED.fullmatch(line.text.strip()) if line.role == "prose" else None
    return [Blank(line.number, line.text)] if found is not None and _is_asked(found["asked"]) else []


def _is_asked(text: str) -> bool:
    """Whether the text ends in the word of a quantity: ``total parameter``, ``conv1 params``."""
    small = _NOTE.sub("", words.lower(normalised(text)))
    return any(small.endswith(word) and not _WORD_BEFORE.search(small[: -len(word)]) for word in words.QUANTITY_WORDS)
