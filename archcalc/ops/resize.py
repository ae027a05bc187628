"""Operators that resample a feature map to another size."""

from math import prod

from archcalc.errors import ArgumentError, ShapeError
from archcalc.formula import formula, scaled
from archcalc.ops.base import MOST_PHASES, Kept, Phases, View, Weightless, Window, need_rank
from archcalc.ops.code import Code, literal, made
from archcalc.ops.fields import Interpolation, OptionalFactors, OptionalFlag, OptionalPair, Pair
from archcalc.ops.kernels import Kernel, apply
from archcalc.shape import Shape

# Pixels that an output is mixed from, along one axis.
TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}


@formula
def scaled_size(i: int, u: float) -> int:
    """Size of an axis that is made longer by a factor."""
    return scaled(i, u)


@formula
def interpolation_work(y: Shape, k: tuple[int, ...]) -> int:
    """A weighted sum of k_h*k_w pixels: as many products, one addition less; the weights are fixed."""
    return prod(y) * (2 * prod(k) - 1)


class _Resampling(Weightless, frozen=True):
    """Resamples height and width; nothing is kept, the derivative is the transposed resampling."""

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return ()

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("upsample", self, x, y, rules)

    def aliases(self, training: bool = True) -> bool:
        return False


class Upsample(_Resampling, frozen=True):
    """Resamples to ``size`` or by ``scale_factor``, one of the two; fields as in torch.nn.Upsample."""

    short = "upsample"
    size: OptionalPair = None
    scale_factor: OptionalFactors = None
    mode: Interpolation = "nearest"
    align_corners: OptionalFlag = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.size is None) == (self.scale_factor is None):
            both = "neither is given" if self.size is None else "both are given"
            raise ArgumentError("E121", f"Upsample takes either size or scale_factor, but {both}", argument="size")
        if self.mode == "nearest" and self.align_corners is not None:
            raise ArgumentError("E121", "align_corners has no meaning with mode nearest", argument="align_corners")

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        if self.size is not None:
            return x.with_axes(x.c, self.size)
        assert self.scale_factor is not None
        axes = tuple(scaled_size(i=i, u=u) for i, u in zip(x.axes, self.scale_factor, strict=True))
        if min(axes) < 1:
            factors = "x".join(f"{factor:g}" for factor in self.scale_factor)
            raise too_small(x, axes, f"by a scale_factor of {factors}")
        return x.with_axes(x.c, axes)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return mixing_work(y, self.mode)

    def window(self, x: Shape) -> View:
        factors = self.scale_factor or (None, None)
        axes = zip(map(int, x.axes), map(int, self.output(x).axes), factors, strict=True)
        return tuple([resampling(i, o, self.mode, bool(self.align_corners), factor) for i, o, factor in axes])

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.Upsample"))


class Resize(_Resampling, frozen=True):
    """Resamples to a fixed height and width; not a class of torch.nn, but torch.nn.functional.interpolate with a size."""

    short = "resize"
    size: Pair
    mode: Interpolation = "bilinear"

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        return x.with_axes(x.c, self.size)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return mixing_work(y, self.mode)

    def window(self, x: Shape) -> View:
        return tuple([resampling(int(i), int(o), self.mode, False, None) for i, o in zip(x.axes, self.size, strict=True)])

    def code(self, x: Shape) -> Code:
        return Code(None, f"F.interpolate({{0}}, size={self.size!r}, mode={literal(self.mode)})")


def mixing_work(y: Shape, mode: str) -> int:
    """Return the element-wise work of a resampling; nearest only copies."""
    return 0 if mode == "nearest" else interpolation_work(y=y, k=(TAPS[mode],) * 2)


def too_small(x: Shape, axes: tuple[int, ...], how: str) -> ShapeError:
    """Return the error of a map that vanishes."""
    return ShapeError("E102", f"{x} resampled {how} would be {'x'.join(map(str, axes))}", help="a larger factor, or a larger input")


def resampling(i: int, o: int, mode: str, align_corners: bool, factor: float | None) -> Window | Phases:
    """Return how far the outputs of a resampling from ``i`` to ``o`` pixels look along one axis (PyTorch's rules).

    Outputs stand i/o inputs apart, or 1/factor where a factor is given; with align_corners the first and last pixels coincide.
    """
    from fractions import Fraction  # deferred: only resampling needs positions between pixels

    if align_corners and min(i, o) > 1:
        step = Fraction(i - 1, o - 1)
    else:
        step = Fraction(i, o) if factor is None else 1 / Fraction(str(factor))  # as it is written: 1.1 is no binary number
    s, u = step.numerator, step.denominator
    if u > MOST_PHASES:
        return Phases(TAPS[mode], s, u)
    # Output j stands at (j + 1/2)*step - 1/2, or at j*step.
    half = not align_corners and mode != "nearest"
    middles = [((2 * j + 1) * s - u, 2 * u) if half else (j * s, u) for j in range(u)]
    first, last = zip(*[_mixed(*middle, mode) for middle in middles], strict=True)
    k = max([b - a + 1 for a, b in zip(first[:o], last[:o], strict=True)])
    return Window(k, s, -first[0]) if u == 1 else Phases(k, s, u, first, last)


def _mixed(above: int, below: int, mode: str) -> tuple[int, int]:
    """Return the first and the last input that are mixed for an output at input ``above / below``; alone where it stands on one."""
    at = above // below
    if mode == "nearest" or above % below == 0:
        return at, at
    return at + 1 - TAPS[mode] // 2, at + TAPS[mode] // 2
