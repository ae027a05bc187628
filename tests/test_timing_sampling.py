"""The sampling loop with a clock that is made up: when it stops, why, and whether its interval holds although it chose when."""

import math
import random
from collections.abc import Callable, Sequence

import pytest

from archcalc.analysis.timing.sampling import (
    BURST_SECONDS,
    LEAST_SAMPLES,
    LOOK_CONFIDENCE,
    MOST_PER_BURST,
    Limits,
    Sampler,
    duration,
    sample,
    take_turns,
)
from archcalc.analysis.timing.statistics import median_interval, relative_width


class FakeClock:
    """Time that passes only by what is run: repetition n takes ``seconds(n)``."""

    def __init__(self, seconds: Callable[[int], float]):
        self.seconds = seconds
        self.time = 100.0
        self.run = 0
        self.bursts: list[int] = []

    def now(self) -> float:
        return self.time

    def burst(self, times: int) -> Sequence[float]:
        self.bursts.append(times)
        taken = []
        for _ in range(times):
            taken.append(self.seconds(self.run))
            self.run += 1
        self.time += sum(taken)
        return taken


def noisy(median: float, spread: float, seed: int = 0) -> Callable[[int], float]:
    draw = random.Random(seed)
    return lambda run: abs(draw.gauss(median, spread * median))


def test_a_quiet_run_stops_when_enough_time_is_sampled() -> None:
    clock = FakeClock(noisy(0.002, 0.001))
    found = sample(clock, Limits(min_seconds=0.5, max_seconds=15, relative_interval=0.005))
    assert (found.stopped, found.looks, found.steady) == ("precise", 1, True)
    assert 0.5 <= sum(found.samples) < 0.5 + 2 * BURST_SECONDS
    assert found.elapsed_seconds == pytest.approx(sum(found.samples))
    assert found.statistics().median_seconds == pytest.approx(0.002, rel=1e-3)


def test_a_noisy_run_goes_on_until_its_interval_is_narrow() -> None:
    found = sample(FakeClock(noisy(0.002, 0.1)), Limits(min_seconds=0.1, max_seconds=60, relative_interval=0.005))
    assert found.stopped == "precise"
    assert found.looks > 1
    assert found.statistics().precision <= 0.005


def test_a_run_without_end_is_stopped_by_the_clock() -> None:
    found = sample(FakeClock(noisy(0.002, 0.5)), Limits(min_seconds=0.1, max_seconds=2, relative_interval=0.001))
    assert found.stopped == "time"
    assert 2 <= found.elapsed_seconds < 2 + 0.01  # the last burst is cut to what is left
    assert found.statistics().precision > 0.001


def test_one_long_repetition_is_not_repeated_beyond_the_limit() -> None:
    clock = FakeClock(lambda run: 10.0)
    found = sample(clock, Limits(max_seconds=15))
    assert (found.stopped, len(found.samples)) == ("time", 2)
    assert set(clock.bursts) == {1}


def test_the_first_repetitions_are_no_samples() -> None:
    """A search for kernels, a compilation: the first ones are slow, and the warm-up lasts until three bursts are alike."""
    clock = FakeClock(lambda run: 3.0 if run == 0 else 0.001 * (1 + 200 * 0.6**run) + 1e-6 * (run % 5))
    found = sample(clock, Limits())
    assert max(found.samples) < 0.0011
    assert found.warm_runs > 10
    assert found.steady


def test_a_run_that_never_becomes_steady_says_so() -> None:
    clock = FakeClock(lambda run: 0.01 * 1.05**run)
    found = sample(clock, Limits(max_seconds=2))
    assert not found.steady
    assert found.warm_seconds == pytest.approx(1, abs=0.3)  # half of the longest sampling


def test_bursts_are_as_long_as_a_moment() -> None:
    clock = FakeClock(lambda run: 0.01)
    sample(clock, Limits())
    assert clock.bursts[0] == 1
    assert set(clock.bursts[1:]) <= {4, 5}
    fast = FakeClock(lambda run: 1e-7)
    sample(fast, Limits(min_seconds=0.01, warm_seconds=0.001))
    assert max(fast.bursts) == MOST_PER_BURST


def test_no_look_comes_before_there_are_samples_enough() -> None:
    found = sample(FakeClock(lambda run: 0.2), Limits(min_seconds=0.1, max_seconds=15))
    assert len(found.samples) == LEAST_SAMPLES


def test_the_looks_are_few() -> None:
    """Each takes twice the samples of the one before: ten reach from ten samples to five thousand."""
    clock = FakeClock(noisy(0.01, 0.9))
    found = sample(clock, Limits(min_seconds=0, max_seconds=60, relative_interval=1e-9))
    assert found.looks <= math.log2(len(found.samples) / LEAST_SAMPLES) + 1


def two_modes(draw: random.Random) -> float:
    """Nearly as often slow as fast: the median stands at the edge of a gap, where a lucky run sees a narrow interval beside it."""
    return draw.gauss(0.01 if draw.random() < 0.55 else 0.013, 0.0001)


# The medians: of a normal and a log-normal distribution, of an exponential one, and the 10/11 quantile of the fast mode.
STOPPED = {
    "normal": (lambda draw: abs(draw.gauss(0.01, 0.0005)), 0.01, 0.01),
    "exponential": (lambda draw: 0.005 + draw.expovariate(1000), 0.005 + math.log(2) / 1000, 0.03),
    "lognormal": (lambda draw: 0.01 * math.exp(draw.gauss(0, 0.15)), 0.01, 0.03),
    "two modes": (two_modes, 0.01 + 0.0001 * 1.3351777361189363, 0.03),
}


@pytest.mark.parametrize("name", STOPPED)
def test_the_interval_holds_although_the_stop_was_chosen_by_it(name: str) -> None:
    """1,000 runs, each of at most 5 s of made-up time."""
    seconds, median, relative = STOPPED[name]
    covered = 0
    for seed in range(1000):
        draw = random.Random(seed)
        clock = FakeClock(lambda run, draw=draw: seconds(draw))
        found = sample(clock, Limits(min_seconds=0.1, max_seconds=5, relative_interval=relative, warm_seconds=0.0)).statistics()
        covered += found.low_seconds <= median <= found.high_seconds
    assert covered >= 940


def test_a_stop_by_luck_would_be_seen() -> None:
    """The test above has teeth: with a 95 % interval at every sample the same runs cover less than 94 %."""
    seconds, median, _ = STOPPED["two modes"]
    covered = 0
    for seed in range(200):
        draw = random.Random(seed)
        samples = [seconds(draw) for _ in range(LEAST_SAMPLES)]
        while True:
            samples.append(seconds(draw))
            ordered = sorted(samples)
            found = median_interval(ordered, 0.95)
            if len(samples) >= 1000 or relative_width(found, ordered[len(ordered) // 2]) <= 0.01:
                break
        covered += found.low <= median <= found.high
    assert covered < 0.94 * 200
    assert LOOK_CONFIDENCE > 0.95


def test_turns_are_taken_burst_by_burst() -> None:
    clocks = [FakeClock(noisy(0.01, 0.01, seed)) for seed in range(3)]
    samplers = [Sampler(clock, Limits(min_seconds=0.2, relative_interval=0.05)) for clock in clocks]
    seen: list[Sampler] = []
    ended = list(take_turns(samplers, seen.append))
    assert sorted(map(id, ended)) == sorted(map(id, samplers))
    assert seen[:6] == samplers * 2
    assert all(sampler.stopped == "precise" for sampler in samplers)


def test_a_disturbance_meets_those_that_take_turns_alike() -> None:
    """The machine is slower by half for a while: one after the other, the runs differ; in turns, they do not."""
    time = [0.0]

    class Disturbed(FakeClock):
        def now(self) -> float:
            return time[0]

        def burst(self, times: int) -> Sequence[float]:
            taken = [0.0015 if 1.0 < time[0] < 3.0 else 0.001 for _ in range(times)]
            time[0] += sum(taken)
            return taken

    limits = Limits(min_seconds=1.0, max_seconds=1.0)

    def medians(in_turns: bool) -> list[float]:
        time[0] = 0.0
        samplers = [Sampler(Disturbed(lambda run: 0.0), limits) for _ in range(2)]
        groups = [samplers] if in_turns else [[one] for one in samplers]
        for group in groups:
            list(take_turns(group))
        return [one.sampling().statistics().median_seconds for one in samplers]

    apart, together = medians(False), medians(True)
    assert apart[1] / apart[0] == pytest.approx(1.5)
    assert together[1] / together[0] == pytest.approx(1.0)


def test_what_is_stopped_from_outside_was_interrupted() -> None:
    sampler = Sampler(FakeClock(noisy(0.01, 0.01)), Limits(warm_seconds=0.1))
    for _ in range(8):
        sampler.step()
    found = sampler.sampling()
    assert found.stopped == "interrupted"
    assert found.samples


def test_how_long_it_takes_is_known_before() -> None:
    limits = Limits(min_seconds=1.0, max_seconds=4.0, warm_seconds=0.5)
    assert duration(limits, 3) == (4.5, 18.0)
    found = [sample(FakeClock(noisy(0.001, spread)), limits) for spread in (0.0001, 3.0)]
    assert found[0].warm_seconds + found[0].elapsed_seconds == pytest.approx(1.5, abs=2 * BURST_SECONDS)
    assert found[1].warm_seconds + found[1].elapsed_seconds == pytest.approx(6.0, abs=2 * BURST_SECONDS)
