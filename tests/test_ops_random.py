"""Random windows against PyTorch: whatever the kernel, stride, padding, dilation and rounding, sizes and refusals agree."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archcalc.errors import ShapeError
from archcalc.shape import Shape
from tests.op_cases import Case, ops
from tests.torch_modules import module

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

size = st.integers(1, 20)
pair = st.tuples(st.integers(1, 5), st.integers(1, 5))
maps = st.builds(lambda h, w: Shape((1, 4, h, w)), size, size)
symmetric = st.tuples(st.integers(0, 3), st.integers(0, 3))
four_sides = st.tuples(*[st.integers(0, 3)] * 4)
padding = st.one_of(symmetric, four_sides, st.just("same"))

convolutions = st.builds(
    ops.Conv2d, st.sampled_from([2, 4]), pair, pair, padding, pair, st.sampled_from([1, 2]), st.booleans(), st.just("zeros")
)
mirrored = st.builds(
    ops.Conv2d, st.just(2), pair, pair, st.one_of(symmetric, four_sides), pair, st.just(1), st.just(True),
    st.sampled_from(["reflect", "replicate", "circular"]),
)  # fmt: skip
transposed = st.builds(
    ops.ConvTranspose2d, st.just(2), pair, pair, symmetric, symmetric, st.sampled_from([1, 2]), st.booleans(), pair
)
max_pools = st.builds(ops.MaxPool2d, pair, st.none() | pair, symmetric, pair, st.booleans())
same_pools = st.builds(ops.MaxPool2d, pair, st.none() | pair, st.just("same"), pair)
avg_pools = st.builds(ops.AvgPool2d, pair, st.none() | pair, symmetric, st.booleans(), st.booleans())
adaptive = st.builds(ops.AdaptiveAvgPool2d, st.tuples(st.none() | size, st.none() | size))
upsampled = st.builds(lambda u, v: ops.Upsample(scale_factor=(u, v)), st.floats(0.05, 4), st.floats(0.05, 4))


def outcome(make) -> tuple[int, ...] | str:
    try:
        return tuple(make())
    except (ShapeError, RuntimeError, ValueError, AssertionError):
        return "refused"


@given(st.one_of(convolutions, transposed, max_pools, avg_pools, adaptive, upsampled), maps)
def test_sizes(op, x):
    def real():
        return module(op, x)(torch.zeros(tuple(x))).shape

    assert outcome(lambda: op.output(x)) == outcome(real)


@given(mirrored, maps)
def test_sizes_with_mirrored_padding(op, x):
    """torch.nn pads both ends of an axis alike, whether they are written as two numbers or as four."""
    if len(op.padding) == 4 and (op.padding[0], op.padding[2]) != (op.padding[1], op.padding[3]):
        return

    ends = op.padding if len(op.padding) == 2 else op.padding[::2]
    twin = ops.Conv2d(2, op.kernel_size, op.stride, ends, op.dilation, padding_mode=op.padding_mode)

    def real():
        return module(twin, x)(torch.zeros(tuple(x))).shape

    assert outcome(lambda: op.output(x)) == outcome(real)


def positions(i: int, k: int, s: int, start: int, end: int, ceil: bool) -> int:
    """Windows by walking: with ``ceil`` one more, if it hangs over by less than a stride and does not begin in the padding."""
    count, at = 0, -start
    while at + k <= i + end:
        count, at = count + 1, at + s
    return count + (ceil and 0 < at + k - (i + end) < s and at < i)


@given(size, st.integers(1, 6), st.integers(1, 5), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_uneven_padding(i, k, s, start, end, ceil):
    """Four-sided padding, which torch's pools lack, against a walk over the windows."""
    if max(start, end) > (k // 2 if start == end else k - 1):
        return
    op = ops.MaxPool2d((k, 1), (s, 1), (start, end, 0, 0), ceil_mode=ceil)
    expected = positions(i, k, s, start, end, ceil)
    assert outcome(lambda: op.output(Shape((1, 1, i, 1)))) == ((1, 1, expected, 1) if expected else "refused")


@given(same_pools, maps)
def test_same(op, x):
    """``same`` is ceil(i/s) positions, and the least padding that makes them, the odd pixel at the end."""
    y = op.output(x)
    assert y.axes == tuple(len(range(0, i, s)) for i, s in zip(x.axes, op.steps, strict=True))
    assert tuple(module(op, x)(torch.zeros(tuple(x))).shape) == y


@given(st.one_of(convolutions, max_pools, same_pools, avg_pools), maps)
def test_kept_matches_saved(op, x):
    """The bytes that autograd saves, parameters left out, for random paddings."""
    case = Case(op, x)
    try:
        y = case.y
    except ShapeError:
        return
    net = module(op, x).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    saved = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
        kept_alive = net(torch.zeros(tuple(x), requires_grad=True).clone())
    assert kept_alive.shape == tuple(y)
    found = sum(tensor.untyped_storage().nbytes() for address, tensor in saved.items() if address not in own)
    assert found == sum(kept.elements * kept.width(4) for kept in op.kept(x, y, "cpu"))
