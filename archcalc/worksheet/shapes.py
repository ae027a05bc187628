"""What the walk over a page needs to know of shapes and claims: readings, sizes after a slip, arithmetic in words."""

from fractions import Fraction
from math import prod
from typing import NamedTuple

from msgspec.structs import replace

from archcalc.errors import ArchcalcError
from archcalc.formula.printed import text as formula_text
from archcalc.formula.traced import Derived
from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.checks import Answer, Habits, answer, judge_arithmetic, plain, size_follows, verdict
from archcalc.worksheet.hints import Window
from archcalc.worksheet.layers import Block
from archcalc.worksheet.operators import UNKNOWN, entering, fits, given, output_of, readings, sizes_of
from archcalc.worksheet.page import Claim, Finding, Term

NOTHING_SAYS = "no layer line says what this comes from"


class Own(NamedTuple):
    """The writer's own shape, and the line of the error that it carries, if it does."""

    shape: Shape | None
    error: int | None = None


def merged_shape(op: Op | None, shapes: list[Shape | None]) -> Shape | None:
    """Return what the merge makes of its branches, None where one is not known or they do not fit."""
    whole = tuple(shape for shape in shapes if shape is not None)
    if op is None or len(whole) < len(shapes) or not whole or any(UNKNOWN in shape for shape in whole):
        return None
    try:
        return op.output(whole)  # type: ignore[arg-type]
    except ArchcalcError:
        return None


def alone(claim: Claim) -> Finding:
    """Judge a claim that no layer stands behind: its equals signs, or nothing."""
    terms = claim.terms
    if claim.quantity in ("output", "input") and len(terms[-1].shape or ()) > 1:
        terms = terms[:-1]  # sizes are no product here
    if len(terms) > 1:
        return judge_arithmetic(replace(claim, terms=terms))
    return unjudged(claim)


def unjudged(claim: Claim) -> Finding:
    """Return the finding that nothing on the page tells what the claim would have to be."""
    return verdict(claim, "unread", found=plain(claim.terms[-1]), because=NOTHING_SAYS)


def of_layer(finding: Finding, name: str) -> Finding:
    """Return the finding with the name of the layer that it is about."""
    return replace(finding, layer=name) if name and not finding.layer else finding


def entering_flat(x: Shape) -> Shape:
    """Return the shape flattened."""
    return Shape((1, prod(x))) if len(x) > 2 else x


def chosen(block: Block, x: Shape | None, own: Own, output: Term | None) -> Op | None:
    """Return the reading of the block's line that its output follows from, the likeliest one if it follows from none."""
    first: Op | None = None
    for op in readings(block.said, x or own.shape, output):
        first = first or op
        if output is None or (x is None and own.shape is None):
            break
        made = [y for y in (output_of(op, x), output_of(op, own.shape)) if y is not None]
        if any(fits(output, y) for y in made):
            return op
    return first


def layer_answer(claim: Claim, op: Op, x: Shape | None, y: Shape | None, habits: Habits) -> Answer | None:
    """Return the right number for a claim about a layer, None where its shapes are not known."""
    needs_output = claim.quantity not in ("params", "weights")
    if x is None or (y is None and needs_output) or (x.c == UNKNOWN) or (y is not None and y.c == UNKNOWN):
        return None
    return answer(claim.quantity, op, x, y if y is not None else x, habits, claim.terms[-1].unit)


def with_size(own: Own, y: Shape | None, term: Term, line: int) -> Own:
    """Return the writer's shape with the size that was written."""
    base = y if y is not None else own.shape
    if base is None or len(base) != 4 or term.value is None or term.value.denominator != 1:
        return own
    return Own(base.with_axes(base.c, (int(term.value),) * 2), line)


def rounds_to_one(term: Term, sizes: set[Fraction], ceil: bool) -> bool:
    """Whether the arithmetic gives one of the sizes, its division rounded the way the layer rounds."""
    probes = [Term(str(size), size) for size in sizes]
    return any(size_follows(term, probe, ceil) for probe in probes)


def window_of(op: Op, x: Shape | None) -> Window | None:
    """Return the numbers of the operator's size arithmetic along its first axis, None where it has no such window."""
    padding, kernel = getattr(op, "padding", None), getattr(op, "kernel_size", None)
    if x is None or len(x) != 4 or not kernel or not isinstance(padding, tuple) or len(padding) != 2 or len(kernel) != 2:
        return None
    stride = getattr(op, "stride", None) or kernel
    return Window(x[2], kernel[0], stride[0], 2 * padding[0])


def size_arithmetic(op: Op, x: Shape | None, y: Shape) -> str:
    """Return the arithmetic of the first axis: ``floor((27 + 2*2 - 5)/1) + 1 = 27``."""
    traced: object = y[2] if len(y) > 2 else y[1]
    if x is not None:
        try:
            z = op.output(entering(op, given(x)))
            traced = z[2] if len(z) > 2 else z[1]
        except ArchcalcError:
            pass
    result = written(y[2] if len(y) > 2 else y[1])
    if isinstance(traced, Derived):
        return f"{formula_text(traced.formula, traced.values)} = {result}"
    return result


def shape_arithmetic(op: Op, x: Shape | None, y: Shape, found: Shape | None, term: Term) -> str:
    """Return what is right of a shape, by the part that is wrong."""
    told = crossed(y, term)
    if found is None or len(found) != len(y) or len(y) != 4:
        return f"{type(op).__name__} makes {told}"
    if found.axes == y.axes:
        return f"{y.c:,} channels: {told}"
    return f"{size_arithmetic(op, x, y)}: {told}"


def crossed(y: Shape, term: Term) -> str:
    """Return a shape as the page writes shapes: ``55x55x96``."""
    return "x".join(str(size) for size in sizes_of(y, term))


def whole(term: Term) -> int | None:
    """Return the whole number that a term says, None for fractions and figures with a unit."""
    return int(term.value) if term.value is not None and term.value.denominator == 1 and not term.unit else None
