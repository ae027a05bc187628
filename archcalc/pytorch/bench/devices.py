"""The devices that can be timed on, and the clock of each: seconds of repetitions that run back to back."""

import gc
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch

from archcalc.errors import MissingError
from archcalc.pytorch.room import free_bytes

Step = Callable[[], object]
Watch = Callable[[], None]
LEAD_IN = 2  # steps of a burst that no event brackets: the first ones find the GPU idle
# A kernel that only waits, launched before a burst of graph replays, holds the GPU back until all of them are queued: the events
# then stand back to back with the work, and time the GPU alone. So many of its cycles for each cover what a launch costs the CPU.
CYCLES_PER_REPLAY = 50_000
MOST_WAIT_CYCLES = 100_000_000


class Device(Protocol):
    """What the benchmark asks of a device."""

    name: str

    def clock(self, step: Step, queued: bool, watch: Watch) -> "CpuClock | CudaClock":
        """Return a clock that times a step; ``queued`` steps are launched by the dozen before the first one runs.

        ``watch`` is called while they run.
        """

    def expect(self, wanted: int) -> None:
        """Raise MemoryError if so many bytes are not there, and taking them would end the process instead."""

    def forget_peak(self) -> None:
        """Begin to watch the allocated bytes anew."""

    def peak_allocated(self) -> int | None:
        """Return the most bytes that were allocated at once since then, None where nobody counts them."""


class CpuClock:
    """Times steps on the CPU, each by itself. The garbage collector waits, as it does for ``timeit``."""

    def __init__(self, step: Step, counter: Callable[[], float] = time.perf_counter):
        self.step, self.now = step, counter

    def burst(self, times: int) -> Sequence[float]:
        """Run so many steps and return the seconds of each."""
        step, now = self.step, self.now
        collects = gc.isenabled()
        gc.disable()
        try:
            marks = [now()]
            for _ in range(times):
                step()
                marks.append(now())
        finally:
            if collects:
                gc.enable()
        return _differences(marks)


class CudaClock:
    """Times steps on the GPU, by events between them; ``watch`` is called while they run.

    A step that is ``queued`` is one launch (a captured graph): the whole burst stands behind a kernel that waits. Steps of many
    launches run as they would in anybody's loop, the CPU as far ahead as it gets; where it cannot keep ahead, its launches are
    what is timed, and a captured graph beside it says so. ``cuda`` is ``torch.cuda``, or what stands in for it.
    """

    def __init__(self, step: Step, queued: bool, watch: Watch = lambda: None, cuda: Any = torch.cuda):
        self.step, self.queued, self.watch, self.cuda = step, queued, watch, cuda
        self.now = time.perf_counter
        self._events: list[Any] = []

    def burst(self, times: int) -> Sequence[float]:
        """Run so many steps and return the seconds of each, from the end of the one before."""
        while len(self._events) <= times:
            self._events.append(self.cuda.Event(enable_timing=True))
        events = self._events[: times + 1]
        if self.queued:
            self.cuda._sleep(min(CYCLES_PER_REPLAY * (times + LEAD_IN), MOST_WAIT_CYCLES))
        for _ in range(LEAD_IN):
            self.step()
        events[0].record()
        for event in events[1:]:
            self.step()
            event.record()
        self.watch()  # the GPU is still at work, so its clock is the one that counts
        self.cuda.synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(events)]


class Cpu:
    """The processor that runs this."""

    name = "cpu"

    def clock(self, step: Step, queued: bool, watch: Watch) -> CpuClock:
        """Return a clock of wall time; nothing is queued here, and there is no moment to watch."""
        return CpuClock(step)

    def expect(self, wanted: int) -> None:
        """Raise MemoryError for more bytes than are free."""
        if wanted > free_bytes():
            raise MemoryError

    def forget_peak(self) -> None:
        """Do nothing: PyTorch does not count what it allocates on the CPU."""

    def peak_allocated(self) -> int | None:
        """Return None: see ``forget_peak``."""
        return None


class Cuda:
    """The CUDA device that is current."""

    name = "cuda"

    def __init__(self, cuda: Any = torch.cuda):
        self.cuda = cuda

    def clock(self, step: Step, queued: bool, watch: Watch) -> CudaClock:
        """Return a clock of events."""
        return CudaClock(step, queued, watch, self.cuda)

    def expect(self, wanted: int) -> None:
        """Do nothing: PyTorch says itself when a GPU has no more."""

    def forget_peak(self) -> None:
        """Begin to watch the allocated bytes anew, with nothing cached from before."""
        self.cuda.empty_cache()
        self.cuda.reset_peak_memory_stats()

    def peak_allocated(self) -> int | None:
        """Return the most bytes that the caching allocator had handed out at once."""
        return int(self.cuda.max_memory_allocated())


def need(device: str) -> None:
    """Raise MissingError if there is no such device here."""
    if device == "cuda" and not torch.cuda.is_available():
        if torch.version.cuda:
            message, way_out = "there is no CUDA device here", "nvidia-smi shows what the driver sees"
        else:
            message = f"PyTorch {torch.__version__} was built without CUDA"
            way_out = "https://pytorch.org/get-started/locally has the pip command for a build with it"
        raise MissingError("E350", message, help=f"{way_out}; --device cpu times it on the processor")


def _differences(marks: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(marks)]
