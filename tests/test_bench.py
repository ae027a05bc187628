"""``archcalc bench`` on the CPU, end to end: times against PyTorch's own timer, files, comparisons, what goes wrong."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
import pytest
import torch

from archcalc import load
from archcalc.analysis import analyse
from archcalc.analysis.timing import plan
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.result import BenchDocument, Run, compared, measured, read_report, with_launch_shares
from archcalc.analysis.timing.sampling import Limits, Sampler, Sampling
from archcalc.analysis.timing.statistics import describe
from archcalc.analysis.timing.work import layer_macs
from archcalc.cli import bench as command
from archcalc.errors import UsageError
from archcalc.pytorch.bench import Options, measure
from archcalc.pytorch.bench.workload import Workload
from archcalc.render.figures import cells
from archcalc.render.ticker import Ticker

ROOT = Path(__file__).parents[1]
QUICK = ("--device", "cpu", "--min-time", "0.05", "--max-time", "0.4")
SHORT = Limits(min_seconds=0.05, max_seconds=0.3, warm_seconds=0.02, relative_interval=0.05)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other measure what else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def configuration(**changed: object) -> Configuration:
    usual = {"mode": "infer", "device": "cpu", "batch": 1, "dtype": "fp32", "layout": "nchw", "exec": "eager"}
    return Configuration(**{"model": "lenet5"} | usual | changed)


def case(model: str = "lenet5", **changed: object) -> Case:
    return Case(configuration(model=model, **changed), load(model, batch=changed.get("batch", 1)))


def test_the_tables_of_the_command_are_those_below() -> None:
    assert (command.DEVICES, command.MODES, command.DTYPES) == (plan.DEVICES, plan.MODES, plan.PRECISIONS)
    assert (command.LAYOUTS, command.EXECUTIONS) == (plan.LAYOUTS, plan.EXECUTIONS)


def test_end_to_end(run, tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    outcome = run("bench", "lenet5", *QUICK, "--json", str(file))
    assert outcome.code == 0, outcome.err
    assert "lenet5  infer" in outcome.out
    document = read_report(str(file))
    assert document.complete
    (found,) = document.runs
    assert found.configuration == configuration()
    assert (found.params, found.images) == (60_000, 1)
    assert found.macs == analyse(load("lenet5")).totals.macs
    assert found.statistics.count == len(found.samples_seconds) >= 10
    assert found.images_per_second == pytest.approx(1 / found.statistics.median_seconds)
    assert found.flops_per_second == pytest.approx(2 * found.macs / found.statistics.median_seconds)
    assert found.predicted_peak_bytes > 240_000  # the parameters alone
    assert document.environment.torch == torch.__version__
    printed = run("bench", "--report", str(file))
    assert (printed.code, printed.out) == (0, outcome.out)


def test_the_median_agrees_with_pytorchs_own_timer() -> None:
    """Within 10 %: the two take turns, so that what disturbs the machine meets both, and the best of a few turns counts.

    A machine that is shared can be slow for the one and not for the other; what is wrong with a clock is wrong in every turn.
    Blocks of one run, as bench has them: ``blocked_autorange`` takes the mean of several where it sees fit, and a mean holds
    whatever else the machine did.
    """
    from torch.utils.benchmark import Timer

    workload = Workload(case(), torch.device("cpu"))
    timer = Timer("step()", globals={"step": workload.step}, num_threads=1)
    ratios = []
    for _ in range(6):
        kept: list[Run] = []
        measure([case()], Options(limits=msgspec.structs.replace(SHORT, min_seconds=0.2)), kept.append)
        theirs = median(timer.timeit(1).median for _ in range(100))
        ratios.append(kept[0].statistics.median_seconds / theirs)
        if abs(ratios[-1] - 1) <= 0.1:
            break
    assert min(abs(ratio - 1) for ratio in ratios) <= 0.1, ratios


def test_layers_of_a_step_of_training(run, tmp_path: Path) -> None:
    file = tmp_path / "layers.json"
    outcome = run("bench", "lenet5", *QUICK, "--mode", "train", "--per-layer", "--json", str(file))
    assert outcome.code == 0, outcome.err
    (found,) = read_report(str(file)).runs
    parts = found.breakdown
    named = [layer.name for layer in analyse(load("lenet5")).layers]
    assert [layer.name for layer in parts.layers] == named
    assert all(layer.forward_seconds > 0 and layer.backward_seconds > 0 for layer in parts.layers if layer.op != "Flatten")
    spent = sum(layer.forward_seconds + layer.backward_seconds for layer in parts.layers) + sum(parts.other_seconds.values())
    assert parts.sum_seconds == pytest.approx(spent)
    assert parts.total_seconds == found.statistics.median_seconds
    assert 0.3 < parts.sum_seconds / parts.total_seconds < 5  # the profiler costs, and nothing is lost
    assert {layer.macs for layer in parts.layers if layer.name == "C1"} == {layer_macs(load("lenet5"), "train")["C1"]}
    assert "(optimizer step)" in outcome.out
    assert "(undivided)" in outcome.out


def test_several_combinations_take_turns(run, tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    arguments = ["--batch", "1,4", "--layout", "nchw,nhwc", "--interleave", "--json", str(file), "--format", "csv"]
    outcome = run("bench", "lenet5", *QUICK, *arguments)
    assert outcome.code == 0, outcome.err
    runs = read_report(str(file)).runs
    heading, *rows = outcome.out.splitlines()
    medians = [float(row.split(",")[heading.split(",").index("median_seconds")]) for row in rows]
    assert medians == [one.statistics.median_seconds for one in runs]  # CSV rounds nothing
    asked = [(batch, layout) for batch in (1, 4) for layout in plan.LAYOUTS]
    assert [(one.configuration.batch, one.configuration.layout) for one in runs] == asked  # whichever ended first
    assert all(one.peak_allocated_bytes is None for one in runs)


def document(*samples: float, **changed: object) -> BenchDocument:
    """A benchmark of one run with these samples."""
    blank = Run(configuration=configuration(), title="LeNet-5", input={"input": (1, 1, 32, 32)}, params=1, macs=1, images=1)
    sampled = {"stopped": "precise", "warm_runs": 3, "warm_seconds": 0.1, "steady": True, "looks": 1, "elapsed_seconds": 1.0}
    found = measured(blank, Sampling(samples=samples, **sampled | changed), SHORT)
    environment = {"archcalc": "0", "python": "3", "torch": "2", "system": "here", "processor": "a CPU", "cores": 1, "threads": 1}
    raw = {"complete": True, "started": "2026-01-01", "environment": environment, "limits": SHORT, "runs": [found]}
    return msgspec.convert(msgspec.to_builtins(raw), BenchDocument)


def written(tmp_path: Path, name: str, content: BenchDocument) -> str:
    file = tmp_path / name
    file.write_bytes(msgspec.json.encode(content))
    return str(file)


def elsewhere(content: BenchDocument, **changed: object) -> BenchDocument:
    """The same times, from another machine."""
    return msgspec.structs.replace(content, environment=msgspec.structs.replace(content.environment, **changed))


STILL = tuple(1.0 + 0.0001 * (number % 7) for number in range(30))


@pytest.mark.parametrize(
    ("factor", "verdict", "code"), [(1.0, "SAME +0.0 %", 0), (0.5, "FASTER -50.0 %", 0), (2.0, "SLOWER +100.0 %", 1)]
)
def test_a_comparison_with_an_older_file(run, tmp_path: Path, factor: float, verdict: str, code: int) -> None:
    old = written(tmp_path, "old.json", document(*STILL))
    new = written(tmp_path, "new.json", document(*(factor * one for one in STILL)))
    outcome = run("bench", "--report", new, "--compare", old, "--strict")
    assert verdict in outcome.out
    assert outcome.code == code
    assert run("bench", "--report", new, "--compare", old).code == 0


def test_a_comparison_of_other_machines_or_networks_says_so(run, tmp_path: Path) -> None:
    here = document(*STILL)
    other = msgspec.structs.replace(here.runs[0], params=2)
    old = written(tmp_path, "old.json", elsewhere(here, torch="1.13", threads=4, processor="b CPU"))
    new = written(tmp_path, "new.json", msgspec.structs.replace(here, runs=(*here.runs, other)))
    out = run("bench", "--report", new, "--compare", old).out
    assert "taken elsewhere: device b CPU there, a CPU here; torch 1.13 there, 2 here; threads 4 there, 1 here" in out
    assert "1 run has nothing to be compared with" in out
    assert "elsewhere" not in run("bench", "--report", new, "--compare", new).out
    compared_json = json.loads(run("bench", "--report", new, "--compare", old, "--format", "json").out)
    assert [one["change"] and one["change"]["verdict"] for one in compared_json["runs"]] == ["SAME", None]


def test_what_the_older_file_lacks_is_compared_with_nothing(tmp_path: Path) -> None:
    new, old = document(*STILL), document(*STILL)
    for other in ({"configuration": configuration(batch=2)}, {"params": 2}, {"input": {"input": (1, 1, 28, 28)}}):
        changed = msgspec.structs.replace(old, runs=(msgspec.structs.replace(old.runs[0], **other),))
        assert compared(new, changed).runs[0].change is None
    assert compared(new, old).runs[0].change.verdict == "SAME"


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (document(*STILL), None),
        (document(*(1 + number % 2 for number in range(30))), "--rel-ci"),
        (document(*(1 + number / 100 for number in range(60))), "the second half"),
        (document(*STILL, steady=False), "warm-up"),
    ],
    ids=["quiet", "imprecise", "drift", "unsteady"],
)
def test_noise_has_a_word_and_strict_an_exit_code(run, tmp_path: Path, content: BenchDocument, warning: str | None) -> None:
    file = written(tmp_path, "times.json", content)
    outcome = run("bench", "--report", file, "--strict")
    assert outcome.code == (1 if warning else 0)
    assert warning is None or warning in outcome.out
    assert run("bench", "--report", file).code == 0


def test_a_throttled_gpu_has_a_word() -> None:
    from archcalc.analysis.timing.result import Clocks

    slow = Clocks(readings=2, least_mhz=900, median_mhz=1000, most_mhz=1980, most_celsius=90, most_watts=700, throttling=("heat",))
    blank = msgspec.structs.replace(document(*STILL).runs[0], clocks=slow)
    sampled = Sampling(samples=STILL, stopped="precise", warm_runs=1, warm_seconds=1, steady=True, looks=1, elapsed_seconds=1)
    assert measured(blank, sampled, SHORT).warnings == ("throttled",)


def test_eager_beside_graph_shows_what_launches_cost() -> None:
    eager = document(*(2 * one for one in STILL)).runs[0]
    graph = msgspec.structs.replace(document(*STILL).runs[0], configuration=configuration(exec="graph"))
    with_share, captured = with_launch_shares([eager, graph])
    assert with_share.launch_bound == pytest.approx(0.5)
    assert captured.launch_bound is None
    assert with_launch_shares([eager])[0].launch_bound is None


def test_an_interrupted_run_keeps_what_it_has(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second case, after some of its samples: the first is whole, the second says where it ended, the exit is 130."""

    def interrupted(self: Ticker, case: Case, sampler: Sampler) -> None:
        if case.configuration.batch == 2 and sampler.samples:
            raise KeyboardInterrupt

    monkeypatch.setattr(Ticker, "tell", interrupted)
    file = tmp_path / "times.json"
    wanted = ("--device", "cpu", "--batch", "1,2,3", "--min-time", "0.3", "--max-time", "30", "--rel-ci", "90")
    outcome = run("bench", "lenet5", *wanted, "--json", str(file))
    assert outcome.code == 130
    document = read_report(str(file))
    assert not document.complete
    assert [(one.configuration.batch, one.stopped) for one in document.runs] == [(1, "precise"), (2, "interrupted")]
    assert document.runs[1].statistics.count == len(document.runs[1].samples_seconds) > 0
    assert "interrupted" in outcome.out
    assert run("bench", "--report", str(file)).code == 130


def test_the_ticker_stays_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote last is wiped to the last cell: a Korean letter has two."""
    monkeypatch.setenv("COLUMNS", "40")
    written_ = io.StringIO()
    monkeypatch.setattr(written_, "isatty", lambda: True)
    ticks = iter(range(100))
    sampler = Sampler(None, SHORT)
    with Ticker(2, written_, lambda: float(next(ticks))) as ticker:
        ticker.tell(case(), sampler)
        ticker.tell(Case(configuration(model="합성곱망 " * 9), load("lenet5")), sampler)
    *lines, wiped, end = written_.getvalue().split("\r")[1:]
    assert all(cells(line) < 40 for line in lines)
    assert lines[0].startswith("1/2 warming up, 0.0 s: lenet5")
    assert (wiped, end) == (" " * cells(lines[-1].rstrip()), "")


def test_a_failed_batch_has_a_word_and_an_exit_code(run, tmp_path: Path) -> None:
    content = document(*STILL)
    failed = msgspec.structs.replace(
        content.runs[0], statistics=None, samples_seconds=(), stopped="failed", failure="out of memory at batch 512",
        predicted_peak_bytes=3 * 2**30,
    )  # fmt: skip
    file = written(tmp_path, "times.json", msgspec.structs.replace(content, runs=(content.runs[0], failed)))
    outcome = run("bench", "--report", file)
    assert outcome.code == 3
    assert "out of memory at batch 512; 3,072.0 MiB were predicted for its tensors" in outcome.out


BAD_REPORTS = {
    "no file": None,
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "other JSON": b"[1, 2]",
    "another schema": b'{"schema": "archcalc.summary/1"}',
    "a newer one": msgspec.json.encode(msgspec.structs.replace(document(*STILL), schema="archcalc.bench/2")),
    "samples of text": msgspec.json.encode(document(*STILL)).replace(b'"samples_seconds":[1.0', b'"samples_seconds":["1.0"'),
    "very deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_a_file_that_is_no_report(run, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "times.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="E200" if content is None else "E276"):
        read_report(str(file))
    assert run("bench", "--report", str(file)).code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["lenet5", "--device", "cpu", "--dtype", "tf32"], "E275"),
        (["lenet5", "--device", "cpu", "--exec", "eager,graph"], "E275"),
        (["lenet5", "--device", "cpu", "--min-time", "3", "--max-time", "2"], "E278"),
        (["lenet5", "--dtype", "fp33"], "E220"),
        (["lenet5", "--batch", "0"], "E220"),
        (["lenet5", "--batch", "1,,2"], "E220"),
        *(
            (["lenet5", option, value], "E220")
            for option in ("--min-time", "--max-time", "--rel-ci")
            for value in ("nan", "inf", "-1")
        ),
        (["lenet5", "--device", "cpu", "--interleave"], "E232"),
        (["lenet5", "--threads", "2"], "E232"),
        (["lenet5", "--device", "cpu", "--json", "-"], "E222"),
        (["lenet5", "--device", "cpu", "--json", "no/such/folder/times.json"], "E222"),
        (["lenet5", "--device", "cpu", "-o", "no/such/folder/times.csv"], "E222"),
        ([], "E220"),
        (["lenet5", "--report", "x.json", "--compare", "y.json"], "E200"),
        (["lenet6"], "E201"),
    ],
)
def test_what_cannot_be_timed(run, arguments: list[str], code: str) -> None:
    outcome = run("bench", *arguments)
    assert outcome.code == 2
    assert code in outcome.err


@pytest.mark.parametrize("more", ["lenet5", "--batch=3", "--dry-run", "--json=x.json", "--device=cpu", "--set=a=1", "--threads=2"])
def test_a_report_times_nothing(run, tmp_path: Path, more: str) -> None:
    outcome = run("bench", more, "--report", written(tmp_path, "times.json", document(*STILL)))
    assert outcome.code == 2
    assert "E232" in outcome.err


NOTHING_LEARNS = "input: [1, 8, 8]\nlayers:\n  - MaxPool2d: {kernel_size: 2}\n"


def test_a_network_without_parameters_can_only_infer(run, tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(NOTHING_LEARNS)
    assert run("bench", str(file), *QUICK).code == 0
    for mode in ("fwd-bwd", "train"):
        outcome = run("bench", str(file), *QUICK, "--mode", mode)
        assert (outcome.code, "E281" in outcome.err) == (2, True)


def test_threads_are_set_told_and_put_back(run) -> None:
    torch.set_num_threads(2)
    outcome = run("bench", "lenet5", *QUICK, "--threads", "1")
    assert "1 thread;" in outcome.out
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(run) -> None:
    outcome = run("bench", "lenet5")
    assert (outcome.code, outcome.out) == (3, "")
    assert "E350" in outcome.err


def test_a_plan_needs_neither_torch_nor_gpu(run_process) -> None:
    arguments = ["lenet5", "alexnet", "--batch", "1,8", "--dtype", "fp32,tf32", "--dry-run"]
    outcome = run_process("bench", *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert len(found["runs"]) == 2 * 2 * 2 * 2  # models, batches, precisions, eager and graph
    assert 0 < found["least_seconds"] < found["most_seconds"]
    assert all(one["predicted_peak_bytes"] > 0 for one in found["runs"])


LIGHT = """
import sys
from archcalc.cli import main
sys.argv[0] = "archcalc"
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


def test_reports_and_plans_are_made_without_torch(tmp_path: Path) -> None:
    file = written(tmp_path, "times.json", document(*STILL))
    for arguments in (["--report", file, "--compare", file], ["resnet50", "--dry-run"]):
        ended = subprocess.run([sys.executable, "-c", LIGHT, "bench", *arguments], capture_output=True, encoding="utf-8", cwd=ROOT)
        assert (ended.returncode, ended.stderr.strip()) == (0, "False")


def test_a_missing_torch_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    outcome = run("bench", "lenet5", "--device", "cpu")
    assert outcome.code == 3
    assert "E351" in outcome.err


def test_the_statistics_in_a_file_are_those_of_its_samples() -> None:
    found = document(*STILL).runs[0]
    assert found.statistics == describe(STILL, confidence=0.99)
