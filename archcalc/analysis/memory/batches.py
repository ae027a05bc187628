"""One network at any batch: the run is simulated at two of them, and every storage's bytes lie on the line through both."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import STEP, Storage, Trace
from archcalc.graph import Graph, Node, bounded
from archcalc.ops import Input
from archcalc.shape import Shape

PROBES = 2, 3  # not 1: the gradients of a lone image may be added in place where those of several are not


def rebatched(graph: Graph, batch: int) -> Graph:
    """Return the same network for another number of images.

    Raises ShapeError if a tensor would be too large to exist.
    """
    nodes: list[Node] = []
    outputs: dict[Any, Shape] = {}  # repeated blocks ask the same question again and again
    for node in graph.nodes:
        if isinstance(node.op, Input):
            sizes = (batch, *node.output[1:])
            nodes.append(replace(node, op=Input(sizes), output=bounded(Shape(sizes))))
            continue
        x: Any = tuple([nodes[i].output for i in node.inputs]) if node.op.merges else nodes[node.inputs[0]].output
        output = outputs.get((node.op, x))
        if output is None:
            output = outputs[node.op, x] = bounded(node.op.output(x))
            assert output[1:] == node.output[1:], f"{node.name} mixes the images of a batch"
        nodes.append(replace(node, output=output))
    return replace(graph, nodes=tuple(nodes))


class Line(NamedTuple):
    """The largest batch within a limit, by the bytes that live at once, and how those grow there.

    ``batch`` is None where no batch reaches the limit, and 0 where not even one image fits.
    """

    batch: int | None
    fixed_bytes: int
    bytes_per_image: int


class Run(NamedTuple):
    """A run at any batch: the events of a trace, and of each storage the bytes that do not grow, and those of each image."""

    trace: Trace
    fixed: tuple[int, ...]
    per_image: tuple[int, ...]

    def sizes(self, batch: int) -> list[int]:
        """Return the bytes of every storage."""
        return [fixed + batch * slope for fixed, slope in zip(self.fixed, self.per_image, strict=True)]

    def at(self, batch: int) -> Trace:
        """Return the trace at this batch."""
        named = zip(self.trace.storages, self.sizes(batch), strict=True)
        return self.trace._replace(storages=tuple([Storage(what, node, size) for (what, node, _), size in named]))

    def largest(self, limit: int) -> Line:
        """Return the largest batch whose living storages never take more than ``limit`` bytes.

        What lives after each event is on a line over the batch, so the answer is the smallest of the places where these lines cross
        the limit.
        """
        fixed = slope = 0
        tightest = Line(None, 0, 0)
        for _, storage, change in self.trace.events:
            fixed += change * self.fixed[storage]
            slope += change * self.per_image[storage]
            if change > 0 and (fixed > limit or slope):
                most = max(0, (limit - fixed) // slope) if slope > 0 else 0
                if tightest.batch is None or most < tightest.batch:
                    tightest = Line(most, fixed, slope)
        return tightest


class Sizes(dict[int, int]):
    """The bytes of a run's storages at a batch, each reckoned when it is first asked for: most runs that do not fit end early."""

    def __init__(self, run: Run, batch: int):
        super().__init__()
        self.run, self.batch = run, batch

    def __missing__(self, storage: int) -> int:
        size = self[storage] = self.run.fixed[storage] + self.batch * self.run.per_image[storage]
        return size


class Batches:
    """The runs of one network under any plan."""

    def __init__(self, graph: Graph):
        self.lone, self.first, self.second = (rebatched(graph, batch) for batch in (1, *PROBES))
        self._runs: dict[Plan, Run] = {}  # the first for each plan but for the optimizer

    def run(self, plan: Plan) -> Run:
        """Return the run at every batch but 1.

        What an optimizer adds does not grow with the batch, so its second run is spared where another optimizer had one.
        """
        first = simulate(self.first, plan)
        alike = replace(plan, optimizer="sgd", weight_decay=False, implementation="foreach")
        before = self._runs.get(alike)
        slopes = None if before is None else _slopes(first, before)
        if slopes is None:
            found = through(first, simulate(self.second, plan))
        else:
            low = PROBES[0]
            fixed = [storage.bytes - low * slope for storage, slope in zip(first.storages, slopes, strict=True)]
            found = Run(first, tuple(fixed), tuple(slopes))
        self._runs.setdefault(alike, found)
        return found

    def run_of_one(self, plan: Plan) -> Run:
        """Return the run of a lone image, as one that does not grow."""
        trace = simulate(self.lone, plan)
        return Run(trace, tuple([storage.bytes for storage in trace.storages]), (0,) * len(trace.storages))


def _slopes(trace: Trace, other: Run) -> list[int] | None:
    """Return the bytes per image of a trace's storages from a run that differs in its optimizer; None if in something else too."""
    known = iter(
        [(one, slope) for one, slope, own in zip(other.trace.storages, other.per_image, _own(other.trace), strict=True) if not own]
    )
    slopes = []
    for storage, own in zip(trace.storages, _own(trace), strict=True):
        if own:
            slopes.append(0)
            continue
        twin, slope = next(known, (None, 0))
        if twin != storage:
            return None
        slopes.append(slope)
    return slopes


def _own(trace: Trace) -> list[bool]:
    """Return, for each storage, whether it is the optimizer's: its state, or what its step allocates."""
    own = [storage.what == "optimizer state" for storage in trace.storages]
    for moment, storage, change in trace.events:
        if change > 0 and trace.moments[moment].phase == STEP:
            own[storage] = True
    return own


def through(first: Trace, second: Trace) -> Run:
    """Return the line through the traces at PROBES, which differ in nothing but their sizes."""
    assert len(first.storages) == len(second.storages)
    assert len(first.events) == len(second.events), "a run has the same events at every batch"
    low, high = PROBES
    slopes = []
    for one, other in zip(first.storages, second.storages, strict=True):
        slope, rest = divmod(other.bytes - one.bytes, high - low)
        assert not rest, f"the {one.what} of {one.node} does not grow evenly with the batch"
        slopes.append(slope)
    fixed = tuple([one.bytes - low * slope for one, slope in zip(first.storages, slopes, strict=True)])
    return Run(first, fixed, tuple(slopes))
