"""The walk over a graph that asks every operator for its numbers."""

from typing import TYPE_CHECKING, NamedTuple

from archcalc.analysis.receptive import Fields, receptive_fields
from archcalc.analysis.report import Axes, Layer, Report, sums
from archcalc.errors import UsageError, did_you_mean
from archcalc.graph import Graph, Node, operand
from archcalc.ops import Kept, Op
from archcalc.shape import Shape

if TYPE_CHECKING:
    from fractions import Fraction

    PerAxis = tuple[Fraction | int, ...] | None

DTYPE_BYTES: dict[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8, "int8": 1}
RULES = ("cuda", "cpu")


class Cost(NamedTuple):
    """The answers of one operator at one input shape."""

    params: int
    buffers: int
    macs: int
    elementwise: int
    neurons: int
    connections: int
    kept: tuple[Kept, ...]


def analyse(graph: Graph, *, dtype: str = "float32", rules: str = "cuda") -> Report:
    """Return the numbers of every layer and in all.

    ``dtype`` is that of the activations; ``rules`` says whose backward pass keeps tensors, ``cuda`` or ``cpu`` (dropout differs).
    Raises UsageError for a dtype or rules that are not known.
    """
    if dtype not in DTYPE_BYTES:
        raise UsageError("E206", f"there is no dtype {dtype}", help=did_you_mean(dtype, list(DTYPE_BYTES)))
    if rules not in RULES:
        raise UsageError("E208", f"there are no rules {rules}", help=" or ".join(RULES))
    costs: dict[tuple[Op, object], Cost] = {}  # repeated blocks ask the same question again and again
    storages = Storages(graph, DTYPE_BYTES[dtype])
    fields = receptive_fields(graph)
    layers = []
    for index, node in enumerate(graph.nodes):
        if not node.inputs:
            continue
        shapes = tuple([graph.nodes[i].output for i in node.inputs])
        x = operand(node.op, list(shapes))
        key = (node.op, x)
        cost = costs.get(key)
        if cost is None:
            cost = costs[key] = _ask(node.op, x, node.output, rules)
        saved = storages.keep(index, node, cost)
        layers.append(_layer(graph, node, shapes, cost, DTYPE_BYTES[dtype], saved, fields[index]))
    rows = tuple(layers)
    inputs: dict[str, Axes] = {node.name: node.output for node in graph.inputs}
    return Report(graph.name, graph.title, inputs, dtype, rows, sums(rows))


def _ask(op: Op, x: Shape, y: Shape, rules: str) -> Cost:
    return Cost(
        op.params(x),
        op.buffers(x),
        op.macs(x, y),
        op.elementwise(x, y),
        op.neurons(x, y),
        op.connections(x, y),
        op.kept(x, y, rules),
    )


def _layer(graph: Graph, node: Node, shapes: tuple[Shape, ...], cost: Cost, item_bytes: int, saved: int, fields: Fields) -> Layer:
    params = cost.params if node.shares is None else 0  # shared parameters count where they are held
    nodes = graph.nodes
    return Layer(
        node.name,
        type(node.op).__name__,
        tuple([nodes[i].name for i in node.inputs]),
        shapes,
        node.output,
        params,
        0 if node.frozen else params,
        cost.buffers if node.shares is None else 0,
        cost.macs,
        2 * cost.macs + cost.elementwise,
        cost.elementwise,
        node.output.elements * item_bytes,
        saved,
        *_seen(fields),
        cost.neurons,
        cost.connections,
        None if node.shares is None else nodes[node.shares].name,
    )


def _seen(fields: Fields) -> "tuple[PerAxis, PerAxis, PerAxis, bool]":
    """Return receptive field, jump and padding along each axis, and whether the paths agree."""
    if not fields:
        return None, None, None, True
    jumps = [field.jump for field in fields]
    jump = None if None in jumps else tuple([jump for jump in jumps if jump is not None])
    aligned = all(field.aligned for field in fields)
    return tuple([field.receptive_field for field in fields]), jump, tuple([field.padding for field in fields]), aligned


class Storages:
    """The storages that autograd keeps: each counts once, however many operators want it.

    Where no gradient reaches, before the first parameter that is trained, nothing is kept.
    """

    def __init__(self, graph: Graph, item_bytes: int):
        self.item_bytes = item_bytes
        self.nodes = graph.nodes
        self.keeper: dict[int, int] = {}  # for each storage that is kept, the node that was the first to keep it
        self.learning = [False] * len(graph.nodes)  # whether the output is part of what is differentiated
        self.storage: list[int] = []  # for each node, the node that owns the memory of its output
        for index, node in enumerate(graph.nodes):
            self.storage.append(self.storage[node.inputs[0]] if node.inputs and node.op.aliases() else index)

    def keep(self, index: int, node: Node, cost: Cost) -> int:
        """Return the bytes that this node is the first to keep."""
        return sum([tensor.elements * (tensor.item_bytes or self.item_bytes) for tensor in self.first_kept(index, node, cost)])

    def first_kept(self, index: int, node: Node, cost: Cost) -> list[Kept]:
        """Return the tensors that this node is the first to keep; nodes must be asked for in their order."""
        learning = [self.learning[i] for i in node.inputs]
        holder = node if node.shares is None else self.nodes[node.shares]
        self.learning[index] = any(learning) or (cost.params > 0 and not holder.frozen)
        if not self.learning[index]:
            return []
        first = []
        for tensor in cost.kept:
            what, _, number = tensor.what.partition(" ")
            if what == "output" or (what == "input" and (not number or number.isdigit())):
                position = int(number or 0)
                if node.op.merges and what == "input" and not any(learning[:position] + learning[position + 1 :]):
                    continue  # a factor is kept for the derivative of the others
                owner = self.storage[index if what == "output" else node.inputs[position]]
                if owner in self.keeper:
                    continue
                self.keeper[owner] = index
            first.append(tensor)
        return first
