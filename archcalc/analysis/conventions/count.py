"""Counting conventions at work: a network's total as a tool prints it, and what takes one tool's total to another's."""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import msgspec

from archcalc.analysis.conventions.data import CONVENTIONS, Convention, Rule
from archcalc.analysis.conventions.terms import BIASES, Site, Summand, folds, parse
from archcalc.errors import UsageError, did_you_mean
from archcalc.graph import Graph, Node, only_in_training
from archcalc.ops.norm import BatchNorm1d, BatchNorm2d
from archcalc.ops.rearrange import Dropout, Identity

__all__ = [
    "CONVENTIONS",
    "KINDS",
    "Convention",
    "Count",
    "Difference",
    "Ledger",
    "convention",
    "count",
    "layer_counts",
    "ledger",
    "ledgers",
]

# The lines of a ledger, in the order in which they are printed.
KINDS: dict[str, str] = {
    "convolution": "Conv1d Conv2d Conv3d ConnectedConv2d",
    "transposed convolution": "ConvTranspose2d",
    "linear": "Linear",
    "BatchNorm": "BatchNorm1d BatchNorm2d",
    "LayerNorm": "LayerNorm",
    "GroupNorm": "GroupNorm",
    "local response norm": "LocalResponseNorm",
    "activation": "ReLU ReLU6 LeakyReLU PReLU ELU GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh ScaledTanh",
    "softmax": "Softmax LogSoftmax",
    "pooling": "MaxPool2d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d GlobalAvgPool2d TrainableSubsample2d",
    "resampling": "Upsample Resize",
    "addition": "Add",
    "product": "Multiply",
    "distance": "RBF",
    "moving": "Flatten Identity Dropout ZeroPad2d ChannelShuffle ShortcutA Concat",
}
_KIND_OF = {operator: kind for kind, operators in KINDS.items() for operator in operators.split()}
BIAS = " bias"  # behind a kind: the line of its biases
HEADS = "side heads"  # the line of all that runs in training alone
_LINES = (*(line for kind in KINDS for line in (kind, kind + BIAS)), HEADS)


class Count(msgspec.Struct, frozen=True):
    """A network under one convention. ``by_kind`` sums up to ``total``; side heads are a kind of their own.

    ``unsupported`` says of how many layers of which operators the tool knows nothing: they add nothing to its total, which is what
    it prints. ``slips`` are sentences on what the tool miscounts in this network.
    """

    convention: str
    total: int
    by_kind: dict[str, int]
    unsupported: dict[str, int]
    slips: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True):
    """What one kind of layer has more in the second count than in the first."""

    kind: str
    amount: int


class Ledger(msgspec.Struct, frozen=True):
    """Two counts of one network and the differences that take the first total to the second."""

    first: Count
    second: Count
    differences: tuple[Difference, ...]


def convention(name: str) -> Convention:
    """Return the convention of this name. Raises UsageError if there is none."""
    if name not in CONVENTIONS:
        way_out = did_you_mean(name, list(CONVENTIONS)) or f"one of {', '.join(CONVENTIONS)}"
        raise UsageError("E209", f"there is no counting convention {name}", help=way_out)
    return CONVENTIONS[name]


def count(graph: Graph, name: str) -> Count:
    """Return what the tool would print for the network in evaluation mode. Raises UsageError for an unknown convention."""
    chosen = convention(name)
    by_kind: Counter[str] = Counter()
    unsupported: Counter[str] = Counter()
    for operator, amounts in _layers(graph, chosen):
        if amounts is None:
            unsupported[operator] += 1
        else:
            by_kind.update(amounts)
    kinds = {line: by_kind[line] for line in _LINES if by_kind[line]}
    return Count(name, sum(kinds.values()), kinds, dict(unsupported), tuple(_slips(graph, chosen)))


def layer_counts(graph: Graph, name: str) -> tuple[int | None, ...]:
    """Return the count of each layer, in the order of ``graph.layers``; None where the tool does not know the operator.

    A layer of a side head, which a tool does not meet in evaluation mode, counts 0.
    """
    return tuple(None if amounts is None else sum(amounts.values()) for _, amounts in _layers(graph, convention(name)))


def ledger(graph: Graph, first: str, second: str) -> Ledger:
    """Return what takes the total of one convention to that of another, by kind of layer."""
    return _ledger(count(graph, first), count(graph, second))


def ledgers(graph: Graph) -> tuple[Ledger, ...]:
    """Return every convention's count, held against the plain one that calls a multiply-accumulate the same."""
    counts = {name: count(graph, name) for name in CONVENTIONS}
    return tuple(_ledger(counts[_plain(chosen)], counts[chosen.name]) for chosen in CONVENTIONS.values())


def _plain(chosen: Convention) -> str:
    """Return the convention of nothing but multiply-accumulates to hold this one against; itself for the first."""
    return "torch" if chosen.multiply_add == 2 and chosen.name != "torch" else "macs"


def _ledger(first: Count, second: Count) -> Ledger:
    amounts = ((line, second.by_kind.get(line, 0) - first.by_kind.get(line, 0)) for line in _LINES)
    return Ledger(first, second, tuple(Difference(line, amount) for line, amount in amounts if amount))


def _layers(graph: Graph, chosen: Convention) -> Iterator[tuple[str, dict[str, int] | None]]:
    """Return each layer's operator and its amounts by line of the ledger, None where the tool does not know it."""
    aside = only_in_training(graph)
    folded = _folded(graph, aside)
    known: dict[Site, dict[str, int] | None] = {}  # repeated blocks ask the same question again and again
    for index, node in enumerate(graph.nodes):
        if not node.inputs:
            continue
        operator = type(node.op).__name__
        if aside[index] and not chosen.heads:
            yield operator, {}
            continue
        site = Site(node.op, graph.x(node), node.output, index in folded)
        if site not in known:
            known[site] = _amounts(chosen, operator, site)
        amounts = known[site]
        yield operator, {HEADS: sum(amounts.values())} if aside[index] and amounts else amounts


def _amounts(chosen: Convention, operator: str, site: Site) -> dict[str, int] | None:
    rule = _rules(chosen.name)[operator]
    if isinstance(rule, dict):
        rule = rule[site.op.mode]
    if rule is None:
        return None
    amounts: dict[str, int] = {}
    for summand in rule:
        value = summand.at(site)
        if value is None:
            return None
        line = _KIND_OF[operator] + (BIAS if summand.term in BIASES else "")
        amounts[line] = amounts.get(line, 0) + value
    return amounts


Summands = tuple[Summand, ...] | None


@cache
def _rules(name: str) -> dict[str, Summands | dict[str, Summands]]:
    """Return the rule of each operator as summands: none of them for a stated zero, None where the tool does not know it."""
    return {
        operator: {mode: _read(one) for mode, one in rule.items()} if not isinstance(rule, (str, int, type(None))) else _read(rule)
        for operators, rule in CONVENTIONS[name].rules.items()
        for operator in operators.split()
    }


def _read(rule: Rule) -> Summands:
    if rule is None:
        return None
    return parse(rule) if isinstance(rule, str) else ()


def _folded(graph: Graph, aside: list[bool]) -> frozenset[int]:
    """Return the BatchNorms that an exporter folds into the convolution before them, and those convolutions.

    It does so where nothing else reads the convolution; what evaluation leaves out (Dropout, Identity) does not stand between, and
    nodes ``aside`` read nothing.
    """
    readers = Counter(i for node, alone in zip(graph.nodes, aside, strict=True) if not alone for i in node.inputs)
    readers[graph.outputs["output"]] += 1
    found: set[int] = set()
    for index, node in enumerate(graph.nodes):
        if isinstance(node.op, (BatchNorm1d, BatchNorm2d)) and node.op.track_running_stats:
            source = node.inputs[0]
            while isinstance(graph.nodes[source].op, (Dropout, Identity)) and readers[source] == 1:
                source = graph.nodes[source].inputs[0]
            if folds(graph.nodes[source].op) and readers[source] == 1:
                found |= {source, index}
    return frozenset(found)


def _slips(graph: Graph, chosen: Convention) -> Iterator[str]:
    """Return the sentences of the slips that this network runs into."""
    ops: dict[str, list[Node]] = {}
    for node, alone in zip(graph.nodes, only_in_training(graph), strict=True):
        if not alone:
            ops.setdefault(type(node.op).__name__, []).append(node)
    for slip in chosen.slips:
        if any(slip.when(node.op) for operator in slip.operators.split() for node in ops.get(operator, ())):
            yield slip.sentence
