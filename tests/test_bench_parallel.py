"""Several processes that train together: gloo on the CPU, started the way torchrun starts them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from archcalc import load
from archcalc.analysis.timing.plan import Case, Configuration, processes
from archcalc.analysis.timing.result import Run, read_report
from archcalc.analysis.timing.sampling import Limits
from archcalc.errors import MissingError, UsageError
from archcalc.pytorch.bench.devices import Cpu
from archcalc.pytorch.bench.distributed import Process, Together, check, ranks
from archcalc.pytorch.bench.workload import Workload

ROOT = Path(__file__).parents[1]
QUICK = ("--device", "cpu", "--min-time", "0.05", "--max-time", "0.4")


def configuration(**changed: object) -> Configuration:
    usual = {"mode": "infer", "device": "cpu", "batch": 1, "dtype": "fp32", "layout": "nchw", "exec": "eager"}
    return Configuration(**{"model": "lenet5"} | usual | changed)


def case(model: str = "lenet5", **changed: object) -> Case:
    return Case(configuration(model=model, **changed), load(model, batch=changed.get("batch", 1)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def together(*arguments: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """archcalc bench in several processes, as torchrun starts them."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        "--master-port",
        str(free_port()),
    ]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launcher, "-m", "archcalc", "bench", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, env=variables, timeout=240)


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    ended = together("lenet5", *QUICK, "--mode", "train", "--batch", "4", "--json", str(file))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("lenet5  train") == 1  # one of them tells
    document = read_report(str(file))
    assert document.environment.processes == 2
    (found,) = document.runs
    assert found.images == 8
    assert (found.ranks.processes, found.ranks.backend) == (2, "gloo")
    assert found.ranks.scaling_efficiency == pytest.approx(found.ranks.alone_seconds / max(found.ranks.median_seconds))
    assert found.ranks.median_seconds[0] == pytest.approx(found.statistics.median_seconds)
    assert "scaling efficiency" in ended.stdout


@pytest.mark.parametrize(("arguments", "words"), [({}, "--mode train"), ({"mode": "train", "exec": "compile"}, "--exec eager")])
def test_what_several_processes_do_not_do(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match="E279") as caught:
        check([case(mode="train"), case(**arguments)])
    assert words in caught.value.help


@pytest.mark.parametrize("options", [{"interleave": True}, {"per_layer": True}])
def test_what_only_one_process_does(options: dict[str, bool]) -> None:
    with pytest.raises(UsageError, match=f"E279: --{next(iter(options)).replace('_', '-')}"):
        check([case(mode="train")], **options)


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, 1),
        ({"WORLD_SIZE": "2"}, 1),  # somebody else's
        ({"WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}, 2),
    ],
)
def test_processes_are_those_that_torchrun_has_started(variables: dict[str, str], count: int) -> None:
    assert processes(variables) == count


def test_torchrun_on_gpus_times_eager_mode_unless_told_otherwise(run) -> None:
    started = {"WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "none"}
    for variables, ways in ((started, ["eager"]), ({}, ["eager", "graph"])):
        out = run("bench", "lenet5", "--mode", "train", "--dry-run", "--format", "json", **variables).out
        assert [one["configuration"]["exec"] for one in json.loads(out)["runs"]] == ways


@pytest.fixture
def group() -> Iterator[Process]:
    """A group of one process."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield Process()
    torch.distributed.destroy_process_group()


LIMITS = Limits(min_seconds=0.01, max_seconds=0.05, warm_seconds=0.01)


def short(*arguments: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_batch_that_one_process_cannot_hold_is_a_run_that_failed(group: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Run] = []
    together = Together(case(mode="train"), Cpu(), group)
    together.measure(LIMITS, None, kept.append, lambda case, sampler: None)
    monkeypatch.setattr(Workload, "step", short)
    together.measure(LIMITS, None, kept.append, lambda case, sampler: None)
    timed, failed = kept
    assert timed.ranks.processes == 1
    assert (failed.failure, failed.refused, failed.statistics) == ("out of memory at batch 1 in process 0", False, None)


def test_what_pytorch_refuses_in_one_process_it_refuses_in_all(group: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workload, "step", lambda self: (_ for _ in ()).throw(NotImplementedError("no such kernel\nhere")))
    kept: list[Run] = []
    Together(case(mode="train"), Cpu(), group).measure(LIMITS, None, kept.append, lambda case, sampler: None)
    (failed,) = kept
    assert failed.failure == "refused by PyTorch: NotImplementedError: no such kernel in process 0"
    assert (failed.refused, failed.statistics) == (True, None)


def test_what_sharing_takes_may_be_too_much(group: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archcalc.pytorch.bench.distributed.DistributedDataParallel", short)
    with pytest.raises(MissingError, match="E352: out of memory at batch 1, with what sharing gradients takes, in process 0"):
        Together(case(mode="train"), Cpu(), group).measure(LIMITS, None, lambda run: None, lambda case, sampler: None)


@pytest.mark.parametrize(
    "error", [RuntimeError("[gloo] Connection closed by peer [::1]"), torch.distributed.DistNetworkError("gone")]
)
def test_a_process_that_has_lost_the_others_says_so(group: Process, monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    def lost(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("archcalc.pytorch.bench.distributed.DistributedDataParallel", lost)
    with pytest.raises(MissingError, match="E352: process 0 has lost the others"):
        Together(case(mode="train"), Cpu(), group).measure(LIMITS, None, lambda run: None, lambda case, sampler: None)


def test_scaling_is_the_time_alone_over_the_slowest() -> None:
    assert ranks(2.0, [2.5, 2.0], "gloo").scaling_efficiency == pytest.approx(0.8)
