"""For each operator the module of torch.nn that it stands for, written out by hand: the oracle of test_ops."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from archcalc.ops import Op, conv, lenet, linear, merge, norm, pool, rearrange, resize
from archcalc.ops import activation as act
from archcalc.shape import Shape


def module(op: Op, x: Shape | tuple[Shape, ...]) -> nn.Module:
    """The module that does what ``op`` says, for an input of shape ``x`` (of a merge: for such inputs)."""
    return MODULES[type(op)](op, x)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        return self.function(*x)


class PadFirst(nn.Module):
    """Pads a copy, then does the rest. ``ends`` are (before, after) for each axis, the first axis first."""

    def __init__(self, ends: list[tuple[int, int]], rest: nn.Module, value: float = 0.0):
        super().__init__()
        self.sides = [side for pair in reversed(ends) for side in pair]  # torch counts axes from the last
        self.rest = rest
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(F.pad(x, self.sides, value=self.value))


def ends_of(padding, axes, kernel, stride, dilation) -> list[tuple[int, int]]:
    """What is padded before and after each axis, worked out without archcalc."""
    if padding == "same":
        ends = []
        for i, k, s, d in zip(axes, kernel, stride, dilation, strict=True):
            outputs = len(range(0, i, s))
            total = max(0, (outputs - 1) * s + (k - 1) * d + 1 - i)
            ends.append((total // 2, total - total // 2))
        return ends
    if len(padding) == len(axes):
        return [(p, p) for p in padding]
    return [(padding[2 * axis], padding[2 * axis + 1]) for axis in range(len(axes))]


def alike(ends: list[tuple[int, int]]) -> bool:
    return all(start == end for start, end in ends)


def convolution(cls) -> Callable[[Op, Shape], nn.Module]:
    """torch pads both ends alike; what one end has more is laid around a copy, as torch does for ``same``."""

    def build(op, x: Shape) -> nn.Module:
        def with_common(p: tuple[int, ...]) -> nn.Module:
            return cls(x[1], op.out_channels, op.kernel_size, op.stride, p, op.dilation, op.groups, op.bias, op.padding_mode)

        if op.padding == "same" and set(op.stride) == {1}:  # which torch has itself
            return with_common("same")
        ends = ends_of(op.padding, x[2:], op.kernel_size, op.stride, op.dilation)
        common = tuple(min(pair) for pair in ends)
        if alike(ends):
            return with_common(common)
        return PadFirst([(start - p, end - p) for (start, end), p in zip(ends, common, strict=True)], with_common(common))

    return build


def reached(i: int, span: int, step: int, ends: tuple[int, int]) -> tuple[int, int]:
    """The ends of an axis on which windows may hang over the far one, padded as far as the last window reaches.

    On a padded copy torch could not tell where the padding begins, in which no window may start.
    """
    start, end = ends
    last = -start
    while last + step + span <= i + end or (last + step < i and last + span < i + end):
        last += step
    return start, max(last + span - i, 0)


def pooled_ends(op, x: Shape, dilation) -> tuple[list[tuple[int, int]], bool]:
    """What is padded before and after each axis, and whether torch's pools can do that: alike, by half the kernel at most."""
    steps = op.stride or op.kernel_size
    ends = ends_of(op.padding, x[2:], op.kernel_size, steps, dilation)
    if alike(ends) and (op.padding != "same" or all(p <= k // 2 for k, (p, _) in zip(op.kernel_size, ends, strict=True))):
        return ends, True  # or torch says itself what it has against them
    if op.ceil_mode and op.padding != "same":
        spans = [d * (k - 1) + 1 for k, d in zip(op.kernel_size, dilation, strict=True)]
        ends = [reached(*axis) for axis in zip(x[2:], spans, steps, ends, strict=True)]
    return ends, False


def max_pool(op, x: Shape) -> nn.Module:
    ends, known = pooled_ends(op, x, op.dilation)
    if known:
        return nn.MaxPool2d(op.kernel_size, op.stride, [p for p, _ in ends], op.dilation, ceil_mode=op.ceil_mode)
    return PadFirst(ends, nn.MaxPool2d(op.kernel_size, op.stride, 0, op.dilation), -float("inf"))


class CountedAvgPool2d(nn.Module):
    """The mean over those pixels of each window that count: all but what lies beyond ``counted`` pixels around the map."""

    def __init__(self, op, ends: list[tuple[int, int]], counted: list[tuple[int, int]]):
        super().__init__()
        self.op = op
        beyond = [(start - near, end - far) for (start, end), (near, far) in zip(ends, counted, strict=True)]
        self.around, self.counted, self.beyond = ([side for pair in reversed(e) for side in pair] for e in (ends, counted, beyond))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ones = F.pad(F.pad(torch.ones_like(x[:1, :1]), self.counted, value=1.0), self.beyond)
        return self.sums(F.pad(x, self.around)) / self.sums(ones)

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, self.op.kernel_size, self.op.stride, divisor_override=1)


def avg_pool(op, x: Shape) -> nn.Module:
    ends, known = pooled_ends(op, x, (1, 1))
    if known:
        padding = [p for p, _ in ends]
        return nn.AvgPool2d(op.kernel_size, op.stride, padding, op.ceil_mode, op.count_include_pad, op.divisor_override)
    if op.divisor_override is None and (op.ceil_mode or not op.count_include_pad):
        padding = ends_of(op.padding, x[2:], op.kernel_size, op.stride or op.kernel_size, (1, 1))
        return CountedAvgPool2d(op, ends, padding if op.count_include_pad else [(0, 0), (0, 0)])
    return PadFirst(ends, nn.AvgPool2d(op.kernel_size, op.stride, divisor_override=op.divisor_override))


class Subsample(nn.Module):
    """LeNet-5's S layers: the sum of each field, times a coefficient, plus a bias."""

    def __init__(self, maps: int, kernel_size, stride):
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1) * self.coefficient + self.bias


class TableConv2d(nn.Module):
    """LeNet-5's C3: each output map is a convolution of the maps that the table lists for it."""

    def __init__(self, op, x: Shape):
        super().__init__()
        self.table = [list(row) for row in op.table]
        self.maps = nn.ModuleList(
            convolution(nn.Conv2d)(
                conv.Conv2d(1, op.kernel_size, op.stride, op.padding, bias=False), Shape((x.n, len(row), *x.axes))
            )
            for row in self.table
        )
        self.bias = nn.Parameter(torch.zeros(len(self.table), 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = (torch.cat([x[:, index : index + 1] for index in row], dim=1) for row in self.table)
        return torch.cat([convolve(maps) for convolve, maps in zip(self.maps, chosen, strict=True)], dim=1) + self.bias


class Centres(nn.Module):
    """LeNet-5's output: squared distances to fixed centres."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.register_buffer("centres", torch.ones(classes, features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, None] - self.centres).square().sum(dim=2)


def zero_pad(op, x: Shape) -> nn.Module:
    (top, bottom), (left, right) = ends_of(op.padding, x[2:], (1, 1), (1, 1), (1, 1))
    return nn.ZeroPad2d((left, right, top, bottom))


def shortcut_a(op, x: Shape) -> nn.Module:
    return Function(lambda x: F.pad(x[:, :, :: op.stride, :: op.stride], (0, 0, 0, 0, 0, op.out_channels - x.shape[1])))


def layer_norm(op, x: Shape) -> nn.Module:
    return nn.LayerNorm(op.normalized_shape or tuple(x[1:]), op.eps, op.elementwise_affine, op.bias)


def in_turn(function) -> Callable[..., nn.Module]:
    """A function of two tensors, applied to the first two, then to what came out and the third, and so on."""

    def fold(*x: torch.Tensor) -> torch.Tensor:
        result = x[0]
        for other in x[1:]:
            result = function(result, other)
        return result

    return lambda op, x: Function(fold)


MODULES: dict[type[Op], Callable[..., nn.Module]] = {
    conv.Conv1d: convolution(nn.Conv1d),
    conv.Conv2d: convolution(nn.Conv2d),
    conv.Conv3d: convolution(nn.Conv3d),
    conv.ConvTranspose2d: lambda op, x: nn.ConvTranspose2d(
        x[1], op.out_channels, op.kernel_size, op.stride, op.padding, op.output_padding, op.groups, op.bias, op.dilation
    ),
    linear.Linear: lambda op, x: nn.Linear(x[1], op.out_features, op.bias),
    pool.MaxPool2d: max_pool,
    pool.AvgPool2d: avg_pool,
    pool.AdaptiveAvgPool2d: lambda op, x: nn.AdaptiveAvgPool2d(op.output_size),
    pool.AdaptiveMaxPool2d: lambda op, x: nn.AdaptiveMaxPool2d(op.output_size),
    pool.GlobalAvgPool2d: lambda op, x: Function(lambda x: x.mean((2, 3), keepdim=True)),
    norm.BatchNorm1d: lambda op, x: nn.BatchNorm1d(x[1], op.eps, op.momentum, op.affine, op.track_running_stats),
    norm.BatchNorm2d: lambda op, x: nn.BatchNorm2d(x[1], op.eps, op.momentum, op.affine, op.track_running_stats),
    norm.LayerNorm: layer_norm,
    norm.GroupNorm: lambda op, x: nn.GroupNorm(op.num_groups, x[1], op.eps, op.affine),
    norm.LocalResponseNorm: lambda op, x: nn.LocalResponseNorm(op.size, op.alpha, op.beta, op.k),
    act.ReLU: lambda op, x: nn.ReLU(op.inplace),
    act.ReLU6: lambda op, x: nn.ReLU6(op.inplace),
    act.LeakyReLU: lambda op, x: nn.LeakyReLU(op.negative_slope, op.inplace),
    act.PReLU: lambda op, x: nn.PReLU(op.num_parameters, op.init),
    act.ELU: lambda op, x: nn.ELU(op.alpha, op.inplace),
    act.GELU: lambda op, x: nn.GELU(op.approximate),
    act.SiLU: lambda op, x: nn.SiLU(op.inplace),
    act.Hardswish: lambda op, x: nn.Hardswish(op.inplace),
    act.Hardsigmoid: lambda op, x: nn.Hardsigmoid(op.inplace),
    act.Sigmoid: lambda op, x: nn.Sigmoid(),
    act.Tanh: lambda op, x: nn.Tanh(),
    act.ScaledTanh: lambda op, x: Function(lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    act.Softmax: lambda op, x: nn.Softmax(op.dim),
    act.LogSoftmax: lambda op, x: nn.LogSoftmax(op.dim),
    rearrange.Flatten: lambda op, x: nn.Flatten(op.start_dim, op.end_dim),
    rearrange.Identity: lambda op, x: nn.Identity(),
    rearrange.Dropout: lambda op, x: nn.Dropout(op.p, op.inplace),
    rearrange.ZeroPad2d: zero_pad,
    rearrange.ChannelShuffle: lambda op, x: nn.ChannelShuffle(op.groups),
    rearrange.ShortcutA: shortcut_a,
    resize.Upsample: lambda op, x: nn.Upsample(op.size, op.scale_factor, op.mode, op.align_corners),
    resize.Resize: lambda op, x: Function(lambda x: F.interpolate(x, op.size, mode=op.mode)),
    merge.Add: in_turn(torch.add),
    merge.Multiply: in_turn(torch.mul),
    merge.Concat: lambda op, x: Function(lambda *x: torch.cat(x, dim=1)),
    lenet.TrainableSubsample2d: lambda op, x: Subsample(x[1], op.kernel_size, op.stride or op.kernel_size),
    lenet.ConnectedConv2d: TableConv2d,
    lenet.RBF: lambda op, x: Centres(x[1], op.out_features),
}
