"""Measured rows beside what was predicted: rates, the roof, and the plans that memory and roofline are asked with."""

import pytest
import torch

from archcalc import load
from archcalc.analysis.devices import find
from archcalc.analysis.roofline import roofline
from archcalc.analysis.timing.plan import MODES, PRECISIONS, Case, Configuration
from archcalc.analysis.timing.predicted import expected, joined, known, memory_plan, peak_bytes
from archcalc.analysis.timing.result import TimedLayer
from archcalc.analysis.timing.work import layer_macs
from archcalc.pytorch.bench.describe import known_device, roof_of


def case(model: str = "alexnet", **changed: object) -> Case:
    usual = {"mode": "infer", "device": "cuda", "batch": 4, "dtype": "fp32", "layout": "nchw", "exec": "eager"}
    return Case(Configuration(**{"model": model} | usual | changed), load(model, batch=4))


def timed(*names: str, seconds: float = 1e-3) -> TimedLayer:
    return TimedLayer(name=" + ".join(names), layers=names, op="", forward_seconds=seconds)


def test_a_device_is_known_by_the_name_of_its_driver() -> None:
    assert known("NVIDIA A100-SXM4-80GB").device == find("A100-SXM4-80GB")
    assert known("NVIDIA GeForce GT 710") is None
    assert known(None) is None
    assert expected(case(), None) is None


def test_a_precision_that_the_device_lacks_is_not_predicted() -> None:
    assert expected(case(dtype="bf16"), known("Tesla T4")) is None
    assert expected(case(dtype="fp16"), known("Tesla T4")) is not None


@pytest.mark.parametrize("mode", MODES)
def test_the_macs_of_a_row_are_those_of_its_passes(mode: str) -> None:
    one = case(mode=mode)
    macs = layer_macs(one.graph, mode)
    rows = joined(tuple(timed(name) for name in macs), one, None)
    assert {row.name: row.macs for row in rows} == macs


def test_rates_and_roof_of_a_row() -> None:
    one = case(dtype="tf32")
    device = find("a100")
    roof = roofline(one.graph, device, precision="tf32", layout="nchw", mode="infer")
    by_name = {row.name: row for row in roof.rows}
    (row,) = joined((timed("conv2", seconds=2e-3),), one, roof)
    assert row.flops_per_second == pytest.approx(2 * by_name["conv2"].macs / 2e-3)
    assert row.bytes_per_second == pytest.approx(by_name["conv2"].moved_bytes / 2e-3)
    bytes_seconds, arithmetic_seconds = row.moved_bytes / device.bandwidth, 2 * row.macs / device.peak("tf32")
    assert row.share_of_roof == pytest.approx(max(bytes_seconds, arithmetic_seconds) / 2e-3)
    assert (row.bound, row.least_seconds) == (by_name["conv2"].bound, by_name["conv2"].least_seconds)


def test_a_row_of_several_layers_is_their_sum() -> None:
    one = case()
    roof = expected(one, known("a100"))
    apart = joined((timed("conv3"), timed("relu3")), one, roof)
    (together,) = joined((timed("conv3", "relu3", seconds=2e-3),), one, roof)
    assert together.macs == sum(row.macs for row in apart)
    assert together.moved_bytes == sum(row.moved_bytes for row in apart)
    assert together.least_seconds == pytest.approx(sum(row.least_seconds for row in apart))


def test_what_belongs_to_no_layer_has_no_rates() -> None:
    (row,) = joined(
        (TimedLayer(name="fused_0", layers=(), op="fused", forward_seconds=1.0),), case(), expected(case(), known("a100"))
    )
    assert (row.macs, row.moved_bytes, row.share_of_roof, row.bound, row.least_seconds) == (None,) * 5


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_the_plan_of_memory(dtype: str, mode: str, device: str) -> None:
    plan = memory_plan(case(dtype=dtype, mode=mode, device=device).configuration)
    assert plan.train == (mode != "infer")
    assert plan.optimizer == ("momentum" if mode == "train" else "sgd")
    assert (plan.dtype, plan.amp) == {
        "fp32": ("float32", None), "tf32": ("float32", None), "bf16": ("bfloat16", None), "fp16": ("float16", None),
        "amp-bf16": ("float32", "bf16"), "amp-fp16": ("float32", "fp16"),
    }[dtype]  # fmt: skip
    assert plan.rules == device


def test_training_takes_more_bytes_than_inference() -> None:
    infer, train = (peak_bytes(case(mode=mode)) for mode in ("infer", "train"))
    assert train > infer > 4 * 60_000_000  # AlexNet's parameters


def test_the_name_of_the_driver_finds_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of CUDA but its device's name."""
    for name, row in {"NVIDIA H200": "H200 SXM", "Tesla T4": "T4", "NVIDIA GeForce GT 710": None}.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        found = known_device("cuda", None)
        assert (found and found.device.name) == row
        roof = roof_of(case(), None)
        assert (roof and roof.device.name) == row
        assert roof is None or 0 < roof.bound_seconds <= roof.estimate_seconds
    assert known_device("cpu", None) is None
