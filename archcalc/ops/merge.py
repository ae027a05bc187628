"""Merges: operators that join branches; ``x`` is the tuple of their shapes, in the order in which the branches are written."""

from archcalc.errors import ShapeError
from archcalc.formula import formula, prod
from archcalc.ops.base import Kept, View, Weightless
from archcalc.shape import Shape

Shapes = tuple[Shape, ...]


@formula
def merge_work(y: Shape, b: int) -> int:
    """One operation for each output and each branch after the first."""
    return prod(y) * (b - 1)


class _Merge(Weightless, frozen=True):
    """Joins two or more branches; nothing is learned."""

    merges = True

    def window(self, x: Shapes) -> View:  # type: ignore[override]
        return None


def _told(shapes: Shapes) -> str:
    return " and ".join(str(shape) for shape in shapes)


class Add(_Merge, frozen=True):
    """Sum of tensors of one shape (a residual connection); not a class of torch.nn: ``x + y``."""

    short = "add"

    def output(self, x: Shapes) -> Shape:  # type: ignore[override]
        if any(shape != x[0] for shape in x):
            raise ShapeError("E110", f"Add needs branches of one shape, but they are {_told(x)}", help=difference(x))
        return x[0]

    def elementwise(self, x: Shapes, y: Shape) -> int:  # type: ignore[override]
        return merge_work(y=y, b=len(x))

    def kept(self, x: Shapes, y: Shape, rules: str) -> tuple[Kept, ...]:  # type: ignore[override]
        return ()


def difference(shapes: Shapes) -> str:
    """Return what would bring the branches together, in words."""
    first, other = shapes[0], next(shape for shape in shapes if shape != shapes[0])
    if len(first) != len(other):
        return "a Flatten or a pooling on one branch"
    if first.c != other.c and first.axes == other.axes:
        return f"a 1x1 convolution from {other.c} to {first.c} channels on the narrower branch, or equal out_channels"
    if first.c == other.c:
        return "equal strides and padding on both branches"
    return "a 1x1 convolution with the same stride on the shortcut (a projection)"
