"""A page's layers found again in a model: by name, else by order among layers of their kind."""

import re
from math import prod
from typing import Any, NamedTuple

from archcalc.graph import Graph, Node
from archcalc.ops import Op
from archcalc.shape import Shape
from archcalc.worksheet.page import Claim, Finding, Said, Term

FLOAT_BYTES = 4

_KINDS = {
    "Conv2d": ("Conv2d", "ConnectedConv2d"),
    "MaxPool2d": ("MaxPool2d", "AvgPool2d", "TrainableSubsample2d"),
    "AvgPool2d": ("MaxPool2d", "AvgPool2d", "TrainableSubsample2d"),
    "GlobalAvgPool2d": ("GlobalAvgPool2d", "AdaptiveAvgPool2d"),
    "Linear": ("Linear", "RBF", "Conv2d"),
    "BatchNorm2d": ("BatchNorm2d", "BatchNorm1d"),
}


class Known(NamedTuple):
    """A layer of the model: its operator, and its true shapes."""

    name: str
    op: Op
    x: Shape
    y: Shape


class Truths:
    """The model that a page is held against."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes = list(graph.layers)
        self.names = {_plain(node.name): node for node in self.nodes}
        for node in self.nodes:
            self.names.setdefault(_plain(node.name.rpartition(".")[2]), node)
        self.place = 0
        self.places = {node.name: index for index, node in enumerate(self.nodes)}
        inputs = graph.inputs
        self.input: Shape | None = _image(inputs[0].output) if len(inputs) == 1 else None
        self.is_branched = any(node.op.merges for node in self.nodes)
        self._totals: dict[str, int] = {}

    def match(self, said: Said) -> Known | None:
        """Return the model's layer that is meant; the search by order goes on from the last one found."""
        node = self.names.get(_plain(said.name)) if said.name else None
        kinds = _KINDS.get(said.op or "", (said.op,))
        if node is not None and node.name == said.name:
            kinds = (type(node.op).__name__,)  # its full name leaves no doubt
        if node is None or (said.op is not None and type(node.op).__name__ not in kinds):
            node = self._next(said, kinds)
        if node is None:
            return None
        self.place = self.places[node.name] + 1
        x = self.graph.x(node)
        return Known(node.name, node.op, Shape() if node.op.merges else _image(x), _image(node.output))

    def _next(self, said: Said, kinds: tuple[str | None, ...]) -> Node | None:
        if said.op is None:
            return None
        for index in range(self.place, len(self.nodes)):
            if type(self.nodes[index].op).__name__ in kinds:
                return self.nodes[index]
        return None

    def statement(self, said: Said, known: Known) -> list[Finding]:
        """Return a finding for each thing that the layer line says otherwise than the model."""
        found = []
        pairs = (
            ("kernel", said.kernel, getattr(known.op, "kernel_size", None)),
            ("stride", said.stride, getattr(known.op, "stride", None) or getattr(known.op, "kernel_size", None)),
            ("padding", _pair(said.padding) if said.padding != "valid" else (0, 0), _padding(known, said.padding)),
            ("count", said.count, getattr(known.op, "out_channels", None) or getattr(known.op, "out_features", None)),
            ("groups", said.groups, getattr(known.op, "groups", None)),
        )
        for what, stated, true in pairs:
            if stated is not None and true is not None and stated != true:
                word = {"count": "outputs", "kernel": "a kernel of"}.get(what, what)
                told, meant = _shown(stated), _shown(true)
                because = f"{known.name} has {meant} outputs" if what == "count" else f"{known.name} has {word} {meant}"
                claim = Claim(said.line, said.text, what, (Term(told),))
                found.append(Finding(claim.line, claim.text, "wrong", what, known.name, meant, told, because))
        return found

    def total(self, quantity: str, habits: object) -> int | None:
        """Return the model's own total, None for a quantity it has none of."""
        if not self._totals:
            sums = self._sums()
            biases = sum(
                getattr(node.op, "out_channels", 0) or getattr(node.op, "out_features", 0)
                for node in self.nodes
                if getattr(node.op, "bias", False) is True
            )
            per_mac = getattr(habits, "flops_per_mac", 2)
            norms = sum(2 * node.output.c for node in self.nodes if type(node.op).__name__.startswith("BatchNorm"))
            without, with_statistics = not getattr(habits, "bias", True), getattr(habits, "norm", 2) == 4
            params = sums["params"] - without * biases + with_statistics * norms
            self._totals = {
                "params": params,
                "weights": sums["params"] - biases,
                "param_memory": FLOAT_BYTES * params,
                "macs": sums["macs"],
                "flops": per_mac * sums["macs"],
                "neurons": sums["neurons"],
                "connections": sums["connections"],
                "memory": sum(prod(node.output[1:]) for node in self.nodes),
            }
        return self._totals.get(quantity)

    def _sums(self) -> dict[str, int]:
        """Return the sums over the layers for one image; shared parameters count where they are held."""
        sums = dict.fromkeys(("params", "macs", "neurons", "connections"), 0)
        for node in self.nodes:
            x = self.graph.x(node)
            sums["params"] += node.op.params(x) if node.shares is None else 0
            sums["macs"] += node.op.macs(x, node.output) // node.output.n
            sums["neurons"] += node.op.neurons(x, node.output)
            sums["connections"] += node.op.connections(x, node.output)
        return sums


def _image(shape: Shape) -> Shape:
    return Shape((1, *shape[1:]))


def _pair(padding: Any) -> Any:
    """Return four sides as two where both ends of each axis are alike."""
    if isinstance(padding, tuple) and len(padding) == 4 and padding[0] == padding[1] and padding[2] == padding[3]:
        return padding[0], padding[2]
    return padding


def _padding(known: Known, stated: object) -> object:
    padding = getattr(known.op, "padding", None)
    padding = _pair(padding)
    if stated == "same" and isinstance(padding, tuple) and known.x[2:] and known.y[2:]:
        stride: Any = getattr(known.op, "stride", None) or getattr(known.op, "kernel_size", (1, 1))
        if tuple(-(-i // s) for i, s in zip(known.x[2:], stride, strict=False)) == tuple(known.y[2:]):
            return "same"  # the padding that the model has keeps the size as same does
    return padding


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 else "x".join(map(str, value))
    return str(value)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.lower())
