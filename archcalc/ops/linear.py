"""The fully connected layer."""

from math import prod

from msgspec.structs import replace

from archcalc.formula import formula
from archcalc.ops.base import OWN, WHOLE, Kept, Op, Stored, View, affine, need_rank
from archcalc.ops.code import Code, made
from archcalc.ops.conv import bias_adds, units
from archcalc.ops.fields import Count, Flag
from archcalc.ops.kernels import NEW, SUM_TURNED, TURNED, Kernel, apply
from archcalc.shape import Shape


@formula
def linear_params(c_in: int, c_out: int, bias: int) -> int:
    """A weight for each input of each output, and its bias."""
    return (c_in + bias) * c_out


@formula
def linear_macs(y: Shape, c_in: int) -> int:
    """One multiply-accumulate for each input of each output."""
    return prod(y) * c_in


@formula
def linear_connections(y_image: tuple[int, ...], c_in: int, bias: int) -> int:
    """Weighted inputs of every unit and its bias (LeCun et al. 1998, II.B)."""
    return prod(y_image) * (c_in + bias)


class Linear(Op, frozen=True):
    """Affine map of all features: (N, in_features) -> (N, out_features); fields as in torch.nn.Linear."""

    short = "linear"
    begins = ("weight", "bias")
    out_features: Count
    bias: Flag = True

    def output(self, x: Shape) -> Shape:
        need_rank(self, x, 2)  # PyTorch maps the last axis of any tensor; on a feature map that is its width, which nobody means
        return Shape((x.n, self.out_features))

    def params(self, x: Shape) -> int:
        return linear_params(c_in=x.c, c_out=self.out_features, bias=self.bias)

    def buffers(self, x: Shape) -> int:
        return 0

    def state(self, x: Shape) -> tuple[Stored, ...]:
        return affine((self.out_features, x.c), self.out_features, self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        return linear_macs(y=y, c_in=x.c)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=self.bias)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements, wanted_by=(OWN,)),)

    def kernels(self, x: Shape, y: Shape, training: bool, rules: str) -> tuple[Kernel, ...]:
        (kernel,) = apply("linear", self, x, y, rules)
        return (replace(kernel, gradients=(NEW, TURNED, SUM_TURNED)[: len(kernel.reads)]),)

    def aliases(self, training: bool = True) -> bool:
        return False

    def window(self, x: Shape) -> View:
        return WHOLE

    def neurons(self, x: Shape, y: Shape) -> int:
        return units(y_image=y[1:])

    def connections(self, x: Shape, y: Shape) -> int:
        return linear_connections(y_image=y[1:], c_in=x.c, bias=self.bias)

    def code(self, x: Shape) -> Code:
        return Code(made(self, "nn.Linear", x.c, "out_features"))
