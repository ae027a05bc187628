"""Claims about what a layer makes: its sizes, the arithmetic of one of them, and how many numbers they are in a row."""

from fractions import Fraction
from itertools import pairwise
from math import prod

from msgspec.structs import replace

from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import Answer, Habits, judge_arithmetic, judge_number, plain, size_follows, verdict, wrong_equality
from archcalc.worksheet.hints import size_hints
from archcalc.worksheet.layers import Block
from archcalc.worksheet.operators import UNKNOWN, fits, shape_of, sizes_of
from archcalc.worksheet.page import Claim, Finding, Term
from archcalc.worksheet.shapes import (
    Own,
    crossed,
    of_layer,
    rounds_to_one,
    shape_arithmetic,
    size_arithmetic,
    unjudged,
    window_of,
    with_size,
)
from archcalc.worksheet.slips import axis_slips


class Outputs:
    """Judges shapes and collects the findings; the walk adds where the shapes come from."""

    def __init__(self, habits: Habits):
        self.habits = habits
        self.findings: list[Finding] = []
        self.own = Own(None)  # what the writer has come to before the layer that is judged

    def _output(self, claim: Claim, block: Block, op: Op, x: Shape | None, y: Shape | None, own: Own) -> Own:
        if claim.quantity == "flat":
            return self._flat(claim, y, own)
        name = block.said.name
        before, product = _product(claim.terms, x, y, own)
        own = self._sizes_or_shape(self._entering(replace(claim, terms=before), op, x, y, name), claim, op, x, y, own, name)
        if product:
            self.findings.append(of_layer(judge_arithmetic(replace(claim, terms=product)), name))
        return own

    def _sizes_or_shape(self, claim: Claim, whole: Claim, op: Op, x: Shape | None, y: Shape | None, own: Own, name: str) -> Own:
        """Judge the arithmetic of one size and the shape that it leads to, or one of both; ``whole`` is the claim as it stands."""
        term = claim.terms[-1]
        is_size = term.shape is None or (len(term.shape) == 1 and y is not None and len(y) == 4 and len(whole.terms) > 1)
        is_row = y is not None and len(y) == 2 and len(claim.terms) > 1  # 6*6*256 = 9,216
        sizes = list(claim.terms if is_size or is_row else claim.terms[:-1])
        if sizes:
            own = self._sizes(claim, sizes, op, x, y, own, name, leads=not is_size)
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

    def _entering(self, claim: Claim, op: Op, x: Shape | None, y: Shape | None, name: str) -> Claim:
        """Judge the sizes that come in, where the chain begins with them: ``227x227x3 → 55x55x96``. Return what stands behind."""
        first, *rest = claim.terms
        if not rest or first.shape is None or (len(rest[0].shape or ()) < 2 and size_follows(first, rest[0], _rounds_up(op))):
            return claim
        if y is not None and fits(first, y):
            return claim if len(first.shape) == 1 else replace(claim, terms=tuple(rest))
        entering = replace(claim, quantity="input", terms=(first,))
        told = x if x is not None else self.own.shape
        if x is not None and fits(first, x):
            self._add(entering, True, first, x, layer=name)
        elif self.own.shape is not None and fits(first, self.own.shape):
            self._add(entering, True, first, x, carried=self.own.error, layer=name)
        elif len(first.shape) == 1:
            return claim
        elif told is None or y is None or (len(told), len(y), len(first.shape)) != (4, 4, 3):
            self.findings.append(unjudged(entering))
        else:
            self._add(entering, False, first, told, because=f"the layer before makes {crossed(told, first)}", layer=name)
        return replace(claim, terms=tuple(rest))

    def _flat(self, claim: Claim, y: Shape | None, own: Own) -> Own:
        final = claim.terms[-1]
        if y is None or final.value is None or UNKNOWN in y:
            self.findings.append(unjudged(claim))
            return own
        because = f"{'*'.join(map(str, (*y[2:], y[1])))} = {written(prod(y))}"
        mine = ((Answer(prod(own.shape), ""), own.error),) if own.shape is not None and own.error else ()
        self.findings.append(judge_number(claim, Answer(prod(y), because), mine, None, self.habits))
        return own

    def _sizes(
        self, claim: Claim, terms: list[Term], op: Op, x: Shape | None, y: Shape | None, own: Own, name: str, leads: bool
    ) -> Own:
        """Judge the arithmetic of a size along one axis: ``(224-11)/4+1 = 55``.

        A decimal is no size, unless the arithmetic ``leads`` to the whole shape: ``54.25 → 54x54x96``.
        """
        ceil = _rounds_up(op)
        for before, after in pairwise(terms):
            if not size_follows(before, after, ceil):
                finding = wrong_equality(claim, before, after)
                self.findings.append(finding)
                return with_size(own, y, after, claim.line)
        final = terms[-1]
        if y is None or len(y) != 4 or final.value is None:
            self.findings.append(judge_arithmetic(Claim(claim.line, claim.text, claim.quantity, tuple(terms))))
            return own
        is_rounded = final.figure is None or leads

        def gives(sizes: tuple[int, ...]) -> bool:
            whole = {Fraction(size) for size in sizes}
            return final.value in whole or (is_rounded and rounds_to_one(final, whole, ceil))

        if gives((*y.axes, y.c) if op.merges else y.axes):
            self.findings.append(verdict(claim, "right", layer=name, expected=y.axes[0], found=plain(final)))
            return own
        if own.shape is not None and len(own.shape) == 4 and gives(own.shape.axes):
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


def _product(terms: tuple[Term, ...], x: Shape | None, y: Shape | None, own: Own) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return the chain up to its sizes, and from there on if it goes on with how many numbers they are: ``6x6x256 = 9216``."""
    at = max((index for index, term in enumerate(terms) if len(term.shape or ()) > 1), default=len(terms))
    if at >= len(terms) - 1 or (y is not None and len(y) != 4):
        return terms, ()
    sizes, final = terms[at], terms[-1]
    known = [shape for shape in (y, own.shape) if shape is not None]
    is_output = any(fits(sizes, shape) for shape in known)
    is_axis = any(final.value in shape[1:] for shape in known)
    if is_axis or not (is_output or (len(sizes.shape or ()) > 2 and not (x is not None and fits(sizes, x)))):
        return terms, ()
    return terms[: at + 1], terms[at:]


def _rounds_up(op: Op) -> bool:
    return bool(getattr(op, "ceil_mode", False))
