"""When to stop: a run warms up until it is steady, then samples until its median is known well enough or the time is up.

The clock is an argument: what it times, and how, is its own business. One burst is a number of repetitions that the clock runs
back to back; several runs can take turns, burst by burst.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

from archcalc.analysis.timing.statistics import Statistics, describe, median_interval, quantile, relative_width

# A run that stops because its interval looks narrow is one whose interval is, by luck, too narrow: stopping at the first 95 %
# interval that suits covers the median in as few as 85 % of runs. So each look takes a 99 % interval, which over ten looks
# keeps 95 % (Pocock 1977, Biometrika 64), and the samples double from one look to the next.
LOOK_CONFIDENCE = 0.99
GROWTH = 2
LEAST_SAMPLES = 10
BURST_SECONDS = 0.05
MOST_PER_BURST = 1_000
STEADY_BURSTS = 3
STEADY_WITHIN = 0.05
WARM_SHARE = 0.5  # of the longest time that sampling may take: as much may be spent on becoming steady

Stop = Literal["precise", "time", "interrupted", "failed"]


class Clock(Protocol):
    """What times one configuration."""

    def now(self) -> float:
        """Return seconds that only grow."""

    def burst(self, times: int) -> Sequence[float]:
        """Run so many repetitions back to back and return the seconds of each."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When to stop: seconds that must be sampled and that may be; which half interval, over the median, is narrow enough."""

    min_seconds: float = 0.5
    max_seconds: float = 15.0
    relative_interval: float = 0.005
    warm_seconds: float = 0.2


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """What was sampled: seconds in the order they were taken, how the warm-up went, how often the interval was looked at.

    ``stopped`` is ``precise`` where the interval became narrow enough, ``time`` at the limit, ``interrupted`` by the user.
    """

    samples: tuple[float, ...]
    stopped: Stop
    warm_runs: int
    warm_seconds: float
    steady: bool
    looks: int
    elapsed_seconds: float

    def statistics(self) -> Statistics:
        """Return what the samples say, with an interval that holds although the stop was chosen by looking at it."""
        return describe(self.samples, confidence=LOOK_CONFIDENCE)


class Sampler:
    """One run, burst by burst: ``step`` until ``stopped`` says why it has."""

    def __init__(self, clock: Clock, limits: Limits):
        self.clock, self.limits = clock, limits
        self.stopped: Stop | None = None
        self.samples: list[float] = []
        self.looks = 0
        self.elapsed = 0.0  # seconds spent in this run's own bursts; others may have had turns between them
        self.warm_runs, self.warm_seconds, self.steady = 0, 0.0, False
        self._warm_medians: list[float] = []
        self._each: float | None = None  # seconds of a repetition, as the last burst has it
        self._warm = False
        self._next_look = LEAST_SAMPLES

    def step(self) -> None:
        """Run one burst, of the warm-up or of the sampling."""
        start = self.clock.now()
        taken = self.clock.burst(self._times())
        spent = self.clock.now() - start
        self._each = quantile(sorted(taken), 0.5)
        if self._warm:
            self.samples += taken
            self.elapsed += spent
            self._look()
        else:
            self.warm_runs += len(taken)
            self.warm_seconds += spent
            self._warm_medians.append(self._each)
            self._warm = self._is_warm()

    def sampling(self) -> Sampling:
        """Return what has been sampled so far; a run that has not stopped by itself was interrupted."""
        return Sampling(
            samples=tuple(self.samples),
            stopped=self.stopped or "interrupted",
            warm_runs=self.warm_runs,
            warm_seconds=self.warm_seconds,
            steady=self.steady,
            looks=self.looks,
            elapsed_seconds=self.elapsed,
        )

    def _times(self) -> int:
        """Return how many repetitions make a burst: one at first, then as many as take a moment, never far beyond the limit."""
        if self._each is None:
            return 1
        left = self.limits.max_seconds - self.elapsed if self._warm else BURST_SECONDS
        return max(1, min(MOST_PER_BURST, int(min(BURST_SECONDS, left) / max(self._each, 1e-9))))

    def _is_warm(self) -> bool:
        """Whether the warm-up may end: long enough, and the last bursts alike; or out of patience."""
        last = self._warm_medians[-STEADY_BURSTS:]
        self.steady = len(last) == STEADY_BURSTS and max(last) <= (1 + STEADY_WITHIN) * min(last)
        long_enough = self.warm_seconds >= self.limits.warm_seconds
        return (self.steady and long_enough) or self.warm_seconds >= max(
            self.limits.warm_seconds, WARM_SHARE * self.limits.max_seconds
        )

    def _look(self) -> None:
        """Stop where the interval is narrow enough, at a look, or where the time is up."""
        if self.elapsed >= self.limits.min_seconds and len(self.samples) >= self._next_look:
            self.looks += 1
            self._next_look = GROWTH * len(self.samples)
            ordered = sorted(self.samples)
            interval = median_interval(ordered, LOOK_CONFIDENCE)
            if interval and relative_width(interval, quantile(ordered, 0.5)) <= self.limits.relative_interval:
                self.stopped = "precise"
        if self.stopped is None and self.elapsed >= self.limits.max_seconds:
            self.stopped = "time"


def sample(clock: Clock, limits: Limits) -> Sampling:
    """Sample one configuration until it stops."""
    (sampler,) = take_turns([Sampler(clock, limits)])
    return sampler.sampling()


class Stepping(Protocol):
    """What can take turns."""

    @property
    def stopped(self) -> Stop | None:
        """Why it has stopped, None while it has not."""

    def step(self) -> None:
        """Run one burst."""


Turn = TypeVar("Turn", bound=Stepping)


def take_turns(runs: Iterable[Turn], tell: Callable[[Turn], None] = lambda run: None) -> Iterator[Turn]:
    """Step the runs in turns and yield each when it has stopped; ``tell`` hears of every step.

    What disturbs the machine for a second then disturbs them all alike, and not the one that had its turn.
    """
    waiting = list(runs)
    while waiting:
        for run in waiting:
            run.step()
            tell(run)
        ended = [run for run in waiting if run.stopped is not None]
        waiting = [run for run in waiting if run.stopped is None]
        yield from ended


class Estimate(NamedTuple):
    """How long one run takes at least and at most, in seconds, the warm-up counted."""

    least_seconds: float
    most_seconds: float


def duration(limits: Limits, runs: int) -> Estimate:
    """Return how long so many runs take, as far as that is known before they begin: single long repetitions are not in it."""
    most = max(limits.warm_seconds, WARM_SHARE * limits.max_seconds) + limits.max_seconds
    return Estimate(runs * (limits.warm_seconds + limits.min_seconds), runs * most)
