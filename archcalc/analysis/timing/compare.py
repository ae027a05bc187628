"""Whether a run is faster than an older one: SAME, FASTER, SLOWER, or UNCLEAR where the intervals do not tell."""

from typing import Literal

import msgspec

from archcalc.analysis.timing.statistics import Statistics

SAME_WITHIN = 0.01  # a share of the time that nobody would act upon

Verdict = Literal["SAME", "FASTER", "SLOWER", "UNCLEAR"]


class Change(msgspec.Struct, frozen=True):
    """The verdict, the new median over the old one, and the least and the most that this may truly be; None without intervals."""

    verdict: Verdict
    ratio: float
    low: float | None
    high: float | None


def change(new: Statistics, old: Statistics, same_within: float = SAME_WITHIN) -> Change:
    """Return how the new times stand to the old ones.

    The ratio lies between the ends of the two 95 % intervals divided crosswise, with at least 90 % confidence. SAME is a ratio that
    is within ``same_within`` of 1 for certain; FASTER and SLOWER one that is certainly on its side of 1; else it is UNCLEAR.
    Raises ValueError for an old median that is no time.
    """
    if not old.median_seconds > 0:
        raise ValueError(f"nothing is faster or slower than {old.median_seconds} s")
    ratio = new.median_seconds / old.median_seconds
    if new.low_seconds is None or new.high_seconds is None or not old.low_seconds or not old.high_seconds:
        return Change("UNCLEAR", ratio, None, None)
    low, high = new.low_seconds / old.high_seconds, new.high_seconds / old.low_seconds
    return Change(_verdict(low, high, same_within), ratio, low, high)


def _verdict(low: float, high: float, same_within: float) -> Verdict:
    if 1 - same_within <= low and high <= 1 + same_within:
        return "SAME"
    if high < 1:
        return "FASTER"
    return "SLOWER" if low > 1 else "UNCLEAR"
