"""Claims about what a layer makes: its sizes, the arithmetic of one of them, and how many numbers they are in a row."""

from fractions import Fraction
from itertools import pairwise
from math import prod

from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import Answer, Habits, judge_arithmetic, judge_number, plain, size_follows, verdict, wrong_equality
from archcalc.worksheet.hints import size_hints
from archcalc.worksheet.layers import Block
from archcalc.worksheet.operators import UNKNOWN, fits, shape_of, sizes_of
from archcalc.worksheet.page import Claim, Finding, Term
from archcalc.worksheet.shapes import Own, rounds_to_one, shape_arithmetic, size_arithmetic, unjudged, window_of, with_size
from archcalc.worksheet.slips import axis_slips


class Outputs:
    """Judges shapes and collects the findings; the walk adds where the shapes come from."""

    def __init__(self, habits: Habits):
        self.habits = habits
        self.findings: list[Finding] = []

    def _output(self, claim: Claim, block: Block, op: Op, x: Shape | None, y: Shape | None, own: Own) -> Own:
        if claim.quantity == "flat":
            return self._flat(claim, y, own)
        name = block.said.name
        term = claim.terms[-1]
        is_size = term.shape is None or (len(term.shape) == 1 and y is not None and len(y) == 4 and len(claim.terms) > 1)
        sizes = list(claim.terms if is_size else claim.terms[:-1])
        if sizes:
            own = self._sizes(claim, sizes, op, x, y, own, name)
        if is_size:
            return own
        if y is None and own.shape is None:
            self.findings.append(unjudged(claim))
            return Own(shape_of(term))
        if y is not None and fits(term, y):
            self._add(claim, True, term, y, layer=name)
            return Own(y)
        if own.shape is not None and fits(term, own.shape):
            self._add(claim, True, term, y, carried=own.error, layer=name)
            return own
        told = y if y is not None else own.shape
        assert told is not None
        self._wrong_shape(claim, term, op, x, told, name)
        return Own(shape_of(term, told), claim.line)

    def _flat(self, claim: Claim, y: Shape | None, own: Own) -> Own:
        final = claim.terms[-1]
        if y is None or final.value is None or UNKNOWN in y:
            self.findings.append(unjudged(claim))
            return own
        because = f"{'*'.join(map(str, (*y[2:], y[1])))} = {written(prod(y))}"
        mine = ((Answer(prod(own.shape), ""), own.error),) if own.shape is not None and own.error else ()
        self.findings.append(judge_number(claim, Answer(prod(y), because), mine, None, self.habits))
        return own

    def _sizes(self, claim: Claim, terms: list[Term], op: Op, x: Shape | None, y: Shape | None, own: Own, name: str) -> Own:
        """Judge the arithmetic of a size along one axis: ``(224-11)/4+1 = 55``."""
        ceil = bool(getattr(op, "ceil_mode", False))
        for before, after in pairwise(terms):
            if not size_follows(before, after, ceil):
                finding = wrong_equality(claim, before, after)
                self.findings.append(finding)
                return with_size(own, y, after, claim.line)
        final = terms[-1]
        if y is None or len(y) != 4 or final.value is None:
            self.findings.append(judge_arithmetic(Claim(claim.line, claim.text, claim.quantity, tuple(terms))))
            return own
        said = {Fraction(size) for size in ((*y.axes, y.c) if op.merges else y.axes)}
        value = final.value
        if value in said or (final.figure is None and rounds_to_one(final, said, ceil)):
            self.findings.append(verdict(claim, "right", layer=name, expected=y.axes[0], found=plain(final)))
            return own
        if (
            own.shape is not None
            and len(own.shape) == 4
            and (value in own.shape.axes or rounds_to_one(final, {Fraction(s) for s in own.shape.axes}, ceil))
        ):
            self.findings.append(
                verdict(claim, "right", layer=name, expected=y.axes[0], found=plain(final), carried_from=own.error)
            )
            return own
        because = size_arithmetic(op, x, y)
        self.findings.append(verdict(claim, "wrong", layer=name, expected=y.axes[0], found=plain(final), because=because))
        return with_size(own, y, final, claim.line)

    def _wrong_shape(self, claim: Claim, term: Term, op: Op, x: Shape | None, y: Shape, name: str) -> None:
        slip = (
            next(((key, told) for key, shape, told in axis_slips(op, x) if shape != y and fits(term, shape)), None)
            if x is not None
            else None
        )
        hints: tuple[str, ...] = ()
        window = window_of(op, x)
        found = shape_of(term, y)
        if (
            window is not None
            and found is not None
            and len(found) == 4
            and found.c in (y.c, UNKNOWN)
            and found[2] == found[3] != y[2]
        ):
            needed = size_hints(window, found[2])
            hints = (f"{found[2]:,} needs {', or '.join(needed)}",) if needed else ()
        self._add(claim, False, term, y, because=shape_arithmetic(op, x, y, found, term), layer=name, hints=hints, slip=slip)

    def _add(
        self, claim: Claim, right: bool, term: Term, y: Shape | None, *, because: str = "", carried: int | None = None,
        layer: str = "", hints: tuple[str, ...] = (), slip: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        expected = sizes_of(y, term) if y is not None else None
        found = term.shape
        self.findings.append(
            verdict(
                claim,
                "right" if right else "wrong",
                layer=layer,
                expected=expected,
                found=found,
                because=because,
                carried_from=carried,
                hints=hints,
                slip=slip[0] if slip else None,
                remark=slip[1] if slip else "",
            )
        )
