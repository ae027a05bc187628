"""What a list of measured seconds says: the median and how sure it is, spread, percentiles, outliers, drift."""

from collections.abc import Sequence
from functools import cache
from math import exp, inf, lgamma, log, sqrt
from typing import NamedTuple

import msgspec

CONFIDENCE = 0.95
# hyperfine's threshold: ten standard deviations, which the median distance to the median is 1.4826 times too small for.
NORMAL_MAD = 1.4826
OUTLIER_DEVIATIONS = 10
NORMAL_MEAN_DEVIATION = 1.2533  # the same factor for the mean distance
PERCENTILE_DOUBT = 0.01
NEGLIGIBLE_DEVIATIONS = 12  # so far below its mean a binomial has less than 1e-31 of its weight


class Interval(NamedTuple):
    """Two samples between which the true value lies, with the confidence that goes with it. Seconds."""

    low: float
    high: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the samples of one configuration say; all in seconds.

    ``low_seconds`` and ``high_seconds`` are a 95 % interval of the median that assumes no distribution, None where the samples
    are too few for one. ``p90_seconds`` and ``p99_seconds`` are None where the samples do not carry them. ``outliers`` counts
    samples that stand far off; they are kept. ``drift`` is the second half's median against the first half's, less 1, and
    ``drifting`` whether that is more than chance.
    """

    count: int
    median_seconds: float
    low_seconds: float | None
    high_seconds: float | None
    q1_seconds: float
    q3_seconds: float
    iqr_seconds: float
    least_seconds: float
    most_seconds: float
    mean_seconds: float
    p90_seconds: float | None
    p99_seconds: float | None
    outliers: int
    drift: float
    drifting: bool

    @property
    def precision(self) -> float | None:
        """Half the interval's width over the median; None without an interval."""
        if self.low_seconds is None or self.high_seconds is None:
            return None
        return relative_width(Interval(self.low_seconds, self.high_seconds), self.median_seconds)


def describe(samples: Sequence[float], *, confidence: float = CONFIDENCE) -> Statistics:
    """Return what the samples (seconds, in the order they were taken) say.

    ``confidence`` is that of the one interval in hand; it is above 0.95 where earlier looks have spent a part of the doubt (see
    ``sampling``). Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("there is nothing to describe: no samples")
    ordered = sorted(samples)
    interval = median_interval(ordered, confidence)
    q1, q3 = quantile(ordered, 0.25), quantile(ordered, 0.75)
    drift, drifting = drift_of(samples)
    return Statistics(
        count=len(ordered),
        median_seconds=quantile(ordered, 0.5),
        low_seconds=None if interval is None else interval.low,
        high_seconds=None if interval is None else interval.high,
        q1_seconds=q1,
        q3_seconds=q3,
        iqr_seconds=q3 - q1,
        least_seconds=ordered[0],
        most_seconds=ordered[-1],
        mean_seconds=sum(ordered) / len(ordered),
        p90_seconds=percentile(ordered, 0.9),
        p99_seconds=percentile(ordered, 0.99),
        outliers=len(outliers(samples)),
        drift=drift,
        drifting=drifting,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the ordered samples lies, between two of them where it falls between.

    >>> quantile([1.0, 2.0, 4.0, 8.0], 0.5)
    3.0
    """
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    return low if low == high else low + (high - low) * (place - below)


def median_interval(ordered: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return two of the ordered samples that hold the true median between them with at least this confidence, None if too few.

    The number of samples below the true median is binomial with 1/2, whatever the distribution (Conover 1999, section 3.2): no
    normality is assumed.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    (Interval(low=1.0, high=6.0), None)
    """
    rank = interval_rank(len(ordered), confidence)
    return None if rank == 0 else Interval(ordered[rank - 1], ordered[-rank])


@cache
def interval_rank(n: int, confidence: float) -> int:
    """Return which smallest and which largest of n samples bound the median, 1 for the extremes; 0 where even they do not.

    >>> interval_rank(6, 0.95), interval_rank(100, 0.95)
    (1, 40)
    """
    doubt = (1 - confidence) / 2
    tail = 0.0
    rank = max(0, int(n / 2 - NEGLIGIBLE_DEVIATIONS * sqrt(n) / 2))  # a small graph gives a million samples
    while rank < (n + 1) // 2:
        tail += binomial(rank, n, 0.5)
        if tail > doubt:
            break
        rank += 1
    return rank


def binomial(k: int, n: int, p: float) -> float:
    """Return the chance of exactly k of n, each with chance p."""
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1 - p))


@cache
def samples_for(share: float) -> int:
    """Return how many samples a percentile needs: as many as make two beyond it all but certain (MLPerf's early stopping).

    With fewer, the percentile rests on one sample or none, and is the luck of the run.

    >>> samples_for(0.9), samples_for(0.99)
    (64, 662)
    """
    n = 2
    while binomial(0, n, 1 - share) + binomial(1, n, 1 - share) > PERCENTILE_DOUBT:
        n += 1
    return n


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the percentile, None where there are too few samples to carry it."""
    return quantile(ordered, share) if len(ordered) >= samples_for(share) else None


def outliers(samples: Sequence[float]) -> tuple[int, ...]:
    """Return which samples stand far off: beyond ten standard deviations, as the median distance to the median tells them.

    So they do not hide each other. More than half of the samples may be equal, where a clock ticks coarsely; then the mean distance
    stands in for the median one.
    """
    middle = quantile(sorted(samples), 0.5)
    distances = [abs(sample - middle) for sample in samples]
    spread = NORMAL_MAD * quantile(sorted(distances), 0.5) or NORMAL_MEAN_DEVIATION * sum(distances) / len(distances)
    return tuple([index for index, distance in enumerate(distances) if distance > OUTLIER_DEVIATIONS * spread])


def drift_of(samples: Sequence[float]) -> tuple[float, bool]:
    """Return how far the second half's median is from the first half's, as a share of it, and whether that is more than chance.

    It is where the two halves' 95 % intervals share nothing: a processor that grows warm, a neighbour that wakes up.
    """
    half = len(samples) // 2
    if half == 0:
        return 0.0, False
    first, second = sorted(samples[:half]), sorted(samples[-half:])
    start, end = quantile(first, 0.5), quantile(second, 0.5)
    before, after = median_interval(first), median_interval(second)
    apart = before is not None and after is not None and (before.high < after.low or after.high < before.low)
    return (end / start - 1 if start else 0.0), apart


def relative_width(interval: Interval, median: float) -> float:
    """Return half the width of an interval over the median: 0.01 reads as plus or minus 1 %.

    Around a median of nothing any width is endless: a clock that ticks too coarsely is never precise.
    """
    half = (interval.high - interval.low) / 2
    return (half / median if median > 0 else inf) if half else 0.0
