"""Data-parallel training by PyTorch's own DistributedDataParallel: the first process leads, and all run the same steps."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import torch
from msgspec.structs import replace
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from archcalc.analysis.roofline import Roofline
from archcalc.analysis.timing.plan import Case, processes
from archcalc.analysis.timing.predicted import peak_bytes
from archcalc.analysis.timing.result import Ranks, Run, measured
from archcalc.analysis.timing.sampling import Clock, Limits, Sampler, Sampling, sample
from archcalc.errors import MissingError, UsageError
from archcalc.pytorch.bench.describe import described
from archcalc.pytorch.bench.devices import Device, need
from archcalc.pytorch.bench.failures import FAILURES, Failure, failure, out_of_memory, shortage
from archcalc.pytorch.bench.precision import switched
from archcalc.pytorch.bench.workload import Workload

BACKENDS = {"cuda": "nccl", "cpu": "gloo"}
LOST = "Connection closed by peer"  # in a plain RuntimeError of gloo's
ENOUGH = 0  # instead of a number of repetitions: nothing follows


class Process(NamedTuple):
    """Which of how many processes this is."""

    rank: int = 0
    processes: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that leads, and tells."""
        return self.rank == 0


@contextmanager
def process(device: str) -> Iterator[Process]:
    """Join the other processes, where torchrun has started several, and leave them at the end.

    Raises MissingError if the device is not there.
    """
    need(device)
    count = processes(os.environ)
    if count == 1:
        yield Process()
        return
    place = None
    if device == "cuda":
        place = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(place)
    distributed.init_process_group(BACKENDS[device], device_id=place)  # which NCCL would have to guess for the first barrier
    yield Process(distributed.get_rank(), count)
    # Not after an error: the others may be waiting for this one, and it would wait for them. What still holds the group (a
    # data-parallel module is full of cycles) would keep its threads beyond the end of the interpreter.
    gc.collect()
    distributed.barrier()
    distributed.destroy_process_group()


def check(cases: Iterable[Case], *, interleave: bool = False, per_layer: bool = False) -> None:
    """Raise UsageError for what several processes do not do together."""
    if interleave or per_layer:
        message = f"{'--interleave' if interleave else '--per-layer'} is for one process, and torchrun has started several"
        raise UsageError("E279", message, help="leave it out, or start archcalc bench without torchrun")
    for case in cases:
        configuration = case.configuration
        if configuration.mode == "infer":
            message = "several processes have gradients to share, and --mode infer has none"
            raise UsageError("E279", message, help="--mode train, or one process")
        if configuration.exec != "eager":
            raise UsageError("E279", f"several processes are timed in eager mode, not as {configuration.exec}", help="--exec eager")


class Together:
    """A case that all processes time together; the first one leads and keeps the run."""

    def __init__(self, case: Case, device: Device, here: Process):
        self.case, self.device, self.here = case, device, here
        self.place = torch.device(device.name, torch.cuda.current_device()) if device.name == "cuda" else torch.device("cpu")

    def measure(
        self, limits: Limits, roof: Roofline | None, keep: Callable[[Run], None], tell: Callable[[Case, Sampler], None]
    ) -> None:
        """Time the case in all processes; the first one keeps the run, with the medians of all.

        Before that the first process times the same batch by itself while the others wait: what it would take if they cost nothing.
        What PyTorch refuses, or a batch that does not fit into the memory of one of them, is a run that failed in all. Raises
        MissingError where the latter shows only when they share gradients: the others then wait for this one, until torchrun ends
        them.
        """
        blank = described(self.case, roof, self.here.processes)
        with switched(self.case.configuration.dtype) as precision:
            workload = self._prepared()
            failed = self._ranks_where(isinstance(workload, Failure))
            if isinstance(workload, Failure) or failed:
                if self.here.first:
                    # Where only others failed it is memory: what PyTorch refuses, it refuses in all.
                    reason, refused = workload if isinstance(workload, Failure) else shortage(self.case.configuration.batch)
                    keep(replace(blank, failure=f"{reason} in process {' and '.join(map(str, failed))}", refused=refused))
                return
            try:
                sampling, medians, alone = self._timed(workload, limits, tell)
            except (RuntimeError, MemoryError) as error:
                if out_of_memory(error):
                    short = shortage(self.case.configuration.batch).reason
                    message = f"{short}, with what sharing gradients takes, in process {self.here.rank}"
                    raise MissingError("E352", message, help="a smaller --batch") from None
                if isinstance(error, distributed.DistError) or LOST in str(error):
                    message = f"process {self.here.rank} has lost the others in the middle of a step"
                    raise MissingError("E352", message, help="one of them has ended, and says why") from None
                raise
        if alone is not None:
            run = measured(replace(blank, precision=precision), sampling, limits)
            keep(replace(run, ranks=ranks(alone, medians, BACKENDS[self.device.name])))

    def _prepared(self) -> Workload | Failure:
        """Return what is run, after it has run once by itself, or why it cannot."""
        try:
            self.device.expect(peak_bytes(self.case))
            workload = Workload(self.case, self.place)
            workload.step()
        except FAILURES as error:
            return failure(error, self.case.configuration.batch)
        return workload

    def _timed(
        self, workload: Workload, limits: Limits, tell: Callable[[Case, Sampler], None]
    ) -> tuple[Sampling, list[float], float | None]:
        """Return the samples, the median of each process, and in the first one what a step takes it alone."""
        clock = self.device.clock(workload.step, False, lambda: None)
        alone = sample(clock, limits).statistics().median_seconds if self.here.first else None
        distributed.barrier()
        workload.module = DistributedDataParallel(workload.network, [self.place.index] if self.device.name == "cuda" else None)
        shared = Shared(clock, self.place)
        sampler = Sampler(shared, limits)
        if self.here.first:
            while sampler.stopped is None:
                sampler.step()
                tell(self.case, sampler)
            shared.tell(ENOUGH)
        else:
            shared.follow()
        return sampler.sampling(), shared.medians(len(sampler.samples), self.here), alone

    def _ranks_where(self, here: bool) -> list[int]:
        """Return the processes in which this is true."""
        own = torch.tensor(int(here), device=self.place)
        every = [torch.zeros_like(own) for _ in range(self.here.processes)]
        distributed.all_gather(every, own)
        return [rank for rank, one in enumerate(every) if int(one)]


def ranks(alone: float, medians: Sequence[float], backend: str) -> Ranks:
    """Return how several processes did: the batch of each is that of one alone, so the ideal is that it takes no longer."""
    return Ranks(
        processes=len(medians),
        backend=backend,
        median_seconds=tuple(medians),
        alone_seconds=alone,
        scaling_efficiency=alone / max(medians),
    )


class Shared:
    """A clock of several processes: each burst of the first one's is run by all of them, and begins for all at once."""

    def __init__(self, clock: Clock, place: torch.device):
        self.clock, self.now, self.place = clock, clock.now, place
        self.taken: list[float] = []

    def burst(self, times: int) -> Sequence[float]:
        """Run a burst with the others, as the first of all."""
        self.tell(times)
        return self._run(times)

    def follow(self) -> None:
        """Run the bursts that the first one asks for, until it says that there are enough."""
        while (times := self._heard()) != ENOUGH:
            self._run(times)

    def tell(self, times: int) -> None:
        """Tell the others how many repetitions come next."""
        distributed.broadcast(torch.tensor(times, device=self.place), 0)

    def medians(self, sampled: int, here: Process) -> list[float]:
        """Return the median of each process; of all repetitions the last ``sampled`` ones count, as the first process has it."""
        count = torch.tensor(sampled, device=self.place)
        distributed.broadcast(count, 0)
        own = torch.tensor(median(self.taken[-int(count) :]), device=self.place, dtype=torch.float64)
        every = [torch.zeros_like(own) for _ in range(here.processes)]
        distributed.all_gather(every, own)
        return [float(one) for one in every]

    def _heard(self) -> int:
        times = torch.tensor(ENOUGH, device=self.place)
        distributed.broadcast(times, 0)
        return int(times)

    def _run(self, times: int) -> Sequence[float]:
        distributed.barrier()
        found = self.clock.burst(times)
        self.taken += found
        return found
