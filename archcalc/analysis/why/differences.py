"""What takes the model that was asked for to the number: item by item, by layers or by kinds of layers, so that it adds up."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import msgspec

from archcalc.analysis.alignment import Likeness, align
from archcalc.analysis.conventions import CONVENTIONS, HEADS, ledger
from archcalc.analysis.why.changes import OWN, Changed, comment
from archcalc.analysis.why.measures import BY_KEY, Measure, Network
from archcalc.analysis.why.printed import LISTS
from archcalc.analysis.why.reading import PRINTED, readings
from archcalc.analysis.why.search import Answer, Candidate
from archcalc.graph import Graph, Node

REST = "not accounted for"
_NEAR = 0.01  # the share of its value that a candidate may be off for the way to it to be told
_MOST_TOGETHER = 2  # amounts that are added up to explain what is left; of more, some sum fits by chance


class Item(msgspec.Struct, frozen=True):
    """One layer or kind of layer: what it counts in the model that was asked for, in the answer, and what ``differs`` about it."""

    name: str
    first: int | None
    second: int | None
    difference: int
    differs: dict[str, tuple[Any, ...]] = {}


class Differences(msgspec.Struct, frozen=True):
    """From ``first``, the ``words`` of the model that was asked for, by the items to ``second``; ``notes`` say more."""

    words: str
    first: int
    second: int
    items: tuple[Item, ...]
    notes: tuple[str, ...]


def differences(answer: Answer) -> Differences | None:
    """Return how the best candidate, or the nearest one, differs from the model as it is; None where nothing is to be told."""
    candidates = answer.answers or answer.nearest
    if not candidates or answer.best is None:
        return None
    best, network = candidates[0], Network(answer.asked.graph(), answer.asked.dtype)
    measure = BY_KEY.get(best.measure, BY_KEY["params"])
    near = best.fit or abs(best.off) <= _NEAR * best.value
    start, items = _itemised(best, measure, answer.best, network) if near else (measure, [])
    first = start.value(network)
    if not best.fit:
        rest = best.value - best.off - first - sum(item.difference for item in items)
        items = [*items, Item(REST, None, None, rest)]
    second = first + sum(item.difference for item in items)
    return Differences(start.words, first, second, tuple(items), tuple(_notes(answer, best, network)))


def _itemised(best: Candidate, measure: Measure, changed: Changed, network: Network) -> tuple[Measure, list[Item]]:
    """Return the way of counting that the difference starts from, and its items."""
    if best.fit == PRINTED or best.measure in ("file", "params-layer"):
        return _outside(best, network)
    if best.layer is not None or any(step.startswith("a batch of") for step in best.steps):
        return measure, []
    if changed.level == OWN:
        base = BY_KEY[measure.base]
        return base, list(_by_kind(network, base, measure))
    return measure, list(_by_layer(network, Network(changed.build(), network.dtype), measure))


def _outside(best: Candidate, network: Network) -> tuple[Measure, list[Item]]:
    """Return the items for what no network has as a whole: a printed list, a file, all layers but one."""
    if best.measure == "params-layer":
        name = best.words.rpartition(" ")[2]
        measure = BY_KEY["params"]
        return measure, [Item(name, measure.value(network) - best.value, 0, best.value - measure.value(network))]
    if best.measure == "file":
        measure = BY_KEY["state_dict"]
        return measure, [Item("the file's own records, and rounding", None, None, best.value - measure.value(network))]
    measure = BY_KEY[best.measure]
    own = dict(zip([name for name, _ in network.parts], measure.layers(network), strict=True))
    printed = next(one for one in LISTS if best.value == one.total or (best.layer, best.value) in one.rows)
    rows = [(layer, number) for layer, number in printed.rows if layer in own and best.layer in (None, layer)]
    items = [Item(layer, own[layer], number, number - own[layer]) for layer, number in rows if number != own[layer]]
    return measure, items if best.layer is None else []


def _by_kind(network: Network, base: Measure, measure: Measure) -> Iterator[Item]:
    """Yield what each kind of layer counts more in one way of counting than in the other."""
    if base.key in CONVENTIONS and measure.key in CONVENTIONS:
        found = ledger(network.graph, base.key, measure.key)
        for line in found.differences:
            yield Item(line.kind, found.first.by_kind.get(line.kind, 0), found.second.by_kind.get(line.kind, 0), line.amount)
        return
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (_, part), a, b in zip(network.parts, base.layers(network), measure.layers(network), strict=True):
        kind = HEADS if part.aside else part.kind
        first[kind] += a
        second[kind] += b
    for kind in first:
        if first[kind] != second[kind]:
            yield Item(kind, first[kind], second[kind], second[kind] - first[kind])
    more = measure.more(network) if measure.more else 0
    if more:
        yield Item("input", 0, more, more)


def _by_layer(network: Network, other: Network, measure: Measure) -> Iterator[Item]:
    """Yield the layers that count differently in the two networks, or that one of them has not."""
    nodes = [list(one.graph.layers) for one in (network, other)]
    amounts = [measure.layers(one) for one in (network, other)]
    pairs = dict(align(_likenesses(network), _likenesses(other)))
    paired = {j: i for i, j in pairs.items()}
    waiting = 0  # the other's layers stand before the first of those that come after them
    for i, node in enumerate(nodes[0]):
        j = pairs.get(i)
        for k in range(waiting, j if j is not None else waiting):
            if k not in paired and amounts[1][k]:
                yield Item(nodes[1][k].name, None, amounts[1][k], amounts[1][k])
        if j is None:
            if amounts[0][i]:
                yield Item(node.name, amounts[0][i], None, -amounts[0][i])
            continue
        waiting = j + 1
        if amounts[0][i] != amounts[1][j]:
            name = " / ".join(dict.fromkeys((node.name, nodes[1][j].name)))
            told = _differs(network.graph, node, other.graph, nodes[1][j])
            yield Item(name, amounts[0][i], amounts[1][j], amounts[1][j] - amounts[0][i], told)
    for k in range(waiting, len(nodes[1])):
        if amounts[1][k]:
            yield Item(nodes[1][k].name, None, amounts[1][k], amounts[1][k])
    more = measure.more(other) - measure.more(network) if measure.more else 0
    if more:
        yield Item("input", None, None, more)


def _likenesses(network: Network) -> list[Likeness]:
    """Return what layers are set side by side by; a unit is one, be it of a convolution, a linear layer or a distance.

    The path holds the kind too, so that two layers are not alike for being the third of their scope.
    """
    kinds = ["units" if part.neurons and part.kind != "pooling" else part.kind for _, part in network.parts]
    return [
        Likeness(f"{kind} {name}", kind, part.elements, part.params)
        for kind, (name, part) in zip(kinds, network.parts, strict=True)
    ]


def _differs(graph: Graph, node: Node, other: Graph, partner: Node) -> dict[str, tuple[Any, ...]]:
    """Return what is not the same of two layers: the operator, or else its arguments and the channels that come in; the output."""
    if type(node.op) is not type(partner.op):
        found: dict[str, tuple[Any, ...]] = {"op": (type(node.op).__name__, type(partner.op).__name__)}
    else:
        own, theirs = msgspec.structs.asdict(node.op), msgspec.structs.asdict(partner.op)
        found = {name: (own[name], theirs[name]) for name in own}
        if not node.op.merges:
            found["in_channels"] = (graph.x(node).c, other.x(partner).c)
    found["output_shape"] = (tuple(node.output), tuple(partner.output))
    return {name: values for name, values in found.items() if values[0] != values[1]}


def _notes(answer: Answer, best: Candidate, network: Network) -> Iterator[str]:
    """Yield what the spec's author says of what was changed, what was printed besides, and what the rest may be."""
    assert answer.best is not None
    for step in answer.best.changes:
        said = comment(answer.asked.spec, step.param) if step.param else ""
        if said:
            yield f"{step.param}: {said}"
    for one in LISTS:
        own = dict(zip([name for name, _ in network.parts], BY_KEY[one.measure].layers(network), strict=True))
        if one.is_about(answer.asked.spec.name, own) and one.measure == best.measure:
            if best.fit == PRINTED and best.layer in own:
                yield f"{best.layer} has {own[best.layer]:,} {one.measure}"
            yield f"{one.source} lists {one.total:,} in all, {one.total - sum(own.values()):+,} to the layers' own; {one.sentence}"
    if not best.fit:
        yield from _accounts(answer, network)


def _accounts(answer: Answer, network: Network) -> Iterator[str]:
    """Yield a sum of what kinds of layers hold that takes a plain count of the model to the number exactly."""
    reading = readings(answer.number)[0]
    if not reading.exact or reading.byte or reading.target <= 0 or reading.target.denominator > 1:
        return
    for measure in (BY_KEY["params"], BY_KEY["macs"]):
        total, pool = measure.value(network), _amounts(network, measure)
        terms = next(_sums(pool, int(reading.target) - total), None)
        if terms is not None:
            words = " ".join(f"{'+' if amount > 0 else '-'} {name} {abs(amount):,}" for name, amount in terms)
            yield f"{int(reading.target):,} = {measure.words} {total:,} {words}"


def _sums(pool: dict[str, int], wanted: int) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield the few amounts, each added or taken off, that make up what is wanted exactly; the fewest first."""
    signed = [(name, sign * amount) for name, amount in pool.items() for sign in (1, -1)]
    for count in range(1, _MOST_TOGETHER + 1):
        for terms in combinations(signed, count):
            if sum(amount for _, amount in terms) == wanted:
                yield terms


def _amounts(network: Network, measure: Measure) -> dict[str, int]:
    """Return what is to be had for a sum: what the kinds of layers amount to, and their biases, statistics and outputs."""
    pool: Counter[str] = Counter()
    for (_, part), amount in zip(network.parts, measure.layers(network), strict=True):
        pool[f"{part.kind}'s {measure.words}"] += amount
        if measure.key == "params":
            pool[f"{part.kind}'s biases"] += part.biases
            pool[f"{part.kind}'s buffers"] += part.buffers
        else:
            pool[f"{part.kind}'s outputs"] += part.elements
    return {name: amount for name, amount in pool.items() if amount}
