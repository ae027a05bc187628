"""The walk over a graph that asks every operator for its numbers."""

from functools import cache
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from archcalc.analysis.receptive import Fields, receptive_fields
from archcalc.analysis.report import Axes, Layer, Report, sums
from archcalc.errors import UsageError, did_you_mean
from archcalc.formula import formula
from archcalc.graph import Graph, Node, operand
from archcalc.ops import Kept, Op
from archcalc.shape import Shape

if TYPE_CHECKING:
    from fractions import Fraction

    Seen = tuple[tuple[int, ...] | None, tuple[Fraction | int, ...] | None, tuple[int, ...] | None, bool]

DTYPE_BYTES: dict[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8, "int8": 1}
RULES = ("cuda", "cpu")


@formula
def full_flops(macs: int, work: int) -> int:
    """A multiply-accumulate is two operations; everything else is one each."""
    return 2 * macs + work


@formula
def tensor_bytes(y: Shape, w: int) -> int:
    """Every element of the output, in bytes."""
    return prod(y) * w


@formula
def kept_bytes(e: int, w: int) -> int:
    """Every element of what is kept, in bytes."""
    return e * w


@formula
def all_kept(v: tuple[int, ...]) -> int:
    """The tensors that are kept, one after the other."""
    return sum(v)


class Cost(msgspec.Struct, frozen=True):
    """The answers of one operator at one input shape."""

    params: int
    buffers: int
    macs: int
    flops: int
    elementwise: int
    output_bytes: int
    neurons: int
    connections: int
    kept: tuple[Kept, ...]


def analyse(graph: Graph, *, dtype: str = "float32", rules: str = "cuda") -> Report:
    """Return the numbers of every layer and in all.

    ``dtype`` is that of the activations; ``rules`` says whose backward pass keeps tensors, ``cuda`` or ``cpu`` (dropout differs).
    Raises UsageError for a dtype or rules that are not known, TypeError for what is no graph or no name of a dtype.
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"analyse takes a Graph, not {type(graph).__name__}: archcalc.analyse(archcalc.load('resnet18'))")
    if not isinstance(dtype, str):
        raise TypeError(f"analyse takes a dtype by its name, not {type(dtype).__name__}: archcalc.analyse(graph, dtype='float16')")
    if dtype not in DTYPE_BYTES:
        raise UsageError("E206", f"there is no dtype {dtype}", help=did_you_mean(dtype, list(DTYPE_BYTES)))
    if rules not in RULES:
        raise UsageError("E208", f"there are no rules {rules}", help=" or ".join(RULES))
    nodes, item_bytes = graph.nodes, DTYPE_BYTES[dtype]
    costs: dict[tuple[Op, object], Cost] = {}  # repeated blocks ask the same question again and again
    storages = Storages(graph, item_bytes)
    seen = _seen(graph, receptive_fields(graph))
    layers = []
    for index, node in enumerate(nodes):
        if not node.inputs:
            continue
        shapes = tuple([nodes[i].output for i in node.inputs])
        key = (node.op, shapes)
        cost = costs.get(key)
        if cost is None:
            cost = costs[key] = _ask(node.op, operand(node.op, list(shapes)), node.output, item_bytes, rules)
        saved = storages.keep(index, node, cost.params, cost.kept)
        layers.append(_layer(nodes, node, shapes, cost, saved, seen[index]))
    rows = tuple(layers)
    inputs: dict[str, Axes] = {node.name: node.output for node in graph.inputs}
    outputs = {name: nodes[index].name for name, index in graph.outputs.items()}
    return Report(graph.name, graph.title, inputs, dtype, rows, sums(rows), outputs)


def _ask(op: Op, x: Shape, y: Shape, item_bytes: int, rules: str) -> Cost:
    macs, elementwise = op.macs(x, y), op.elementwise(x, y)
    return Cost(
        op.params(x),
        op.buffers(x),
        macs,
        full_flops(macs, elementwise),
        elementwise,
        tensor_bytes(y, item_bytes),
        op.neurons(x, y),
        op.connections(x, y),
        op.kept(x, y, rules),
    )


def _layer(nodes: tuple[Node, ...], node: Node, shapes: tuple[Shape, ...], cost: Cost, saved: int, seen: "Seen") -> Layer:
    own = node.shares is None  # shared parameters count where they are held
    return Layer(
        node.name,
        type(node.op).__name__,
        tuple([nodes[i].name for i in node.inputs]),
        shapes,
        node.output,
        cost.params if own else 0,
        cost.params if own and not node.frozen else 0,
        cost.buffers if own else 0,
        cost.macs,
        cost.flops,
        cost.elementwise,
        cost.output_bytes,
        saved,
        *seen,
        cost.neurons,
        cost.connections,
        None if node.shares is None else nodes[node.shares].name,
    )


def _seen(graph: Graph, found: list[Fields]) -> "list[Seen]":
    """Return, for each node, receptive field, jump and padding along each axis, and whether the paths agree.

    Where nothing is known of what was an image, they cannot be said to.
    """
    unknown: set[int] = set()
    known: dict[int, Seen] = {}  # most layers hand the fields on as they are
    seen: list[Seen] = []
    for index, (node, fields) in enumerate(zip(graph.nodes, found, strict=True)):
        if not fields:
            if any(found[i] or i in unknown for i in node.inputs):
                unknown.add(index)
            seen.append((None, None, None, index not in unknown))
            continue
        here = known.get(id(fields))
        if here is None:
            here = known[id(fields)] = _along(fields)
        seen.append(here)
    return seen


def _along(fields: Fields) -> "Seen":
    alike = len(set(map(id, fields))) == 1  # a square map
    fields, times = (fields[:1], len(fields)) if alike else (fields, 1)
    jumps = [jump for field in fields if (jump := field.jump) is not None]
    return (
        tuple([field.receptive_field for field in fields]) * times,
        tuple(jumps) * times if len(jumps) == len(fields) else None,
        tuple([field.padding for field in fields]) * times,
        all(map(_ALIGNED, fields)),
    )


class Storages:
    """The storages that autograd keeps: each counts once, however many operators want it.

    Where no gradient reaches, before the first parameter that is trained, nothing is kept.
    """

    def __init__(self, graph: Graph, item_bytes: int):
        self.item_bytes = item_bytes
        self.keeper: dict[int, int] = {}  # for each storage that is kept, the node that was the first to keep it
        self.learning = [False] * len(graph.nodes)  # whether the output is part of what is differentiated
        self.storage: list[int] = []  # for each node, the node that owns the memory of its output
        for index, node in enumerate(graph.nodes):
            self.storage.append(self.storage[node.inputs[0]] if node.inputs and node.op.aliases() else index)

    def keep(self, index: int, node: Node, params: int, kept: tuple[Kept, ...]) -> int:
        """Return the bytes that this node is the first to keep."""
        first = self.first_kept(index, node, params, kept)
        return all_kept(tuple([kept_bytes(tensor.elements, tensor.width(self.item_bytes)) for tensor in first])) if first else 0

    def first_kept(self, index: int, node: Node, params: int, kept: tuple[Kept, ...]) -> list[Kept]:
        """Return those of the ``kept`` tensors that this node is the first to keep; nodes must be asked for in their order."""
        trained = params > 0 and not node.frozen  # which is its holder's, where it shares
        learning = [*[self.learning[i] for i in node.inputs], trained]  # whose derivative is wanted, as Kept.wanted_by counts them
        self.learning[index] = True in learning
        if not self.learning[index]:
            return []
        first = []
        for tensor in kept:
            if tensor.wanted_by is not None and not any(learning[i] for i in tensor.wanted_by):
                continue
            place = owned(tensor.what)
            if place is not None:
                owner = self.storage[index if place == OUTPUT else node.inputs[place]]
                if owner in self.keeper:
                    continue
                self.keeper[owner] = index
            first.append(tensor)
        return first


_ALIGNED = attrgetter("aligned")
OUTPUT = -1


@cache
def owned(what: str) -> int | None:
    """Return whose storage a kept tensor is: that of an input, by position, or OUTPUT's; None where it is nobody else's.

    >>> owned("input"), owned("input 2"), owned("output"), owned("padded input")
    (0, 2, -1, None)
    """
    kind, _, number = what.partition(" ")
    if kind == "output":
        return OUTPUT
    return int(number or 0) if kind == "input" and (not number or number.isdigit()) else None
