"""Poolings; fields as in torch.nn, and paddings as convolutions take them (four sides, ``same``).

Element-wise work: the largest of k numbers takes k - 1 comparisons, their mean k - 1 additions and a division. A window counts in
full where part of it lies in the padding.
"""

from math import gcd, prod

from archcalc.errors import ShapeError
from archcalc.formula import ceil_div, exact, formula
from archcalc.ops.base import MOST_PHASES, WHOLE, Kept, Phases, View, Weightless, Window, need_rank
from archcalc.ops.code import Code, Ends, literal, made, padded
from archcalc.ops.fields import Flag, OptionalCount, OptionalPair, OutputSizes, Pair, PairPadding
from archcalc.ops.kernels import NEW, NONE, PADDED, VIEW, Kernel, apply, padded_first
from archcalc.ops.window import UNDILATED, UNPADDED, Sizes, dilated, padded_elements, sides, slide, windows
from archcalc.shape import Shape

UNPADDED_ENDS = ((0, 0), (0, 0))
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
def far_padding(i: int, k: int, s: int, p_start: int, o: int) -> int:
    """What the far end needs so that the last window ends with it."""
    return max((o - 1) * s + k - i - p_start, 0)


@formula
def window_totals(o: tuple[int, ...]) -> int:
    """How many pixels each window has, one number for each position; all maps are alike."""
    return prod(o)


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

    def _ends(self, x: Shape, dilation: Sizes) -> Ends:
        return sides(self.padding, x.axes, dilated(self.kernel_size, dilation), self.steps)

    def _around(self, x: Shape, dilation: Sizes, ceil_mode: bool) -> Ends | None:
        """What is laid around a copy of the input where PyTorch cannot pad so by itself, None where it can."""
        ends = self._ends(x, dilation)
        if all(start == end <= k // 2 for k, (start, end) in zip(self.kernel_size, ends, strict=True)):
            return None
        if not ceil_mode:
            return ends
        # The last window must not start in the far padding; on a copy PyTorch no longer knows where that begins.
        spans, outputs = dilated(self.kernel_size, dilation), self.output(x).axes
        axes = zip(x.axes, spans, self.steps, ends, outputs, strict=True)
        return tuple((start, far_padding(i=i, k=k, s=s, p_start=start, o=o)) for i, k, s, (start, _), o in axes)

    def _kept_input(self, x: Shape, dilation: Sizes, ceil_mode: bool) -> Kept:
        ends = self._around(x, dilation, ceil_mode)
        return Kept("input", x.elements) if ends is None else Kept("padded input", padded_elements(x, ends))


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
        return (self._kept_input(x, self.dilation, self.ceil_mode), Kept("indices", y.elements, INDEX_BYTES))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        indices = self.kept(x, y, rules)[1]
        pool = Kernel(("input",), "output", y.elements, (NEW,), ("input", "indices"), "max_pool2d", beside=(indices,))
        return padded_first(self, x, y, rules, pool)

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.steps, self.padding, self.dilation)

    def code(self, x: Shape) -> Code:
        around = self._around(x, self.dilation, self.ceil_mode)
        if around is None:
            common = tuple(start for start, _ in self._ends(x, self.dilation))
            return Code(made(self, "nn.MaxPool2d", "kernel_size", padding=common))
        least = ', value=float("-inf")'
        plain = made(self, "nn.MaxPool2d", "kernel_size", padding=UNPADDED, ceil_mode=False)
        return Code(plain, f"{{self}}({padded(around, value=least)})")


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
        kept = self._kept_input(x, UNDILATED, self.ceil_mode)
        return (kept, Kept("window sizes", window_totals(o=y.axes))) if self._counts(x) else (kept,)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        if self._counts(x):
            return self._counted_kernels(x, y)
        return padded_first(self, x, y, rules, Kernel(("input",), "output", y.elements, (NEW,), ("input",), "avg_pool2d"))

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.steps, self.padding, UNDILATED)

    def _counted_kernels(self, x: Shape, y: Shape) -> tuple[Kernel, ...]:
        """The sums of a padded copy, over how many pixels of each window count: the sums of an image of ones."""
        padded, sizes = self.kept(x, y, "cpu")
        ones = prod(x.axes)
        counted = padded_elements(Shape((1, 1, *x.axes)), self._ends(x, UNDILATED) if self.count_include_pad else UNPADDED_ENDS)
        around = padded.elements // (x.n * x.c)
        pixels = (
            Kernel(("input",), "image", ones, (VIEW,), alias=True),
            Kernel(("image",), "ones", ones, (NONE,)),
            Kernel(("ones",), "counted", counted, (NONE,)),
            Kernel(("input",), PADDED, padded.elements, (NEW,), holds=("counted",)),
            Kernel((PADDED,), "sums", y.elements, (NEW,), (PADDED,), "avg_pool2d", holds=("counted",)),
            Kernel(("counted",), "framed", around, (NONE,), holds=("sums",)),
            Kernel(("framed",), sizes.what, sizes.elements, (NONE,), name="avg_pool2d", holds=("sums", "counted")),
        )
        return (*pixels, Kernel(("sums", sizes.what), "output", y.elements, (NEW, NONE), (sizes.what,), holds=("counted",)))

    def _counts(self, x: Shape) -> bool:
        """Whether the pixels of each window must be counted, because a padded copy no longer tells them from its padding."""
        if self.divisor_override is not None or self._around(x, UNDILATED, self.ceil_mode) is None:
            return False
        return self.ceil_mode or not self.count_include_pad

    def code(self, x: Shape) -> Code:
        around = self._around(x, UNDILATED, self.ceil_mode)
        if around is None:
            return Code(made(self, "nn.AvgPool2d", "kernel_size", padding=tuple(start for start, _ in self._ends(x, UNDILATED))))
        if self._counts(x):
            counted = self._ends(x, UNDILATED) if self.count_include_pad else ((0, 0), (0, 0))
            return Code(f"PaddedAvgPool2d({literal(self.kernel_size)}, {literal(self.steps)}, {around}, {counted})")
        plain = made(self, "nn.AvgPool2d", "kernel_size", padding=UNPADDED, ceil_mode=False, count_include_pad=True)
        return Code(plain, f"{{self}}({padded(around)})")


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

    def code(self, x: Shape) -> Code:
        return Code(made(self, f"nn.{type(self).__name__}", "output_size"))

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

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("mean" if y.axes == (1, 1) else "adaptive_avg_pool2d", self, x, y, rules)


class AdaptiveMaxPool2d(_AdaptivePool, frozen=True):
    """The largest of each window, to an output_size where null keeps the input's; fields as in torch.nn.AdaptiveMaxPool2d."""

    short = "maxpool"

    def elementwise(self, x: Shape, y: Shape) -> int:
        return adaptive_max_work(n=x.n, c=x.c, t=self._pixels(x, y), y=y)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements), Kept("indices", y.elements, INDEX_BYTES))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("adaptive_max_pool2d", self, x, y, rules, self.kept(x, y, rules)[1:])


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

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("mean", self, x, y, rules)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return WHOLE

    def code(self, x: Shape) -> Code:
        return Code(None, "{0}.mean((2, 3), keepdim=True)")


def adaptive(i: int, o: int) -> Window | Phases:
    """Return how far the outputs of an adaptive pooling look along one axis."""
    k, s, u = adaptive_kernel(i=i, o=o), adaptive_stride(i=i, o=o), adaptive_factor(i=i, o=o)
    if u == 1:
        return Window(k, s)
    if u > MOST_PHASES:
        return Phases(k, s, u)
    first = tuple([j * int(s) // int(u) for j in range(u)])
    return Phases(k, s, u, first, tuple([ceil_div((j + 1) * int(s), int(u)) - 1 for j in range(u)]))
