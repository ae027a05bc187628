"""Windows over maps whose ends are padded differently, value by value against a walk over every window, written without PyTorch.

PyTorch's pools know neither four-sided padding nor ``same``; what archcalc builds in their place must reckon what the formulas say.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import inf

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from archcalc.errors import ShapeError
from archcalc.graph import Builder, Graph
from archcalc.ops import Op
from archcalc.pytorch.build import build
from archcalc.pytorch.check import check
from archcalc.shape import Shape
from tests.op_cases import ops
from tests.torch_modules import ends_of, module

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.one_of(st.tuples(*[st.integers(0, 3)] * 4), st.tuples(st.integers(0, 2), st.integers(0, 2)), st.just("same"))
maps = st.builds(lambda n, h, w: Shape((n, 2, h, w)), st.integers(1, 2), st.integers(1, 9), st.integers(1, 9))
dilations = st.tuples(st.integers(1, 2), st.integers(1, 2))
max_pools = st.builds(ops.MaxPool2d, pair, st.none() | strides, paddings, dilations, st.booleans())
avg_pools = st.builds(
    ops.AvgPool2d, pair, st.none() | strides, paddings, st.booleans(), st.booleans(), st.none() | st.integers(1, 5)
)
convolutions = st.builds(ops.Conv2d, st.just(3), pair, strides, paddings, dilations)


def graph_of(op: Op, x: Shape) -> Graph:
    """A network of the operator alone, behind a layer that learns: so the operator's input has a derivative."""
    builder = Builder()
    first = builder.add("scale", ops.PReLU(), (builder.input("input", tuple(x)),))
    return builder.graph("one", {"output": builder.add("op", op, (first,))})


def built(op: Op, x: Shape) -> nn.Module:
    """The module of the operator alone."""
    builder = Builder()
    return build(builder.graph("one", {"output": builder.add("op", op, (builder.input("input", tuple(x)),))}))


Ends = list[tuple[int, int]]


def positions(i: int, span: int, step: int, ends: tuple[int, int], ceil: bool, same: bool) -> list[int]:
    """Where the windows along an axis begin, counted from the first pixel.

    With ``ceil`` a window may hang over the far end, if it does not begin in the padding there; ``same`` has one for each step.
    """
    start, end = ends
    if same:
        return [at - start for at in range(0, i, step)]
    found, at = [], -start
    while at + span <= i + end or (ceil and at < i and at - step + span < i + end):
        found.append(at)
        at += step
    return found


def windows(op: Op, x: Shape, dilation: tuple[int, int]) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Yield each output's place and the rows and columns of its window, those outside the map as well."""
    ends = padding_of(op, x, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(op.kernel_size, dilation, strict=True)]
    steps = op.stride or op.kernel_size
    ceil = getattr(op, "ceil_mode", False)
    rows, columns = (positions(i, *one, ceil, op.padding == "same") for i, *one in zip(x.axes, spans, steps, ends, strict=True))
    for (r, top), (c, left) in product(enumerate(rows), enumerate(columns)):
        yield (
            r,
            c,
            [top + dilation[0] * step for step in range(op.kernel_size[0])],
            [left + dilation[1] * step for step in range(op.kernel_size[1])],
        )


def padding_of(op: Op, x: Shape, dilation: tuple[int, int]) -> Ends:
    return ends_of(op.padding, x.axes, op.kernel_size, op.stride or op.kernel_size, dilation)


def walked(op: Op, x: Shape, image: torch.Tensor, reduce: Callable[..., float], dilation: tuple[int, int]) -> torch.Tensor:
    """What each window comes to; ``reduce`` is given the window's pixels of the map, and how many of it lie within the padding."""
    ends = padding_of(op, x, dilation)
    y = torch.full(tuple(op.output(x)), float("nan"))
    h, w = x.axes
    inside = [range(-start, i + end) for i, (start, end) in zip(x.axes, ends, strict=True)]
    for r, c, rows, columns in windows(op, x, dilation):
        cells = [(row, column) for row in rows for column in columns]
        padded = sum(row in inside[0] and column in inside[1] for row, column in cells)
        there = [(row, column) for row, column in cells if 0 <= row < h and 0 <= column < w]
        for n, channel in product(range(x.n), range(x.c)):
            y[n, channel, r, c] = reduce([float(image[n, channel, row, column]) for row, column in there], padded)
    return y


def fitting(op: Op, x: Shape) -> bool:
    try:
        op.output(x)
    except ShapeError:
        return False
    return True


def drawn(x: Shape) -> torch.Tensor:
    return torch.randn(tuple(x), generator=torch.Generator().manual_seed(5))


@given(max_pools, maps)
def test_the_largest_of_each_window(op: Op, x: Shape) -> None:
    assume(fitting(op, x))
    image = drawn(x)
    expected = walked(op, x, image, lambda pixels, _: max(pixels, default=-inf), op.dilation)
    assert torch.equal(built(op, x)(image), expected)
    assert torch.equal(module(op, x)(image), expected)


def mean_of(op: Op) -> Callable[[list[float], int], float]:
    def mean(pixels: list[float], padded: int) -> float:
        count = op.divisor_override or (padded if op.count_include_pad else len(pixels))
        return sum(pixels) / count if count else float("nan")

    return mean


@given(avg_pools, maps)
def test_the_mean_of_each_window(op: Op, x: Shape) -> None:
    """What hangs over the padding never counts, what lies in it where ``count_include_pad`` says so."""
    assume(fitting(op, x))
    image = drawn(x)
    expected = walked(op, x, image, mean_of(op), (1, 1))
    for made in (built(op, x), module(op, x)):
        torch.testing.assert_close(made(image), expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@given(convolutions, maps)
def test_the_product_of_each_window(op: Op, x: Shape) -> None:
    assume(fitting(op, x))
    image, made = drawn(x), built(op, x)
    weight, bias = made.op.weight.detach(), made.op.bias.detach()
    h, w = x.axes
    expected = torch.empty(tuple(op.output(x)))
    for r, c, rows, columns in windows(op, x, op.dilation):
        total = bias.repeat(x.n, 1)
        for (a, row), (b, column) in product(enumerate(rows), enumerate(columns)):
            if 0 <= row < h and 0 <= column < w:
                total = total + image[:, :, row, column] @ weight[:, :, a, b].T
        expected[:, :, r, c] = total
    torch.testing.assert_close(made(image), expected, rtol=1e-4, atol=1e-5)


@given(st.one_of(max_pools, avg_pools, convolutions), maps)
def test_what_is_kept_is_what_pytorch_keeps(op: Op, x: Shape) -> None:
    """Copies with padding around them, and the sizes of the windows where these are counted."""
    assume(fitting(op, x))
    assert check(graph_of(op, x)).differences == ()
