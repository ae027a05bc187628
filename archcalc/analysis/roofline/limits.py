"""How long a kernel takes at least, and about: the roofline (Williams, Waterman and Patterson 2009), and how near practice comes.

Four sets of rates stand side by side. The bound is what no run of eager mode can beat. The estimate takes nine tenths of what the
datasheet promises, of bandwidth and of arithmetic alike, and counts what matrix units waste; between low and high most runs should
lie. The numbers are the same for every device and every network.
"""

from typing import Final

import msgspec

from archcalc.analysis.devices import Device
from archcalc.analysis.roofline.precision import Precision
from archcalc.analysis.roofline.traffic import Product, Work
from archcalc.formula import ceil_div, exact, formula, ratio, scaled
from archcalc.formula.traced import Number

LANE_BYTES: Final = 16  # matrix units read channels in units of so many bytes (NVIDIA, "Convolutional Layers User's Guide")
FOURIER_POINTS: Final = 256  # along an axis, the most that cuDNN transforms at once (NVIDIA, "cuDNN API": CONVOLUTION_FWD_ALGO_FFT)
TILE: Final = 64  # and no common kernel of theirs writes fewer channels at once


@formula
def intensity(macs: int, moved: int) -> Number:
    """Floating-point operations for each byte that is moved."""
    return ratio(2 * macs, moved)


@formula
def moving_time(moved: int, bandwidth: int) -> Number:
    """Seconds in which memory can give and take the bytes."""
    return ratio(moved, bandwidth)


@formula
def arithmetic_time(macs: int, peak: int) -> Number:
    """Seconds in which the device can do the multiply-accumulates, two operations each."""
    return ratio(2 * macs, peak)


@formula
def achievable(peak: int, u: float) -> int:
    """A share of a rate that is promised, or more than that."""
    return scaled(peak, u)


@formula
def tiled_macs(macs: int, c_in: int, c_out: int, lane: int, tile: int) -> int:
    """Matrix units work on whole lanes of input channels and whole tiles of output channels."""
    return exact(macs, c_in * c_out) * (lane * ceil_div(c_in, lane)) * (tile * ceil_div(c_out, tile))


@formula
def winograd_macs(macs: int, k: int) -> int:
    """Along one axis, Winograd's algorithm reckons 4 outputs with k + 3 products instead of 4*k (Lavin and Gray 2016)."""
    return ceil_div(macs * (k + 3), 4 * k)


@formula
def fourier_macs(macs: int, k: int, points: int) -> int:
    """Along one axis, a Fourier transform takes a product for each pixel, not k for each of its outputs (Mathieu et al. 2014)."""
    return ceil_div(macs * points, k * (points - k + 1))


def fewest_macs(macs: int, window: tuple[int, ...]) -> int:
    """Return the products of cuDNN's fastest algorithm for windows that move pixel by pixel; its transforms are left out."""
    winograd = fourier = macs
    for k in window:
        winograd = winograd_macs(macs=winograd, k=k)
        fourier = fourier_macs(macs=fourier, k=k, points=FOURIER_POINTS) if k < FOURIER_POINTS else macs
    # The transform of real numbers has half as many points, each a complex product, which takes three.
    return min(macs, winograd, ceil_div(3 * fourier, 2))


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """What is reached of a device's promises, and what a kernel costs besides.

    ``arithmetic`` is the share of matrix products, ``windows`` that of convolutions whose window is larger than a pixel.
    ``floor_seconds`` is the least time of a kernel on the device, ``dispatch_seconds`` what the CPU needs to start one. ``wastes``:
    matrix units work on whole tiles, and maps that lie channel by channel are turned for them. ``caches``: what fits into the cache
    may stay there; ``fast``: convolutions may use fewer products than they are defined by.
    """

    bandwidth: float
    arithmetic: float
    windows: float
    floor_seconds: float
    dispatch_seconds: float
    wastes: bool = False
    caches: bool = False
    fast: bool = False


# A card may run above the clock of its datasheet: an RTX 3090 up to 2,100 MHz where its peaks are those of 1,695. 1.25 covers that.
BOUND = Shares(bandwidth=1.0, arithmetic=1.25, windows=1.25, floor_seconds=0.0, dispatch_seconds=0.0, caches=True, fast=True)
ESTIMATE = Shares(bandwidth=0.9, arithmetic=0.9, windows=0.9, floor_seconds=2e-6, dispatch_seconds=8e-6, wastes=True)
LOW = Shares(bandwidth=0.95, arithmetic=1.1, windows=1.1, floor_seconds=1e-6, dispatch_seconds=4e-6, caches=True)
HIGH = Shares(bandwidth=0.75, arithmetic=0.7, windows=0.7, floor_seconds=4e-6, dispatch_seconds=20e-6, wastes=True)


class Spent(msgspec.Struct, frozen=True):
    """Seconds of one kernel: ``seconds`` in all, and which limit decided: ``bytes``, ``arithmetic`` or ``launch``."""

    seconds: float
    bound: str


class Limits(msgspec.Struct, frozen=True):
    """What one device allows in one precision and layout, at certain shares of what it promises."""

    device: Device
    precision: Precision
    layout: str
    shares: Shares

    @property
    def bandwidth(self) -> int:
        """Bytes per second."""
        return achievable(self.device.bandwidth, self.shares.bandwidth)

    def peak(self, unit: str, windows: bool = False) -> int:
        """FLOP/s of one kind of arithmetic, in products of matrices or in convolutions with ``windows``."""
        return achievable(self.device.peaks[unit], self.shares.windows if windows else self.shares.arithmetic)

    def spent(self, work: Work) -> Spent:
        """Return how long a kernel takes."""
        moving = float(moving_time(moved=self._moved(work), bandwidth=self.bandwidth))
        counting = 0.0 if work.product is None else min(self._seconds(work.product, unit) for unit in self._units())
        seconds = max(moving, counting, self.shares.floor_seconds)
        bound = "launch" if seconds > max(moving, counting) else "bytes" if moving >= counting else "arithmetic"
        return Spent(seconds, bound)

    def _units(self) -> tuple[str, ...]:
        """Return the kinds of arithmetic that may do a product; the first is there, or nobody would have asked."""
        return tuple(unit for unit in self.precision.units if unit in self.device.peaks)

    def _matrix_unit(self, unit: str) -> bool:
        return self.device.matrix_units and unit != "fp32"

    def _moved(self, work: Work) -> int:
        """Return the bytes that pass between chip and memory."""
        if self.shares.caches:  # what is read may lie in the cache, and what is written may stay in it
            return max(work.moved - 2 * self.device.cache_bytes, 0)
        if self.shares.wastes and self._turns(work):
            return work.moved + 2 * work.turned  # a copy on the way in, another on the way out
        return work.moved

    def _turns(self, work: Work) -> bool:
        """Whether a product's maps are turned: matrix units slide windows over maps whose channels lie side by side.

        A window of one pixel is a product of matrices either way.
        """
        return (
            work.product is not None and work.product.windows and self.layout == "nchw" and self._matrix_unit(self.precision.unit)
        )

    def _seconds(self, product: Product, unit: str) -> float:
        """Return how long a product takes on one kind of arithmetic."""
        macs = product.macs
        if self._matrix_unit(unit):
            if self.shares.wastes:
                lane = LANE_BYTES // (self.precision.lowered or self.precision.item_bytes)
                macs = tiled_macs(macs=macs, c_in=product.c_in, c_out=product.c_out, lane=lane, tile=TILE)
        elif self.shares.fast and product.slides:
            macs = fewest_macs(macs, product.k)
        return float(arithmetic_time(macs=macs, peak=self.peak(unit, product.windows)))
