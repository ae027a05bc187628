"""All operators of the spec's language: one class each, one family a file, and the explicit list of them."""

from archcalc.ops.activation import ReLU
from archcalc.ops.base import Input, Kept, Op, Window
from archcalc.ops.conv import Conv1d, Conv2d, Conv3d, ConvTranspose2d
from archcalc.ops.linear import Linear
from archcalc.ops.merge import Add

OPS: dict[str, type[Op]] = {
    op.__name__: op
    for op in (Conv1d, Conv2d, Conv3d, ConvTranspose2d, Linear, ReLU, Add)
}

__all__ = ["OPS", "Input", "Kept", "Op", "Window"]
