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
    "Conv2d": ("Conv2d", "ConnectedConv2d", "Conv1d", "Conv3d"),
    "TrainableSubsample2d": ("MaxPool2d", "AvgPool2d", "TrainableSubsample2d"),
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
        self.dense = [node for node in self.nodes if _is_dense(node)]
        inputs = graph.inputs
        self.input: Shape | None = _image(inputs[0].output) if len(inputs) == 1 else None
        self.is_branched = any(node.op.merges for node in self.nodes)
        self._totals: dict[str, int] = {}

    def match(self, said: Said, output: Term | None = None) -> Known | None:
        """Return the model's layer that is meant; the search by order goes on from the last one found."""
        node = self.names.get(_plain(said.name)) if said.name else None
        kinds = _KINDS.get(said.op or "", (said.op,))
        if node is not None and node.name == said.name:
            kinds = (type(node.op).__name__,)  # its full name leaves no doubt
        if node is None or (said.op is not None and type(node.op).__name__ not in kinds):
            node = self._next(said, output)
        if node is None:
            return None
        self.place = self.places[node.name] + 1
        x = self.graph.x(node)
        return Known(node.name, node.op, Shape() if node.op.merges else _image(x), _image(node.output))

    def _next(self, said: Said, output: Term | None) -> Node | None:
        if said.op is None:
            return None
        kinds = _KINDS.get(said.op, (said.op,))
        if said.op == "Linear" or (said.op == "Conv2d" and said.kernel is None):  # LeNet's C5 is either
            dense = self._next_dense(said, output)
            if dense is not None:
                return dense
        for index in range(self.place, len(self.nodes)):
            if type(self.nodes[index].op).__name__ in kinds:
                return self.nodes[index]
        return None

    def _next_dense(self, said: Said, output: Term | None) -> Node | None:
        """Return the next layer of as many units that each see all of the input; for a fully connected one, else the next one."""
        units = said.count or (output.shape[0] if output is not None and output.shape is not None and len(output.shape) == 1 else 0)
        ahead = [node for node in self.dense if self.places[node.name] >= self.place]
        equal = next((node for node in ahead if node.output.c == units), None)
        if equal is not None or said.op != "Linear":
            return equal
        return next((node for node in ahead if type(node.op).__name__ != "Conv2d"), ahead[0] if ahead else None)

    def statement(self, said: Said, known: Known) -> list[Finding]:
        """Return a finding for each thing that the layer line says otherwise than the model."""
        found = []
        pairs = (
            ("kernel", said.kernel, getattr(known.op, "kernel_size", None)),
            ("stride", said.stride, getattr(known.op, "stride", None) or getattr(known.op, "kernel_size", None)),
            ("padding", _pair(said.padding) if said.padding != "valid" else (0, 0), _padding(known, said.padding)),
            ("count", said.count, getattr(known.op, "out_channels", None) or getattr(known.op, "out_features", None)),
            ("groups", said.groups, getattr(known.op, "groups", None)),
            ("dilation", said.dilation, getattr(known.op, "dilation", None)),
        )
        for what, stated, true in pairs:
            if stated is not None and true is not None and not _alike(stated, true):
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
                "biases": biases,
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


def _is_dense(node: Node) -> bool:
    """Whether each unit of the layer sees all of its input: a fully connected one, or a convolution that makes one pixel."""
    kind = type(node.op).__name__
    return kind in ("Linear", "RBF") or (kind == "Conv2d" and set(node.output.axes) == {1})


def _alike(stated: object, true: object) -> bool:
    """Whether both are the same, along as many axes as each is written for: a 1-D kernel of 80 is 80x1 and 80x80 too."""
    if not isinstance(stated, tuple) or not isinstance(true, tuple) or len(stated) == len(true):
        return stated == true
    return len(set(true)) == 1 and stated[0] == true[0] and set(stated) <= ({true[0], 1} if len(true) == 1 else {true[0]})


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
