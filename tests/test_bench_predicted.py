"""``archcalc bench --profile``: on the CPU, end to end, what a measured device is expected to take beside what it took."""

import json
from pathlib import Path

import pytest

from archcalc.analysis.timing.result import read_report

QUICK = ("--device", "cpu", "--threads", "1", "--min-time", "0.05", "--max-time", "0.4")


def sample(what: str, precision: str = "fp32", **amounts: float) -> dict[str, object]:
    return {"what": what, "detail": "", "precision": precision, "layout": None, "seconds": 1e-3} | amounts


def profile(tmp_path: Path, kind: str) -> str:
    """What calibrate writes, of a device with 10 GB/s and 100 GFLOP/s."""
    samples = [
        sample("copy", bytes=10**7), sample("function", bytes=10**7), sample("matmul", macs=5 * 10**7),
        sample("kernel", seconds=1e-6, bytes=4), sample("dispatch", seconds=1e-7, bytes=4),
    ]  # fmt: skip
    raw = {
        "schema": "archcalc.profile/1", "name": "a device", "kind": kind, "software": {}, "memory_bytes": 2**33,
        "cache_bytes": 0, "matrix_units": False, "samples": samples,
    }  # fmt: skip
    file = tmp_path / f"{kind}.json"
    file.write_text(json.dumps(raw))
    return str(file)


def test_a_profile_puts_predictions_beside_the_times(run, tmp_path: Path) -> None:
    """Per model and per layer: what a device of these rates takes for LeNet-5, and the measured time over that."""
    file = tmp_path / "times.json"
    outcome = run("bench", "lenet5", *QUICK, "--per-layer", "--profile", profile(tmp_path, "cpu"), "--json", str(file))
    assert outcome.code == 0, outcome.err
    document = read_report(str(file))
    (found,) = document.runs
    assert document.predicted_for == "a device"
    assert found.bound_seconds >= 2 * found.macs / 1e11
    assert found.estimate_seconds >= found.bound_seconds
    assert sum(layer.estimate_seconds for layer in found.breakdown.layers) == pytest.approx(found.estimate_seconds)
    assert "predicted for a device" in outcome.out
    assert f"{found.statistics.median_seconds / found.estimate_seconds:.2f} of the estimate" in outcome.out
    whole = run("bench", "lenet5", *QUICK, "--profile", profile(tmp_path, "cpu"), "--format", "csv").out
    row = dict(zip(*(line.split(",") for line in whole.splitlines()), strict=True))
    assert float(row["of_estimate"]) == pytest.approx(float(row["median_seconds"]) / float(row["estimate_seconds"]))


def test_a_profile_puts_predictions_into_the_plan(run, tmp_path: Path) -> None:
    arguments = ("bench", "lenet5", "--device", "cpu", "--dry-run", "--format", "json")
    (found,) = json.loads(run(*arguments, "--profile", profile(tmp_path, "cpu")).out)["runs"]
    assert 0 < found["bound_seconds"] <= found["estimate_seconds"]
    assert json.loads(run(*arguments).out)["runs"][0]["estimate_seconds"] is None


def test_a_profile_of_another_kind_of_device(run, tmp_path: Path) -> None:
    outcome = run("bench", "lenet5", *QUICK, "--profile", profile(tmp_path, "cuda"))
    assert (outcome.code, "E280" in outcome.err) == (2, True)


def test_a_device_without_a_prediction_says_how_to_come_by_one(run) -> None:
    assert "is not in the table of devices; archcalc calibrate --device cpu" in run("bench", "lenet5", *QUICK).out
