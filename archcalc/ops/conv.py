"""Convolutions, over one, two and three axes, and the transposed one; fields as in torch.nn."""

from math import gcd, prod
from operator import sub

from msgspec.structs import replace

from archcalc.errors import ShapeError
from archcalc.formula import ceil_div, exact, formula
from archcalc.ops.base import MOST_PHASES, Kept, Op, Phases, Stored, View, Window, affine, need_rank, undivided
from archcalc.ops.code import Code, made, padded
from archcalc.ops.fields import (
    Count,
    Flag,
    PaddingMode,
    Pair,
    PairPadding,
    Single,
    SinglePadding,
    Triple,
    TriplePadding,
    WholePair,
)
from archcalc.ops.kernels import NEW, PADDED, SAME_PADDING, Gradient, Kernel, apply, padded_first
from archcalc.ops.window import dilated, padded_copy, padded_elements, padded_size, sides, slide, windows
from archcalc.shape import Shape


@formula
def conv_params(k: tuple[int, ...], c_in: int, c_out: int, g: int, bias: int) -> int:
    """For each output channel a kernel over the input channels of its group, and a bias (Dumoulin and Visin 2016, section 1.1)."""
    return (prod(k) * exact(c_in, g) + bias) * c_out


@formula
def conv_macs(y: Shape, k: tuple[int, ...], c_in: int, g: int) -> int:
    """One multiply-accumulate for each kernel element at each output."""
    return prod(y) * prod(k) * exact(c_in, g)


@formula
def units(y_image: tuple[int, ...]) -> int:
    """One unit for each output of an operator that holds weights."""
    return prod(y_image)


@formula
def conv_connections(y_image: tuple[int, ...], k: tuple[int, ...], c_in: int, g: int, bias: int) -> int:
    """Weighted inputs of every unit and its bias (LeCun et al. 1998, II.B)."""
    return prod(y_image) * (prod(k) * exact(c_in, g) + bias)


@formula
def transposed_macs(x: Shape, k: tuple[int, ...], c_out: int, g: int) -> int:
    """A transposed convolution multiplies every input with every kernel element (Dumoulin and Visin 2016, chapter 4)."""
    return prod(x) * prod(k) * exact(c_out, g)


@formula
def transposed_count(i: int, k: int, s: int, p: int, p_out: int) -> int:
    """Output size of a transposed convolution along one axis (Dumoulin and Visin 2016, relationship 14)."""
    return (i - 1) * s + k - 2 * p + p_out


@formula
def transposed_taps(k: int, s: int) -> int:
    """Inputs that one output of a transposed convolution sees along one axis, at most; the kernel's elements stand side by side."""
    return ceil_div(k, s)


@formula
def turned_padding(k: int, p: int, d: int) -> int:
    """With stride 1, a transposed convolution is a convolution with this padding (Dumoulin and Visin 2016, relationship 9)."""
    return d * (k - 1) - p


@formula
def transposed_connections(
    x_image: tuple[int, ...], y_image: tuple[int, ...], k: tuple[int, ...], c_out: int, g: int, bias: int
) -> int:
    """Every input reaches a kernel's worth of outputs, and every output has its bias."""
    return prod(x_image) * prod(k) * exact(c_out, g) + prod(y_image) * bias


@formula
def bias_adds(y: Shape, bias: int) -> int:
    """One addition for each output that has a bias."""
    return prod(y) * bias


def check_groups(c_in: int, c_out: int, groups: int) -> None:
    """Raise ShapeError unless both channel counts divide into the groups."""
    for side, channels in (("input", c_in), ("output", c_out)):
        if channels % groups:
            way_out = f"groups must divide both {c_in} input and {c_out} output channels"
            raise ShapeError("E103", undivided(channels, f"{side} channels", groups), help=way_out)


class _Conv(Op, frozen=True):
    """Cross-correlation over as many axes as its kernel has."""

    short = "conv"
    begins = ("weight", "bias")
    out_channels: Count
    kernel_size: Single | Pair | Triple
    stride: Single | Pair | Triple
    padding: SinglePadding | PairPadding | TriplePadding
    dilation: Single | Pair | Triple
    groups: Count
    bias: Flag
    padding_mode: PaddingMode

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 2 + len(self.kernel_size))
        check_groups(x.c, self.out_channels, self.groups)
        if self.padding_mode in ("reflect", "circular"):
            self._check_mirrored(x)
        return x.with_axes(self.out_channels, slide(x.axes, dilated(self.kernel_size, self.dilation), self.stride, self.padding))

    def _check_mirrored(self, x: Shape) -> None:
        """Raise ShapeError where there are not enough pixels to mirror or to wrap around."""
        for i, ends in zip(x.axes, sides(self.padding, x.axes, dilated(self.kernel_size, self.dilation), self.stride), strict=True):
            most = i - 1 if self.padding_mode == "reflect" else i
            if max(ends) > most:
                raise ShapeError(
                    "E105",
                    f"{self.padding_mode} padding of {max(ends)} needs as many pixels to take it from, but the input has {i}",
                    help=f"a padding of at most {most}, or padding_mode: replicate",
                )

    def params(self, x: Shape) -> int:
        return conv_params(k=self.kernel_size, c_in=x.c, c_out=self.out_channels, g=self.groups, bias=self.bias)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        sizes = (self.out_channels, exact(x.c, self.groups), *self.kernel_size)
        return affine(sizes, self.out_channels, self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        return conv_macs(y=y, k=self.kernel_size, c_in=x.c, g=self.groups)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=self.bias)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        if self.padding_mode == "zeros":
            copy = padded_copy(x, dilated(self.kernel_size, self.dilation), self.stride, self.padding)
            return (Kept("padded input", copy) if copy else Kept("input", x.elements),)
        # The other modes always work on a copy; the derivative of two of them asks for the input's sizes by keeping all of it.
        ends = sides(self.padding, x.axes, dilated(self.kernel_size, self.dilation), self.stride)
        input_too = () if self.padding_mode == "circular" else (Kept("input", x.elements, wanted_by=(0,)),)
        return (*input_too, Kept("padded input", padded_elements(x, ends)))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        (convolution,) = apply("convolution", self, x, y, rules)
        if self.padding_mode == "zeros":
            name = SAME_PADDING if self._pads_in_torch() else ""
            return padded_first(self, x, y, rules, replace(convolution, keeps=("input",)), name)
        *_, padded = self.kept(x, y, rules)
        if self.padding_mode == "circular":
            pads = self._wrapped(x, padded.elements)
        else:
            pads = (Kernel(("input",), PADDED, padded.elements, (NEW,), ("input",), "mirrored_padding"),)
        return (*pads, replace(convolution, reads=(PADDED, *convolution.reads[1:]), keeps=(PADDED,)))

    def _pads_in_torch(self) -> bool:
        """Whether torch.nn has this padding itself; ``same`` with a stride is archcalc's own."""
        return self.padding == "same" and set(self.stride) == {1}

    def _wrapped(self, x: Shape, elements: int) -> tuple[Kernel, ...]:
        """Return the kernels of circular padding (``_pad_circular`` in aten/src/ATen/native/PadNd.cpp).

        The input is copied into the middle of a new tensor, then strips of that over its borders, last axis first. The derivative
        of each of these copies in place (``CopySlices``) makes the gradient of the whole anew, and that of what was copied. (The
        slices of the whole input that come first are left out: when their gradients are made, larger ones are gone.)
        """
        ends = sides(self.padding, x.axes, dilated(self.kernel_size, self.dilation), self.stride)
        strips = [
            exact(elements, padded_size(i, *axis)) * side
            for i, axis in zip(reversed(x.axes), reversed(ends), strict=True)
            for side in axis
            if side
        ]
        names = [*[f"wrapped {number}" for number in range(len(strips))], PADDED]
        kernels = [Kernel(("input",), names[0], elements, (Gradient("new", (elements,)),))]
        for number, (strip, whole, wider) in enumerate(zip(strips, names, names[1:], strict=False)):
            # For the part that is written over, zeros are made that nothing reads.
            gradients = (Gradient("new", (strip,)), NEW)
            kernels.append(Kernel((whole,), f"strip {number}", strip, (NEW,), alias=True))
            kernels.append(Kernel((f"strip {number}", whole), wider, elements, gradients, alias=True))
        return tuple(kernels)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(x.axes, self.kernel_size, self.stride, self.padding, self.dilation)

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return conv_connections(y_image=y[1:], k=self.kernel_size, c_in=x.c, g=self.groups, bias=self.bias)

    def code(self, x: Shape) -> Code:
        ends = sides(self.padding, x.axes, dilated(self.kernel_size, self.dilation), self.stride)
        common = tuple(map(min, ends))
        if all(start == end for start, end in ends):
            return Code(self._made(x, padding=common))
        if self.padding_mode != "zeros":
            unpadded = (0,) * len(ends)
            return Code(self._made(x, padding=unpadded, padding_mode="zeros"), f"{{self}}({padded(ends, mode=self.padding_mode)})")
        if self._pads_in_torch():
            return Code(self._made(x))
        extra = tuple((start - p, end - p) for (start, end), p in zip(ends, common, strict=True))
        return Code(self._made(x, padding=common), f"{{self}}({padded(extra)})")

    def _made(self, x: Shape, **changed: object) -> str:
        return made(self, f"nn.{type(self).__name__}", x.c, "out_channels", **changed)


class Conv1d(_Conv, frozen=True):
    """1-D cross-correlation: (N, C, L) -> (N, out_channels, L_out); fields as in torch.nn.Conv1d."""

    out_channels: Count
    kernel_size: Single
    stride: Single = (1,)
    padding: SinglePadding = (0,)
    dilation: Single = (1,)
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class Conv2d(_Conv, frozen=True):
    """2-D cross-correlation: (N, C, H, W) -> (N, out_channels, H_out, W_out); fields as in torch.nn.Conv2d."""

    out_channels: Count
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: PairPadding = (0, 0)
    dilation: Pair = (1, 1)
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class Conv3d(_Conv, frozen=True):
    """3-D cross-correlation: (N, C, D, H, W) -> (N, out_channels, D_out, H_out, W_out); fields as in torch.nn.Conv3d."""

    out_channels: Count
    kernel_size: Triple
    stride: Triple = (1, 1, 1)
    padding: TriplePadding = (0, 0, 0)
    dilation: Triple = (1, 1, 1)
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class ConvTranspose2d(Op, frozen=True):
    """2-D transposed convolution: (N, C, H, W) -> (N, out_channels, H_out, W_out); fields as in torch.nn.ConvTranspose2d."""

    short = "conv_transpose"
    begins = ("weight", "bias")
    out_channels: Count
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: WholePair = (0, 0)
    output_padding: WholePair = (0, 0)
    groups: Count = 1
    bias: Flag = True
    dilation: Pair = (1, 1)

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        check_groups(x.c, self.out_channels, self.groups)
        axes = []
        spans = dilated(self.kernel_size, self.dilation)
        for i, k, s, p, p_out, d in zip(x.axes, spans, self.stride, self.padding, self.output_padding, self.dilation, strict=True):
            if p_out >= max(s, d):
                message = f"output_padding {p_out} must be smaller than the stride {s} or the dilation {d} (PyTorch's rule)"
                raise ShapeError("E104", message, help="a larger stride, or less output_padding")
            size = transposed_count(i=i, k=k, s=s, p=p, p_out=p_out)
            if size < 1:
                message = f"the output would be ({i} - 1)*{s} + {k} - 2*{p} + {p_out} = {size} along one axis"
                raise ShapeError("E102", message, help="less padding")
            axes.append(size)
        return x.with_axes(self.out_channels, tuple(axes))

    def params(self, x: Shape) -> int:
        return conv_params(k=self.kernel_size, c_in=x.c, c_out=self.out_channels, g=self.groups, bias=self.bias)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        sizes = (x.c, exact(self.out_channels, self.groups), *self.kernel_size)
        return affine(sizes, self.out_channels, self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        return transposed_macs(x=x, k=self.kernel_size, c_out=self.out_channels, g=self.groups)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=self.bias)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("convolution", self, x, y, rules)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return tuple([transposed(*axis) for axis in zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)])

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        sizes, c_out, g = self.kernel_size, self.out_channels, self.groups
        return transposed_connections(x_image=x[1:], y_image=y[1:], k=sizes, c_out=c_out, g=g, bias=self.bias)

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.ConvTranspose2d", x.c, "out_channels"))


def transposed(k: int, s: int, p: int, d: int) -> Window | Phases:
    """Return how far the outputs of a transposed convolution look along one axis."""
    if s == 1:
        return Window(k, p=turned_padding(k, p, d), d=d)
    if s > MOST_PHASES:
        return Phases(transposed_taps(k, s), 1, s)
    first, last, apart = _reaching(int(k), int(s), int(p), int(d))
    widest = transposed_taps(k, s) if d == 1 else max(map(sub, last, first)) + 1
    return Phases(widest, 1, s, first, last, apart)


def _reaching(k: int, s: int, p: int, d: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return the first and the last input that reach each of ``s`` outputs, and how far apart they and those between are.

    With element t of the kernel, input m reaches output m*s - p + t*d. So each ``s / gcd(s, d)``-th reaches one output.
    """
    turn, apart = s // gcd(s, d), d // gcd(s, d)
    first, last = [0] * s, [-1] * s  # an output that no element reaches sees nothing
    for t in range(min(k, turn)):
        o = (t * d - p) % s
        last[o] = (o + p - t * d) // s
        first[o] = last[o] - (k - 1 - t) // turn * apart
    return tuple(first), tuple(last), apart
