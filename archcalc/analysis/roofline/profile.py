"""A measured device: what ``archcalc calibrate`` found, and the rates and shares that estimates take from it."""

from pathlib import Path
from statistics import median
from typing import Annotated, Final

import msgspec

from archcalc.analysis.devices import Device
from archcalc.analysis.roofline.limits import BOUND, Shares
from archcalc.analysis.roofline.model import Cases
from archcalc.errors import UsageError

SCHEMA: Final = "archcalc.profile/1"
LARGEST: Final = 2**20  # bytes of a file that is read as a profile
NEEDED: Final = frozenset({"copy", "function", "matmul", "kernel", "dispatch"})
MOST_SECONDS: Final = 1e6
RATES: Final = 1.0, 1e18  # bytes or FLOP per second: what is beyond no device has, and no measurement
SPREAD: Final = 0.8  # the high end takes the slowest measured, and a fifth off for what was not measured


Amount = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: median ``seconds`` of a kernel that moves so many ``bytes`` and does so many multiply-accumulates.

    ``what`` is ``copy``, ``function``, ``matmul``, ``pointwise`` or ``window`` (convolutions), ``kernel`` (the least of one on the
    device) or ``dispatch`` (what the CPU needs to start one); ``precision`` a key of the device's peaks.
    """

    what: str
    detail: str
    precision: str
    layout: str | None
    seconds: Annotated[float, msgspec.Meta(gt=0, lt=MOST_SECONDS)]
    bytes: Amount = 0
    macs: Amount = 0

    @property
    def rate(self) -> float:
        """FLOP/s where it multiplies, else bytes per second."""
        return (2 * self.macs or self.bytes) / self.seconds


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one device; ``software`` says with which versions."""

    schema: str
    name: str
    kind: str
    software: dict[str, str]
    memory_bytes: Amount
    cache_bytes: Amount
    matrix_units: bool
    samples: tuple[Sample, ...]

    def rates(self, what: str, precision: str | None = None, layout: str | None = None) -> list[float]:
        """Bytes per second of copies and functions, FLOP/s of products and convolutions, in the order of measurement."""
        chosen = [one for one in self.samples if one.what == what and precision in (None, one.precision)]
        return [one.rate for one in chosen if layout in (None, one.layout)]

    @property
    def device(self) -> Device:
        """The device with its best measured rates for peaks; windows may go beyond, by algorithms with fewer products."""
        precisions = dict.fromkeys(one.precision for one in self.samples if one.what == "matmul")
        direct = {precision: (*self.rates("matmul", precision), *self.rates("pointwise", precision)) for precision in precisions}
        return Device(
            name=self.name,
            peaks={precision: round(max(rates)) for precision, rates in direct.items()},
            memory_bytes=self.memory_bytes,
            bandwidth=round(max(self.rates("copy"))),
            cache_bytes=self.cache_bytes,
            source="measured by archcalc calibrate",
            verified=True,
            matrix_units=self.matrix_units,
        )

    def cases(self, precision: str, layout: str) -> Cases:
        """The shares of those rates that were reached: typical ones for the estimate, the best and the slowest for its ends.

        ``precision`` is a key of the peaks; the convolutions that were measured in it and in the layout count.
        """
        best = max(self.rates("copy"))
        peak = self.device.peak(precision)
        bandwidths = [min(rate / best, 1.0) for rate in self.rates("function")]
        products = [rate / peak for rate in self.rates("pointwise", precision, layout) or self.rates("matmul", precision)]
        windows = [rate / peak for rate in self.rates("window", precision, layout)] or products
        floor = min(one.seconds for one in self.samples if one.what == "kernel")
        dispatch = median(one.seconds for one in self.samples if one.what == "dispatch")
        typical = Shares(
            bandwidth=median(bandwidths),
            arithmetic=median(products),
            windows=median(windows),
            floor_seconds=floor,
            dispatch_seconds=dispatch,
            wastes=self.matrix_units,
        )
        low = msgspec.structs.replace(
            typical, bandwidth=1.0, arithmetic=1.0, windows=max(1.0, *windows), floor_seconds=floor / 2,
            dispatch_seconds=dispatch / 2, wastes=False, caches=True,
        )  # fmt: skip
        high = msgspec.structs.replace(
            typical, bandwidth=SPREAD * min(bandwidths), arithmetic=SPREAD * min(products), windows=SPREAD * min(windows),
            floor_seconds=2 * floor, dispatch_seconds=2 * dispatch,
        )  # fmt: skip
        return Cases(bound=BOUND, estimate=typical, low=low, high=high)


def read_profile(path: str) -> Profile:
    """Return the profile in a file. Raises UsageError if there is none in it."""
    try:
        content = Path(path).read_bytes()[: LARGEST + 1]
    except OSError as error:
        raise UsageError("E288", f"{path} cannot be read: {error.strerror}", help="archcalc calibrate -o FILE writes one") from None
    try:
        profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError("E288", f"{path} is no profile: {error}", help="archcalc calibrate -o FILE writes one") from None
    slowest, fastest = RATES
    if profile.schema != SCHEMA:
        reason = f"its schema is {profile.schema}, not {SCHEMA}"
    elif not {one.what for one in profile.samples} >= NEEDED:
        reason = "it lacks measurements"
    elif not all(slowest <= one.rate <= fastest for one in profile.samples):
        reason = "no device has such rates as it tells of"
    else:
        return profile
    raise UsageError("E288", f"{path} is no profile: {reason}", help="archcalc calibrate -o FILE writes one")
