"""Claims about the whole network: sums over its layers, those that are right and those that the page itself has written."""

import math
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from archcalc.ops import Op
from archcalc.ops.base import Weightless
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import summands, written
from archcalc.worksheet.checks import FLOAT_BYTES, Answer, Habits, answer, judge_arithmetic, judge_number, plain, verdict
from archcalc.worksheet.compare import bits_of, says
from archcalc.worksheet.matching import Truths
from archcalc.worksheet.operators import UNKNOWN
from archcalc.worksheet.page import Claim, Finding
from archcalc.worksheet.slips import Named, missing, swapped_digits
from archcalc.worksheet.unread import Beside, explaining

MOST_SHOWN = 8
NEAR = 20  # numbers within a twentieth of each other are near


class Part(NamedTuple):
    """A layer's share of the totals: its operator with its shapes, and the numbers that the page says of it.

    ``shares`` marks a layer whose parameters are another's: they count there.
    """

    name: str
    op: Op | None
    x: Shape | None
    y: Shape | None
    written: dict[str, tuple[int | None, Claim]]
    shares: bool = False


class Sum:
    """The running sum of one quantity: right, and as the page has written it. None where a part is not known."""

    def __init__(self, quantity: str, habits: Habits, listed: bool = False):
        self.quantity = "params" if quantity == "arithmetic" else quantity  # a sum that is not said to be of anything
        self.habits = habits
        self.listed = listed  # in a framework's code, whose printed sum may count BatchNorm's running statistics
        self.statistics = 0
        self.count = 0
        self.right: int | None = 0
        self.mine: int | None = 0
        self.with_bias = 0
        self.error: int | None = None  # the line of the first part that is written otherwise than right
        self.names: dict[int, str] = {}  # the first layer of each size
        self.mine_names: dict[int, str] = {}
        self.rights: list[int] = []  # the layers that have any of it, in their order
        self.scales: set[int] = set()  # of all numbers, right and written

    def extend(self, parts: list[Part]) -> None:
        """Add the parts that are new since the last time."""
        for part in parts[self.count :]:
            if part.shares and self.quantity in ("params", "weights", "param_memory"):
                continue
            right = _right(part, self.quantity, self.habits)
            stated = part.written.get(self.quantity)
            mine = right if stated is None or stated[0] is None else stated[0]
            self.right = None if self.right is None or right is None else self.right + right
            self.mine = None if self.mine is None or mine is None else self.mine + mine
            if stated is not None and mine != right and self.error is None:
                self.error = stated[1].line
            if right:
                self.names.setdefault(right, part.name)
                self.rights.append(right)
            if mine:
                self.mine_names.setdefault(mine, part.name)
            self.scales |= {_scale(number) for number in (right, mine) if number}
            if self.listed and type(part.op).__name__.startswith("BatchNorm"):
                self.statistics += right or 0
            if self.quantity == "weights":
                self.with_bias += _right(part, "params", self.habits) or 0
        self.count = len(parts)


def judge_total(claim: Claim, total: Sum, habits: Habits, truths: Truths | None, besides: list[Beside]) -> Finding:
    """Judge a total against the right sum, and against the sum of what the page has written.

    ``besides`` are lines before it that may hold other parts of the sum: a total that is larger may then be right.
    """
    if claim.quantity == "arithmetic":
        apart = _apart(claim, total)
        if apart is not None:
            return apart
        claim = replace(claim, quantity="params")
    quantity = claim.quantity
    known = truths.total(quantity, habits) if truths else None
    if known is None and total.count:
        known = total.right
    own = total.mine if total.count else None
    if known is None:
        known, own = own, None
    if known is None:
        return judge_arithmetic(claim) if len(claim.terms) > 1 else _unread(claim)
    also = {"weights": (total.with_bias,), "memory": (FLOAT_BYTES * known,)}.get(quantity, ())
    if quantity == "params" and total.statistics:
        also = (known + total.statistics,)
    truth = Answer(known, _sum(total.rights, known), also)
    unit = claim.terms[-1].unit
    if unit and quantity in ("params", "weights", "memory", "param_memory"):
        known = known // FLOAT_BYTES if quantity == "param_memory" else known
        truth = Answer(
            known * FLOAT_BYTES, f"{written(known)}*{FLOAT_BYTES} bytes = {written(known * FLOAT_BYTES)} bytes", (), True
        )
        own = None
    carried = ((Answer(own, ""), total.error),) if own is not None and total.error is not None and own != known else ()
    finding = judge_number(claim, truth, carried, None, habits)
    told = Fraction(claim.terms[-1].value or 0)
    if truth.in_bytes:
        told *= Fraction(bits_of(claim.terms[-1]), 8 * FLOAT_BYTES)
    if finding.verdict == "wrong" and truths is None and told > known:
        line = explaining(int(told) - known, besides)
        if line is not None:
            because = f"line {line} may belong to the sum, and no layer line says what it is"
            return verdict(claim, "unread", found=plain(claim.terms[-1]), because=because)
    return _with_slip(finding, claim, total, known, own) if finding.verdict == "wrong" else finding


def _apart(claim: Claim, total: Sum) -> Finding | None:
    """Judge a sum that is not said to be of anything, and is not of the network's layers; None for one that is."""
    parts = summands(claim.terms[0].text)
    if not total.rights or not parts:
        return None
    finding = judge_arithmetic(claim)
    if sum(parts) == total.rights[-1]:
        return finding  # 614,400 + 256: the weights and biases of the layer above
    if len(parts) < len(total.rights) and list(parts) == total.rights[-len(parts) :]:
        because = "this adds up the last layers, and does not say of what it is the sum"
        return finding if finding.verdict == "wrong" else verdict(claim, "unread", found=finding.found, because=because)
    scales = {_scale(part) + near for part in parts if part > 0 for near in (-1, 0, 1)}
    return None if scales & total.scales else finding


def _scale(number: Fraction | int) -> int:
    """Return a number whose neighbours are those of near numbers."""
    return round(math.log(number) * NEAR)


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
    if not 2 <= len(values) <= MOST_SHOWN or sum(values) != total:
        return f"the layers add up to {written(total)}"
    return f"{' + '.join(written(value) for value in values)} = {written(total)}"


def _unread(claim: Claim) -> Finding:
    return verdict(claim, "unread", found=plain(claim.terms[-1]), because="the layers' own numbers are not all on the page")
