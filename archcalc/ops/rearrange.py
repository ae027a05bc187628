"""Operators that move numbers and reckon none: flattening, padding, dropping out, shuffling channels."""

from math import prod
from typing import ClassVar

from msgspec.structs import replace

from archcalc.errors import ShapeError
from archcalc.formula import formula
from archcalc.ops.base import Kept, View, Weightless, Window, dimension, need_rank, undivided
from archcalc.ops.code import Code, literal, made
from archcalc.ops.fields import Count, Flag, Index, PairSides, Ratio
from archcalc.ops.kernels import NEW, NONE, VIEW, Kernel, apply
from archcalc.ops.window import padded_size, sides, slide
from archcalc.shape import Shape

MASK_BYTES = 1  # a bool


@formula
def flattened(x_image: tuple[int, ...]) -> int:
    """All that is flattened, in one row."""
    return prod(x_image)


class _Rearrangement(Weightless, frozen=True):
    """Moves numbers; no arithmetic, and nothing that a derivative would need."""

    def elementwise(self, x: Shape, y: Shape) -> int:
        return 0

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return ()

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return apply("", self, x, y, rules)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return None

    def code(self, x: Shape) -> Code:
        return Code(made(self, f"nn.{type(self).__name__}"))


class Flatten(_Rearrangement, frozen=True):
    """Makes one of dimensions start_dim to end_dim, by default (N, C, H, W) -> (N, C*H*W); fields as in torch.nn.Flatten."""

    short = "flatten"
    start_dim: Index = 1
    end_dim: Index = -1

    def output(self, x: Shape) -> Shape:
        start, end = dimension(self, x, "start_dim", self.start_dim), dimension(self, x, "end_dim", self.end_dim)
        if not 0 < start <= end:
            raise ShapeError(
                "E107",
                f"Flatten from dimension {start} to {end} of {x}: it must start at 1 or later (0 is the batch) and end no earlier",
                help="without arguments it flattens all but the batch",
            )
        return Shape((*x[:start], flattened(x_image=x[start : end + 1]), *x[end + 1 :]))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return (Kernel(("input",), "output", y.elements, (VIEW,), alias=True),)

    def aliases(self, training: bool = True) -> bool:
        return True


class Identity(_Rearrangement, frozen=True):
    """What came in; as torch.nn.Identity."""

    short = "identity"

    def output(self, x: Shape) -> Shape:
        return x

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        return ()

    def aliases(self, training: bool = True) -> bool:
        return True


class Dropout(_Rearrangement, frozen=True):
    """In training, zeroes each number with probability p and divides the rest by 1 - p; in evaluation, what came in.

    Fields as in torch.nn.Dropout.
    """

    short = "dropout"
    p: Ratio = 0.5
    inplace: Flag = False

    def output(self, x: Shape) -> Shape:
        return x

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        if self.p == 0:
            return ()
        if self.p == 1:  # PyTorch multiplies by a single zero then
            return (Kept("zero", 1),)
        # CUDA has a kernel that keeps a bool mask, but not one that works in place; otherwise the noise is kept as numbers.
        if rules == "cuda" and not self.inplace:
            return (Kept("mask", x.elements, MASK_BYTES),)
        return (Kept("noise", x.elements),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        if self.p == 0 or not training:
            return ()
        (drawn,) = self.kept(x, y, rules)
        if drawn.what == "mask":
            return apply("", self, x, y, rules, (drawn,))
        draw = Kernel(("input",), drawn.what, drawn.elements, (NONE,))
        return (draw, Kernel(("input", drawn.what), "output", y.elements, (NEW, NONE), (drawn.what,), alias=self.inplace))

    def aliases(self, training: bool = True) -> bool:
        return self.inplace or self.p == 0 or not training


class ZeroPad2d(_Rearrangement, frozen=True):
    """Zeros around a feature map: a number, [height, width], or [top, bottom, left, right].

    NOT torch.nn.ZeroPad2d's order, which is left, right, top, bottom: here all paddings are in one order, that of convolutions.
    """

    short = "pad"
    padding: PairSides

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        ends = sides(self.padding, x.axes, (1, 1), (1, 1))
        return x.with_axes(x.c, tuple(padded_size(i, start, end) for i, (start, end) in zip(x.axes, ends, strict=True)))

    def window(self, x: Shape) -> View:
        return tuple(Window(k=1, p=start) for start, _ in sides(self.padding, x.axes, (1, 1), (1, 1)))

    def code(self, x: Shape) -> Code:
        (top, bottom), (left, right) = sides(self.padding, x.axes, (1, 1), (1, 1))
        return Code(f"nn.ZeroPad2d({literal((left, right, top, bottom))})")


class ChannelShuffle(_Rearrangement, frozen=True):
    """Deals the channels of each group out to all groups (Zhang et al. 2018, ShuffleNet); fields as in torch.nn.ChannelShuffle."""

    short = "shuffle"
    groups: Count

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 3, 4, 5)
        if x.c % self.groups:
            raise ShapeError("E103", undivided(x.c, "channels", self.groups), help=f"groups must divide {x.c}")
        return x


class ShortcutA(_Rearrangement, frozen=True):
    """ResNet's shortcut without parameters, option A (He et al. 2015): every stride-th pixel, and channels of zeros behind."""

    short = "shortcut"
    out_channels: Count
    stride: Count = 1
    _pixel: ClassVar[tuple[int, ...]] = (1, 1)

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 4)
        if self.out_channels < x.c:
            raise ShapeError(
                "E106",
                f"ShortcutA adds channels of zeros, but out_channels {self.out_channels} is less than the {x.c} of its input",
                help="a 1x1 convolution can lessen channels",
            )
        return x.with_axes(self.out_channels, slide(x.axes, self._pixel, (self.stride, self.stride), (0, 0)))

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        pad = Kernel(("input",), "output", y.elements, (NEW,))
        if self.stride == 1:
            return (pad,)
        rows, pixels = x.n * x.c * y.axes[0] * x.axes[1], x.n * x.c * prod(y.axes)
        return (
            Kernel(("input",), "rows", rows, (NEW,), alias=True),
            Kernel(("rows",), "pixels", pixels, (NEW,), alias=True),
            replace(pad, reads=("pixels",)),
        )

    def window(self, x: Shape) -> View:
        return (Window(k=1, s=self.stride),) * 2

    def code(self, x: Shape) -> Code:
        pixels = "{0}" if self.stride == 1 else f"{{0}}[:, :, ::{self.stride}, ::{self.stride}]"
        return Code(None, f"F.pad({pixels}, (0, 0, 0, 0, 0, {self.out_channels - x.c}))")
