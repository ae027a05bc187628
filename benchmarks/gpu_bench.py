"""The proof of ``archcalc bench`` on a CUDA device: one command, a page with the machine's data in docs/measured.

python benchmarks/gpu_bench.py             # about half an hour; exits 3 without a CUDA device, 1 if a limit is broken
python benchmarks/gpu_bench.py --networks resnet18 --batches 1,32 --dtypes fp32 -o /tmp/times.md
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

import archcalc
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.result import BenchDocument, Run, with_launch_shares
from archcalc.analysis.timing.sampling import Limits
from archcalc.errors import MissingError
from archcalc.pytorch.bench.devices import need

# Networks of the zoo, and what torchvision calls the same architecture; None where it has none.
NETWORKS: dict[str, str | None] = {
    "lenet5": None, "alexnet": None, "alexnet_torchvision": "alexnet", "zfnet": None, "vgg16": "vgg16", "vgg16_bn": "vgg16_bn",
    "googlenet_torchvision": "googlenet", "resnet18": "resnet18", "resnet50": "resnet50", "preact_resnet164": None,
    "densenet121": "densenet121", "densenet_40_12": None,
}  # fmt: skip
BATCHES = (1, 32, 256)
DTYPES = ("fp32", "tf32", "amp-bf16")
LAYOUTS = ("nchw", "nhwc")
MODES = ("infer", "train")
REPEATED = Configuration(model="resnet50", mode="infer", device="cuda", batch=32, dtype="fp32", layout="nchw", exec="graph")
REPEATS = 5
# What the project promises.
MOST_SPREAD, MOST_FROM_DO_BENCH, MOST_FROM_SUM, MOST_OVER_TORCHVISION = 0.005, 0.02, 0.05, 0.02
LIMITS = Limits(min_seconds=0.3, max_seconds=5.0, relative_interval=0.005)
HEADINGS = (
    "network", "mode", "batch", "dtype", "layout", "exec", "median ms", "+- %", "launch %", "of bound", "of estimate",
    "of torchvision",
)  # fmt: skip
OUTPUT = Path(__file__).parents[1] / "docs" / "measured" / "gpu-bench.md"

Timer = Callable[[Case], Run]


class Check(NamedTuple):
    """One promise: what was found, and the most that it may be; as shares."""

    what: str
    found: float
    limit: float

    @property
    def broken(self) -> bool:
        return self.found > self.limit


def case(configuration: Configuration) -> Case:
    return Case(configuration, archcalc.load(configuration.model, batch=configuration.batch))


def configurations(networks: Iterable[str], batches: Iterable[int], dtypes: Iterable[str]) -> Iterator[Configuration]:
    for model, batch, dtype, layout, mode, way in product(networks, batches, dtypes, LAYOUTS, MODES, ("eager", "graph")):
        yield Configuration(model=model, mode=mode, device="cuda", batch=batch, dtype=dtype, layout=layout, exec=way)


def spread(medians: Sequence[float]) -> float:
    """How far apart repeated medians are: the largest from the smallest, over the middle one."""
    return (max(medians) - min(medians)) / median(medians)


def checks(
    repeats: Sequence[float], do_bench: float | None, layers: Run, runs: Sequence[Run], theirs: dict[Configuration, float]
) -> list[Check]:
    """Every promise that the numbers speak about."""
    found = [Check(f"spread of {len(repeats)} medians", spread(repeats), MOST_SPREAD)]
    if do_bench is not None:
        found.append(Check("from triton's do_bench", abs(median(repeats) / do_bench - 1), MOST_FROM_DO_BENCH))
    if layers.breakdown is not None:
        parts = layers.breakdown
        found.append(Check("sum of layers from the total", abs(parts.sum_seconds / parts.total_seconds - 1), MOST_FROM_SUM))
    for run in runs:
        other = theirs.get(run.configuration)
        if other is not None and run.statistics is not None:
            over = run.statistics.median_seconds / other - 1
            found.append(Check(f"over torchvision: {run.configuration.label}", over, MOST_OVER_TORCHVISION))
    return found


def time_case(case: Case, *, per_layer: bool = False) -> Run:
    from archcalc.pytorch.bench import Options, measure

    kept: list[Run] = []
    measure([case], Options(limits=LIMITS, per_layer=per_layer), kept.append)
    return kept[0]


def time_torchvision(case: Case, name: str, device: Any) -> float | None:
    """The median of torchvision's network at the same work; None where it does not fit, or needs what we do not feed it."""
    import torch
    import torchvision

    from archcalc.analysis.timing.sampling import sample
    from archcalc.pytorch.bench.execution import executed
    from archcalc.pytorch.bench.precision import switched
    from archcalc.pytorch.bench.workload import Workload

    configuration = case.configuration
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with switched(configuration.dtype):
        try:
            workload = Workload(case, torch.device("cuda"), getattr(torchvision.models, name)(**more))
            workload.weights = workload.weights[:1]
            clock = device.clock(executed(workload), configuration.exec == "graph", lambda: None)
            return sample(clock, LIMITS).statistics().median_seconds
        except torch.OutOfMemoryError:
            return None


def time_do_bench(case: Case) -> float | None:
    """What triton's do_bench says of the same step, in seconds; None where there is no triton."""
    try:
        from triton.testing import do_bench
    except ImportError:
        return None
    import torch

    from archcalc.pytorch.bench.execution import executed
    from archcalc.pytorch.bench.precision import switched
    from archcalc.pytorch.bench.workload import Workload

    with switched(case.configuration.dtype):
        step = executed(Workload(case, torch.device("cuda")))
        return float(do_bench(step, warmup=200, rep=1000, return_mode="median")) / 1000


def page(found: Sequence[Check], document: BenchDocument, layers: Run, theirs: dict[Configuration, float]) -> str:
    here = document.environment
    device = ", ".join(dict.fromkeys(gpu.name for gpu in here.gpus)) or here.processor
    lines = [
        "# Measured times",
        "",
        f"Written by `python benchmarks/gpu_bench.py` on {date.today()}: {device}, torch {here.torch}, CUDA {here.cuda}, cuDNN",
        f"{here.cudnn}. Medians of one batch; every sample stands in the JSON beside this page (`archcalc bench --report`).",
        "",
        "| promise | found | at most | |",
        "|---|---:|---:|---|",
        *(f"| {one.what} | {one.found:+.2%} | {one.limit:.1%} | {'**broken**' if one.broken else 'kept'} |" for one in found),
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|---|---|---:|---|---|---|---:|---:|---:|---:|---:|---:|",
        *(row(run, theirs.get(run.configuration)) for run in document.runs),
        *layer_lines(layers),
    ]
    return "\n".join(lines) + "\n"


def row(run: Run, theirs: float | None) -> str:
    one, found = run.configuration, run.statistics
    told = [one.model, one.mode, str(one.batch), one.dtype, one.layout, one.exec]
    if found is None:
        return f"| {' | '.join([*told, run.failure or run.stopped, '', '', '', '', ''])} |"
    numbers = [f"{found.median_seconds * 1e3:.4g}", "" if found.precision is None else f"{found.precision:.2%}"[:-1]]
    numbers.append("" if run.launch_bound is None else f"{run.launch_bound:.1%}"[:-1])
    numbers += [
        "" if not other else f"{found.median_seconds / other:.2f}" for other in (run.bound_seconds, run.estimate_seconds, theirs)
    ]
    return f"| {' | '.join([*told, *numbers])} |"


def layer_lines(run: Run) -> list[str]:
    if run.breakdown is None:
        return []
    rows = []
    for one in run.breakdown.layers:
        numbers = [_us(one.forward_seconds), _us(one.check_seconds), _us(one.least_seconds)]
        rows.append(f"| {' | '.join([one.name, one.op, *numbers, one.bound or ''])} |")
    head = ["", f"## Layer by layer: {run.configuration.label}", "", "| layer | operator | us | by the profiler | least | bound |"]
    total = f"sum {run.breakdown.sum_seconds * 1e6:.1f} us, undivided {run.breakdown.total_seconds * 1e6:.1f} us"
    return [*head, "|---|---|---:|---:|---:|---|", *rows, "", total]


def _us(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.1f}"


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", default=",".join(NETWORKS), help="bundled models, apart by commas")
    options.add_argument("--batches", default=",".join(map(str, BATCHES)), help="batches, apart by commas")
    options.add_argument("--dtypes", default=",".join(DTYPES), help="precisions, apart by commas")
    options.add_argument("-o", dest="file", type=Path, default=OUTPUT, help="where the page goes; the samples go beside it as JSON")
    chosen = options.parse_args(arguments)
    try:
        need("cuda")
    except MissingError as error:
        print(f"{error.message}: nothing was measured", file=sys.stderr)
        return error.exit_code
    return proof(chosen)


def proof(chosen: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from archcalc.pytorch.bench import environment, known_device
    from archcalc.pytorch.bench.devices import Cuda

    repeated = case(REPEATED)
    repeats = [run.statistics.median_seconds for run in (time_case(repeated) for _ in range(REPEATS)) if run.statistics]
    do_bench, layers = time_do_bench(repeated), time_case(repeated, per_layer=True)
    runs: list[Run] = []
    theirs: dict[Configuration, float] = {}
    for one in configurations(chosen.networks.split(","), map(int, chosen.batches.split(",")), chosen.dtypes.split(",")):
        runs.append(time_case(case(one)))
        print(row(runs[-1], None), file=sys.stderr, flush=True)
        name = NETWORKS.get(one.model)
        if name is not None and find_spec("torchvision") and (found := time_torchvision(case(one), name, Cuda())) is not None:
            theirs[one] = found
    known = known_device("cuda", None)
    document = BenchDocument(
        complete=True,
        started=date.today().isoformat(),
        environment=environment("cuda"),
        limits=LIMITS,
        predicted_for=known.device.name if known else None,
        runs=with_launch_shares([layers, *runs]),
    )
    found = checks(repeats, do_bench, layers, runs, theirs)
    chosen.file.parent.mkdir(parents=True, exist_ok=True)
    chosen.file.write_text(page(found, document, layers, theirs), encoding="utf-8")
    chosen.file.with_suffix(".json").write_bytes(msgspec.json.encode(document))
    broken = [one for one in found if one.broken]
    print("\n".join(f"{one.what}: {one.found:.2%}, limit {one.limit:.1%}" for one in broken) or "all within the limits")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
