"""The benchmark itself: every case is prepared, warmed up, sampled, and handed over as soon as it ends."""

import gc
from collections.abc import Callable, Sequence

import msgspec
import torch
from msgspec.structs import replace

from archcalc.analysis.roofline import Roofline
from archcalc.analysis.roofline.profile import Profile
from archcalc.analysis.timing.plan import Case
from archcalc.analysis.timing.predicted import joined, peak_bytes
from archcalc.analysis.timing.result import Precision, Run, measured
from archcalc.analysis.timing.sampling import Clock, Limits, Sampler, Stop, take_turns
from archcalc.pytorch.bench.describe import described, roof_of
from archcalc.pytorch.bench.devices import Cpu, Cuda, Device, need
from archcalc.pytorch.bench.distributed import Process, Together, check
from archcalc.pytorch.bench.environment import current_watch
from archcalc.pytorch.bench.execution import executed
from archcalc.pytorch.bench.failures import FAILURES, Failure, failure
from archcalc.pytorch.bench.layers import breakdown
from archcalc.pytorch.bench.nvml import Watch
from archcalc.pytorch.bench.precision import switched
from archcalc.pytorch.bench.workload import Workload

ALONE = Process()
Keep = Callable[[Run], None]
Tell = Callable[[Case, Sampler], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure: when to stop, whether the cases take turns, whether each is taken apart layer by layer.

    ``profile`` is what calibrate measured of the device, None for its row of the table.
    """

    limits: Limits = Limits()
    interleave: bool = False
    per_layer: bool = False
    profile: Profile | None = None


def measure(
    cases: Sequence[Case], options: Options, keep: Keep, tell: Tell = lambda case, sampler: None, here: Process = ALONE
) -> None:
    """Time the cases, hand each run to ``keep`` when it ends, and each burst to ``tell``.

    A case that does not fit into memory, or that PyTorch refuses, is a run that failed. On KeyboardInterrupt what has been sampled
    is kept before it goes on its way. ``here`` is which of several processes this is: of a case that they time together the first
    keeps the run.
    Raises MissingError if the device is not there, UsageError for what several processes cannot do.
    """
    name = cases[0].configuration.device
    need(name)
    device: Device = Cuda() if name == "cuda" else Cpu()
    if here.processes > 1:
        check(cases, interleave=options.interleave, per_layer=options.per_layer)
        for case in cases:
            Together(case, device, here).measure(options.limits, roof_of(case, options.profile), keep, tell)
        return
    groups = [cases] if options.interleave else [[case] for case in cases]
    for group in groups:
        _together(group, device, options, keep, tell)


def _together(cases: Sequence[Case], device: Device, options: Options, keep: Keep, tell: Tell) -> None:
    """Time some cases in turns."""
    jobs: list[Job] = []
    try:
        for case in cases:
            job = Job(case, device, options)
            jobs.append(job)
            job.prepare()
        for job in take_turns(jobs, lambda job: tell(job.case, job.sampler) if job.sampler else None):
            keep(job.run())
            job.release()
    except KeyboardInterrupt:
        for job in jobs:
            if job.sampler is not None and job.sampler.samples:
                keep(job.run(whole=False))
        raise
    finally:
        for job in jobs:
            job.release()


class Job:
    """One case on its way: its workload and its sampler, until it is released."""

    def __init__(self, case: Case, device: Device, options: Options):
        self.case, self.device, self.options = case, device, options
        self.workload: Workload | None = None
        self.sampler: Sampler | None = None
        self.precision: Precision | None = None
        self.watch: Watch | None = None
        self.failure: Failure | None = None
        self.peak: int | None = None

    @property
    def stopped(self) -> Stop | None:
        """Why it has stopped, None while it has not."""
        if self.failure is not None:
            return "failed"
        return self.sampler.stopped if self.sampler else None

    def prepare(self) -> None:
        """Put the network and its data on the device, and get the step ready to be run."""
        self.watch = current_watch() if self.device.name == "cuda" else None
        self._attempt(self._prepare)

    def step(self) -> None:
        """Run one burst."""
        if self.sampler is not None and self.failure is None:
            self._attempt(self.sampler.step)

    def run(self, whole: bool = True) -> Run:
        """Return what came of it; not ``whole`` where it was interrupted."""
        case = self.case
        roof = roof_of(case, self.options.profile)
        found = replace(
            described(case, roof),
            precision=self.precision,
            clocks=self.watch.clocks() if self.watch else None,
            peak_allocated_bytes=self.peak,
        )
        if self.failure is not None:
            return replace(found, failure=self.failure.reason, refused=self.failure.refused)
        if self.sampler is None:
            return found
        found = measured(found, self.sampler.sampling(), self.options.limits)
        if not (whole and self.options.per_layer and self.workload and found.statistics):
            return found
        return self._taken_apart(found, found.statistics.median_seconds, roof)

    def release(self) -> None:
        """Let go of everything on the device."""
        self.workload = self.sampler = None
        gc.collect()
        if self.device.name == "cuda":
            torch.cuda.empty_cache()

    def _taken_apart(self, run: Run, total: float, roof: Roofline | None) -> Run:
        """Return the run with its layers, or why it has none: that may ask more of memory, or of PyTorch, than the run."""
        assert self.workload is not None
        try:
            with switched(self.case.configuration.dtype):
                parts = breakdown(self.workload, self.device, total)
        except FAILURES as error:
            return replace(run, undivided=failure(error, self.case.configuration.batch).reason)
        return replace(run, breakdown=replace(parts, layers=joined(parts.layers, self.case, roof)))

    def _prepare(self) -> None:
        self.device.expect(peak_bytes(self.case))
        with switched(self.case.configuration.dtype) as self.precision:
            self.workload = Workload(self.case, torch.device(self.device.name))
            self.device.forget_peak()  # getting it ready may have taken more than any step does
            step = executed(self.workload, named=self.options.per_layer)
        queued = self.case.configuration.exec == "graph"
        clock = self.device.clock(step, queued, self.watch or _nothing)
        self.sampler = Sampler(Switched(clock, self.case.configuration.dtype), self.options.limits)

    def _attempt(self, act: Callable[[], None]) -> None:
        """Do something, unless memory is short or PyTorch refuses it: then say so, and let everything go."""
        try:
            act()
        except FAILURES as error:
            self.failure = failure(error, self.case.configuration.batch)
            error.__traceback__ = None  # whose frames hold the tensors
        else:
            self.peak = None if self.options.interleave else self.device.peak_allocated()
            return
        self.release()


class Switched:
    """A clock under the precision of its case: with others in turns, each needs switches of its own."""

    def __init__(self, clock: Clock, precision: str):
        self.clock, self.now, self.precision = clock, clock.now, precision

    def burst(self, times: int) -> Sequence[float]:
        """Run a burst under the precision's switches."""
        with switched(self.precision):
            return self.clock.burst(times)


def _nothing() -> None:
    pass
