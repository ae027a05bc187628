"""A run layer by layer, by PyTorch's own profiler: forward by where the time falls, backward by the operation that it undoes."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from torch.autograd import DeviceType  # type: ignore[attr-defined]  # it does not export what its own profiler tells by
from torch.profiler import ProfilerActivity, profile, record_function

from archcalc.analysis.timing.result import Breakdown, TimedLayer
from archcalc.pytorch.bench import groups
from archcalc.pytorch.bench.devices import Device
from archcalc.pytorch.bench.marks import marked
from archcalc.pytorch.bench.segments import Marker, Segment, segments
from archcalc.pytorch.bench.workload import Workload

STEP, SEGMENT = "archcalc: step", "archcalc: segment "
BACKWARD = f"{groups.CONTAINER}engine::evaluate_function: "
ACCUMULATE = BACKWARD + "torch::autograd::AccumulateGrad"
OPTIMIZER = "Optimizer."
LOSS, GRADIENTS, UPDATE, BETWEEN = "loss", "parameter gradients", "optimizer step", "between layers"
OUTSIDE = "outside operators"
KERNELS = "kernels"
SECONDS, LEAST, MOST = 1.0, 5, 50  # how long the profiler looks, and at how many steps


class Seen(NamedTuple):
    """What the profiler says of one operation at the top of a step.

    ``segment`` is the one that it is, or stands in; ``sequence`` its number in the order of creation, by which backward finds it.
    """

    name: str
    seconds: float
    segment: int | None
    sequences: tuple[int, ...]


class Step(NamedTuple):
    """The profiler's event of a step, and those of what ran in it, in the order in which they began."""

    event: Any
    parts: tuple[Any, ...]


class Times(NamedTuple):
    """Seconds of one step: of each segment forward and backward, and of the rest by what it is for."""

    forward: dict[int, float]
    backward: dict[int, float]
    other: dict[str, float]


def breakdown(workload: Workload, device: Device, total: float) -> Breakdown:
    """Return the run taken apart; ``total`` is the median of the undivided run, in seconds.

    By the profiler: what runs within a layer's module, and the backward operations that undo it. In evaluation on a GPU by events
    in a captured graph, with the profiler's account of the kernels beside it. A compiled run by its kernels.
    """
    count = max(LEAST, min(MOST, int(SECONDS / max(total, 1e-9))))
    if workload.configuration.exec == "compile":
        return _by_kernels(workload, device, count, total)
    wanted = segments(workload.graph, workload.training)
    steps = [times(seen) for seen in _profiled(workload, wanted, device, count)]
    forward = [median(step.forward.get(number, 0.0) for step in steps) for number in range(len(wanted))]
    checks: list[float | None] = [None] * len(wanted)
    method = f"profiler, {KERNELS if device.name == 'cuda' else 'operators'}"
    if device.name == "cuda" and not workload.training:
        checks, method = [*forward], "events in a captured graph"
        forward = list(marked(workload, wanted, count).seconds)
    rows = []
    between = 0.0
    for number, segment in enumerate(wanted):
        if segment.layers:
            backward = _backward(steps, number) if workload.training else None
            rows.append(_row(segment, forward[number], backward, checks[number]))
        else:
            between += forward[number]
    names = dict.fromkeys(name for step in steps for name in step.other)
    other = {name: median(step.other.get(name, 0.0) for step in steps) for name in names}
    return _summed(method, count, tuple(rows), other | ({BETWEEN: between} if between else {}), total)


def _by_kernels(workload: Workload, device: Device, count: int, total: float) -> Breakdown:
    on_gpu = device.name == "cuda"
    steps = _steps(workload, device, count)
    found = groups.rows([groups.kernels(step.parts, on_gpu) for step in steps])
    outside = 0.0 if on_gpu else median(step.event.time_range.elapsed_us() for step in steps) / 1e6 - _sum(found)
    return _summed(f"profiler, {KERNELS}", count, found, {OUTSIDE: max(0.0, outside)} if outside else {}, total)


def _summed(method: str, count: int, rows: tuple[TimedLayer, ...], other: dict[str, float], total: float) -> Breakdown:
    return Breakdown(
        method=method,
        repetitions=count,
        layers=rows,
        other_seconds=other,
        sum_seconds=_sum(rows) + sum(other.values()),
        total_seconds=total,
    )


def _sum(rows: Iterable[TimedLayer]) -> float:
    return sum(row.forward_seconds + (row.backward_seconds or 0.0) for row in rows)


def times(seen: Iterable[Seen]) -> Times:
    """Return what each segment took in one step, from its operations in the order in which they ran."""
    forward: dict[int, float] = defaultdict(float)
    backward: dict[int, float] = defaultdict(float)
    other: dict[str, float] = defaultdict(float)
    made: dict[int, int] = {}  # the segment in which the operation of each sequence number was recorded
    for one in seen:
        if one.segment is not None:
            forward[one.segment] += one.seconds
            # An operation that autograd skips bears the number of the next one: the later claim is the true one.
            made |= dict.fromkeys(one.sequences, one.segment)
        elif one.name == ACCUMULATE:
            other[GRADIENTS] += one.seconds
        elif one.name.startswith(BACKWARD):
            home = made.get(one.sequences[0]) if one.sequences else None
            if home is None:
                other[LOSS] += one.seconds
            else:
                backward[home] += one.seconds
        elif one.name == OUTSIDE:
            other[OUTSIDE] += one.seconds
        else:
            other[UPDATE if one.name.startswith(OPTIMIZER) else LOSS] += one.seconds
    return Times(forward, backward, other)


def _backward(steps: Sequence[Times], number: int) -> float:
    return median(step.backward.get(number, 0.0) for step in steps)


def _row(segment: Segment, forward: float, backward: float | None, check: float | None) -> TimedLayer:
    names = tuple([node.name for node in segment.layers])
    kinds = dict.fromkeys(type(node.op).__name__ for node in segment.layers)
    return TimedLayer(
        name=" + ".join(names),
        layers=names,
        op=" + ".join(kinds),
        forward_seconds=forward,
        backward_seconds=backward,
        check_seconds=check,
    )


def _profiled(workload: Workload, wanted: tuple[Segment, ...], device: Device, count: int) -> list[list[Seen]]:
    """Return what the profiler sees of so many steps, their layers told apart by the modules that they run in."""
    open_range: list[Any] = []

    def begin(number: int) -> None:
        if open_range:
            open_range.pop().__exit__(None, None, None)
        if number < len(wanted):
            open_range.append(record_function(f"{SEGMENT}{number}"))
            open_range[0].__enter__()

    on_gpu = device.name == "cuda"
    with Marker(workload.network, wanted, begin).listening():
        steps = _steps(workload, device, count)
    return [[*(seen_of(part, on_gpu) for part in step.parts), *([] if on_gpu else [_outside(step)])] for step in steps]


def _steps(workload: Workload, device: Device, count: int) -> list[Step]:
    """Run so many steps under the profiler, after one that it does not see, and return what it saw of each."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its library talks to the terminal otherwise
    workload.step()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.name == "cuda" else [])]
    with profile(activities=activities) as found:
        for _ in range(count):
            with record_function(STEP):
                workload.step()
    return steps_of(found.events())


def steps_of(events: Iterable[Any]) -> list[Step]:
    """Return the steps among a profiler's events.

    On the GPU every annotated range has a shadow of the same name, which is none. There autograd also runs backward in a thread of
    its own, and the profiler nests within a thread only: what began in the time of a step belongs to it.
    """
    top = [event for event in events if event.device_type == DeviceType.CPU and event.cpu_parent is None]
    elsewhere = [event for event in top if event.name.startswith(groups.CONTAINER)]
    return [Step(event, _parts(event, elsewhere)) for event in top if event.name == STEP]


def _parts(step: Any, elsewhere: Iterable[Any]) -> tuple[Any, ...]:
    within = step.time_range
    backward = [event for event in elsewhere if within.start <= event.time_range.start < within.end]
    return tuple(sorted([*step.cpu_children, *backward], key=lambda event: event.time_range.start))


def _outside(step: Step) -> Seen:
    """Return what of a step was spent in no operation: Python, and gradients that are let go."""
    inside = sum(part.time_range.elapsed_us() for part in step.parts)
    return Seen(OUTSIDE, (step.event.time_range.elapsed_us() - inside) / 1e6, None, ())


def seen_of(event: Any, on_gpu: bool) -> Seen:
    """Return what is wanted of a profiler's event; on a GPU the time is that of the kernels that it launched."""
    segment = int(event.name.removeprefix(SEGMENT)) if event.name.startswith(SEGMENT) else None
    if not on_gpu:
        microseconds = event.time_range.elapsed_us()
    elif segment is None:
        microseconds = event.device_time_total
    else:  # what is annotated launches nothing itself, but its shadow may be taken for a kernel of its own
        microseconds = sum(child.device_time_total for child in event.cpu_children)
    return Seen(event.name, microseconds / 1e6, segment, tuple(_sequences(event)) if segment is not None else _own(event))


def _own(event: Any) -> tuple[int, ...]:
    return (event.sequence_nr,) if event.sequence_nr >= 0 else ()


def _sequences(event: Any) -> Iterable[int]:
    """Yield the sequence numbers of all operations within a range, in order."""
    for child in event.cpu_children:
        yield from _own(child)
        yield from _sequences(child)
