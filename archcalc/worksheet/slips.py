"""The slips that people make, each as the formula of the number that comes out of it.

A slip is named only if its formula gives the written number exactly; what is said of it holds the difference it makes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import NamedTuple

from archcalc.errors import ArchcalcError
from archcalc.ops import Op
from archcalc.ops.conv import conv_macs, conv_params
from archcalc.ops.linear import linear_macs, linear_params
from archcalc.shape import Shape

Numbers = Iterable[int]


class Case(NamedTuple):
    """A layer and its right number: what a slip starts from; ``before`` is the shape before a last pool."""

    op: Op
    x: Shape
    y: Shape
    right: int
    before: Shape | None = None


class Slip(NamedTuple):
    """A slip: its key, the quantities it concerns, the numbers it leads to, and what happened in words."""

    key: str
    quantities: tuple[str, ...]
    numbers: Callable[[Case], Numbers]
    said: str


class Named(NamedTuple):
    """A slip that gives a written number exactly."""

    key: str
    remark: str


def _kernel(case: Case) -> tuple[int, ...]:
    return getattr(case.op, "kernel_size", ())


def _weights(case: Case) -> int:
    return case.right - _biases(case)


def _biases(case: Case) -> int:
    if not getattr(case.op, "bias", False):
        return 0
    return getattr(case.op, "out_channels", 0) or getattr(case.op, "out_features", 0)


def _is_conv(case: Case) -> bool:
    return type(case.op).__name__ == "Conv2d"


def _is_linear(case: Case) -> bool:
    return type(case.op).__name__ == "Linear"


def _no_bias(case: Case) -> Numbers:
    yield _weights(case)


def _bias_per_weight(case: Case) -> Numbers:
    if _biases(case):
        yield 2 * _weights(case)
        if _is_conv(case):
            yield (prod(_kernel(case)) + 1) * (case.x.c // case.op.groups) * case.op.out_channels  # type: ignore[attr-defined]


def _bias_once(case: Case) -> Numbers:
    if _biases(case):
        yield _weights(case) + 1


def _bias_added(case: Case) -> Numbers:
    if not _biases(case) and (_is_conv(case) or _is_linear(case)):
        yield case.right + case.y.c


def _no_input_channels(case: Case) -> Numbers:
    op = case.op
    if _is_conv(case):
        yield conv_params(k=_kernel(case), c_in=1, c_out=case.y.c, g=1, bias=op.bias)  # type: ignore[attr-defined]
    elif _is_linear(case) and case.before is None and len(case.x) == 4:
        yield linear_params(c_in=prod(case.x.axes), c_out=case.y.c, bias=op.bias)  # type: ignore[attr-defined]
        yield linear_params(c_in=case.x.c, c_out=case.y.c, bias=op.bias)  # type: ignore[attr-defined]


def _unshared(case: Case) -> Numbers:
    if _is_conv(case):
        yield case.right * prod(case.y.axes)
        yield _weights(case) * prod(case.y.axes) + _biases(case)


def _groups(case: Case) -> int:
    return getattr(case.op, "groups", 1)


def _in_groups(case: Case, groups: int) -> Numbers:
    if _is_conv(case) and _groups(case) != groups and case.x.c % groups == 0:
        yield conv_params(k=_kernel(case), c_in=case.x.c, c_out=case.y.c, g=groups, bias=case.op.bias)  # type: ignore[attr-defined]


def _groups_twice(case: Case) -> Numbers:
    if _is_conv(case) and _groups(case) > 1:
        yield _weights(case) // _groups(case) + _biases(case)


def _macs_without_groups(case: Case) -> Numbers:
    if _groups(case) > 1:
        yield case.right * _groups(case)


def _macs_groups_twice(case: Case) -> Numbers:
    if _groups(case) > 1:
        yield case.right // _groups(case)


def _swapped(case: Case) -> Numbers:
    if _is_conv(case) and case.op.groups == 1:  # type: ignore[attr-defined]
        yield conv_params(k=_kernel(case), c_in=case.y.c, c_out=case.x.c, g=1, bias=case.op.bias)  # type: ignore[attr-defined]
    elif _is_linear(case):
        yield linear_params(c_in=case.y.c, c_out=prod(case.x[1:]), bias=case.op.bias)  # type: ignore[attr-defined]


def _early_flat(case: Case) -> Numbers:
    if _is_linear(case) and case.before is not None:
        yield linear_params(c_in=prod(case.before[1:]), c_out=case.y.c, bias=case.op.bias)  # type: ignore[attr-defined]


def _early_flat_macs(case: Case) -> Numbers:
    if _is_linear(case) and case.before is not None:
        yield linear_macs(y=case.y, c_in=prod(case.before[1:]))


def _norm_channels(case: Case) -> Numbers:
    if type(case.op).__name__.startswith("BatchNorm"):
        yield 4 * case.x.c
        yield case.x.c


def _input_size(case: Case) -> Numbers:
    if _is_conv(case) and case.x.axes != case.y.axes:
        axes = case.y.with_axes(case.y.c, case.x.axes)
        yield conv_macs(y=axes, k=_kernel(case), c_in=case.x.c, g=case.op.groups)  # type: ignore[attr-defined]


def _no_positions(case: Case) -> Numbers:
    if _is_conv(case) and prod(case.y.axes) > 1:
        yield case.right // prod(case.y.axes)


def _macs_without_channels(case: Case) -> Numbers:
    if _is_conv(case):
        yield conv_macs(y=case.y, k=_kernel(case), c_in=1, g=1)


def _doubled(case: Case) -> Numbers:
    yield 2 * case.right


def _halved(case: Case) -> Numbers:
    if case.right % 2 == 0:
        yield case.right // 2


def _input_elements(case: Case) -> Numbers:
    yield prod(case.x)


SLIPS: tuple[Slip, ...] = (
    Slip("no_bias", ("params",), _no_bias, "the biases are left out (one per output: {difference})"),
    Slip("bias_per_weight", ("params",), _bias_per_weight, "a bias is counted for each weight or kernel slice, not one per output"),
    Slip("bias_per_layer", ("params",), _bias_once, "one bias is counted for the whole layer, not one per output"),
    Slip("bias_added", ("params",), _bias_added, "biases are counted, which this layer does not have"),
    Slip("input_channels", ("params",), _no_input_channels, "the input's {c_in} channels are left out"),
    Slip("groups", ("params",), lambda case: _in_groups(case, 1), "the {groups} groups are forgotten"),
    Slip("groups", ("params",), lambda case: _in_groups(case, 2), "it is counted as if in 2 groups, not {groups}"),
    Slip("groups", ("params",), _groups_twice, "the {groups} groups are taken twice"),
    Slip("swapped", ("params",), _swapped, "input and output are swapped"),
    Slip("flattened_early", ("params",), _early_flat, "the map is flattened before the last pool, at {before}"),
    Slip("batch_norm", ("params",), _norm_channels, "BatchNorm learns 2 numbers per channel, a scale and a shift"),
    Slip("unshared", ("params",), _unshared, "every position has a kernel of its own: a convolution shares one"),
    Slip("groups", ("macs", "flops"), _macs_without_groups, "the {groups} groups are forgotten"),
    Slip("groups", ("macs", "flops"), _macs_groups_twice, "the {groups} groups are taken twice"),
    Slip("mac_or_flop", ("macs",), _doubled, "multiplications and additions are counted apart: those are FLOPs, a MAC is both"),
    Slip("mac_or_flop", ("flops",), _halved, "these are MACs: each is 2 floating-point operations"),
    Slip("input_size", ("macs", "flops", "connections"), _input_size, "the input's size stands where the output's belongs"),
    Slip("input_channels", ("macs", "flops"), _macs_without_channels, "the input's {c_in} channels are left out"),
    Slip("flattened_early", ("macs",), _early_flat_macs, "the map is flattened before the last pool, at {before}"),
    Slip("positions", ("macs", "flops", "connections"), _no_positions, "the output's positions are left out"),
    Slip("input_size", ("memory", "neurons"), _input_elements, "that is the input's size, not the output's"),
)


def name_slip(quantity: str, case: Case, written: int) -> Named | None:
    """Return the first slip of the catalogue whose formula gives the written number exactly."""
    if written == case.right:
        return None
    for slip in SLIPS:
        if quantity not in slip.quantities:
            continue
        try:
            numbers = [int(number) * _per_mac(quantity, slip) for number in slip.numbers(case)]
        except (ArchcalcError, AttributeError):
            continue
        if written in numbers:
            return Named(slip.key, _worded(slip, case, written))
    return swapped_digits(case.right, written)


def _per_mac(quantity: str, slip: Slip) -> int:
    """Return 2 for a slip that is told in MACs and looked for in FLOPs."""
    return 2 if quantity == "flops" and slip.key not in ("mac_or_flop", "positions", "groups") else 1


def _worded(slip: Slip, case: Case, written: int) -> str:
    difference = case.right - written
    told = slip.said.format(
        difference=f"{difference:+,}",
        c_in=f"{case.x.c:,}",
        groups=_groups(case),
        before="" if case.before is None else str(case.before),
    )
    return f"{written:,} is what you get if {told}" if not slip.key.startswith(("mac", "batch")) else f"{written:,}: {told}"


def swapped_digits(right: int, written: int) -> Named | None:
    """Return the slip of two neighbouring digits that changed places."""
    a, b = str(right), str(written)
    if len(a) != len(b) or a == b:
        return None
    at = next(index for index in range(len(a)) if a[index] != b[index])
    if at + 1 < len(a) and a[at] == b[at + 1] and a[at + 1] == b[at] and a[at + 2 :] == b[at + 2 :]:
        return Named("digits_swapped", f"two digits have changed places: {a[at : at + 2]} became {b[at : at + 2]}")
    return None


def missing(names: Mapping[int, str], right: int, written: int) -> Named | None:
    """Return the slip of a part that is missing from a sum, or in it twice; ``names`` holds the parts by their size."""
    name = names.get(right - written)
    if name is not None:
        return Named("missing_layer", f"{written:,} is what you get if {name} is left out: {right - written:,}")
    name = names.get(written - right)
    if name is not None:
        return Named("layer_twice", f"{written:,} is what you get if {name} is counted twice: {written - right:,}")
    return None


def axis_slips(op: Op, x: Shape) -> Iterator[tuple[str, Shape, str]]:
    """Yield the output shapes that slips lead to, with their key and what happened."""
    kernel: tuple[int, ...] = getattr(op, "kernel_size", ())
    stride: tuple[int, ...] = getattr(op, "stride", None) or kernel
    if len(kernel) != 2 or len(x) != 4:
        return
    c = getattr(op, "out_channels", x.c)
    padding = getattr(op, "padding", (0, 0))
    sides = _sides(padding)
    down: tuple[int, ...] = ()
    if sides is not None:
        spans = [i + p - k for i, k, p in zip(x.axes, kernel, sides, strict=True)]
        up = tuple(-(-span // s) + 1 for span, s in zip(spans, stride, strict=True))
        down = tuple(span // s + 1 for span, s in zip(spans, stride, strict=True))
        yield "floor_or_ceil", x.with_axes(c, up), "the division is rounded up, not down"
        yield "floor_or_ceil", x.with_axes(c, down), "the division is rounded down, not up"
    same = tuple(-(-i // s) for i, s in zip(x.axes, stride, strict=True))
    valid = tuple((i - k) // s + 1 for i, k, s in zip(x.axes, kernel, stride, strict=True))
    if padding != "same":
        yield "valid_or_same", x.with_axes(c, same), "the padding is taken as same"
    if padding == "same" or any(sides or ()):
        yield "valid_or_same", x.with_axes(c, valid), "the padding is left out"
    yield "plus_one", x.with_axes(c, tuple(size - 1 for size in down or same)), "the + 1 is left out"
    yield "input_size", x.with_axes(c, tuple(x.axes)), "the size is still the input's"
    if c != x.c:
        yield "swapped", x.with_axes(x.c, down or same), "the channels are still the input's"


def _sides(padding: object) -> tuple[int, int] | None:
    if not isinstance(padding, tuple):
        return None
    if len(padding) == 2:
        return 2 * padding[0], 2 * padding[1]
    return padding[0] + padding[1], padding[2] + padding[3]
