"""The script that holds predictions against a GPU: what can be checked of it without one."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

import archcalc
from archcalc.analysis import analyse
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import peak

FILE = Path(__file__).parents[1] / "benchmarks" / "gpu_memory.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_memory", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fake(script: ModuleType, scale: float, room: int = 2**40):
    """A device that measures what is predicted, times a factor, and has so many bytes; 1,000 of them are cuBLAS'."""

    def measure(case):
        requested, allocated = script.predicted(case)
        if allocated > room:
            return None
        return script.Measured(round(requested * scale) + 1000, round(allocated * scale) + 1000, allocated * 2, 1000)

    return measure


def test_the_cases_are_those_that_were_promised(script: ModuleType) -> None:
    chosen = list(script.cases(script.NETWORKS, script.BATCHES))
    assert len(script.NETWORKS) >= 10
    assert len(chosen) == len(set(chosen)) == len(script.NETWORKS) * 3 * 2 * 2
    assert set(script.BATCHES) == {1, 32, 128}
    for name in script.NETWORKS:
        archcalc.load(name)


def test_predictions_are_the_simulators(script: ModuleType) -> None:
    case = script.Case("resnet18", 4, True, "amp")
    requested, allocated = script.predicted(case)
    assert requested == peak(simulate(archcalc.load("resnet18", batch=4), Plan(train=True, amp="bf16"))).bytes <= allocated


def test_a_device_that_agrees(script: ModuleType) -> None:
    rows = list(script.compare(script.cases(["lenet5_modern", "resnet18"], [1, 2]), fake(script, 1.0)))
    found = script.verdict(rows)
    assert (found.cases, found.too_low, found.broken) == (16, 0, [])
    assert found.requested_worst == found.allocated_worst == 0


@pytest.mark.parametrize(("scale", "broken", "too_low"), [(1.004, 0, 4), (1.01, 1, 4), (1.03, 2, 4), (0.9, 3, 0)])
def test_limits_that_are_broken_are_named(script: ModuleType, scale: float, broken: int, too_low: int) -> None:
    found = script.verdict(list(script.compare(script.cases(["resnet18"], [2]), fake(script, scale))))
    assert len(found.broken) == broken
    assert found.too_low == too_low


def test_the_page_has_a_row_for_each_run_and_says_what_did_not_fit(script: ModuleType) -> None:
    rows = list(script.compare(script.cases(["lenet5_modern", "resnet18"], [8]), fake(script, 1.001, room=2**27)))
    page = script.report(rows, {"device": "a fake", "torch": "none"})
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + len(rows)
    assert all(line.count("|") == len(script.HEADINGS) + 1 for line in lines)
    assert sum("no room" in line for line in lines) == sum(row.measured is None for row in rows) > 0
    assert "- device: a fake" in page
    assert script.line(rows[0]) in page


def test_without_a_device_it_says_so(script: ModuleType, monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main([]) == 3
    out, err = capsys.readouterr()
    assert (out, err.endswith(": nothing was measured\n")) == ("", True)


def test_the_whole_run_on_a_fake_device(script: ModuleType, monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr(script, "need", lambda device: None)
    monkeypatch.setattr(script, "machine", lambda: {"device": "a fake"})
    file = tmp_path / "measured" / "bytes.md"
    for scale, code in ((1.0, 0), (1.2, 1)):
        monkeypatch.setattr(script, "measure_on_cuda", fake(script, scale))
        assert script.main(["--networks", "lenet5_modern", "--batches", "1,2", "-o", str(file)]) == code
    told = json.loads(file.with_suffix(".json").read_text())
    assert told["machine"] == {"device": "a fake"}
    assert len(told["rows"]) == 8
    assert {"network", "batch", "train", "precision", "requested", "allocated", "measured"} <= set(told["rows"][0])
    assert "Beyond the limit" in file.read_text()


@pytest.mark.parametrize("network", ["lenet5_modern", "googlenet_aux"])
@pytest.mark.parametrize(("train", "precision"), [(False, "fp32"), (True, "fp32"), (True, "amp")])
def test_the_step_runs_and_trains_every_parameter(script: ModuleType, network: str, train: bool, precision: str) -> None:
    """On the CPU: the same function that runs on a GPU."""
    torch.set_num_threads(1)
    graph = archcalc.load(network)
    made = []

    class Watched(torch.optim.SGD):
        def __init__(self, parameters, **others):
            super().__init__(parameters, **others)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "SGD", Watched)
        step = script.step_of(script.Case(network, 2, train, precision), "cpu")
        step()
        step()
    if not train:
        assert made == []
        return
    parameters = made[0].param_groups[0]["params"]
    assert sum(parameter.numel() for parameter in parameters) == analyse(graph).totals.trainable
    assert all(parameter.grad is not None for parameter in parameters)
    assert all(made[0].state[parameter]["momentum_buffer"].shape == parameter.shape for parameter in parameters)
