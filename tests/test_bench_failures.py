"""What cannot be timed: memory is short, or PyTorch refuses it. That is told of the run, and the others are timed."""

import json
from pathlib import Path

import pytest
import torch

from archcalc import load
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.result import Run
from archcalc.analysis.timing.sampling import Limits
from archcalc.pytorch.bench import Options, measure
from archcalc.pytorch.bench.failures import out_of_memory
from archcalc.pytorch.bench.workload import Workload

QUICK = ("--device", "cpu", "--min-time", "0.05", "--max-time", "0.4", "--threads", "1")
SHORT = Limits(min_seconds=0.01, max_seconds=0.05, warm_seconds=0.01)


def case(model: str = "lenet5", **changed: object) -> Case:
    settings = {"mode": "infer", "device": "cpu", "batch": 1, "dtype": "fp32", "layout": "nchw", "exec": "eager"} | changed
    return Case(Configuration(model=model, **settings), load(model))


def after(first: Exception, then: Exception) -> Exception:
    """The second error, raised while the first one was on its way."""
    try:
        try:
            raise first
        finally:
            raise then
    except type(then) as error:
        return error


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."), True),
        (RuntimeError("CUDA error: out of memory\nCompile with ..."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (after(torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA error: operation failed during capture")), True),
        (after(ValueError("x"), RuntimeError("Expected all tensors to be on the same device")), False),
        (RuntimeError("Expected all tensors to be on the same device"), False),
    ],
)
def test_what_is_short_memory(error: BaseException, short: bool) -> None:
    assert out_of_memory(error) is short


def test_a_batch_that_does_not_fit_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first case runs out in its second burst; the other one is timed all the same."""
    steps = [0]
    step = Workload.step

    def short(self: Workload) -> None:
        steps[0] += self.configuration.layout == "nchw"
        if steps[0] == 2 and self.configuration.layout == "nchw":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        step(self)

    monkeypatch.setattr(Workload, "step", short)
    kept = []
    options = Options(limits=SHORT, interleave=True)
    measure([case(), case(layout="nhwc")], options, kept.append)
    failed, timed = sorted(kept, key=lambda run: run.failure is None)
    assert (failed.failure, failed.refused, failed.stopped) == ("out of memory at batch 1", False, "failed")
    assert failed.samples_seconds == ()
    assert failed.predicted_peak_bytes > 0
    assert timed.failure is None
    assert timed.statistics.count > 0


@pytest.mark.parametrize("free", [0, 10_000_000])
def test_a_cpu_is_not_asked_for_more_than_is_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Linux would end the process: nothing is built of the case that does not fit, and the other one is timed."""
    built = []
    prepare = Workload.__init__
    monkeypatch.setattr(Workload, "__init__", lambda self, case, device: (built.append(case), prepare(self, case, device))[1])
    monkeypatch.setattr("archcalc.pytorch.bench.devices.free_bytes", lambda: free)
    kept = []
    cases = [case("alexnet"), case()]  # 244 MB of parameters, and a quarter of one
    measure(cases, Options(limits=SHORT), kept.append)
    short = [one.configuration.model for one in kept if one.failure == "out of memory at batch 1"]
    assert short == (["alexnet"] if free else ["alexnet", "lenet5"])
    assert [one.configuration.model for one in built] == (["lenet5"] if free else [])
    assert all(one.predicted_peak_bytes > free for one in kept if one.failure)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory at batch 1"),
        (MemoryError(), "out of memory at batch 1"),
        (NotImplementedError("no mean\nof it"), "refused by PyTorch: NotImplementedError: no mean"),
        (ValueError("\33[31m no"), "refused by PyTorch: ValueError: \\x1b[31m no"),  # nothing of it commands a terminal
    ],
    ids=repr,
)
def test_layers_that_cannot_be_had_leave_the_time_of_the_whole(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("archcalc.pytorch.bench.jobs.breakdown", fail)
    kept = []
    options = Options(limits=SHORT, per_layer=True)
    measure([case()], options, kept.append)
    assert kept[0].breakdown is None
    assert kept[0].undivided == why
    assert kept[0].statistics.count > 0


@pytest.mark.parametrize("error", [AssertionError, AttributeError, KeyError])
def test_a_bug_is_no_refusal(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    monkeypatch.setattr(Workload, "step", lambda self: (_ for _ in ()).throw(error("a bug")))
    with pytest.raises(error, match="a bug"):
        measure([case()], Options(), lambda run: None)


def test_what_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: torch.nn.Module):
        def call(*inputs: torch.Tensor):
            raise torch._dynamo.exc.InternalTorchDynamoError("no compiler\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    kept: list[Run] = []
    measure([case(exec="compile"), case()], Options(limits=SHORT), kept.append)
    refused, timed = kept
    assert (refused.failure, refused.refused) == ("refused by PyTorch: InternalTorchDynamoError: no compiler", True)
    assert timed.statistics.count > 0


# PyTorch has no such kernel in that type on a CPU; one number of a channel has no variance, and nothing stored stands in for it.
REFUSED = {
    "a type": ("input: [4, 6, 6]\nlayers: [{LocalResponseNorm: {size: 3}}]\n", torch.nn.LocalResponseNorm(3), (1, 4, 6, 6)),
    "a batch of one": (
        "input: [4]\nlayers: [{BatchNorm1d: {track_running_stats: false}}]\n",
        torch.nn.BatchNorm1d(4, track_running_stats=False, dtype=torch.bfloat16), (1, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "module", "sizes"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("more", [[], ["--interleave"]], ids=["in turn", "interleaved"])
def test_what_pytorch_refuses_ends_no_other_run(
    run, tmp_path: Path, more: list[str], text: str, module: torch.nn.Module, sizes: tuple[int, ...]
) -> None:
    with pytest.raises((RuntimeError, ValueError)) as theirs:
        module(torch.zeros(sizes, dtype=torch.bfloat16))
    file = tmp_path / "net.yaml"
    file.write_text(text)
    arguments = ["lenet5", str(file), *QUICK, "--dtype", "bf16", *more]
    outcome = run("bench", *arguments, "--format", "json")
    assert outcome.code == 3
    timed, refused = json.loads(outcome.out)["runs"]
    assert timed["statistics"]["count"] > 0
    assert (timed["failure"], timed["refused"], refused["refused"]) == (None, False, True)
    assert refused["failure"] == f"refused by PyTorch: {theirs.type.__name__}: {theirs.value}"
    printed = run("bench", *arguments)
    assert f"net.yaml, infer, batch 1, bf16, nchw, eager: {refused['failure']}\n" in printed.out
    assert "out of memory" not in printed.out
