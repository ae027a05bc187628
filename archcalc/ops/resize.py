"""Operators that resample a feature map to another size."""

from archcalc.errors import ArgumentError, ShapeError
from archcalc.formula import formula, prod, scaled
from archcalc.ops.base import Kept, View, Weightless, Window, need_rank
from archcalc.ops.fields import Interpolation, OptionalFactors, OptionalFlag, OptionalPair, Pair
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
        return resampling_windows(x, self.output(x), self.mode, bool(self.align_corners))


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
        return resampling_windows(x, self.output(x), self.mode, align_corners=False)


def mixing_work(y: Shape, mode: str) -> int:
    """Return the element-wise work of a resampling; nearest only copies."""
    return 0 if mode == "nearest" else interpolation_work(y=y, k=(TAPS[mode],) * 2)


def too_small(x: Shape, axes: tuple[int, ...], how: str) -> ShapeError:
    """Return the error of a map that vanishes."""
    return ShapeError("E102", f"{x} resampled {how} would be {'x'.join(map(str, axes))}", help="a larger factor, or a larger input")


def resampling_windows(x: Shape, y: Shape, mode: str, align_corners: bool) -> tuple[Window, ...]:
    """Return the windows of a resampling from the sizes of ``x`` to those of ``y``.

    Outputs stand i/o input pixels apart, half of that from the edge; with align_corners the first and the last pixels coincide.
    """
    from fractions import Fraction  # deferred: only resampling needs positions between pixels

    found = []
    taps = TAPS[mode]
    for i, o in zip(map(int, x.axes), map(int, y.axes), strict=True):
        step = Fraction(i - 1, o - 1) if align_corners and min(i, o) > 1 else Fraction(i, o)
        if align_corners:
            first = Fraction(0)
        elif mode == "nearest":  # output j copies input floor(j*step): on average half of what is cut off before j*step
            first = Fraction(1 - step.denominator, 2 * step.denominator)
        else:
            first = (step - 1) / 2
        found.append(Window(k=taps, s=step.numerator, p=Fraction(taps - 1, 2) - first, u=step.denominator))
    return tuple(found)
