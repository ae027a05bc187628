"""All operators of the spec's language: one class each, one family a file, and the explicit list of them."""

from archcalc.ops.activation import (
    ELU,
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from archcalc.ops.base import Input, Kept, Op, Phases, Window
from archcalc.ops.conv import Conv1d, Conv2d, Conv3d, ConvTranspose2d
from archcalc.ops.lenet import RBF, ConnectedConv2d, TrainableSubsample2d
from archcalc.ops.linear import Linear
from archcalc.ops.merge import Add, Concat, Multiply
from archcalc.ops.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm
from archcalc.ops.pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from archcalc.ops.rearrange import ChannelShuffle, Dropout, Flatten, Identity, ShortcutA, ZeroPad2d
from archcalc.ops.resize import Resize, Upsample

# fmt: off
OPS: dict[str, type[Op]] = {
    op.__name__: op
    for op in (
        Conv1d, Conv2d, Conv3d, ConvTranspose2d,
        Linear,
        MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d,
        BatchNorm1d, BatchNorm2d, LayerNorm, GroupNorm, LocalResponseNorm,
        ReLU, ReLU6, LeakyReLU, PReLU, ELU, GELU, SiLU, Hardswish, Hardsigmoid, Sigmoid, Tanh, ScaledTanh, Softmax, LogSoftmax,
        Flatten, Identity, Dropout, ZeroPad2d, ChannelShuffle, ShortcutA,
        Upsample, Resize,
        Add, Multiply, Concat,
        TrainableSubsample2d, ConnectedConv2d, RBF,
    )
}
# fmt: on

__all__ = ["OPS", "Input", "Kept", "Op", "Phases", "Window"]
