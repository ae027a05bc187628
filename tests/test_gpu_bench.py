"""The script that proves the times on a GPU: what can be checked of it without one."""

import importlib.util
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import archcalc
from archcalc.analysis.timing.result import Breakdown, Run, TimedLayer, measured
from archcalc.analysis.timing.sampling import Sampling

FILE = Path(__file__).parents[1] / "benchmarks" / "gpu_bench.py"
STILL = tuple(0.001 + 1e-7 * (number % 7) for number in range(30))
MIDDLE = 0.0010003


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_bench", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: ModuleType, of_total: float = 1.0) -> Run:
    """A run of about a millisecond, with one layer that takes that part of it."""
    blank = Run(configuration=script.REPEATED, title="ResNet-50", input={"input": (32, 3, 224, 224)}, params=1, macs=1, images=32)
    sampled = Sampling(samples=STILL, stopped="precise", warm_runs=1, warm_seconds=1, steady=True, looks=1, elapsed_seconds=1)
    layer = TimedLayer(name="conv1", layers=("conv1",), op="Conv2d", forward_seconds=of_total * MIDDLE)
    parts = Breakdown(
        method="events", repetitions=5, layers=(layer,), other_seconds={}, sum_seconds=of_total * MIDDLE, total_seconds=MIDDLE
    )
    return msgspec.structs.replace(measured(blank, sampled, script.LIMITS), breakdown=parts)


def test_the_cases_are_those_that_were_promised(script: ModuleType) -> None:
    chosen = list(script.configurations(script.NETWORKS, script.BATCHES, script.DTYPES))
    assert (set(script.BATCHES), set(script.DTYPES)) == ({1, 32, 256}, {"fp32", "tf32", "amp-bf16"})
    # eager and graph, two layouts, inference and training
    assert len(chosen) == len(set(chosen)) == len(script.NETWORKS) * 3 * 3 * 2 * 2 * 2
    for name in script.NETWORKS:
        archcalc.load(name)


@pytest.mark.parametrize(
    ("repeats", "do_bench", "of_total", "theirs", "broken"),
    [
        ([1.0, 1.004, 1.002], 1.01, 1.04, MIDDLE, []),
        ([1.0, 1.006, 1.002], None, 1.0, MIDDLE, ["spread"]),
        ([1.0, 1.0, 1.0], 1.03, 1.0, MIDDLE, ["do_bench"]),
        ([1.0, 1.0, 1.0], 1.0, 0.94, MIDDLE, ["layers"]),
        ([1.0, 1.0, 1.0], 1.0, 1.0, MIDDLE / 1.03, ["torchvision"]),
        ([1.0, 1.0, 1.0], 1.0, 1.0, MIDDLE * 2, []),
    ],
)
def test_a_broken_promise_is_seen(
    script: ModuleType, repeats: list[float], do_bench: float | None, of_total: float, theirs: float, broken: list[str]
) -> None:
    one = run(script, of_total)
    found = script.checks(repeats, do_bench, one, [one], {one.configuration: theirs})
    assert len(found) == 4 - (do_bench is None)
    seen = [check.what for check in found if check.broken]
    assert len(seen) == len(broken)
    assert all(word in what for word, what in zip(broken, seen, strict=True))


def test_the_page_shows_every_run(script: ModuleType) -> None:
    from archcalc.analysis.timing.result import BenchDocument, Environment

    here = Environment(archcalc="0", python="3", torch="2", system="here", processor="a CPU", cores=1, threads=1)
    failed = msgspec.structs.replace(run(script), statistics=None, failure="out of memory at batch 256")
    document = BenchDocument(complete=True, started="", environment=here, limits=script.LIMITS, runs=(run(script), failed))
    found = script.checks([1.0, 1.1], None, run(script), document.runs, {})
    page = script.page(found, document, run(script), {script.REPEATED: MIDDLE / 2})
    assert "| spread of 2 medians | +9.52% | 0.5% | **broken** |" in page
    assert "| resnet50 | infer | 32 | fp32 | nchw | graph | 1 | 0.02 |  |  |  | 2.00 |" in page
    assert "out of memory at batch 256" in page
    assert "| conv1 | Conv2d | 1000.3 |" in page


def test_without_a_gpu_nothing_is_measured(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main(["-o", str(tmp_path / "page.md")]) == 3
    assert "nothing was measured" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
