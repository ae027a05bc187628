"""What a run takes, by name: parameters, gradients, optimizer state, what autograd keeps, and the peak with what makes it."""

import msgspec

from archcalc.analysis.memory.allocator import repeated, replay
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.saved import saved_bytes
from archcalc.analysis.memory.simulate import Recomputation, recomputation, simulate
from archcalc.analysis.memory.terms import Term, terms
from archcalc.analysis.memory.trace import BACKWARD, FORWARD, START, Moment, Storage, Trace
from archcalc.graph import Graph, Node

Amounts = dict[tuple[str, str], int]  # of bytes, by layer and by what they are for, or by phase

# What a storage is for -> the group it is told under, in the order of telling.
GROUPS: dict[str, str] = {
    "parameter": "parameters",
    "buffer": "buffers",
    "optimizer state": "optimizer state",
    "input": "input",
    "target": "input",
    "output": "activations",
    "saved": "activations",
    "cast": "activations",
    "loss": "activations",
    "received": "activations",
    "gradient": "gradients of activations",
    "parameter gradient": "gradients of parameters",
    "scratch": "scratch",
}


class LayerBytes(msgspec.Struct, frozen=True):
    """The share of one layer, or of one of the network's inputs, in bytes.

    ``saved_bytes`` is what autograd keeps of what the layer made. ``forward_peak_bytes`` and ``backward_peak_bytes`` are the most
    that lives anywhere while the layer runs, null where it does not.
    """

    name: str
    op: str
    param_bytes: int
    buffer_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    output_bytes: int
    saved_bytes: int
    forward_peak_bytes: int | None
    backward_peak_bytes: int | None


class Live(msgspec.Struct, frozen=True):
    """What lives at one moment: ``what`` for, the layer that made it or holds it, and its bytes."""

    what: str
    layer: str
    bytes: int


class Instant(msgspec.Struct, frozen=True):
    """One moment of a run: its phase, the layer at work, the most bytes that live during it, by group, and what is left behind it.

    ``allocated`` and ``released`` are the bytes that come and go meanwhile.
    """

    phase: str
    layer: str
    peak_bytes: int
    live_bytes: int
    allocated_bytes: int
    released_bytes: int
    groups: dict[str, int]


class Usage(msgspec.Struct, frozen=True):
    """The bytes of one run. ``peak`` are the storages that live together when ``peak_bytes`` is reached, at ``peak_at``.

    ``allocated_peak_bytes`` and ``reserved_peak_bytes`` are those of CUDA's caching allocator, null under the CPU's rules. The
    ``terms`` are among none of these.
    """

    plan: Plan
    param_bytes: int
    buffer_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    saved_bytes: int
    peak_bytes: int
    peak_at: Moment
    peak: tuple[Live, ...]
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    checkpoint: Recomputation | None
    layers: tuple[LayerBytes, ...]
    timeline: tuple[Instant, ...]
    terms: tuple[Term, ...]


def usage(graph: Graph, plan: Plan, *, gpu: str | None = None, context_bytes: int | None = None) -> Usage:
    """Return the bytes of a run; ``gpu`` and ``context_bytes`` say what is known of the device, for the terms."""
    trace = simulate(graph, plan)
    timeline, peak, live = _timeline(trace)
    blocks = None
    if plan.rules == "cuda":
        blocks = replay([storage.bytes for storage in trace.storages], twice(trace))
    sums = _by_layer(trace)
    kept = saved_bytes(graph, plan, trace)
    highs: Amounts = {}
    for instant in timeline:
        highs[instant.layer, instant.phase] = max(highs.get((instant.layer, instant.phase), 0), instant.peak_bytes)
    layers = tuple(_layer(node, sums, kept, highs) for node in graph.nodes)
    return Usage(
        plan=plan,
        param_bytes=_total(trace, ("parameter",)),
        buffer_bytes=_total(trace, ("buffer",)),
        gradient_bytes=_total(trace, ("parameter gradient",)),
        optimizer_bytes=_total(trace, ("optimizer state",)),
        saved_bytes=sum(kept.values()),
        peak_bytes=timeline[peak].peak_bytes,
        peak_at=trace.moments[peak],
        peak=tuple(Live(storage.what, storage.node, storage.bytes) for storage in live),
        allocated_peak_bytes=None if blocks is None else blocks.allocated_peak_bytes,
        reserved_peak_bytes=None if blocks is None else blocks.reserved_peak_bytes,
        checkpoint=recomputation(graph, plan) if plan.train and plan.checkpoint else None,
        layers=layers,
        timeline=timeline,
        terms=terms(graph, plan, gpu, context_bytes),
    )


def twice(trace: Trace) -> list[tuple[int, int, int]]:
    """Return the events of two steps on end, so that the second meets the cache that the first has left."""
    moments = trace.moments
    started = sum([moments[moment].phase == START for moment, _, _ in trace.events])
    return repeated(trace.events, started)


def _timeline(trace: Trace) -> tuple[tuple[Instant, ...], int, tuple[Storage, ...]]:
    """Return every moment, the index of the one with the peak, and the storages that live there, the oldest first."""
    sizes = [storage.bytes for storage in trace.storages]
    group_of = [GROUPS[storage.what] for storage in trace.storages]
    groups = dict.fromkeys(GROUPS.values(), 0)
    instants: list[Instant] = []
    live = most = at = 0
    events = trace.events
    begin = peak_place = 0
    for index, moment in enumerate(trace.moments):
        end, high_place, before, came = begin, begin, live, 0
        high = live
        while end < len(events) and events[end][0] == index:
            _, storage, change = events[end]
            end += 1
            if change > 0:
                came += sizes[storage]
                live += sizes[storage]
                if live > high:
                    high, high_place = live, end
            else:
                live -= sizes[storage]
        if high > most:
            most, at, peak_place = high, index, high_place
        for _, storage, change in events[begin:high_place]:
            groups[group_of[storage]] += change * sizes[storage]
        shown = {group: size for group, size in groups.items() if size}
        for _, storage, change in events[high_place:end]:
            groups[group_of[storage]] += change * sizes[storage]
        instants.append(Instant(moment.phase, moment.node, high, live, came, before + came - live, shown))
        begin = end
    return tuple(instants), at, standing(trace, peak_place)


def standing(trace: Trace, place: int) -> tuple[Storage, ...]:
    """Return the storages that live once so many events have happened."""
    there: dict[int, None] = {}
    for _, storage, change in trace.events[:place]:
        if change > 0:
            there[storage] = None
        else:
            del there[storage]
    return tuple([trace.storages[storage] for storage in there])


def _by_layer(trace: Trace) -> Amounts:
    """Return the bytes of each layer's storages by what they are for."""
    sums: Amounts = {}
    for what, node, size in trace.storages:
        sums[node, what] = sums.get((node, what), 0) + size
    return sums


def _total(trace: Trace, kinds: tuple[str, ...]) -> int:
    return sum(storage.bytes for storage in trace.storages if storage.what in kinds)


def _layer(node: Node, sums: Amounts, kept: dict[str, int], highs: Amounts) -> LayerBytes:
    return LayerBytes(
        name=node.name,
        op=type(node.op).__name__,
        param_bytes=sums.get((node.name, "parameter"), 0),
        buffer_bytes=sums.get((node.name, "buffer"), 0),
        gradient_bytes=sums.get((node.name, "parameter gradient"), 0),
        optimizer_bytes=sums.get((node.name, "optimizer state"), 0),
        output_bytes=sums.get((node.name, "output" if node.inputs else "input"), 0),
        saved_bytes=kept.get(node.name, 0),
        forward_peak_bytes=highs.get((node.name, FORWARD)),
        backward_peak_bytes=highs.get((node.name, BACKWARD)),
    )
