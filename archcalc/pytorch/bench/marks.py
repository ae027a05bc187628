"""Layer times on a GPU without a word to the CPU: events between the layers, captured into one CUDA graph with them."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import torch

from archcalc.pytorch.bench.execution import captured
from archcalc.pytorch.bench.segments import Marker, Segment
from archcalc.pytorch.bench.workload import Workload

EMPTY_PAIRS = 8  # events with nothing between them: what an event itself costs


class Marked(NamedTuple):
    """Seconds of each segment, the cost of an event taken off, and that cost."""

    seconds: tuple[float, ...]
    event_seconds: float


def marked(workload: Workload, wanted: tuple[Segment, ...], repetitions: int, cuda: Any = torch.cuda) -> Marked:
    """Return what each segment of the forward pass takes, the median over so many replays of one captured graph.

    An event that is recorded while a stream is captured becomes a node of the graph if it is ``external``; each replay records it
    anew, so it is read before the next.
    """
    empty = [_event(cuda) for _ in range(EMPTY_PAIRS + 1)]
    events = [_event(cuda) for _ in range(len(wanted) + 1)]

    def begin(number: int) -> None:
        if number == 0:
            for event in empty:
                event.record()
        events[number].record()

    replay = captured(workload.step, cuda, Marker(workload.network, wanted, begin).listening())
    replay()
    taken = []
    costs = []
    for _ in range(repetitions):
        replay()
        cuda.synchronize()
        taken.append(_between(events))
        costs.append(median(_between(empty)))
    return reduced(taken, median(costs))


def reduced(taken: Sequence[Sequence[float]], event_seconds: float) -> Marked:
    """Return the median of each segment over the replays, less what an event costs, and never below nothing.

    >>> reduced([[2.0, 0.5], [3.0, 1.5], [4.0, 0.5]], 1.0)
    Marked(seconds=(2.0, 0.0), event_seconds=1.0)
    """
    return Marked(tuple([max(0.0, median(column) - event_seconds) for column in zip(*taken, strict=True)]), event_seconds)


def _event(cuda: Any) -> Any:
    return cuda.Event(enable_timing=True, external=True)


def _between(events: Sequence[Any]) -> list[float]:
    return [before.elapsed_time(after) / 1000 for before, after in pairwise(events)]
