"""What people see of a benchmark: golden screens of one that is made up, so that they are the same on every machine."""

import csv
from pathlib import Path

import msgspec
import pytest

from archcalc import load
from archcalc.analysis.timing.plan import Configuration
from archcalc.analysis.timing.result import (
    BenchDocument,
    Breakdown,
    Clocks,
    Environment,
    Gpu,
    Ranks,
    Run,
    TimedLayer,
    measured,
    with_launch_shares,
)
from archcalc.analysis.timing.sampling import Limits, Sampling

LIMITS = Limits()
HERE = Environment(
    archcalc="0.1.0", python="3.13.1", torch="2.13.0", system="Linux", processor="a CPU", cores=8, threads=8, cuda="12.8",
    cudnn="91002", git="0123456789ab", gpus=(Gpu(name="NVIDIA A100-SXM4-80GB", compute_capability="8.0", memory_bytes=80 * 2**30),),
)  # fmt: skip


def configuration(**changed: object) -> Configuration:
    usual = {"mode": "infer", "device": "cuda", "batch": 32, "dtype": "amp-bf16", "layout": "nhwc", "exec": "eager"}
    return Configuration(**{"model": "alexnet"} | usual | changed)


def made(median: float, spread: float = 0.001, count: int = 700, **changed: object) -> Run:
    """A run whose samples lie evenly around a median; every hundredth one is an outlier."""
    one = configuration(**changed)
    places = (((number * 37) % 101 - 50) / 50 for number in range(count))
    samples = tuple(median * (1 + spread * place + (number % 100 == 99)) for number, place in enumerate(places))
    blank = Run(
        configuration=one, title="AlexNet", input={"input": (one.batch, 3, 227, 227)}, params=1, macs=23_000_000_000,
        images=one.batch, bound_seconds=1e-5 * one.batch, estimate_seconds=4e-5 * one.batch, predicted_peak_bytes=3 * 2**30,
    )  # fmt: skip
    sampled = Sampling(samples=samples, stopped="precise", warm_runs=9, warm_seconds=0.3, steady=True, looks=1, elapsed_seconds=1)
    return measured(blank, sampled, LIMITS)


def document(*runs: Run) -> BenchDocument:
    return BenchDocument(
        complete=True, started="2026-11-22T12:00:00+00:00", environment=HERE, limits=LIMITS, predicted_for="A100 SXM 80GB",
        runs=with_launch_shares(runs),
    )  # fmt: skip


def several() -> BenchDocument:
    """Eager beside graph, one that is noisy on a GPU that grew hot, one that did not fit, and one that PyTorch refuses."""
    hot = Clocks(
        readings=9, least_mhz=1095, median_mhz=1200, most_mhz=1410, most_celsius=88, most_watts=399.6, throttling=("power cap",)
    )
    noisy = msgspec.structs.replace(made(0.0131, 0.2, 60, batch=256), clocks=hot, warnings=("imprecise", "throttled"))
    failed = msgspec.structs.replace(
        made(1.0, batch=8192), statistics=None, samples_seconds=(), images_per_second=None, flops_per_second=None,
        stopped="failed", failure="out of memory at batch 8192",
    )  # fmt: skip
    words = "refused by PyTorch: NotImplementedError: no such kernel for 'BFloat16'"
    refused = msgspec.structs.replace(failed, configuration=made(1.0, dtype="bf16").configuration, failure=words, refused=True)
    return document(made(0.0019), made(0.00152, exec="graph"), noisy, failed, refused)


def apart() -> BenchDocument:
    """A run layer by layer, each in two microseconds more than the one before it."""
    run = made(0.00152, exec="graph")
    rows = []
    for number, node in enumerate(load("alexnet", batch=32).layers):
        seconds = (40 + 2 * number) * 1e-6
        macs = 10**8 * (number % 5)
        moved = 10**7 * (number + 1)
        row = TimedLayer(
            name=node.name, layers=(node.name,), op=type(node.op).__name__, forward_seconds=seconds, check_seconds=seconds * 0.98,
            macs=macs, moved_bytes=moved, flops_per_second=2 * macs / seconds, bytes_per_second=moved / seconds,
            estimate_seconds=seconds * (1 + number % 3) / 3, share_of_roof=number / 30, bound="arithmetic" if macs else "bytes",
        )  # fmt: skip
        rows.append(row)
    spent = sum(row.forward_seconds for row in rows)
    parts = Breakdown(
        method="events in a captured graph", repetitions=50, layers=tuple(rows), other_seconds={"between layers": 3e-6},
        sum_seconds=spent + 3e-6, total_seconds=run.statistics.median_seconds,
    )  # fmt: skip
    return document(msgspec.structs.replace(run, breakdown=parts))


def together() -> BenchDocument:
    ranks = Ranks(processes=2, backend="nccl", median_seconds=(0.00211, 0.00214), alone_seconds=0.0019, scaling_efficiency=0.888)
    return document(msgspec.structs.replace(made(0.00211, mode="train"), ranks=ranks))


DOCUMENTS = {"several": several, "layers": apart, "processes": together}


def written(folder: Path, content: BenchDocument) -> str:
    file = folder / "times.json"
    file.write_bytes(msgspec.json.encode(content))
    return str(file)


@pytest.mark.parametrize("width", ["80", "140"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_reports(run, golden, tmp_path: Path, name: str, width: str) -> None:
    outcome = run("bench", "--report", written(tmp_path, DOCUMENTS[name]()), "--width", width)
    golden(outcome.out, f"bench-{name}-{width}.txt")
    assert outcome.code == (3 if name == "several" else 0)


def test_against_an_older_report(run, golden, tmp_path: Path) -> None:
    old = written(tmp_path, document(made(0.0020), made(0.00152, exec="graph"), made(0.012, 0.2, 60, batch=256)))
    (tmp_path / "new").mkdir()
    outcome = run("bench", "--report", written(tmp_path / "new", several()), "--compare", old, "--width", "140")
    golden(outcome.out, "bench-compared.txt")


def on(name: str, predicted_for: str | None, **changed: object) -> BenchDocument:
    """One time on another GPU."""
    content = document(msgspec.structs.replace(made(0.0019), **changed))
    gpu = Gpu(name=name, compute_capability="8.6", memory_bytes=2**34)
    here = msgspec.structs.replace(HERE, gpus=(gpu,))
    return msgspec.structs.replace(content, environment=here, predicted_for=predicted_for)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            on("NVIDIA A10G", None, bound_seconds=None, estimate_seconds=None),
            "NVIDIA A10G is not in the table of devices; archcalc calibrate --device cuda",
        ),
        (on("NVIDIA GeForce RTX 3090", "RTX 3090"), "predicted for RTX 3090, whose peaks were read in no primary source"),
        (on("Tesla T4", "T4", bound_seconds=None, estimate_seconds=None), "nothing is known of its arithmetic in amp-bf16"),
    ],
    ids=["unknown", "unverified", "without bf16"],
)
def test_what_the_prediction_is_worth(run, tmp_path: Path, content: BenchDocument, words: str) -> None:
    assert words in run("bench", "--report", written(tmp_path, content), "--width", "300").out


def test_a_hostile_report_is_text(run, tmp_path: Path) -> None:
    """What a file says reaches no terminal as more than letters, and times of nothing divide nothing."""
    escape = "\x1b[31m[red]=1+1"
    none = msgspec.structs.replace(made(0.0019).statistics, median_seconds=0.0, low_seconds=0.0, high_seconds=0.0)
    run_ = msgspec.structs.replace(apart().runs[0], statistics=none, undivided=escape, title=escape)
    run_ = msgspec.structs.replace(
        run_, configuration=configuration(model=escape), breakdown=msgspec.structs.replace(run_.breakdown, total_seconds=0.0)
    )
    content = msgspec.structs.replace(
        document(run_), environment=msgspec.structs.replace(HERE, torch=escape, cuda=escape), started=escape, predicted_for=escape
    )
    file = written(tmp_path, content)
    for form in ("table", "csv", "md", "latex", "html", "svg"):
        outcome = run("bench", "--report", file, "--compare", file, "--format", form)
        assert outcome.code == 0, outcome.err
        assert "\x1b" not in outcome.out


@pytest.mark.parametrize("form", ["csv", "md"])
def test_other_forms(run, golden, tmp_path: Path, form: str) -> None:
    golden(run("bench", "--report", written(tmp_path, several()), "--format", form).out, f"bench.{form}")


def test_the_rows_of_layers_add_up_to_the_printed_sum(run, tmp_path: Path) -> None:
    out = run("bench", "--report", written(tmp_path, apart()), "--format", "csv").out
    seconds = {row["name"]: float(row["forward_seconds"]) for row in csv.DictReader(out.splitlines())}
    total = seconds.pop("(sum)")
    del seconds["(undivided)"]
    assert sum(seconds.values()) == pytest.approx(total)


def test_the_plan(run, golden) -> None:
    arguments = ["alexnet", "resnet50", "--batch", "1,64", "--dtype", "fp32,amp-bf16", "--dry-run"]
    golden(run("bench", *arguments).out, "bench-plan.txt")


def test_help(run, golden) -> None:
    golden(run("bench", "--help", COLUMNS="80").out, "help-bench.txt")
