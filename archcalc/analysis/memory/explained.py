"""The peak explained: which storages live at the height of a training step, whose they are, and why they are still there."""

from archcalc.analysis.explanation import Explanation, Term
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.report import standing
from archcalc.analysis.memory.simulate import LOSS, simulate
from archcalc.analysis.memory.trace import Peak, Storage, Trace, peak
from archcalc.errors import UsageError
from archcalc.graph import Graph

PLAN = "a training step with SGD and momentum, by the rules of CUDA"
# What a storage is for -> why it is there at such a moment, in the order of telling.
RULES: dict[str, str] = {
    "parameter": "parameters are there throughout",
    "buffer": "buffers are there throughout",
    "optimizer state": "momentum remembers a number for each parameter, from step to step",
    "input": "the caller holds the input",
    "target": "the caller holds the targets",
    "output": "an output lives to its last use: in the backward pass where a derivative needs it (--quantity saved says whose)",
    "saved": "what a layer saves besides, such as indices and statistics, lives until its own backward pass is done",
    "cast": "autocast's copies live until their kernel is done, or their backward pass where they are saved",
    "gradient": "a gradient lives from the layer that made it to the one that reads it",
    "parameter gradient": "gradients of parameters stay once they are made, until zero_grad(set_to_none=True) before the next step",
    "scratch": "scratch lives only while a kernel works in it",
    "loss": "the loss and its gradient, a number each, are held by the caller",
}


def explain_peak(graph: Graph, layer: str | None, dtype: str) -> Explanation:
    """Return what makes the peak of a training step, or the most that lives while a layer is at work in it.

    Raises UsageError if there is no such layer, and for a type in which nothing can be trained.
    """
    trace = simulate(graph, Plan(train=True, dtype=dtype))
    if layer is None:
        return _explanation(peak(trace), None, "", "peak")
    node = graph.find(layer)
    if not node.inputs:
        way_out = f"archcalc explain {graph.name} --quantity peak"
        raise UsageError("E231", f"{node.name} is given, and nothing runs there", help=way_out)
    return _explanation(_while(trace, node.name), node.name, type(node.op).__name__, "the most that lives while it runs")


def _while(trace: Trace, layer: str) -> Peak:
    """Return the most that lives in the moments when a layer is at work, also where it allocates nothing."""
    sizes = [storage.bytes for storage in trace.storages]
    events = trace.events
    live, place, most, end, at = 0, 0, -1, 0, trace.moments[0]
    for index, moment in enumerate(trace.moments):
        here = moment.node == layer
        if here and live > most:
            most, end, at = live, place, moment
        while place < len(events) and events[place][0] == index:
            _, storage, change = events[place]
            live += change * sizes[storage]
            place += 1
            if here and live > most:
                most, end, at = live, place, moment
    return Peak(most, at, standing(trace, end))


def _explanation(found: Peak, layer: str | None, op: str, what: str) -> Explanation:
    owners: dict[str, list[Storage]] = {}
    for storage in found.live:
        if storage.bytes:
            owners.setdefault(storage.node or "targets", []).append(storage)
    terms = tuple(Term(owner, sum(storage.bytes for storage in some), _told(some)) for owner, some in owners.items())
    present = {storage.what for storage in found.live}
    where = f"at {found.moment.node}" if found.moment.node else ""
    phase = {"forward": "in its forward pass", "backward": "in its backward pass", "step": "in the optimizer's step"}
    stands = f"{what} in {PLAN}: {phase.get(found.moment.phase, 'before it begins')} {where}".rstrip()
    loss = ["the loss is the mean cross entropy, or the mean where the output is no vector of classes"] if LOSS in owners else []
    rules = (rule for what, rule in RULES.items() if what in present)
    return Explanation("peak", layer, op, found.bytes, notes=(stands, *rules, *loss), terms=terms)


def _told(storages: list[Storage]) -> str:
    """Return the bytes of a layer's storages with what each is for; those for the same thing stand together."""
    kinds: dict[str, list[int]] = {}
    for storage in storages:
        kinds.setdefault(storage.what, []).append(storage.bytes)
    return " + ".join(f"{what} {' + '.join(f'{size:,}' for size in sizes)}" for what, sizes in kinds.items())
