"""Worksheets with one slip in them: the right page of a model, with one answer replaced by what a slip leads to.

The slips are worked out here, from the graph's plain numbers; nothing of archcalc.worksheet's own catalogue is used.
"""

from collections.abc import Iterator
from math import ceil, prod
from typing import Any, NamedTuple

from archcalc.graph import Graph, Node
from archcalc.worksheet.write import worksheet

FLOAT = 4


class Made(NamedTuple):
    """A page with one wrong line, and the slips that lead to what stands there."""

    model: str
    line: int
    right: str
    wrong: str
    slips: frozenset[str]

    def page(self, lines: list[str]) -> str:
        """The right page with this one line replaced."""
        assert lines[self.line - 1] == self.right
        return "\n".join([*lines[: self.line - 1], self.wrong, *lines[self.line :]]) + "\n"


class Wrong(NamedTuple):
    slip: str
    quantity: str  # how the line of the answer begins
    answer: str


def made_pages(graph: Graph, model: str) -> tuple[list[str], list[Made]]:
    """Return the lines of the right page, and every page that one slip makes of it."""
    lines = worksheet(graph, model).splitlines()
    places = {line[3:]: number for number, line in enumerate(lines, 1) if line.startswith("## ")}
    found: dict[tuple[int, str], set[str]] = {}
    for slip, node, quantity, answer in [*_layers(graph), *_totals(graph)]:
        line = _line(lines, places[node], quantity)
        if line is not None and f"- {quantity} {answer}" != lines[line - 1] and not _as_right(lines[line - 1], answer):
            found.setdefault((line, f"- {quantity} {answer}"), set()).add(slip)
    return lines, [Made(model, line, lines[line - 1], text, frozenset(slips)) for (line, text), slips in found.items()]


def _line(lines: list[str], heading: int, quantity: str) -> int | None:
    """Return the line of a layer's answer."""
    for number in range(heading + 1, len(lines) + 1):
        if lines[number - 1].startswith("## "):
            return None
        if lines[number - 1].startswith(f"- {quantity}"):
            return number
    return None


def _as_right(line: str, answer: str) -> bool:
    """Whether the answer says what the right line says."""
    return line.replace("`", "").endswith(f" {answer.replace('`', '').rsplit('= ')[-1]}")


def _layers(graph: Graph) -> Iterator[tuple[str, str, str, str]]:
    before_pool: tuple[int, ...] | None = None
    flattened: tuple[int, ...] | None = None  # what would have been flattened, had the last pool been forgotten
    for node in graph.layers:
        x = graph.x(node)
        kind = type(node.op).__name__
        if kind.endswith(("Pool2d", "Subsample2d")):
            before_pool = tuple(x)
        elif kind == "Flatten":
            flattened = before_pool
        elif kind not in ("ReLU", "Dropout", "Tanh", "ScaledTanh", "Linear"):
            before_pool = flattened = None
        for wrong in _slips(node, x, flattened):
            yield wrong.slip, node.name, wrong.quantity, wrong.answer
        if kind == "Linear":
            flattened = None


def _slips(node: Node, x: Any, flattened: tuple[int, ...] | None) -> Iterator[Wrong]:
    op: Any = node.op
    kind = type(op).__name__
    if kind == "Conv2d":
        yield from _convolution(op, x, node.output)
    elif kind == "Linear":
        yield from _linear(op, x.c, flattened)
    elif kind.startswith("BatchNorm"):
        yield Wrong("batch_norm", "parameter =", f"{4 * x.c:,}")
    elif kind in ("MaxPool2d", "AvgPool2d"):
        yield from _sizes(op.kernel_size, op.steps, op.padding, x, node.output)
    if not op.merges and node.shares is None:
        yield from _figures("parameter =", op.params(x))
        yield from _figures("MACs =", op.macs(x, node.output))
    if op.macs(x, node.output):
        size = prod(node.output) * FLOAT
        yield Wrong("bits_or_bytes", "activation memory =", f"{size * 8:,} bytes")


def _figures(quantity: str, right: int) -> Iterator[Wrong]:
    """Two digits that change places, and a product that is reckoned wrongly."""
    digits = str(right)
    for place in range(len(digits) - 1):
        if digits[place] != digits[place + 1] and not (place == 0 and digits[1] == "0"):
            swapped = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
            yield Wrong("digits_swapped", quantity, f"{int(swapped):,}")
            break
    if right > 100:
        yield Wrong("product", quantity, f"`{right // 2} + {right - right // 2}` = {right + 7:,}")


def _convolution(op: Any, x: Any, y: Any) -> Iterator[Wrong]:
    window, outputs, groups = prod(op.kernel_size), op.out_channels, op.groups
    inputs = x.c // groups
    weights = window * inputs * outputs
    biases = outputs if op.bias else 0
    per_kernel = "*".join(map(str, op.kernel_size))
    if op.bias:
        yield Wrong("no_bias", "parameter =", f"`{per_kernel}*{inputs}*{outputs}` = {weights:,}")
        yield Wrong("bias_per_layer", "parameter =", f"`{per_kernel}*{inputs}*{outputs} + 1` = {weights + 1:,}")
        yield Wrong("bias_per_weight", "parameter =", f"{2 * weights:,}")
    yield Wrong("input_channels", "parameter =", f"`({per_kernel} + {int(op.bias)})*{outputs}` = {window * outputs + biases:,}")
    yield Wrong("unshared", "parameter =", f"{weights * prod(y.axes) + biases:,}")
    yield Wrong(
        "swapped", "parameter =", f"{(window * outputs + int(op.bias)) * x.c:,}" if groups == 1 else f"{weights + biases:,}"
    )
    macs = weights * prod(y.axes)
    if groups > 1:
        yield Wrong("groups", "parameter =", f"`({per_kernel}*{x.c} + 1)*{outputs}` = {weights * groups + biases:,}")
        yield Wrong("groups", "MACs =", f"{macs * groups:,}")
    yield Wrong("mac_or_flop", "MACs =", f"`2*{macs}` = {2 * macs:,}")
    yield Wrong("input_size", "MACs =", f"{weights * prod(x.axes):,}")
    yield from _sizes(op.kernel_size, op.stride, op.padding, x, y)


def _linear(op: Any, inputs: int, flattened: tuple[int, ...] | None) -> Iterator[Wrong]:
    outputs = op.out_features
    if op.bias:
        yield Wrong("no_bias", "parameter =", f"`{inputs}*{outputs}` = {inputs * outputs:,}")
        yield Wrong("bias_per_layer", "parameter =", f"{inputs * outputs + 1:,}")
        yield Wrong("bias_per_weight", "parameter =", f"{2 * inputs * outputs:,}")
        yield Wrong("swapped", "parameter =", f"{(outputs + 1) * inputs:,}")
    yield Wrong("mac_or_flop", "MACs =", f"{2 * inputs * outputs:,}")
    if flattened is not None:
        early = prod(flattened[1:])
        yield Wrong("flattened_early", "parameter =", f"`({early} + {int(op.bias)})*{outputs}` = {(early + op.bias) * outputs:,}")


def _sizes(kernel: Any, stride: Any, padding: Any, x: Any, y: Any) -> Iterator[Wrong]:
    """Sizes rounded the other way, with the other padding, or taken over from the input."""

    def shape(sizes: list[int]) -> str:
        return f"{' x '.join(map(str, sizes))} x {y.c}"

    if isinstance(padding, tuple):
        both = [2 * p for p in padding] if len(padding) == 2 else [padding[0] + padding[1], padding[2] + padding[3]]
        exact = [(i + p - k) / s + 1 for i, p, k, s in zip(x.axes, both, kernel, stride, strict=True)]
        up, down = [ceil(size) for size in exact], [int(size) for size in exact]
        yield Wrong("floor_or_ceil", "output:", shape(down if tuple(up) == tuple(y.axes) else up))
    if padding == "same" or any(padding):
        valid = [(i - k) // s + 1 for i, k, s in zip(x.axes, kernel, stride, strict=True)]
        if min(valid) > 0:
            yield Wrong("valid_or_same", "output:", shape(valid))
    if padding != "same":
        yield Wrong("valid_or_same", "output:", shape([-(-i // s) for i, s in zip(x.axes, stride, strict=True)]))
    yield Wrong("input_size", "output:", shape(list(x.axes)))


def _totals(graph: Graph) -> Iterator[tuple[str, str, str, str]]:
    params = [node.op.params(graph.x(node)) for node in graph.layers if node.shares is None]
    macs = [node.op.macs(graph.x(node), node.output) for node in graph.layers]
    for quantity, numbers in (("total parameter =", params), ("total MACs =", macs)):
        total = sum(numbers)
        for number in sorted({number for number in numbers if number}):
            yield "missing_layer", "Totals", quantity, f"{total - number:,}"
        for wrong in _figures(quantity, total):
            yield wrong.slip, "Totals", wrong.quantity, wrong.answer
    size = sum(params) * FLOAT
    yield "mb_or_mib", "Totals", "total parameter memory =", f"{size / 2**20:,.3f} MB"
    yield "bits_or_bytes", "Totals", "total parameter memory =", f"{size * 8:,} bytes"
