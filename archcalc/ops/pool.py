"""Poolings; fields as in torch.nn, and paddings as convolutions take them (four sides, ``same``).

Element-wise work: the largest of k numbers takes k - 1 comparisons, their mean k - 1 additions and a division. A window counts in
full where part of it lies in the padding.
"""

from math import gcd, prod

from archcalc.errors import ShapeError
from archcalc.formula import ceil_div, exact, formula
from archcalc.ops.base import MOST_PHASES, WHOLE, Kept, Phases, View, Weightless, Window, need_rank
from archcalc.ops.fields import Flag, OptionalCount, OptionalPair, OutputSizes, Pair, PairPadding
from archcalc.ops.window import UNDILATED, UNPADDED, Sizes, dilated, padded_elements, sides, slide, windows
from archcalc.shape import Shape

INDEX_BYTES = 8  # where the largest stood, as int64


@formula
def max_work(y: Shape, k: tuple[int, ...]) -> int:
    """One comparison for each pixel of a window after the first."""
    return prod(y) * (prod(k) - 1)


@formula
def mean_work(y: Shape, k: tuple[int, ...]) -> int:
    """One addition for each pixel of a window after the first, and one division."""
    return prod(y) * prod(k)


@formula
def adaptive_pixels(i: int, o: int) -> int:
    """Pixels of all windows along an axis: window j runs from floor(j*i/o) to ceil((j + 1)*i/o), so neighbours may share one."""
    return i + o - gcd(i, o)


@formula
def adaptive_kernel(i: int, o: int) -> int:
    """The largest of the windows of an adaptive pooling; all are alike where i/o is whole."""
    return ceil_div(i + o - gcd(i, o), o)


@formula
def adaptive_stride(i: int, o: int) -> int:
    """Windows stand i/o pixels apart: the upper number of that fraction."""
    return exact(i, gcd(i, o))


@formula
def adaptive_factor(i: int, o: int) -> int:
    """Windows stand i/o pixels apart: the lower number of that fraction."""
    return exact(o, gcd(i, o))


@formula
def adaptive_mean_work(n: int, c: int, t: tuple[int, ...]) -> int:
    """One addition for each pixel of a window after the first, and one division."""
    return n * c * prod(t)


@formula
def adaptive_max_work(n: int, c: int, t: tuple[int, ...], y: Shape) -> int:
    """One comparison for each pixel of a window after the first."""
    return n * c * prod(t) - prod(y)


@formula
def global_mean_work(x: Shape) -> int:
    """One addition for each pixel of a map after the first, and one division."""
    return prod(x)


class _Pool(Weightless, frozen=True):
    """Slides a window over each channel by itself."""

    kernel_size: Pair
    stride: OptionalPair = None  # kernel_size, where it is left out
    padding: PairPadding = UNPADDED

    @property
    def steps(self) -> Sizes:
        """The stride, which is the kernel's size where none is given."""
        return self.kernel_size if self.stride is None else self.stride

    def aliases(self, training: bool = True) -> bool:
        return False

    def _output(self, x: Shape, dilation: Sizes, ceil_mode: bool) -> Shape:
        need_rank(self, x, 4)
        spans = dilated(self.kernel_size, dilation)
        if self.padding not in ("same", UNPADDED):
            self._check_padding(spans)
        return x.with_axes(x.c, slide(x.axes, spans, self.steps, self.padding, ceil_mode))

    def _check_padding(self, spans: Sizes) -> None:
        """Raise ShapeError for padding that PyTorch refuses, or that some windows would see nothing else of."""
        ends = sides(self.padding, spans, spans, self.steps)
        alike = all(start == end for start, end in ends)
        for k, span, (start, end) in zip(self.kernel_size, spans, ends, strict=True):
            most = k // 2 if alike else span - 1
            if max(start, end) > most:
                raise ShapeError(
                    "E105",
                    f"padding of {start} before and {end} after is too much for a window of {k}: at most "
                    + (f"{most}, half of it (PyTorch's rule)" if alike else f"{most}, or a window would hold nothing else"),
                    help="less padding, or a ZeroPad2d before it",
                )

    def _kept_input(self, x: Shape, dilation: Sizes) -> Kept:
        """The input, or a copy with all of the padding around it where PyTorch cannot pad so by itself."""
        ends = sides(self.padding, x.axes, dilated(self.kernel_size, dilation), self.steps)
        if all(start == end <= k // 2 for k, (start, end) in zip(self.kernel_size, ends, strict=True)):
            return Kept("input", x.elements)
        return Kept("padded input", padded_elements(x, ends))


class MaxPool2d(_Pool, frozen=True):
    """The largest of each window: (N, C, H, W) -> (N, C, H_out, W_out); fields as in torch.nn.MaxPool2d."""

    short = "maxpool"
    dilation: Pair = (1, 1)
    ceil_mode: Flag = False

    def output(self, x: Shape) -> Shape:
        return self._output(x, self.dilation, self.ceil_mode)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return max_work(y=y, k=self.kernel_size)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (self._kept_input(x, self.dilation), Kept("indices", y.elements, INDEX_BYTES))

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.steps, self.padding, self.dilation)


class AvgPool2d(_Pool, frozen=True):
    """The mean of each window: (N, C, H, W) -> (N, C, H_out, W_out); fields as in torch.nn.AvgPool2d."""

    short = "avgpool"
    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: OptionalCount = None

    def output(self, x: Shape) -> Shape:
        return self._output(x, UNDILATED, self.ceil_mode)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return mean_work(y=y, k=self.kernel_size)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (self._kept_input(x, UNDILATED),)

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.steps, self.padding, UNDILATED)


class _AdaptivePool(Weightless, frozen=True):
    """Pools to a given size, whatever the input's; window j along an axis runs from floor(j*i/o) to ceil((j + 1)*i/o)."""

    output_size: OutputSizes

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        return x.with_axes(x.c, tuple(i if o is None else o for i, o in zip(x.axes, self.output_size, strict=True)))

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        axes = self.output(x).axes
        return WHOLE if axes == (1, 1) else tuple([adaptive(i, o) for i, o in zip(x.axes, axes, strict=True)])

    def _pixels(self, x: Shape, y: Shape) -> tuple[int, ...]:
        return tuple(adaptive_pixels(i=i, o=o) for i, o in zip(x.axes, y.axes, strict=True))


class AdaptiveAvgPool2d(_AdaptivePool, frozen=True):
    """The mean of each window, to an output_size where null keeps the input's; fields as in torch.nn.AdaptiveAvgPool2d."""

    short = "avgpool"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return adaptive_mean_work(n=x.n, c=x.c, t=self._pixels(x, y))

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        if y.axes == (1, 1):  # PyTorch takes the plain mean then, whose derivative needs no input
            return ()
        return (Kept("input", x.elements),)


class AdaptiveMaxPool2d(_AdaptivePool, frozen=True):
    """The largest of each window, to an output_size where null keeps the input's; fields as in torch.nn.AdaptiveMaxPool2d."""

    short = "maxpool"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return adaptive_max_work(n=x.n, c=x.c, t=self._pixels(x, y), y=y)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements), Kept("indices", y.elements, INDEX_BYTES))


class GlobalAvgPool2d(Weightless, frozen=True):
    """The mean of each map (Lin et al. 2013): (N, C, H, W) -> (N, C, 1, 1), ``x.mean((2, 3), keepdim=True)``."""

    short = "avgpool"

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        return x.with_axes(x.c, (1, 1))

    def elementwise(self, x: Shape, y: Shape) -> int:
        return global_mean_work(x=x)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return ()

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return WHOLE


def adaptive(i: int, o: int) -> Window | Phases:
    """Return how far the outputs of an adaptive pooling look along one axis."""
    k, s, u = adaptive_kernel(i=i, o=o), adaptive_stride(i=i, o=o), adaptive_factor(i=i, o=o)
    if u == 1:
        return Window(k, s)
    if u > MOST_PHASES:
        return Phases(k, s, u)
    first = tuple([j * int(s) // int(u) for j in range(u)])
    return Phases(k, s, u, first, tuple([ceil_div((j + 1) * int(s), int(u)) - 1 for j in range(u)]))
