"""What each operator's outputs see of its input, against PyTorch's own derivatives."""

import pytest
import torch
from torch import nn

from archcalc.ops import Op, Phases, Window
from archcalc.ops.base import WHOLE
from archcalc.shape import Shape
from tests.op_cases import CASES, Case, ops
from tests.torch_modules import ends_of, module, reached


def overhanging(op: Op, x: Shape):
    """A pool's padding, four-sided and as far as its last windows hang over where they may."""
    if not op.ceil_mode or op.padding == "same":
        return op.padding
    spans = [d * (k - 1) + 1 for k, d in zip(op.kernel_size, op.dilation, strict=True)]
    axes = zip(x.axes, spans, op.steps, ends_of(op.padding, x.axes, spans, op.steps, (1, 1)), strict=True)
    return [side for axis in axes for side in reached(*axis)]


def seen(case: Case, axis: int) -> list[set[int]]:
    """For each output along an axis (the others at their middle) the inputs that it depends on, found by differentiating."""
    op = case.op
    if isinstance(op, ops.AdaptiveMaxPool2d):  # only the largest has a derivative, but a mean sees the same
        op = ops.AdaptiveAvgPool2d(op.output_size)
    if isinstance(op, ops.MaxPool2d):
        op = ops.Conv2d(1, op.kernel_size, op.steps, overhanging(op, case.x), op.dilation)
    torch.manual_seed(1)
    x = torch.randn(tuple(case.x), dtype=torch.float64, requires_grad=True)
    net = module(op, case.x).double()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.1, 1)
    y = net(x)
    found = []
    for position in range(y.shape[2 + axis]):
        (gradient,) = torch.autograd.grad(y.select(2 + axis, position).sum(), x, retain_graph=True)
        others = [dimension for dimension in range(x.ndim) if dimension != 2 + axis]
        weights = gradient.abs().sum(others)
        found.append(set((weights > 1e-6).nonzero().flatten().tolist()))  # a weight may come out as nearly 0
    return found


def windows_of(case: Case) -> list[tuple[int, Window | Phases]]:
    window = None if case.op.merges else case.op.window(case.x)
    return list(enumerate(window)) if isinstance(window, tuple) else []


# Outputs that stand a fraction of an input apart, and some that only might.
FRACTIONS = [
    Case(op, Shape((1, 1, 40, 40)))
    for op in (
        ops.Upsample(scale_factor=2),
        ops.Upsample(scale_factor=1.5),
        ops.Upsample(scale_factor=0.5),
        ops.Upsample(scale_factor=[1.6, 0.3]),
        ops.Upsample(size=52),
        ops.Upsample(size=15),
        ops.Upsample(None, 2, "bilinear"),
        ops.Upsample(None, 1.49, "bilinear"),
        ops.Upsample(52, None, "bilinear"),
        ops.Upsample([79, 1], None, "bilinear", True),
        ops.Upsample(None, 1.5, "bicubic"),
        ops.Upsample(None, 3, "bicubic", True),
        ops.Resize(64),
        ops.Resize([60, 40], "nearest"),
        ops.Resize([40, 13]),
        ops.Resize([40, 80], "bicubic"),
        ops.ConvTranspose2d(1, 2, 2),
        ops.ConvTranspose2d(1, 4, 2, 1),
        ops.ConvTranspose2d(1, 3, 2, 1, 1),
        ops.ConvTranspose2d(1, 5, 3, 2),
        ops.ConvTranspose2d(1, [1, 2], [2, 3]),
        ops.ConvTranspose2d(1, [2, 3], [2, 3], 0, 0, dilation=[3, 2]),
        ops.ConvTranspose2d(1, [3, 4], [4, 6], 1, 0, dilation=[2, 4]),
        ops.ConvTranspose2d(1, 3, 1, 1, 0, dilation=2),
        *(pool([size, 30]) for pool in (ops.AdaptiveAvgPool2d, ops.AdaptiveMaxPool2d) for size in (1, 7, 16, 60)),
    )
]


def mirrored(case: Case) -> bool:
    return getattr(case.op, "padding_mode", "zeros") != "zeros"


@pytest.mark.parametrize("case", [case for case in (*CASES, *FRACTIONS) if windows_of(case) and not mirrored(case)], ids=str)
def test_window(case):
    for axis, window in windows_of(case):
        inputs = [set(window.inputs(j)) for j in range(case.y.axes[axis])]
        assert seen(case, axis) == [some & set(range(case.x.axes[axis])) for some in inputs]
        if isinstance(window, Phases):
            assert window.u > 1
            assert window.k == max(max(some) - min(some) + 1 for some in inputs if some)
        else:
            assert {len(some) for some in inputs} == {window.k}


def test_a_transposed_convolution_may_leave_outputs_without_an_input():
    (window, _) = ops.ConvTranspose2d(1, 1, 2).window(Shape((1, 1, 4, 4)))
    assert [list(window.inputs(j)) for j in range(4)] == [[0], [], [1], []]


@pytest.mark.parametrize("op", [ops.Resize(4007), ops.AdaptiveAvgPool2d(4007), ops.ConvTranspose2d(1, 1, 4007)], ids=str)
def test_a_period_without_end_is_not_written_down(op):
    window, _ = op.window(Shape((1, 1, 40, 40)))
    assert (window.u, window.first, window.last) == (4007, (), ())


@pytest.mark.parametrize("op", [ops.AdaptiveAvgPool2d(512), ops.ConvTranspose2d(1, 1, 512)], ids=str)
def test_the_longest_period_is_written_down(op):
    window, _ = op.window(Shape((1, 1, 41, 41)))
    assert (window.u, len(window.first), len(window.last)) == (512, 512, 512)


@pytest.mark.parametrize("op", [ops.AdaptiveAvgPool2d(1), ops.AdaptiveMaxPool2d([1, 1]), ops.GlobalAvgPool2d()], ids=str)
def test_a_pool_to_one_pixel_sees_the_whole(op):
    assert op.window(Shape((1, 3, 9, 7))) == WHOLE
