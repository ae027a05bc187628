"""Activations: functions of one element each (softmax: of one row)."""

from archcalc.formula import formula, prod
from archcalc.ops.base import Kept, View, Weightless
from archcalc.ops.fields import Flag
from archcalc.shape import Shape


@formula
def per_element(y: Shape, f: int) -> int:
    """The same few operations for each element."""
    return f * prod(y)


class _Activation(Weightless, frozen=True):
    """Applies a function to each element; the shape stays."""

    def output(self, x: Shape) -> Shape:
        return x

    def window(self, x: Shape) -> View:
        return None


class ReLU(_Activation, frozen=True):
    """max(0, x), one comparison; fields as in torch.nn.ReLU."""

    short = "relu"
    inplace: Flag = False

    def elementwise(self, x: Shape, y: Shape) -> int:
        return per_element(y=y, f=1)

    def kept(self, x: Shape, y: Shape, rules: str) -> tuple[Kept, ...]:
        return (Kept("output", y.elements),)
