"""The fully connected layer."""

from archcalc.errors import ShapeError
from archcalc.formula import formula, prod
from archcalc.ops.base import WHOLE, Kept, Op, View
from archcalc.ops.conv import bias_adds
from archcalc.ops.fields import Count, Flag
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
def linear_connections(y: Shape, c_in: int, bias: int) -> int:
    """Weighted inputs of every unit and its bias (LeCun et al. 1998, II.B)."""
    return prod(y) * (c_in + bias)


class Linear(Op, frozen=True):
    """Affine map of the last axis: (N, *, in_features) -> (N, *, out_features); fields as in torch.nn.Linear."""

    short = "linear"
    out_features: Count
    bias: Flag = True

    def output(self, x: Shape) -> Shape:
        # PyTorch maps the last axis of any tensor; on a feature map that is its width, which nobody means.
        if len(x) != 2:
            raise ShapeError("E101", f"Linear needs a flat tensor (features), but its input is {x}", help="put a Flatten before it")
        return Shape((x.n, self.out_features))

    def params(self, x: Shape) -> int:
        return linear_params(c_in=x.c, c_out=self.out_features, bias=self.bias)

    def buffers(self, x: Shape) -> int:
        return 0

    def macs(self, x: Shape, y: Shape) -> int:
        return linear_macs(y=y, c_in=x.c)

    def elementwise(self, x: Shape, y: Shape) -> int:
        return bias_adds(y=y, bias=self.bias)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("input", x.elements),)

    def window(self, x: Shape) -> View:
        return WHOLE

    def neurons(self, x: Shape, y: Shape) -> int:
        return y.elements // y.n

    def connections(self, x: Shape, y: Shape) -> int:
        return linear_connections(y=y[1:], c_in=x.c, bias=self.bias)
