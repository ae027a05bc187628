"""A compiled run kernel by kernel: what was fused is one row under the compiler's own name, and is not split among its layers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from archcalc.analysis.timing.result import TimedLayer

CONTAINER = "autograd::"  # a range around the kernels of the backward pass
# Inductor's names: the operations that it merged, and a number.
FUSED = re.compile(r"(?:graph_[0-9]+_)?((?:cpp|triton_[a-z]+)_fused_\w+)")


class Kernel(NamedTuple):
    """One call within a step: its name, which of the calls of that name it is, whether in the backward pass, and its seconds."""

    name: str
    turn: int
    backward: bool
    seconds: float


def kernels(parts: Iterable[Any], on_gpu: bool) -> list[Kernel]:
    """Return the calls among the profiler's events of one step: the outermost operators and fused kernels."""
    turns: dict[str, int] = {}
    found = []
    for event, backward in _outermost(parts, False):
        name = kernel_name(event.name)
        turns[name] = turns.get(name, 0) + 1
        microseconds = event.device_time_total if on_gpu else event.time_range.elapsed_us()
        found.append(Kernel(name, turns[name], backward, microseconds / 1e6))
    return found


def kernel_name(name: str) -> str:
    """Return a kernel's name without the graph that it stands in.

    >>> kernel_name("graph_0_cpp_fused_mul_tanh_14"), kernel_name("aten::convolution")
    ('cpp_fused_mul_tanh_14', 'convolution')
    """
    fused = FUSED.fullmatch(name)
    return fused[1] if fused else name.removeprefix("aten::")


def rows(steps: Sequence[Sequence[Kernel]]) -> tuple[TimedLayer, ...]:
    """Return a row for each call, its time the median over the steps, in the order in which they ran."""
    taken: dict[tuple[str, int, bool], list[float]] = {}
    for step in steps:
        for kernel in step:
            taken.setdefault((kernel.name, kernel.turn, kernel.backward), []).append(kernel.seconds)
    calls: dict[str, int] = {}
    for name, turn, _ in taken:
        calls[name] = max(calls.get(name, 0), turn)
    return tuple(
        [
            _row(name if calls[name] == 1 else f"{name} {turn}", backward, median(seconds))
            for (name, turn, backward), seconds in taken.items()
        ]
    )


def _row(name: str, backward: bool, seconds: float) -> TimedLayer:
    kind = "fused" if "fused" in name else "operator"
    return TimedLayer(
        name=name, layers=(), op=kind, forward_seconds=0.0 if backward else seconds, backward_seconds=seconds if backward else None
    )


def _outermost(events: Iterable[Any], backward: bool) -> Iterator[tuple[Any, bool]]:
    """Yield the first operator or fused kernel of each branch, and whether it stands in a backward pass."""
    for event in events:
        inside = backward or event.name.startswith(CONTAINER)
        if FUSED.fullmatch(event.name) or ("::" in event.name and not event.name.startswith(CONTAINER)):
            yield event, inside
        else:
            yield from _outermost(event.cpu_children, inside)
