"""A chain of terms, each equal to the one before: ``(227 - 11)/4 + 1 = 55``, and what it counts."""

import re

from msgspec.structs import replace

from archcalc.worksheet import words
from archcalc.worksheet.asides import with_aside
from archcalc.worksheet.compare import rounds_to
from archcalc.worksheet.named_units import IN_BYTES
from archcalc.worksheet.page import Term
from archcalc.worksheet.terms import is_symbolic, read_term

MOST_TERMS = 12
_SIGNS = re.compile(r"(≈|[=→]+)")
_NAMES_THE_NEXT = re.compile(r".*[0-9]\s*,\s*[^\W\d][^,=()]*")  # 216, biases = 8, total = 224
_ABOUT_IN_BRACKETS = re.compile(r"(?<=[(\[])\s*≈\s*")
_BYTES_DIVIDED = re.compile(r"(?<=[0-9)])\s*(?:bytes|byte|B)\s*(?=/\s*[0-9(])")
_OPERATIONS = re.compile(
    r"(?<=[0-9.)])\s*[kmgt]?[\s-]*(?:(?P<macs>macs?|madds?|mult-adds|multiply)|(?P<flops>flops?))(?![a-z]|\s*:)"
)
_IN_BYTES = re.compile(r"[0-9]\s?[kKMGT]i?B(?![A-Za-z])")


def chain(body: str, quantity: str = "") -> tuple[Term, ...] | None:
    """Return the terms between the equals signs; formulas in letters before them are passed over. None if one is unreadable."""
    body = _BYTES_DIVIDED.sub(" ", _ABOUT_IN_BRACKETS.sub("about ", body))
    parts = _SIGNS.split(body)
    if len(operations(body)) > 1:
        return None  # 96*55*55*363 MACs = 211M FLOPs
    in_bytes = quantity in IN_BYTES or bool(_IN_BYTES.search(body))
    if len(parts) > 2 * MOST_TERMS:
        return None
    terms: list[Term] = []
    sign = ""
    for index, part in enumerate(parts):
        if index % 2:
            sign = part
            continue
        if not part.strip(" ,;.|:"):
            if index and index < len(parts) - 1:
                return None
            continue
        if index < len(parts) - 1 and _NAMES_THE_NEXT.fullmatch(part):
            return None
        if aside := with_aside(part, sign == "≈", in_bytes):
            terms += aside
            continue
        term = read_term(part, sign == "≈", in_bytes)
        if term is not None:
            terms.append(replace(term, loose=True) if "→" in sign and terms and _is_rounding(terms[-1], term) else term)
        elif terms or not is_symbolic(part):
            return None
    return tuple(terms) or None


def counted_as(quantity: str, body: str, unit: str = "") -> str:
    """Return the quantity that the line counts: operations that it calls MACs itself are those, ``연산량: 105,415,200 MACs``."""
    named = operations(body) or operations(f"1 {unit}")
    return "macs" if quantity == "flops" and named == {"macs"} else quantity


def operations(body: str) -> set[str | None]:
    """Return what operations the text itself names: ``macs``, ``flops``, both or neither."""
    return {found.lastgroup for found in _OPERATIONS.finditer(words.lower(body))}


def _is_rounding(before: Term, after: Term) -> bool:
    """Whether an arrow leads from a fraction to the whole number that it rounds to: 112.5 → 112."""
    if before.value is None or before.value.denominator == 1 or after.figure is None or after.figure.power:
        return False
    return rounds_to(after.figure, before.value, whole=True)
