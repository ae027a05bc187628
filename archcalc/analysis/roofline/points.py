"""The picture of a roofline as numbers: the roof, and for each layer with arithmetic where it stands under it."""

from typing import NamedTuple

from archcalc.analysis.roofline.model import Roofline
from archcalc.analysis.roofline.precision import precision_named


class Point(NamedTuple):
    """A layer: its intensity in FLOP per byte, the FLOP/s that it is estimated to reach, and what binds it."""

    name: str
    intensity: float
    rate: float
    bound: str


class Picture(NamedTuple):
    """The roof, ``bandwidth`` in bytes/s below the ``ridge`` (FLOP per byte) and ``peak`` in FLOP/s above; and what is under it.

    ``bare_share`` is the part of the estimated time that goes to layers without arithmetic to speak of, which no such picture has.
    """

    bandwidth: int
    peak: int
    ridge: float
    points: tuple[Point, ...]
    bare: int
    bare_share: float

    def roof(self, intensity: float) -> float:
        """FLOP/s that an intensity allows."""
        return min(float(self.peak), self.bandwidth * intensity)


def picture(found: Roofline) -> Picture:
    """Return the picture of a roofline."""
    peak = found.device.peak(precision_named(found.precision).unit)
    busy = [row for row in found.rows if row.macs]
    points = [Point(row.name, row.intensity, 2 * row.macs / row.estimate_seconds, row.bound or "") for row in busy]
    bare = [row for row in (*found.rows, *([found.step] if found.step else [])) if row.bound and not row.macs]
    spent = sum(row.estimate_seconds for row in found.rows) + (found.step.estimate_seconds if found.step else 0.0)
    share = sum(row.estimate_seconds for row in bare) / spent if spent else 0.0
    return Picture(found.device.bandwidth, peak, peak / found.device.bandwidth, tuple(points), len(bare), share)
