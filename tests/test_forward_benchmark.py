"""benchmarks/forward.py: what it times is the same network, interleaved, and its limits bite."""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "forward.py"


@pytest.fixture(scope="module")
def forward() -> ModuleType:
    """benchmarks/forward.py as a module."""
    described = importlib.util.spec_from_file_location("forward_benchmark", FILE)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    sys.modules["forward_benchmark"] = module
    described.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", [0, 1], ids=["bottlenecks", "with batch norm"])
def test_all_compute_the_same_with_the_same_weights(forward: ModuleType, number: int) -> None:
    with torch.no_grad():
        models = forward.contenders(forward.NETS[number])
        x = torch.rand(2, 1, 4, 4)
        outputs = [model(x) for model in models.values()]
    assert len(outputs) == 4
    assert all(torch.equal(output, outputs[0]) for output in outputs)
    assert outputs[0].std() > 0


def test_a_network_that_computes_something_else_is_noticed(forward: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward.Bottleneck, "forward", lambda self, x: x)
    with pytest.raises(SystemExit, match="torchvision's style computes something else"), torch.no_grad():
        forward.contenders(forward.NETS[0])


def test_every_round_runs_all_and_the_first_are_dropped(forward: ModuleType) -> None:
    runs: list[str] = []
    models = {name: lambda x, name=name: runs.append(name) for name in ("a", "b", "c")}
    times = forward.measure(models, 20, random.Random(0))
    assert {name: len(found) for name, found in times.items()} == {"a": 20, "b": 20, "c": 20}
    assert all(sorted(runs[start : start + 3]) == ["a", "b", "c"] for start in range(0, len(runs), 3))
    assert len(runs) == 22 * 3


@pytest.mark.parametrize(("share", "broken"), [(0.999, 0), (1.001, 2)], ids=["within both limits", "beyond both limits"])
def test_the_limits(forward: ModuleType, share: float, broken: int) -> None:
    times = {forward.OURS: [share], forward.FLOOR: [0.1]} | {name: [1 / limit] for name, limit in forward.LIMITS.items()}
    assert len(forward.broken(times)) == broken
    assert f"{0.95:.2f}" in forward.table(times, forward.LIMITS)
