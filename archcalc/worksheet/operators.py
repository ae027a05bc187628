"""What a layer line states, as operators: one where the line says everything, a few readings where it leaves something open."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

from archcalc.errors import ArchcalcError
from archcalc.formula.printed import text
from archcalc.formula.traced import Derived, Given
from archcalc.ops import OPS, Op
from archcalc.ops.base import required
from archcalc.shape import Shape
from archcalc.worksheet.arithmetic import written
from archcalc.worksheet.page import Said, Sizes, Term

_NO_BIAS = re.compile(r"\(([^()]*) \+ 0\)\*")
UNKNOWN = 0  # channels that the page does not tell

_POOLS = ("MaxPool2d", "AvgPool2d")
_OF_1998 = re.compile("[CS][1-9]")
LRN_SIZE = 5  # counts for nothing here: neither its shape nor its parameters depend on it


def shape_of(term: Term, like: Shape | None = None) -> Shape | None:
    """Return the sizes as a shape, batch first; ``like`` is what is expected, which may tell where the channels stand."""
    sizes = term.shape
    if sizes is None:
        return None
    if len(sizes) == 1:
        return Shape((1, sizes[0]))
    if like is not None and len(like) != 4 and len(like) == len(sizes) + 1:
        return Shape((1, *sizes)) if tuple(like[1:]) == sizes else Shape((1, sizes[-1], *sizes[:-1]))
    if len(sizes) == 2:
        return Shape((1, UNKNOWN, *sizes))
    if len(sizes) != 3:
        return None
    first, last = Shape((1, *sizes)), Shape((1, sizes[2], sizes[0], sizes[1]))
    if term.channels == "first" or (like is not None and first == like and last != like):
        return first
    if sizes[1] == sizes[2] != sizes[0] and sizes[:2] != (1, 1):
        return first
    if sizes[0] in (1, 3) and sizes[2] not in (1, 3) and sizes[0] != sizes[1]:
        return first
    return last


def fits(term: Term, y: Shape) -> bool:
    """Whether the sizes are those of ``y``, in whichever order and fullness they are written."""
    sizes = term.shape
    if sizes is None:
        return False
    if len(y) == 2:
        return tuple(size for size in sizes if size != 1) == tuple(size for size in y[1:] if size != 1)
    if len(y) != 4:
        c, *axes = y[1:]
        batch_of_one = axes[0] == 1 and tuple(sizes) == (*axes[1:], c)  # a first 1 is read as that
        return batch_of_one or tuple(sizes) in ((c, *axes), (*axes, c))
    c, h, w = y[1:]
    if len(sizes) == 3:
        orders = ((c, h, w),) if term.channels == "first" else ((h, w, c), (c, h, w))
        return tuple(sizes) in orders or (c == UNKNOWN and (sizes[:2] == (h, w) or sizes[1:] == (h, w)))
    if len(sizes) == 2:
        return tuple(sizes) == (h, w)
    return len(sizes) == 1 and c != UNKNOWN and ((h == w == sizes[0] and term.figure is not None) or prod(y) == sizes[0])


def sizes_of(y: Shape, term: Term | None = None) -> Sizes:
    """Return a shape as the page writes shapes: channels last, unless the term beside it has them first or leaves them out."""
    if len(y) != 4:
        return (*y[2:], y[1])
    c, h, w = y[1:]
    if c == UNKNOWN or (term is not None and term.shape is not None and len(term.shape) == 2):
        return (h, w)
    if term is not None and term.shape is not None and len(term.shape) == 3:
        own = shape_of(term)
        if term.channels == "first" or (own is not None and own == Shape((1, *term.shape))):
            return (c, h, w)
    return (h, w, c)


def readings(said: Said, x: Shape | None, output: Term | None) -> Iterator[Op]:
    """Yield the operators that the line can mean, the likeliest first; none where it says too little."""
    if said.built is not None:
        yield said.built
        return
    if said.arguments is not None:
        yield from _made(str(said.op), **dict(said.arguments))
        return
    if said.op in _POOLS:
        yield from _poolings(said)
    elif said.op == "Linear":
        count = said.count or _flat_count(output)
        if count:
            yield from _made("Linear", out_features=count, bias=said.bias is not False)
    elif said.op in ("Conv2d", None) and said.kernel is not None:
        yield from _convolutions(said, x, output)
    elif said.op == "BatchNorm2d":
        yield from _made("BatchNorm1d" if x is not None and len(x) == 2 else "BatchNorm2d")
    elif said.op == "LocalResponseNorm":
        yield from _made("LocalResponseNorm", size=LRN_SIZE)
    elif said.op in ("ReLU", "Dropout", "Softmax", "Flatten", "GlobalAvgPool2d"):
        yield from _made(said.op)
        count = _flat_count(output) if said.op == "Softmax" else None
        if count:  # people call the last fully connected layer by the function behind it
            yield from _made("Linear", out_features=count)
    elif said.op in ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d") and said.kernel is not None:
        yield from _made(said.op, output_size=said.kernel)
    elif said.op == "Resize" and said.kernel is not None:
        yield from _made("Resize", size=said.kernel)
    elif said.op == "RBF" and said.count:
        yield from _made("RBF", out_features=said.count)
    elif said.op == "TrainableSubsample2d" and said.kernel is not None:
        yield from _made("TrainableSubsample2d", kernel_size=said.kernel, stride=said.stride)
    elif said.op == "ConvTranspose2d" and said.kernel is not None and said.count:
        padding = (0, 0) if said.padding in (None, "valid") else said.padding
        yield from _made(
            said.op, out_channels=said.count, kernel_size=said.kernel, stride=said.stride or (1, 1), padding=padding,
            groups=said.groups or 1, bias=said.bias is not False, dilation=said.dilation or 1,
        )  # fmt: skip
    elif said.op == "ZeroPad2d" and isinstance(said.padding, tuple):
        yield from _made("ZeroPad2d", padding=said.padding)
    elif said.op is not None and not required(OPS[said.op]):
        yield from _made(said.op)


def _convolutions(said: Said, x: Shape | None, output: Term | None) -> Iterator[Op]:
    assert said.kernel is not None
    groups = said.groups or _implied_groups(said, x)
    count = said.count or _channels(output) or (groups if said.depthwise and groups > 1 else None)
    if not count:
        return
    for stride, padding in _windows(said.kernel, said.stride, said.padding, (1, 1)):
        yield from _made(
            "Conv2d",
            out_channels=count,
            kernel_size=said.kernel,
            stride=stride,
            padding=padding,
            dilation=said.dilation or 1,
            groups=groups,
            bias=said.bias is not False,
        )


def _implied_groups(said: Said, x: Shape | None) -> int:
    """Return the channels for a depthwise convolution, 2 where each kernel sees half of them, as on AlexNet's two GPUs, else 1."""
    if said.depthwise and x is not None and len(x) == 4 and x.c != UNKNOWN:
        return int(x.c)
    return 2 if said.depth and x is not None and len(x) == 4 and said.depth * 2 == x.c else 1


def _poolings(said: Said) -> Iterator[Op]:
    kernels = [said.kernel] if said.kernel is not None else [(2, 2), (3, 3)]
    for kernel in kernels:
        steps = kernel if said.stride is None and max(kernel) != 3 else (2, 2)
        for stride, padding in _windows(kernel, said.stride, said.padding, steps, pool=True):
            for ceil in (False, True) if said.rounding is None and said.padding is None else (said.rounding == "ceil",):
                if padding == "same" and ceil and said.rounding is None:
                    continue
                yield from _made(str(said.op), kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil)


def _windows(
    kernel: Sizes, stride: Sizes | None, padding: Sizes | str | None, usual: Sizes, pool: bool = False
) -> Iterator[tuple[Any, Any]]:
    """Yield strides with paddings: the stated ones, or the usual before the possible."""
    strides = [stride] if stride is not None else [usual, *((s, s) for s in range(1, min(max(kernel), 4) + 1) if (s, s) != usual)]
    halves = tuple(k // 2 for k in kernel)
    if padding is not None:
        paddings: list[Any] = [(0, 0) if padding == "valid" else padding]
    else:
        paddings = [(0, 0), "same"] if min(kernel) == 1 or max(kernel) == 2 else [(0, 0), halves, "same"]
        if not pool:
            paddings += [(p, p) for p in range(1, min(max(kernel) // 2 + 1, 8)) if (p, p) != halves]
    for s in strides:
        for p in paddings:
            yield s, p


def of_1998(said: Said, op: Op, x: Shape | None, params: set[Fraction | None]) -> Op | None:
    """Return LeNet-5's own layer where the page counts its parameters: pooling that learns, and a C3 that sees part of the maps."""
    if x is None or type(op).__name__ not in ("AvgPool2d", "Conv2d") or not _OF_1998.fullmatch(said.name) or not any(params):
        return None
    from archcalc.spec import load  # deferred: few pages are about it

    lenet = load("lenet5")
    node = next((node for node in lenet.layers if node.name == said.name), None)
    if node is None or Shape(lenet.x(node)).c != x.c or output_of(node.op, x) != output_of(op, x):
        return None
    return node.op if node.op.params(x) in params else None


def _made(name: str, **arguments: Any) -> Iterator[Op]:
    try:
        yield _build(name, tuple(arguments.items()))
    except ArchcalcError:
        return


@lru_cache(maxsize=4096)
def _build(name: str, arguments: tuple[tuple[str, Any], ...]) -> Op:
    return OPS[name](**dict(arguments))


def _flat_count(output: Term | None) -> int | None:
    sizes = output.shape if output else None
    wide = [size for size in sizes or () if size != 1]
    return wide[0] if len(wide) == 1 else None


def _channels(output: Term | None) -> int | None:
    shape = shape_of(output) if output else None
    return shape.c if shape is not None and len(shape) == 4 and shape.c != UNKNOWN else None


def entering(op: Op, x: Shape) -> Shape:
    """Return what the operator sees: a feature map is flattened before a fully connected layer."""
    return Shape((x[0], prod(x[1:]))) if type(op).__name__ == "Linear" and len(x) > 2 else x


def output_of(op: Op, x: Shape | None) -> Shape | None:
    """Return the operator's output shape, None where the input is not known or does not fit."""
    if x is None or UNKNOWN in x[2:] or (x.c == UNKNOWN and (len(x) == 2 or type(op).__name__ in ("Linear", "Flatten"))):
        return None
    try:
        return op.output(entering(op, x))
    except ArchcalcError:
        return None


def given(x: Shape) -> Shape:
    """Return the shape with sizes that remember that they were given, so that results can show their formula."""
    return Shape((x[0], *(Given(size, "the page") for size in x[1:])))


def arithmetic_of(value: int) -> str:
    """Return the arithmetic of a number that a formula gave, with its result: ``(11*11*3 + 1)*96 = 34,944``."""
    if not isinstance(value, Derived):
        return written(int(value))
    shown = _NO_BIAS.sub(r"\1*", text(value.formula, value.values).removeprefix("1*"))
    result = written(int(value))
    return result if shown == result.replace(",", "") else f"{shown} = {result}"
