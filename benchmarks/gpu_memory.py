"""Predicted bytes against PyTorch's own statistics on a CUDA device: one command, a table with the machine's data in docs/measured.

python benchmarks/gpu_memory.py            # some minutes; exits 3 without a CUDA device, 1 if a limit is broken
python benchmarks/gpu_memory.py --networks resnet18,alexnet --batches 1,8 -o /tmp/bytes.md
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import archcalc
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.report import usage
from archcalc.errors import MissingError
from archcalc.pytorch.bench.devices import need

NETWORKS = (
    "lenet5_modern", "alexnet", "zfnet", "vgg16", "vgg16_bn", "googlenet_torchvision", "resnet18", "resnet50", "preact_resnet164",
    "densenet121", "densenet_40_12",
)  # fmt: skip
BATCHES = (1, 32, 128)
PRECISIONS = ("fp32", "amp")
HERE = Path(__file__).parents[1]
OUTPUT = HERE / "docs" / "measured" / "gpu-memory.md"
# What the project promises: of requested bytes at worst, of allocated bytes on average and at worst.
REQUESTED_WORST, ALLOCATED_MEAN, ALLOCATED_WORST = 0.005, 0.02, 0.05
HEADINGS = (
    "network", "batch", "mode", "precision", "requested bytes, predicted", "measured", "error", "allocated bytes, predicted",
    "measured", "error", "reserved bytes", "cuBLAS bytes",
)  # fmt: skip


class Case(NamedTuple):
    """One run: a bundled network at a batch, trained or not, in 32 bit or under autocast."""

    network: str
    batch: int
    train: bool
    precision: str

    @property
    def plan(self) -> Plan:
        return Plan(train=self.train, amp="bf16" if self.precision == "amp" else None)


class Measured(NamedTuple):
    """What the allocator's statistics say of one run, and the cuBLAS workspaces among it, in bytes."""

    requested: int
    allocated: int
    reserved: int
    workspaces: int


class Row(NamedTuple):
    """A case with what was predicted and what was measured, less the workspaces; ``measured`` None where it did not fit."""

    case: Case
    requested: int
    allocated: int
    measured: Measured | None

    def error(self, what: str) -> float:
        """How far the prediction is above the measurement, as a share of that."""
        assert self.measured is not None
        found = getattr(self.measured, what) - self.measured.workspaces
        return (getattr(self, what) - found) / found


def cases(networks: Iterable[str], batches: Iterable[int]) -> Iterator[Case]:
    return (Case(*one) for one in product(networks, batches, (False, True), PRECISIONS))


def predicted(case: Case) -> tuple[int, int]:
    found = usage(archcalc.load(case.network, batch=case.batch), case.plan)
    assert found.allocated_peak_bytes is not None
    return found.peak_bytes, found.allocated_peak_bytes


def compare(chosen: Iterable[Case], measure: Callable[[Case], Measured | None]) -> Iterator[Row]:
    for case in chosen:
        yield Row(case, *predicted(case), measure(case))


def step_of(case: Case, device: str) -> Callable[[], None]:
    """One forward, or one training step, of a freshly built network on a device, as ``simulate`` describes it."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    graph = archcalc.load(case.network, batch=case.batch)
    model = archcalc.build(graph).to(device).train(case.train)
    inputs = [torch.randn(tuple(node.output), device=device) for node in graph.inputs]
    classes = graph.nodes[graph.outputs["output"]].output[1]
    targets = torch.randint(classes, (case.batch,), device=device) if case.train else None  # as inference has none
    weights = [1.0, *(graph.head_weights.get(name, 1.0) for name in graph.outputs if name != "output")]
    autocast = torch.autocast(device, torch.bfloat16, enabled=case.precision == "amp")
    if not case.train:

        def forward() -> None:
            with torch.no_grad(), autocast:
                model(*inputs)

        return forward
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=1e-4, momentum=0.9, foreach=True)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            outputs = model(*inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            loss = F.cross_entropy(outputs[0], targets)
            for head, weight in zip(outputs[1:], weights[1:], strict=True):
                loss = loss + weight * F.cross_entropy(head, targets)
        loss.backward()
        optimizer.step()

    return train


def measure_on_cuda(case: Case) -> Measured | None:
    """The peaks of a case; None where the device has no room. Leaves the device as it found it."""
    import torch

    clean()
    found = None
    with suppress(torch.cuda.OutOfMemoryError):
        found = peaks(case)
    clean()  # when nothing of the run is left
    return found


def peaks(case: Case, warm_up: int = 2) -> Measured:
    """The peaks of the step after the first ones, which leave the optimizer's state and the allocator's cache behind."""
    import torch

    torch.backends.cudnn.benchmark = False  # its search would try algorithms with workspaces of their own
    step = step_of(case, "cuda")
    for _ in range(warm_up):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    requested = torch.cuda.memory_stats()["requested_bytes.all.peak"]
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    before = torch.cuda.memory_allocated()
    torch._C._cuda_clearCublasWorkspaces()
    return Measured(requested, allocated, reserved, before - torch.cuda.memory_allocated())


def clean() -> None:
    import gc

    import torch

    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()


def machine() -> dict[str, Any]:
    import torch

    device = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return {
        "date": date.today().isoformat(),
        "device": device.name,
        "capability": f"{device.major}.{device.minor}",
        "device_bytes": total,
        "context_bytes": total - free - torch.cuda.memory_reserved(),  # and whatever else runs there
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver(),
        "allocator": torch.cuda.get_allocator_backend(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "archcalc": archcalc.__version__,
    }


def driver() -> str:
    import subprocess

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "unknown"


class Verdict(NamedTuple):
    """The errors over all that fitted: shares of what was measured, below 0 where the prediction is too low."""

    cases: int
    requested_worst: float
    requested_mean: float
    allocated_worst: float
    allocated_mean: float
    too_low: int

    @property
    def broken(self) -> list[str]:
        """The promises that the measurements do not keep."""
        limits = [
            ("requested bytes, worst", self.requested_worst, REQUESTED_WORST),
            ("allocated bytes, mean", self.allocated_mean, ALLOCATED_MEAN),
            ("allocated bytes, worst", self.allocated_worst, ALLOCATED_WORST),
        ]
        return [f"{what}: {found:.2%}, limit {limit:.1%}" for what, found, limit in limits if found > limit]


def verdict(rows: list[Row]) -> Verdict:
    fitted = [row for row in rows if row.measured is not None]
    if not fitted:
        return Verdict(0, 0.0, 0.0, 0.0, 0.0, 0)
    requested, allocated = ([row.error(what) for row in fitted] for what in ("requested", "allocated"))
    sizes = [max(map(abs, requested)), mean(map(abs, requested)), max(map(abs, allocated)), mean(map(abs, allocated))]
    return Verdict(len(fitted), *sizes, sum(error < 0 for error in requested))


def report(rows: list[Row], about: dict[str, Any]) -> str:
    found = verdict(rows)
    lines = [
        "# Predicted bytes against a GPU's",
        "",
        "Written by `python benchmarks/gpu_memory.py`. Training is SGD with momentum (foreach), the step after two others; `amp`",
        "is autocast to bfloat16. Measured: `requested_bytes.all.peak` and `max_memory_allocated()`, less cuBLAS' workspaces,",
        "which stand in the last column; cuDNN's workspaces are in the measured bytes and not in the predicted ones.",
        "",
        f"{found.cases} runs. Requested bytes: worst error {found.requested_worst:.2%}, mean {found.requested_mean:.2%};",
        f"predicted too low in {found.too_low}. Allocated: worst {found.allocated_worst:.2%}, mean {found.allocated_mean:.2%}.",
        *(f"**Beyond the limit: {line}.**" for line in found.broken),
        "",
        *(f"- {key}: {value}" for key, value in about.items()),
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|" + "---|" * 4 + "---:|" * 8,
        *(line(row) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def line(row: Row) -> str:
    case, found = row.case, row.measured
    mode = "training" if case.train else "inference"
    told = [case.network, str(case.batch), mode, case.precision, f"{row.requested:,}"]
    if found is None:
        return f"| {' | '.join([*told, 'no room', '', f'{row.allocated:,}', '', '', '', ''])} |"
    requested, allocated = found.requested - found.workspaces, found.allocated - found.workspaces
    errors = [f"{row.error(what):+.2%}" for what in ("requested", "allocated")]
    numbers = [f"{requested:,}", errors[0], f"{row.allocated:,}", f"{allocated:,}", errors[1]]
    return f"| {' | '.join([*told, *numbers, f'{found.reserved:,}', f'{found.workspaces:,}'])} |"


def as_numbers(row: Row) -> dict[str, Any]:
    measured = None if row.measured is None else row.measured._asdict()
    return {**row.case._asdict(), "requested": row.requested, "allocated": row.allocated, "measured": measured}


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", default=",".join(NETWORKS), help="bundled models, apart by commas")
    options.add_argument("--batches", default=",".join(map(str, BATCHES)), help="batches, apart by commas")
    options.add_argument(
        "-o", dest="file", type=Path, default=OUTPUT, help="where the table goes; the numbers go beside it as JSON"
    )
    chosen = options.parse_args(arguments)
    try:
        need("cuda")
    except MissingError as error:
        print(f"{error.message}: nothing was measured", file=sys.stderr)
        return error.exit_code
    about = machine()
    rows = []
    for row in compare(cases(chosen.networks.split(","), map(int, chosen.batches.split(","))), measure_on_cuda):
        print(line(row), file=sys.stderr, flush=True)
        rows.append(row)
    numbers = chosen.file.with_suffix(".json")
    chosen.file.parent.mkdir(parents=True, exist_ok=True)
    chosen.file.write_text(report(rows, about), encoding="utf-8")
    text = json.dumps({"machine": about, "rows": [as_numbers(row) for row in rows]}, indent=1)
    numbers.write_text(text + "\n", encoding="utf-8")
    print(f"{chosen.file} and {numbers.name} were written")
    broken = verdict(rows).broken
    print("\n".join(broken) or "all within the limits")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
