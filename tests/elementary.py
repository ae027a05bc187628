"""Every operator in elementary steps: functions of torch that do one operation for each number, and a counter of those numbers.

``elementary`` gives the same values as the module of torch.nn and is so shown to be the same function; counting its steps is then
an independent count of the operator's element-wise work. Tables of constants (weights of an interpolation, folded statistics) are
made before the counting begins.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from archcalc.ops import Op
from tests.op_cases import Case, ops
from tests.torch_modules import ends_of

POINTWISE = "add sub mul div clamp_min clamp_max exp log sqrt pow erf tanh sigmoid gt"
REDUCTIONS = "sum amax"
# Moving and choosing numbers is free, and so are the products of matrices, which count as MACs.
FREE = (
    "view _unsafe_view expand permute transpose slice select squeeze unsqueeze alias detach clone constant_pad_nd im2col index cat "
    "stack unfold convolution addmm mm t empty_like new_empty copy_ upsample_nearest2d where reflection_pad2d replication_pad2d"
)


def packets(names: str) -> set[Any]:
    return {getattr(torch.ops.aten, name) for name in names.split()}


class Operations(TorchDispatchMode):
    """Counts an operation for each number that a function makes, and for each that a reduction takes in after the first."""

    pointwise, reductions, free = map(packets, (POINTWISE, REDUCTIONS, FREE))
    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        kind = function.overloadpacket
        if kind in self.pointwise:
            self.count += result.numel()
        elif kind in self.reductions:
            self.count += arguments[0].numel() - result.numel()
        elif kind not in self.free:
            raise NotImplementedError(f"is {function} one operation for each number?")
        return result


def elementary(case: Case, net: nn.Module) -> Callable[..., torch.Tensor]:
    """The function of ``case``, in elementary steps, with the parameters of ``net``."""
    return STEPS[type(case.op)](case.op, case, net)


def plain(function: Callable[[Op, torch.Tensor], torch.Tensor]):
    return lambda op, case, net: lambda x: function(op, x)


def linear_map(op, case: Case, net: nn.Module):
    """The product of matrices, which is not element-wise, and then the bias."""
    bare = copy.deepcopy(net)
    inner = getattr(bare, "rest", bare)  # behind a padding
    bias, inner.bias = inner.bias, None

    def steps(x):
        y = bare(x)
        return y if bias is None else y + bias.view(-1, *[1] * (y.ndim - 2))

    return steps


def table_conv(op, case: Case, net: nn.Module):
    def steps(x):
        chosen = [torch.cat([x[:, index : index + 1] for index in row], 1) for row in net.table]
        return torch.cat([convolve(maps) for convolve, maps in zip(net.maps, chosen, strict=True)], 1) + net.bias

    return steps


def torch_sides(ends: list[tuple[int, int]]) -> list[int]:
    """(before, after) for each axis as F.pad takes them, the last axis first."""
    return [side for pair in reversed(ends) for side in pair]


class Windows:
    """The windows of a pool: how far the map is padded, how far the last ones hang over that, and what they cut out."""

    def __init__(self, op: Op, case: Case, dilation: tuple[int, int] = (1, 1)):
        self.kernel, self.stride, self.dilation = op.kernel_size, op.stride or op.kernel_size, dilation
        self.ends = ends_of(op.padding, case.x.axes, self.kernel, self.stride, dilation)
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel, dilation, strict=True)]
        padded = [i + start + end for i, (start, end) in zip(case.x.axes, self.ends, strict=True)]
        reached = [(o - 1) * s + k for o, s, k in zip(case.y.axes, self.stride, spans, strict=True)]
        self.overhang = [(0, far - size) for far, size in zip(reached, padded, strict=True)]

    def padded(self, x: torch.Tensor, fill: float) -> torch.Tensor:
        return F.pad(x, torch_sides(self.ends), value=fill)

    def cut(self, x: torch.Tensor, fill: float) -> torch.Tensor:
        """(N, C, k*k, outputs) of a map that is already padded."""
        x = F.pad(x, torch_sides(self.overhang), value=fill)
        columns = F.unfold(x.flatten(0, 1)[:, None], self.kernel, self.dilation, 0, self.stride)
        return columns.unflatten(0, (-1, x.shape[1]))


def max_pool(op, case: Case, net):
    windows, low = Windows(op, case, op.dilation), -float("inf")
    return lambda x: windows.cut(windows.padded(x, low), low).amax(2).reshape(case.y)


def avg_pool(op, case: Case, net):
    """The divisor counts pixels of the map, of its padding too if so asked, but not what hangs over that."""
    windows = Windows(op, case)
    pixels = windows.cut(windows.padded(torch.ones(case.x), float(op.count_include_pad)), 0.0).sum(2)
    divisor = op.divisor_override or pixels
    return lambda x: (windows.cut(windows.padded(x, 0.0), 0.0).sum(2) / divisor).reshape(case.y)


def adaptive(reduce):
    def steps(op, case: Case, net):
        def spans(axis: int):
            i, o = case.x.axes[axis], case.y.axes[axis]
            return [slice(j * i // o, -(-(j + 1) * i // o)) for j in range(o)]

        rows, columns = spans(0), spans(1)
        return lambda x: torch.stack([torch.stack([reduce(x[:, :, r, c]) for c in columns], -1) for r in rows], -2)

    return steps


def mean(x):
    return x.sum((2, 3)) / float(x.shape[2] * x.shape[3])


def batch_norm(op, case: Case, net):
    shape = (1, -1, *[1] * (len(case.x) - 2))
    others = [axis for axis in range(len(case.x)) if axis != 1]
    if op.track_running_stats:
        average, deviation = net.running_mean.view(shape), (net.running_var + op.eps).sqrt().view(shape)

    def steps(x):
        y = (x - average) / deviation if op.track_running_stats else standardised(x, others, op.eps)
        return y * net.weight.view(shape) + net.bias.view(shape) if op.affine else y

    return steps


def standardised(x, axes, eps):
    """x less its mean, over its deviation."""
    count = float(math.prod(x.shape[axis] for axis in axes))
    centred = x - x.sum(axes, keepdim=True) / count
    return centred / ((centred * centred).sum(axes, keepdim=True) / count + eps).sqrt()


def layer_norm(op, case: Case, net):
    axes = list(range(len(case.x) - len(net.normalized_shape), len(case.x)))

    def steps(x):
        y = standardised(x, axes, op.eps)
        y = y if net.weight is None else y * net.weight
        return y if net.bias is None else y + net.bias

    return steps


def group_norm(op, case: Case, net):
    channels = (1, -1, *[1] * (len(case.x) - 2))

    def steps(x):
        grouped = x.reshape(x.shape[0], op.num_groups, -1)
        y = standardised(grouped, [2], op.eps).reshape(x.shape)
        return y * net.weight.view(channels) + net.bias.view(channels) if op.affine else y

    return steps


def response_norm(op, case: Case, net):
    sides = [0, 0] * (len(case.x) - 2) + [op.size // 2, (op.size - 1) // 2]

    def steps(x):
        squares = F.pad(x * x, sides).unfold(1, op.size, 1).sum(-1)
        return x / (squares * (op.alpha / op.size) + op.k) ** op.beta

    return steps


def softmax(op, x):
    e = (x - x.amax(op.dim, keepdim=True)).exp()
    return e / e.sum(op.dim, keepdim=True)


def log_softmax(op, x):
    lower = x - x.amax(op.dim, keepdim=True)
    return lower - lower.exp().sum(op.dim, keepdim=True).log()


def gelu(op, x):
    if op.approximate == "none":
        return x * (((x / math.sqrt(2)).erf() + 1) * 0.5)
    return x * (((x**3 * 0.044715 + x) * math.sqrt(2 / math.pi)).tanh() + 1) * 0.5


def below_zero(x, below):
    """x where it is above 0, else ``below``: the comparison counts, choosing does not."""
    return torch.where(x > 0, x, below)


def interpolation(op, case: Case, net):
    """A weighted sum of the pixels around; weights by the definition of the mode (Keys 1981 for bicubic, with -0.75)."""
    if op.mode == "nearest":
        return lambda x: net(x)
    corners = bool(getattr(op, "align_corners", False))
    factors = getattr(op, "scale_factor", None) or [None, None]
    taps = [axis_taps(i, o, op.mode, corners, u) for i, o, u in zip(case.x.axes, case.y.axes, factors, strict=True)]
    pairs = [(rows, columns, w_r[:, None] * w_c[None]) for rows, w_r in taps[0] for columns, w_c in taps[1]]

    def steps(x):
        (rows, columns, weight), *rest = pairs
        y = x[:, :, rows][:, :, :, columns] * weight
        for rows, columns, weight in rest:
            y = y + x[:, :, rows][:, :, :, columns] * weight
        return y

    return steps


def axis_taps(i, o, mode, corners, factor):
    """For each tap the pixel of every output and its weight."""
    at = torch.arange(o, dtype=torch.float64)
    step = (i - 1) / (o - 1) if corners else 1 / factor if factor else i / o
    source = at * step if corners else (at + 0.5) * step - 0.5
    if mode == "bilinear":
        source = source.clamp(min=0)
    base = source.floor()
    part = source - base
    a = -0.75

    def cubic(distance):
        near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        return torch.where(distance <= 1, near, a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a)

    reach = range(2) if mode == "bilinear" else range(-1, 3)
    weigh = (lambda distance: 1 - distance) if mode == "bilinear" else cubic
    return [((base + tap).clamp(0, i - 1).long(), weigh((part - tap).abs()).float()) for tap in reach]


def folded(function):
    def fold(*x):
        result = x[0]
        for other in x[1:]:
            result = function(result, other)
        return result

    return lambda op, case, net: fold


def as_torch(op, case, net):
    """Operators that do no arithmetic: torch's own steps are all free."""
    return net


STEPS = {
    ops.Conv1d: linear_map,
    ops.Conv2d: linear_map,
    ops.Conv3d: linear_map,
    ops.ConvTranspose2d: linear_map,
    ops.Linear: linear_map,
    ops.MaxPool2d: max_pool,
    ops.AvgPool2d: avg_pool,
    ops.AdaptiveAvgPool2d: adaptive(mean),
    ops.AdaptiveMaxPool2d: adaptive(lambda x: x.amax((2, 3))),
    ops.GlobalAvgPool2d: plain(lambda op, x: mean(x)[:, :, None, None]),
    ops.BatchNorm1d: batch_norm,
    ops.BatchNorm2d: batch_norm,
    ops.LayerNorm: layer_norm,
    ops.GroupNorm: group_norm,
    ops.LocalResponseNorm: response_norm,
    ops.ReLU: plain(lambda op, x: x.clamp_min(0)),
    ops.ReLU6: plain(lambda op, x: x.clamp_min(0).clamp_max(6)),
    ops.LeakyReLU: plain(lambda op, x: below_zero(x, x * op.negative_slope)),
    ops.PReLU: lambda op, case, net: lambda x: below_zero(x, x * net.weight.view(1, -1, 1, 1)),
    ops.ELU: plain(lambda op, x: below_zero(x, (x.exp() - 1) * op.alpha)),
    ops.GELU: plain(gelu),
    ops.SiLU: plain(lambda op, x: x * x.sigmoid()),
    ops.Hardswish: plain(lambda op, x: x * ((x + 3).clamp_min(0).clamp_max(6) / 6)),
    ops.Hardsigmoid: plain(lambda op, x: (x + 3).clamp_min(0).clamp_max(6) / 6),
    ops.Sigmoid: plain(lambda op, x: x.sigmoid()),
    ops.Tanh: plain(lambda op, x: x.tanh()),
    ops.ScaledTanh: plain(lambda op, x: (x * (2 / 3)).tanh() * 1.7159),
    ops.Softmax: plain(softmax),
    ops.LogSoftmax: plain(log_softmax),
    ops.Flatten: as_torch,
    ops.Identity: as_torch,
    ops.Dropout: as_torch,
    ops.ZeroPad2d: as_torch,
    ops.ChannelShuffle: plain(lambda op, x: x.unflatten(1, (op.groups, -1)).transpose(1, 2).flatten(1, 2)),
    ops.ShortcutA: as_torch,
    ops.Upsample: interpolation,
    ops.Resize: interpolation,
    ops.Add: folded(torch.add),
    ops.Multiply: folded(torch.mul),
    ops.Concat: as_torch,
    ops.TrainableSubsample2d: lambda op, case, net: (
        lambda x: (
            F.unfold(x.flatten(0, 1)[:, None], op.kernel_size, stride=net.stride).sum(1).reshape(*case.y) * net.coefficient
            + net.bias
        )
    ),
    ops.ConnectedConv2d: table_conv,
    ops.RBF: lambda op, case, net: lambda x: squares(x[:, None] - net.centres).sum(2),
}


def squares(x):
    return x * x
