"""What people count of a network and print as one number: parameters, multiply-adds, neurons, bytes, each in the ways in use."""

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from archcalc.analysis.conventions import CONVENTIONS, KINDS, layer_counts
from archcalc.analysis.cost import DTYPE_BYTES, analyse
from archcalc.analysis.heads import idle_holders
from archcalc.graph import Graph, only_in_training
from archcalc.ops import Op
from archcalc.shape import Shape

ITEM_BYTES = 4  # of a float32, in which weights are stored
TRACKED_BYTES = 8  # of BatchNorm's count of batches, an int64
KIND_OF = {operator: kind for kind, operators in KINDS.items() for operator in operators.split()}
ARITHMETIC = tuple(kind for kind in KINDS if kind != "moving")
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm")
CONVOLUTIONS = ("convolution", "transposed convolution")


class Part(NamedTuple):
    """The amounts of one layer.

    ``elements`` are those of its output, ``bytes`` what they take; ``counters`` are BatchNorm's numbers of batches seen.
    ``weighted`` layers have parameters, be they shared. Layers ``aside`` run in training alone; ``idle`` are the parameters that
    nothing else uses.
    """

    kind: str
    op: str
    params: int
    trainable: int
    biases: int
    buffers: int
    counters: int
    macs: int
    neurons: int
    connections: int
    elements: int
    bytes: int
    weighted: bool
    aside: bool = False
    idle: int = 0


class Network:
    """A graph and what its layers amount to, worked out once for every way of counting."""

    def __init__(self, graph: Graph, dtype: str = "float32"):
        self.graph = graph
        self.dtype = dtype

    @cached_property
    def parts(self) -> list[tuple[str, Part]]:
        """The layers in order, by name."""
        known: dict[tuple[Op, Shape], Part] = {}  # repeated blocks ask the same question again and again
        aside = only_in_training(self.graph)
        idle = idle_holders(self.graph, aside)
        found = []
        for index, node in enumerate(self.graph.nodes):
            if not node.inputs:
                continue
            key = (node.op, self.graph.x(node))
            part = known.get(key)
            if part is None:
                part = known[key] = _part(node.op, key[1], node.output, DTYPE_BYTES[self.dtype])
            if node.shares is not None:  # shared parameters count where they are held
                part = part._replace(params=0, trainable=0, biases=0, buffers=0, counters=0)
            if aside[index] or index in idle:
                part = part._replace(aside=aside[index], idle=part.params if index in idle else 0)
            found.append((node.name, part._replace(trainable=0) if node.frozen else part))
        return found

    @cached_property
    def distinct(self) -> Counter[Part]:
        """How many layers there are of each kind that differ in no amount."""
        return Counter(part for _, part in self.parts)

    @cached_property
    def saved(self) -> list[int]:
        """The bytes that autograd keeps because of each layer."""
        return [layer.saved_bytes for layer in analyse(self.graph, dtype=self.dtype).layers]

    def counted(self, convention: str) -> list[int]:
        """What a tool counts of each layer, nothing where it does not know it."""
        return [amount or 0 for amount in layer_counts(self.graph, convention)]

    @property
    def input_elements(self) -> int:
        """Numbers that come in."""
        return sum(node.output.elements for node in self.graph.inputs)


def _part(op: Op, x: Shape, y: Shape, item_bytes: int) -> Part:
    kind = KIND_OF[type(op).__name__]
    params, buffers = op.params(x), op.buffers(x)
    # A normalisation's shift is no bias to those who count biases: it goes with the scale.
    biased = params and kind not in NORMS and (getattr(op, "bias", False) or type(op).__name__ in ALWAYS_BIASED)
    tracked = 1 if kind == "BatchNorm" and buffers else 0
    amounts = (params, params, y.c if biased else 0, buffers, tracked, op.macs(x, y), op.neurons(x, y), op.connections(x, y))
    return Part(kind, type(op).__name__, *amounts, y.elements, y.elements * item_bytes, params > 0)


ALWAYS_BIASED = ("ConnectedConv2d", "TrainableSubsample2d")  # 1998 gives the choice to nobody

OfPart = Callable[[Part], int]
OfNetwork = Callable[[Network], list[int]]


class Measure(NamedTuple):
    """One way of counting. ``plainness`` is 0 for what a bare number means first, and grows with what has to be said besides.

    A difference is itemised against the ``base``, the plainest measure of what is counted. The value is the sum over the layers, of
    ``part`` or, where that is not enough to know, of ``network``; ``more`` belongs to no layer.
    """

    key: str
    words: str
    base: str
    plainness: int
    part: OfPart | None = None
    network: OfNetwork | None = None
    more: Callable[[Network], int] | None = None
    byte: bool = False
    own_only: bool = False  # too slow, or too far-fetched, to be asked of other networks than the one in question

    def value(self, network: Network) -> int:
        """Return the number that would be printed."""
        if self.part is not None:
            total = sum([self.part(part) * times for part, times in network.distinct.items()])
        else:
            total = sum(self.layers(network))
        return total + (self.more(network) if self.more else 0)

    def layers(self, network: Network) -> list[int]:
        """Return what each layer adds to it."""
        if self.part is not None:
            return [self.part(part) for _, part in network.parts]
        assert self.network is not None
        return self.network(network)


def _of(part: Part, kinds: tuple[str, ...], amount: int) -> int:
    return amount if part.kind in kinds else 0


def _ptflops_once(network: Network) -> list[int]:
    """What ptflops counted before it also counted functions, which doubled ReLU and pooling modules (its README has that table)."""
    amounts = network.counted("ptflops")
    return [
        amount // 2 if part.op == "ReLU" or part.kind == "pooling" else amount
        for amount, (_, part) in zip(amounts, network.parts, strict=True)
    ]


def _statistics(part: Part) -> int:
    return part.buffers - part.counters if part.kind == "BatchNorm" else 0


def _without_head(network: Network, amount: OfPart) -> list[int]:
    """The amounts but for the last linear layer's: a network that is used for its features."""
    last = max((index for index, (_, part) in enumerate(network.parts) if part.kind == "linear"), default=None)
    return [0 if index == last else amount(part) for index, (_, part) in enumerate(network.parts)]


def _convention(name: str) -> Measure:
    tool = CONVENTIONS[name]
    unit = "FLOPs" if tool.multiply_add == 2 else "operations"  # where a multiply-add counts one, tools call it by any name
    words = f"{unit} as {name} {tool.version.partition(' ')[0]} counts them"
    return Measure(name, words, "macs", 1, network=lambda network: network.counted(name))


_FULL = Measure("full", "operations, a multiply-accumulate as two and all element-wise work", "macs", 1,
                network=lambda network: network.counted("full"))  # fmt: skip
_PARAMS = (
    Measure("params", "parameters", "params", 0, lambda p: p.params),
    Measure("trainable", "trainable parameters", "params", 0, lambda p: p.trainable),
    Measure("params-side-heads", "parameters without the side heads'", "params", 1, lambda p: p.params - p.idle),
    Measure("params+statistics", "parameters and BatchNorm's running statistics", "params", 2,
            lambda p: p.params + _statistics(p)),
    Measure("params+buffers", "parameters and buffers", "params", 2, lambda p: p.params + p.buffers),
    Measure("params-biases", "parameters without biases", "params", 2, lambda p: p.params - p.biases),
    Measure("params-norms", "parameters without those of the normalisations", "params", 2,
            lambda p: p.params - _of(p, NORMS, p.params)),
    Measure("weights", "parameters without biases and normalisations", "params", 3,
            lambda p: p.params - p.biases - _of(p, NORMS, p.params)),
    Measure("params-head", "parameters without the last linear layer's", "params", 3,
            network=lambda network: _without_head(network, lambda p: p.params)),
    Measure("params+statistics-head", "parameters and BatchNorm's running statistics, without the last linear layer's", "params", 4,
            network=lambda network: _without_head(network, lambda p: p.params + _statistics(p))),
    Measure("params-convolutions", "parameters of the convolutions alone", "params", 3, lambda p: _of(p, CONVOLUTIONS, p.params)),
    Measure("params-linear", "parameters of the linear layers alone", "params", 3, lambda p: _of(p, ("linear",), p.params)),
)  # fmt: skip
_WORK = (
    Measure("macs", "MACs", "macs", 0, lambda p: p.macs),
    Measure("connections", "connections", "macs", 0, lambda p: p.connections),
    Measure("macs-side-heads", "MACs without the side heads", "macs", 1, lambda p: 0 if p.aside else p.macs),
    *(_convention(name) for name in CONVENTIONS if name not in ("macs", "onnx-tool", "netscope", "full")),
    Measure(
        "ptflops-once", "operations as in the table of ptflops's README, ReLU and pooling once", "macs", 1, network=_ptflops_once
    ),
    *(_convention(name) for name in ("onnx-tool", "netscope")),
    _FULL,
    Measure("macs-convolutions", "MACs of the convolutions alone", "macs", 2, lambda p: _of(p, CONVOLUTIONS, p.macs)),
    Measure("macs-linear", "MACs of the linear layers alone", "macs", 3, lambda p: _of(p, ("linear",), p.macs)),
    Measure("2*macs-convolutions", "2 x the MACs of the convolutions alone", "macs", 3, lambda p: 2 * _of(p, CONVOLUTIONS, p.macs)),
)  # fmt: skip
_UNITS = (
    Measure("neurons", "neurons", "neurons", 0, lambda p: p.neurons),
    Measure("neurons+input", "neurons and the numbers of the input", "neurons", 2, lambda p: p.neurons,
            more=lambda network: network.input_elements),
    Measure("outputs", "numbers in the outputs of all layers", "neurons", 2, lambda p: p.elements),
    Measure("outputs+input", "numbers in the input and the outputs of all layers", "neurons", 3, lambda p: p.elements,
            more=lambda network: network.input_elements),
)  # fmt: skip
_BYTES = (
    Measure("param_bytes", "bytes of parameters in float32", "param_bytes", 0, lambda p: ITEM_BYTES * p.params, byte=True),
    Measure("state_dict", "bytes of a state_dict, buffers included", "param_bytes", 0,
            lambda p: ITEM_BYTES * (p.params + p.buffers - p.counters) + TRACKED_BYTES * p.counters, byte=True),
    Measure("state_bytes", "bytes of parameters and BatchNorm's running statistics", "param_bytes", 1,
            lambda p: ITEM_BYTES * (p.params + _statistics(p)), byte=True),
    Measure("output_bytes", "bytes of the outputs of all layers", "output_bytes", 1, lambda p: p.bytes, byte=True),
    Measure("saved_bytes", "bytes that autograd keeps for the backward pass", "output_bytes", 1,
            network=lambda network: network.saved, byte=True, own_only=True),
    Measure("half_bytes", "bytes of parameters in 16 bits", "param_bytes", 2, lambda p: 2 * p.params, byte=True),
    Measure("2*outputs", "bytes of all outputs and their gradients", "output_bytes", 2,
            lambda p: 2 * _of(p, ARITHMETIC, p.bytes), byte=True),
    Measure("2*weighted", "bytes of the outputs of layers with parameters, and their gradients (torchinfo's forward/backward)",
            "output_bytes", 2, lambda p: 2 * p.bytes if p.weighted and not p.aside else 0, byte=True),
    Measure("8_bit", "bytes of parameters in 8 bits", "param_bytes", 3, lambda p: p.params, byte=True),
)  # fmt: skip
MEASURES = (*_PARAMS, *_WORK, *_UNITS, *_BYTES)
BY_KEY = {measure.key: measure for measure in MEASURES}
