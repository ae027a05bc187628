"""What samples say: held against exact binomials, distributions whose median is known, and numbers that can be counted by hand."""

import math
import random
from fractions import Fraction

import pytest

from archcalc.analysis.timing.compare import Change, change
from archcalc.analysis.timing.statistics import (
    CONFIDENCE,
    Interval,
    describe,
    drift_of,
    interval_rank,
    median_interval,
    outliers,
    percentile,
    quantile,
    relative_width,
    samples_for,
)


def exact_rank(n: int, confidence: Fraction) -> int:
    """The same rank in whole numbers: 2**n equally likely ways to fall below or above the median."""
    tail, rank = 0, 0
    while rank < (n + 1) // 2:
        tail += math.comb(n, rank)
        if Fraction(tail, 2**n) > (1 - confidence) / 2:
            break
        rank += 1
    return rank


@pytest.mark.parametrize("confidence", [Fraction(95, 100), Fraction(99, 100)])
def test_the_interval_is_the_exact_binomial_one(confidence: Fraction) -> None:
    for n in range(1, 400):
        assert interval_rank(n, float(confidence)) == exact_rank(n, confidence), n


@pytest.mark.parametrize("n", [5_000, 100_000, 2_000_000])
def test_the_interval_of_very_many_is_the_normal_one(n: int) -> None:
    assert interval_rank(n, 0.95) == pytest.approx(n / 2 - 1.959964 * math.sqrt(n) / 2, abs=1)


@pytest.mark.parametrize(("share", "least"), [(0.9, 64), (0.99, 662)])
def test_percentiles_need_as_many_samples_as_mlperf_says(share: float, least: int) -> None:
    assert samples_for(share) == least
    ordered = [float(number) for number in range(least)]
    assert percentile(ordered[:-1], share) is None
    assert percentile(ordered, share) == pytest.approx(share * (least - 1))


def test_quantiles_stand_between_samples() -> None:
    assert [quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0, 0.25, 0.5, 1)] == [1.0, 1.75, 2.5, 4.0]
    assert quantile([7.0], 0.5) == 7.0


DISTRIBUTIONS = {
    "normal": (lambda draw: draw.gauss(1, 0.05), 1.0),
    "exponential": (lambda draw: 0.5 + draw.expovariate(10), 0.5 + math.log(2) / 10),
    "lognormal": (lambda draw: math.exp(draw.gauss(0, 0.3)), 1.0),
    "two modes": (lambda draw: draw.gauss(1.0 if draw.random() < 0.6 else 1.4, 0.01), None),
    "a coarse clock": (lambda draw: round(draw.gauss(1, 0.05), 1), 1.0),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [10, 51, 200])
def test_the_interval_covers_the_median(name: str, n: int) -> None:
    sample, median = DISTRIBUTIONS[name]
    draw = random.Random(7)
    if median is None:
        median = 1 + 0.01 * 0.9674215661017014  # where 5/6 of the lower mode lie below
    covered = 0
    for _ in range(1000):
        found = median_interval(sorted(sample(draw) for _ in range(n)), CONFIDENCE)
        covered += found.low <= median <= found.high
    assert covered >= 940


def test_too_few_samples_have_no_interval() -> None:
    found = describe([3.0, 1.0, 2.0])
    assert (found.median_seconds, found.low_seconds, found.high_seconds, found.precision) == (2.0, None, None, None)
    with pytest.raises(ValueError, match="no samples"):
        describe([])


def test_what_is_described() -> None:
    samples = [float(number) for number in (4, 1, 3, 2, 5, 8, 7, 6)]
    found = describe(samples)
    assert (found.count, found.median_seconds, found.mean_seconds) == (8, 4.5, 4.5)
    assert (found.least_seconds, found.most_seconds) == (1.0, 8.0)
    assert (found.q1_seconds, found.q3_seconds, found.iqr_seconds) == (2.75, 6.25, 3.5)
    assert (found.low_seconds, found.high_seconds) == (1.0, 8.0)
    assert found.precision == pytest.approx(3.5 / 4.5)
    assert (found.p90_seconds, found.p99_seconds) == (None, None)


def test_outliers_are_flagged_by_the_median_distance_and_kept() -> None:
    quiet = [1.0 + 0.001 * (number % 7) for number in range(100)]
    assert outliers(quiet) == ()
    loud = [*quiet[:50], 9.0, *quiet[50:], 0.5]
    assert outliers(loud) == (50, 101)
    found = describe(loud)
    assert (found.outliers, found.count, found.most_seconds) == (2, 102, 9.0)


def test_outliers_do_not_hide_each_other() -> None:
    """Ten of a hundred, far off: they widen a standard deviation until none of them stands out."""
    assert len(outliers([1.0 + 0.001 * (number % 5) for number in range(90)] + [5.0] * 10)) == 10


def test_outliers_of_a_coarse_clock() -> None:
    assert outliers([1.0] * 80 + [1.1] * 20) == ()
    assert outliers([1.0] * 99 + [4.0]) == (99,)
    assert outliers([1.0] * 10) == ()


def test_drift_is_what_the_second_half_has_more() -> None:
    draw = random.Random(1)
    still = [draw.gauss(1, 0.02) for _ in range(200)]
    assert drift_of(still)[1] is False
    warming = [value * (1 + 0.1 * index / 200) for index, value in enumerate(still)]
    drift, drifting = drift_of(warming)
    assert drift == pytest.approx(0.05, abs=0.01)
    assert drifting
    assert drift_of([1.0]) == (0.0, False)


def test_drift_is_rarely_seen_where_there_is_none() -> None:
    draw = random.Random(2)
    seen = sum(drift_of([draw.gauss(1, 0.05) for _ in range(100)])[1] for _ in range(1000))
    assert seen <= 10  # two 95 % intervals that share nothing are rarer than one time in a hundred


@pytest.mark.parametrize(
    ("new", "spread", "verdict"),
    [
        (1.0, 0.003, "SAME"),
        (1.003, 0.003, "SAME"),
        (0.9, 0.003, "FASTER"),
        (1.1, 0.003, "SLOWER"),
        (1.02, 0.003, "SLOWER"),
        (1.0, 0.03, "UNCLEAR"),
        (1.02, 0.03, "UNCLEAR"),
        (0.98, 0.03, "UNCLEAR"),
        (0.9, 0.03, "FASTER"),
    ],
)
def test_verdicts(new: float, spread: float, verdict: str) -> None:
    """The new median over an old one of 1, of samples that far around it: their interval is 0.4 of that wide, to each side."""

    def around(median: float) -> list[float]:
        return [median * (1 + spread * (number - 10) / 10) for number in range(21)]

    found = change(describe(around(new)), describe(around(1.0)))
    assert found.verdict == verdict
    assert found.low < found.ratio < found.high
    assert found.ratio == pytest.approx(new)


def test_wide_intervals_say_nothing() -> None:
    wide = describe([1.0, 1.5, 2.0, 0.5, 1.2, 1.7, 0.9])
    assert change(wide, wide).verdict == "UNCLEAR"
    few = describe([1.0, 1.1])
    assert change(few, wide) == Change("UNCLEAR", pytest.approx(1.05 / 1.2), None, None)


def test_verdicts_are_seldom_wrong() -> None:
    """Two runs of one thing are called faster or slower in at most one of ten comparisons; what differs is never confused."""
    draw = random.Random(3)

    def run(median: float):
        return describe([draw.gauss(median, 0.02 * median) for _ in range(60)])

    same = [change(run(1.0), run(1.0)).verdict for _ in range(300)]
    assert same.count("FASTER") + same.count("SLOWER") <= 30
    faster = [change(run(0.9), run(1.0)).verdict for _ in range(300)]
    assert faster.count("FASTER") >= 299
    assert "SLOWER" not in faster


@pytest.mark.parametrize(("median", "width"), [(2.0, 0.25), (0.0, math.inf), (-1.0, math.inf)])
def test_a_median_that_is_no_time_is_never_precise(median: float, width: float) -> None:
    assert relative_width(Interval(1.0, 2.0), median) == width
    assert relative_width(Interval(median, median), median) == 0.0


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0], [3.0] * 40, [0.0] * 40, [0.0] * 30 + [1.0] * 10])
def test_few_equal_and_no_seconds_are_described(samples: list[float]) -> None:
    found = describe(samples)
    assert found.least_seconds <= found.q1_seconds <= found.median_seconds <= found.q3_seconds <= found.most_seconds
    assert (found.precision is None) == (len(samples) < 6)
    assert not found.drifting or samples[0] != samples[-1]


def test_nothing_is_faster_or_slower_than_no_time() -> None:
    some, none = describe([1.0] * 20), describe([0.0] * 20)
    with pytest.raises(ValueError, match="than 0"):
        change(some, none)
    barely = describe([0.0] * 9 + [1.0] * 11)
    assert (barely.low_seconds, change(some, barely).verdict) == (0.0, "UNCLEAR")
