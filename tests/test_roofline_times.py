"""Estimates against measured times: timm's published results on an RTX 3090 (Apache-2.0), inference under autocast in float16.

tests/data/gpu_timings_rtx3090.csv is from the results folder of https://github.com/huggingface/pytorch-image-models (PyTorch
2.4.0): the convolutional networks there that are bundled here too. No number of the model belongs to a network or a device.
"""

import csv
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import pytest

from archcalc import load
from archcalc.analysis.devices import find
from archcalc.analysis.roofline import Roofline, roofline
from archcalc.analysis.roofline.limits import LANE_BYTES, TILE, tiled_macs
from archcalc.analysis.roofline.model import network
from archcalc.analysis.roofline.precision import PRECISIONS
from archcalc.graph import Graph

DATA = Path(__file__).parent / "data" / "gpu_timings_rtx3090.csv"
DEVICE = find("NVIDIA GeForce RTX 3090")
MOST = {"nhwc": 0.12, "nchw": 0.25}  # mean absolute error
FAMILIES = ("resnet", "vgg", "densenet")


class Timing(NamedTuple):
    """One line of the file: seconds of a batch."""

    precision: str
    layout: str
    model: str
    side: int
    batch: int
    seconds: float

    @property
    def family(self) -> str:
        return next(family for family in FAMILIES if self.model.startswith(family))

    def __str__(self) -> str:
        return f"{self.model}-{self.side}-{self.layout}"


def read() -> Iterator[Timing]:
    with DATA.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            seconds = float(row["step_ms"]) / 1e3
            yield Timing(row["dtype"], row["layout"], row["model"], int(row["image"]), int(row["batch"]), seconds)


TIMINGS = tuple(read())


@cache
def network_of(model: str, side: int, batch: int) -> Graph:
    return load(model, input=(3, side, side), batch=batch)


@cache
def predicted(timing: Timing) -> Roofline:
    graph = network_of(timing.model, timing.side, timing.batch)
    return roofline(graph, DEVICE, precision=timing.precision, layout=timing.layout)


def error(timing: Timing) -> float:
    return predicted(timing).estimate_seconds / timing.seconds - 1


def test_the_file_is_whole() -> None:
    assert len(TIMINGS) == 55
    assert {timing.family for timing in TIMINGS} == set(FAMILIES)
    assert all(timing.seconds > 0 for timing in TIMINGS)


@pytest.mark.parametrize("layout", MOST)
def test_mean_error(layout: str) -> None:
    """docs/roofline.md states what comes out."""
    errors = {str(timing): error(timing) for timing in TIMINGS if timing.layout == layout}
    mean, worst = fmean(map(abs, errors.values())), max(errors, key=lambda name: abs(errors[name]))
    page = (Path(__file__).parents[1] / "docs" / "roofline.md").read_text(encoding="utf-8")
    model, side, _ = worst.split("-")
    assert f"| {layout} | {len(errors)} | {mean:.1%} | {errors[worst]:+.1%} ({model}, {side}) |" in page
    assert mean <= MOST[layout]


@pytest.mark.parametrize("timing", TIMINGS, ids=str)
def test_no_measured_time_is_under_the_bound(timing: Timing) -> None:
    assert predicted(timing).bound_seconds < timing.seconds


def test_measured_times_lie_between_the_ends() -> None:
    """All but VGG-16's in nchw, which took longer than VGG-19's: a slower kernel than its neighbours' must have been chosen."""
    outside = [str(one) for one in TIMINGS if not predicted(one).low_seconds <= one.seconds <= predicted(one).high_seconds]
    assert outside == ["vgg16-224-nchw"]


Kernel = tuple[float, float]  # seconds at full bandwidth, and at the full peak


@cache
def kernels(timing: Timing) -> tuple[Kernel, ...]:
    """The kernels of a network by a second reckoning, in plain floats and without Limits."""
    precision = PRECISIONS[timing.precision]
    graph = network_of(timing.model, timing.side, timing.batch)
    found = []
    for _, works in network(graph, precision, "infer"):
        for work in works:
            counted = 0.0
            if work.product is not None:
                _, c_in, c_out, *_ = work.product
                tiled = tiled_macs(macs=work.product.macs, c_in=c_in, c_out=c_out, lane=LANE_BYTES // 2, tile=TILE)
                counted = min(2 * tiled / DEVICE.peaks["fp16"], 2 * work.product.macs / DEVICE.peaks["fp32"])
            found.append((work.moved / DEVICE.bandwidth, counted))
    return tuple(found)


def seconds(timing: Timing, bandwidth: float, arithmetic: float) -> float:
    return sum(max(moving / bandwidth, counting / arithmetic) for moving, counting in kernels(timing))


NHWC = [timing for timing in TIMINGS if timing.layout == "nhwc"]


def test_a_second_reckoning_agrees() -> None:
    for timing in NHWC:
        assert predicted(timing).estimate_seconds == pytest.approx(seconds(timing, 0.9, 0.9), rel=0.01)  # floors of small kernels


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_fitted_to_two_families_predict_the_third(family: str) -> None:
    """The model is no fit to these networks: its two shares, chosen on some architectures, hold for another."""
    others = [timing for timing in NHWC if timing.family != family]
    left_out = [timing for timing in NHWC if timing.family == family]
    grid = product([0.75, 0.8, 0.85, 0.9, 0.95], [0.8, 0.9, 1.0, 1.1, 1.2])

    def misses(shares: tuple[float, float], timings: list[Timing]) -> list[float]:
        return [abs(seconds(timing, *shares) / timing.seconds - 1) for timing in timings]

    best = min(grid, key=lambda shares: fmean(misses(shares, others)))
    assert median(misses(best, left_out)) <= 0.09
