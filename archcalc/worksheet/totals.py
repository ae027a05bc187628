"""Claims about the whole network: sums over its layers, those that are right and those that the page itself has written."""

from typing import NamedTuple

from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import FLOAT_BYTES, Answer, Habits, answer, judge_arithmetic, judge_number, plain, verdict
from archcalc.worksheet.matching import Truths
from archcalc.worksheet.operators import UNKNOWN
from archcalc.worksheet.page import Claim, Finding
from archcalc.worksheet.slips import missing, swapped_digits

MOST_SHOWN = 8


class Part(NamedTuple):
    """A layer's share of the totals: its operator with its shapes, and the numbers that the page says of it."""

    name: str
    op: Op | None
    x: Shape | None
    y: Shape | None
    written: dict[str, tuple[int | None, Claim]]


def judge_total(claim: Claim, parts: list[Part], habits: Habits, truths: Truths | None, unread: int | None = None) -> Finding:
    """Judge a total against the right sum, and against the sum of what the page has written.

    ``unread`` is a line before it that may hold another part of the sum: a total that is larger may then be right.
    """
    quantity = claim.quantity
    right = [_right(part, quantity, habits) for part in parts]
    mine = [_written(part, quantity, value) for part, value in zip(parts, right, strict=True)]
    known = truths.total(quantity, habits) if truths else None
    if known is None and not any(value is None for value in right) and parts:
        known = sum(value or 0 for value in right)
    own = sum(value or 0 for value in mine) if parts and not any(value is None for value in mine) else None
    if known is None:
        known, own = own, None
    if known is None or (not known and not parts):
        return judge_arithmetic(claim) if len(claim.terms) > 1 else _unread(claim)
    names = [(part.name, value or 0) for part, value in zip(parts, right, strict=True)]
    also: tuple[int, ...] = ()
    if quantity == "weights":
        also = (sum(_right(part, "params", habits) or 0 for part in parts),)
    truth = Answer(known, _sum([value for _, value in names], known), also)
    root = _first_error(parts, quantity, right, mine)
    unit = claim.terms[-1].unit
    if unit and quantity in ("params", "weights", "memory", "param_memory"):
        known = known // FLOAT_BYTES if quantity == "param_memory" else known
        truth = Answer(known * FLOAT_BYTES, f"{written(known)}*{FLOAT_BYTES} bytes = {written(known * FLOAT_BYTES)} bytes", (), True)
        own = None
    carried = ((Answer(own, ""), root),) if own is not None and root is not None and own != known else ()
    finding = judge_number(claim, truth, carried, None, habits)
    if finding.verdict == "wrong" and unread is not None and truths is None and (claim.terms[-1].value or 0) > known:
        return verdict(claim, "unread", found=plain(claim.terms[-1]), because=f"line {unread}, which may belong to the sum, could not be read")
    if finding.verdict == "wrong":
        finding = _with_slip(finding, claim, names, known, mine, own)
    return finding


def _right(part: Part, quantity: str, habits: Habits) -> int | None:
    """Return the layer's right number, None where it is not known."""
    if part.op is None or part.x is None or part.y is None:
        return None
    if UNKNOWN in part.x or UNKNOWN in part.y:
        return 0 if quantity in ("params", "weights") and "Pool" in type(part.op).__name__ else None
    if quantity == "neurons":
        return part.op.neurons(part.x, part.y)
    found = answer(quantity, part.op, part.x, part.y, habits)
    return None if found is None else found.right


def _written(part: Part, quantity: str, right: int | None) -> int | None:
    value = part.written.get(quantity, (None,))[0]
    return right if value is None else value


def _first_error(parts: list[Part], quantity: str, right: list[int | None], mine: list[int | None]) -> int | None:
    """Return the line of the first part that is written otherwise than right."""
    for part, good, own in zip(parts, right, mine, strict=True):
        if own != good and quantity in part.written:
            return part.written[quantity][1].line
    return None


def _with_slip(finding: Finding, claim: Claim, parts: list[tuple[str, int]], right: int, mine: list[int | None], own: int | None) -> Finding:
    from msgspec.structs import replace

    value = claim.terms[-1].value
    if value is None or value.denominator != 1 or finding.slip:
        return finding
    number = int(value)
    slip = missing(parts, right, number) or swapped_digits(right, number)
    if slip is None and own is not None and own != right:
        slip = missing([(name, value or 0) for (name, _), value in zip(parts, mine, strict=True)], own, number)
    return finding if slip is None else replace(finding, slip=slip.key, remark=slip.remark)


def _sum(values: list[int], total: int) -> str:
    shown = [value for value in values if value]
    if not shown or len(shown) > MOST_SHOWN or sum(shown) != total:
        return f"the layers add up to {written(total)}"
    return f"{' + '.join(written(value) for value in shown)} = {written(total)}"


def _unread(claim: Claim) -> Finding:
    return verdict(claim, "unread", found=plain(claim.terms[-1]), because="the layers' own numbers are not all on the page")
