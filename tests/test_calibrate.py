"""Calibration: a made clock, a profile's file, and this machine's processor measured end to end."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

import archcalc
from archcalc.analysis.roofline import roofline
from archcalc.analysis.roofline.profile import SCHEMA, Profile, Sample, read_profile
from archcalc.errors import MissingError, UsageError
from archcalc.pytorch import calibrate as calibrating
from archcalc.pytorch.calibrate import REPEATS, Sizes, calibrate, timed
from archcalc.render.roofline import profile_text


class Clock:
    """A clock that only moves when the work that it times says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.calls += 1
            self.now += seconds

        return call


@pytest.mark.parametrize("seconds", [1e-6, 3e-4, 0.2, 5.0])
def test_the_time_of_a_call(seconds: float) -> None:
    clock = Clock()
    assert timed(clock.work(seconds), lambda: None, clock, 0.5) == pytest.approx(seconds)
    assert clock.now >= 0.5  # long enough for a coarse clock
    assert clock.now <= max(5 * 0.5, (REPEATS + 4) * seconds)


def test_one_slow_group_does_not_count() -> None:
    clock, wait = Clock(), iter([0, 0, 0, 0, 0, 7.0] + [0] * 1000)

    def interrupted() -> None:
        clock.now += next(wait)

    assert timed(clock.work(1.0), interrupted, clock, 0.5) == pytest.approx(1.0)


def sample(what: str, seconds: float, **others: object) -> Sample:
    return Sample(**{"detail": "", "precision": "fp32", "layout": None, **others}, what=what, seconds=seconds)


PROFILE = Profile(
    schema=SCHEMA,
    name="made up",
    kind="cpu",
    software={},
    memory_bytes=2**34,
    cache_bytes=0,
    matrix_units=False,
    samples=(
        sample("copy", 0.01, bytes=10**8),
        sample("copy", 0.01, bytes=2 * 10**8),
        sample("function", 0.01, bytes=10**8),
        sample("matmul", 1.0, macs=10**11),
        sample("pointwise", 1.0, macs=8 * 10**10, layout="nchw"),
        sample("window", 1.0, macs=3 * 10**11, layout="nchw"),
        sample("window", 1.0, macs=10**11, layout="nhwc"),
        sample("kernel", 1e-6, bytes=8),
        sample("dispatch", 2e-6, bytes=8),
    ),
)


def test_rates_of_a_profile() -> None:
    device, cases = PROFILE.device, PROFILE.cases("fp32", "nchw")
    assert device.bandwidth == 2 * 10**10
    assert device.peaks == {"fp32": 2 * 10**11}
    assert cases.estimate.bandwidth == pytest.approx(0.5)
    assert cases.estimate.arithmetic == pytest.approx(0.8)
    assert cases.estimate.windows == pytest.approx(3.0)  # by an algorithm that uses fewer products
    assert PROFILE.cases("fp32", "nhwc").estimate.windows == pytest.approx(1.0)
    with pytest.raises(UsageError, match=r"E286.*made up has no peak in bf16"):
        PROFILE.cases("bf16", "nchw")


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    file.write_text(profile_text(PROFILE), encoding="utf-8")
    assert read_profile(str(file)) == PROFILE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no profile"),
        ("{", "is no profile"),
        ("[]", "is no profile"),
        ('{"schema": "archcalc.summary/1"}', "is no profile"),
        (profile_text(msgspec.structs.replace(PROFILE, schema="archcalc.profile/9")), "its schema is archcalc.profile/9"),
        (profile_text(msgspec.structs.replace(PROFILE, samples=PROFILE.samples[2:])), "it lacks measurements"),
        (profile_text(msgspec.structs.replace(PROFILE, samples=(*PROFILE.samples, sample("copy", 0.0)))), "Expected `float` > 0"),
        (profile_text(msgspec.structs.replace(PROFILE, cache_bytes=-1)), "Expected `int` >= 0"),
        (profile_text(msgspec.structs.replace(PROFILE, samples=(*PROFILE.samples, sample("copy", 1e-9, macs=2**62)))), "no device"),
        (profile_text(msgspec.structs.replace(PROFILE, samples=(*PROFILE.samples, sample("matmul", 1.0)))), "no device has"),
        (profile_text(PROFILE).replace('"macs": 100000000000', f'"macs": {10**400}', 1), "Expected `int` <="),
        ("\udcff".encode("utf-8", "surrogateescape"), "is no profile"),
    ],
)
def test_what_is_no_profile(run, tmp_path: Path, text: str | bytes, reason: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    outcome = run("roofline", "lenet5", "--profile", str(file))
    assert outcome.code == 2
    assert "E288" in outcome.err
    assert reason in outcome.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu(run) -> None:
    with pytest.raises(MissingError, match="E350"):
        calibrate("cuda")
    outcome = run("calibrate", "--device", "cuda")
    assert outcome.code == 3
    assert "--device cpu" in outcome.err


def test_without_torch(run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    outcome = run("calibrate", "--device", "cpu")
    assert outcome.code == 3
    assert "E330" in outcome.err


SMALL = Sizes((2,), (128, 256), 1, ("fp32",))


def test_the_command_measures_this_processor(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calibrating.SIZES, "cpu", SMALL)
    file = tmp_path / "cpu.json"
    assert run("calibrate", "--device", "cpu", "--seconds", "0.001", "-o", str(file)).code == 0
    profile = read_profile(str(file))
    assert {one.what for one in profile.samples} == {"copy", "function", "matmul", "pointwise", "window", "kernel", "dispatch"}
    document = json.loads(run("roofline", "resnet20", "--profile", str(file), "--format", "json").out)
    assert document["gpu"] == profile.name
    assert 0 < document["bound_seconds"] < document["estimate_seconds"]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would measure the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["resnet20", "lenet5"])
def test_estimate_beside_a_measured_time(one_thread: None, name: str) -> None:
    """A wide margin on purpose: a shared machine, maps that stay in the cache, and Python between the kernels."""
    profile = calibrate("cpu", seconds=0.01, sizes=Sizes((16,), (256, 512), 1, ("fp32",)))
    graph = archcalc.load(name, batch=8)
    found = roofline(graph, profile.device, cases=profile.cases("fp32", "nchw"))
    net, x = archcalc.build(graph).eval(), torch.randn(*graph.inputs[0].output)
    spent = []
    with torch.no_grad():
        for _ in range(8):
            start = time.perf_counter()
            net(x)
            spent.append(time.perf_counter() - start)
    measured = min(spent[1:])
    assert found.bound_seconds < measured
    assert 1 / 20 < measured / found.estimate_seconds < 20


@pytest.mark.parametrize("file", ["/nonexistent/profile.json", "."])
def test_a_file_that_cannot_be_written_is_told_before_two_minutes_of_measuring(run, monkeypatch, file: str) -> None:
    monkeypatch.setattr(calibrating, "calibrate", lambda *arguments, **options: pytest.fail("it measures"))
    outcome = run("calibrate", "--device", "cpu", "-o", file)
    assert outcome.code == 2
    assert f"error[E222]: cannot write {file}" in outcome.err


def test_a_number_of_seconds_is_one(run) -> None:
    outcome = run("calibrate", "--device", "cpu", "--seconds", "nan")
    assert outcome.code == 2
    assert "a number from 0.001 to 60 is needed, not nan" in outcome.err
