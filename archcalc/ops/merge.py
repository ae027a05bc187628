"""Merges: operators that join branches; ``x`` is the tuple of their shapes, in the order in which the branches are written."""

from math import prod

from archcalc.errors import ShapeError
from archcalc.formula import formula
from archcalc.ops.base import Kept, View, Weightless
from archcalc.ops.code import Code
from archcalc.ops.kernels import NEW, PART, SAME, STRETCHED, Kernel
from archcalc.shape import Shape

Shapes = tuple[Shape, ...]


@formula
def merge_work(y: Shape, b: int) -> int:
    """One operation for each output and each branch after the first."""
    return prod(y) * (b - 1)


@formula
def product_work(y: Shape) -> int:
    """One multiplication for each element of a product."""
    return prod(y)


@formula
def products_work(e: tuple[int, ...]) -> int:
    """The multiplications of the first two branches, of their product and the third, and so on."""
    return sum(e)


@formula
def joined_channels(c: tuple[int, ...]) -> int:
    """The channels of all branches, one after the other."""
    return sum(c)


class _Merge(Weightless, frozen=True):
    """Joins two or more branches; nothing is learned."""

    merges = True

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shapes) -> View:  # type: ignore[override]
        return None


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

    def kernels(self, x: Shapes, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:  # type: ignore[override]
        names = [*[f"sum {number}" for number in range(1, len(x) - 1)], "output"]
        reads = zip(("input 0", *names), [f"input {number}" for number in range(1, len(x))], strict=False)
        return tuple([Kernel(pair, name, y.elements, (SAME, SAME)) for pair, name in zip(reads, names, strict=True)])

    def code(self, x: Shapes) -> Code:  # type: ignore[override]
        return Code(None, " + ".join(f"{{{branch}}}" for branch in range(len(x))))


class Multiply(_Merge, frozen=True):
    """Product of tensors; not a class of torch.nn: ``x * y``. A size of 1 is stretched to the other's: Cx1x1 with CxHxW.

    Squeeze-and-excitation (Hu et al. 2018) scales channels so.
    With three branches and more the first two are multiplied first, then the third, and so on.
    """

    short = "multiply"

    def output(self, x: Shapes) -> Shape:  # type: ignore[override]
        if any(len(shape) != len(x[0]) for shape in x):
            maps = max(x, key=len)
            raise ShapeError(
                "E111",
                f"Multiply needs branches with equally many dimensions, but they are {_told(x)}",
                help=f"keep the other branch at {maps.c}{'x1' * len(maps.axes)}: no Flatten, and each Linear a 1x1 convolution",
            )
        y = stretched(x)
        if any(size not in (1, whole) for shape in x for size, whole in zip(shape, y, strict=True)) or any(
            shape.n != y.n for shape in x
        ):
            message = f"Multiply stretches a size of 1 and no other, but its branches are {_told(x)}"
            raise ShapeError("E111", message, help=difference(x))
        return y

    def elementwise(self, x: Shapes, y: Shape) -> int:  # type: ignore[override]
        work = tuple(product_work(y=product) for product in products(x))
        return work[0] if len(work) == 1 else products_work(e=work)

    def kept(self, x: Shapes, y: Shape, rules: str) -> tuple[Kept, ...]:  # type: ignore[override]
        # A factor is kept for the derivative of the other one; each product but the last is a factor of the next.
        found = [Kept("input 0", x[0].elements, wanted_by=(1,))]
        for number, shape in enumerate(x[1:], 1):
            found.append(Kept(f"input {number}", shape.elements, wanted_by=tuple(range(number))))
        for number, product in enumerate(products(x)[:-1], 1):
            found.append(Kept(f"product {number}", product_work(y=product), wanted_by=(number + 1,)))
        return tuple(found)

    def kernels(self, x: Shapes, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:  # type: ignore[override]
        made, shape, kernels = "input 0", x[0], []
        for number, (other, product) in enumerate(zip(x[1:], products(x), strict=True), 1):
            pair = (made, f"input {number}")
            gradients = tuple([NEW if factor == product else STRETCHED for factor in (shape, other)])
            made, shape = f"product {number}" if number < len(x) - 1 else "output", product
            kernels.append(Kernel(pair, made, product.elements, gradients, pair))
        return tuple(kernels)

    def code(self, x: Shapes) -> Code:  # type: ignore[override]
        return Code(None, " * ".join(f"{{{branch}}}" for branch in range(len(x))))


class Concat(_Merge, frozen=True):
    """Branches one behind the other along the channels; all other sizes are equal; not a class of torch.nn: ``torch.cat``."""

    short = "concat"

    def output(self, x: Shapes) -> Shape:  # type: ignore[override]
        first = x[0]
        if any(shape.n != first.n or shape.axes != first.axes or len(shape) != len(first) for shape in x):
            raise ShapeError(
                "E112",
                f"Concat needs branches of one height and width, but they are {_told(x)}",
                help="equal strides and paddings on all branches; only the channels may differ",
            )
        return first.with_axes(joined_channels(c=tuple(shape.c for shape in x)), first.axes)

    def elementwise(self, x: Shapes, y: Shape) -> int:  # type: ignore[override]
        return 0  # copies

    def kept(self, x: Shapes, y: Shape, rules: str) -> tuple[Kept, ...]:  # type: ignore[override]
        return ()

    def kernels(self, x: Shapes, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:  # type: ignore[override]
        reads = tuple([f"input {number}" for number in range(len(x))])
        return (Kernel(reads, "output", y.elements, (PART,) * len(x), name="cat"),)

    def code(self, x: Shapes) -> Code:  # type: ignore[override]
        return Code(None, f"torch.cat(({', '.join(f'{{{branch}}}' for branch in range(len(x)))}), dim=1)")


def stretched(shapes: Shapes) -> Shape:
    """Return the shape that sizes of 1 are stretched to."""
    return Shape(map(max, zip(*shapes, strict=True)))


def products(shapes: Shapes) -> tuple[Shape, ...]:
    """Return the shapes of the product of the first two, of that and the third, and so on."""
    return tuple(stretched(shapes[:count]) for count in range(2, len(shapes) + 1))


def _told(shapes: Shapes) -> str:
    return " and ".join(str(shape) for shape in shapes)


def difference(shapes: Shapes) -> str:
    """Return what would bring the branches together, in words."""
    first, other = shapes[0], next(shape for shape in shapes if shape != shapes[0])
    if len(first) != len(other):
        return "a Flatten or a pooling on one branch"
    if first.n != other.n:
        return "one batch for all branches"
    if first.c != other.c and first.axes == other.axes:
        return f"a 1x1 convolution from {other.c} to {first.c} channels on one branch, or equal out_channels"
    if first.c == other.c:
        return "equal strides and padding on both branches"
    return "a 1x1 convolution with the same stride on the shortcut (a projection)"
