"""Units that stand beside the name of a quantity and not beside its numbers: ``Memory (MB)``, ``Params [M]``, ``GFLOPs``."""

import re

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
_PLAIN = re.compile(r"[0-9][0-9.,]*")


def split(header: str) -> tuple[str, str]:
    """Return the name and what stands beside it as units do: ``Memory`` and ``MB``; no unit where nothing does."""
    found = _PREFIXED.fullmatch(header) or _BESIDE.fullmatch(header)
    return (header, "") if found is None else (found["name"], found["unit"] or found.groupdict().get("bare") or "")


def in_unit(terms: tuple[Term, ...], quantity: str, unit: str) -> tuple[Term, ...]:
    """Return the terms with the result in that unit, unless it has one of its own, or the unit is none of this quantity."""
    known = unit if unit.lower() in BYTE_UNITS else _SCALES.get(unit.lower(), "")
    if unit == "B":
        known = "bytes" if quantity in IN_BYTES else "G"
    final = terms[-1]
    if quantity in _SIZES or not known or not _PLAIN.fullmatch(final.text):
        return terms
    scaled = read_term(f"{final.text} {known}", final.loose)
    return terms if scaled is None else (*terms[:-1], scaled)
