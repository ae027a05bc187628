"""Claims about the whole network: sums over its layers, those that are right and those that the page itself has written."""

from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from archcalc.ops import Op
from archcalc.ops.base import Weightless
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import FLOAT_BYTES, Answer, Habits, answer, judge_arithmetic, judge_number, plain, verdict
from archcalc.worksheet.compare import says
from archcalc.worksheet.matching import Truths
from archcalc.worksheet.operators import UNKNOWN
from archcalc.worksheet.page import Claim, Finding
from archcalc.worksheet.slips import Named, missing, swapped_digits

MOST_SHOWN = 8


class Part(NamedTuple):
    """A layer's share of the totals: its operator with its shapes, and the numbers that the page says of it."""

    name: str
    op: Op | None
    x: Shape | None
    y: Shape | None
    written: dict[str, tuple[int | None, Claim]]


class Sum:
    """The running sum of one quantity: right, and as the page has written it. None where a part is not known."""

    def __init__(self, quantity: str, habits: Habits, listed: bool = False):
        self.quantity, self.habits = quantity, habits
        self.listed = listed  # in a framework's code, whose printed sum may count BatchNorm's running statistics
        self.statistics = 0
        self.count = 0
        self.right: int | None = 0
        self.mine: int | None = 0
        self.with_bias = 0
        self.error: int | None = None  # the line of the first part that is written otherwise than right
        self.names: dict[int, str] = {}  # the first layer of each size
        self.mine_names: dict[int, str] = {}
        self.shown: list[int] = []

    def extend(self, parts: list[Part]) -> None:
        """Add the parts that are new since the last time."""
        for part in parts[self.count :]:
            right = _right(part, self.quantity, self.habits)
            stated = part.written.get(self.quantity)
            mine = right if stated is None or stated[0] is None else stated[0]
            self.right = None if self.right is None or right is None else self.right + right
            self.mine = None if self.mine is None or mine is None else self.mine + mine
            if stated is not None and mine != right and self.error is None:
                self.error = stated[1].line
            if right:
                self.names.setdefault(right, part.name)
                if len(self.shown) <= MOST_SHOWN:
                    self.shown.append(right)
            if mine:
                self.mine_names.setdefault(mine, part.name)
            if self.listed and type(part.op).__name__.startswith("BatchNorm"):
                self.statistics += right or 0
            if self.quantity == "weights":
                self.with_bias += _right(part, "params", self.habits) or 0
        self.count = len(parts)


def judge_total(claim: Claim, total: Sum, habits: Habits, truths: Truths | None, unread: int | None = None) -> Finding:
    """Judge a total against the right sum, and against the sum of what the page has written.

    ``unread`` is a line before it that may hold another part of the sum: a total that is larger may then be right.
    """
    quantity = claim.quantity
    known = truths.total(quantity, habits) if truths else None
    if known is None and total.count:
        known = total.right
    own = total.mine if total.count else None
    if known is None:
        known, own = own, None
    if known is None:
        return judge_arithmetic(claim) if len(claim.terms) > 1 else _unread(claim)
    also = (total.with_bias,) if quantity == "weights" else ()
    if quantity == "params" and total.statistics:
        also = (known + total.statistics,)
    truth = Answer(known, _sum(total.shown, known), also)
    unit = claim.terms[-1].unit
    if unit and quantity in ("params", "weights", "memory", "param_memory"):
        known = known // FLOAT_BYTES if quantity == "param_memory" else known
        truth = Answer(
            known * FLOAT_BYTES, f"{written(known)}*{FLOAT_BYTES} bytes = {written(known * FLOAT_BYTES)} bytes", (), True
        )
        own = None
    carried = ((Answer(own, ""), total.error),) if own is not None and total.error is not None and own != known else ()
    finding = judge_number(claim, truth, carried, None, habits)
    if finding.verdict == "wrong" and unread is not None and truths is None and (claim.terms[-1].value or 0) > known:
        return verdict(
            claim, "unread", found=plain(claim.terms[-1]), because=f"line {unread}, which may belong to the sum, could not be read"
        )
    return _with_slip(finding, claim, total, known, own) if finding.verdict == "wrong" else finding


def _right(part: Part, quantity: str, habits: Habits) -> int | None:
    """Return the layer's right number, None where it is not known."""
    if (
        part.op is not None
        and isinstance(part.op, Weightless)
        and quantity in ("params", "weights", "macs", "flops", "param_memory")
    ):
        return 0
    if part.op is None or part.x is None or (part.y is None and quantity not in ("params", "weights", "param_memory")):
        return None
    if part.x.c == UNKNOWN or (part.y is not None and UNKNOWN in part.y):
        return None
    if quantity == "neurons" and part.y is not None:
        return part.op.neurons(part.x, part.y)
    found = answer(quantity, part.op, part.x, part.y if part.y is not None else part.x, habits)
    return None if found is None else found.right


def _with_slip(finding: Finding, claim: Claim, total: Sum, right: int, own: int | None) -> Finding:
    value = claim.terms[-1].value
    if value is None or value.denominator != 1 or finding.slip not in (None, "product"):
        return finding
    number = int(value)
    slip = missing(total.names, right, number) or swapped_digits(right, number)
    if slip is None and own is not None and own != right:
        slip = missing(total.mine_names, own, number)
    if slip is None:
        slip = _factor_of_two(claim, right)
    return finding if slip is None else replace(finding, slip=slip.key, remark=slip.remark)


def _factor_of_two(claim: Claim, right: int) -> Named | None:
    """Return the slip of a total that counts operations where it says multiply-accumulates, or the other way round."""
    final = claim.terms[-1]
    if claim.quantity == "macs" and says(final, 2 * right):
        return Named("mac_or_flop", f"{final.text}: those are FLOPs, two for each MAC")
    if claim.quantity == "flops" and says(final, Fraction(right, 2)):
        return Named("mac_or_flop", f"{final.text}: these are MACs, each is 2 floating-point operations")
    return None


def _sum(values: list[int], total: int) -> str:
    shown = [value for value in values if value]
    if not shown or len(shown) > MOST_SHOWN or sum(shown) != total:
        return f"the layers add up to {written(total)}"
    return f"{' + '.join(written(value) for value in shown)} = {written(total)}"


def _unread(claim: Claim) -> Finding:
    return verdict(claim, "unread", found=plain(claim.terms[-1]), because="the layers' own numbers are not all on the page")
