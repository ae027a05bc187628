"""Measures a device: how fast it copies, multiplies and convolves, and what it costs to start a kernel."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

import torch
from torch.nn import functional as F

from archcalc.analysis.devices import find
from archcalc.analysis.roofline.profile import SCHEMA, Profile, Sample
from archcalc.errors import MissingError, UsageError
from archcalc.pytorch.bench.precision import dtype_of, switched

Clock = Callable[[], float]
Call = Callable[[], Any]

MIB: Final = 2**20
LARGEST_CACHE: Final = 256 * MIB
REPEATS: Final = 5  # groups of calls that are timed; their median counts
# Batch, channels in and out, height and width, window: 3x3 and 1x1 convolutions as residual networks have them.
CONVOLUTIONS: Final = (
    (64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 3), (64, 256, 56, 1), (512, 128, 28, 1), (1024, 256, 14, 1),
)  # fmt: skip


class Sizes(NamedTuple):
    """What is measured on a kind of device: tensors of so many MiB, matrices of so many rows, images in a batch, precisions."""

    tensors: tuple[int, ...]
    matrices: tuple[int, ...]
    batch: int
    precisions: tuple[str, ...]


SIZES: Final = {
    "cpu": Sizes((64, 128, 256), (512, 1024, 2048), 4, ("fp32",)),
    "cuda": Sizes((256, 512, 1024), (2048, 4096, 8192), 128, ("fp32", "tf32", "fp16", "bf16")),
}


class Task(NamedTuple):
    """Something to measure: ``make`` returns the call that is timed. The fields before it are those of ``Sample``."""

    what: str
    detail: str
    precision: str
    layout: str | None
    bytes: int
    macs: int
    make: Callable[[], Call]


def calibrate(
    kind: str,
    *,
    seconds: float = 0.5,
    clock: Clock = perf_counter,
    over: "Callable[[Sequence[Task]], Iterable[Task]]" = iter,
    sizes: "Sizes | None" = None,
) -> Profile:
    """Return what was measured of the ``kind`` of device, ``cuda`` or ``cpu``; each measurement takes about so many ``seconds``.

    ``over`` hands out the tasks, and may tell somebody how far it is; ``sizes`` are those of the kind unless given. Raises
    MissingError if there is no such device here.
    """
    if kind == "cuda" and not torch.cuda.is_available():
        raise MissingError("E350", "there is no CUDA device here", help="archcalc calibrate --device cpu measures the processor")
    device = torch.device(kind)
    wait = torch.cuda.synchronize if kind == "cuda" else _nothing
    tasks = [task for task in _tasks(device, sizes or SIZES[kind]) if _possible(task, device)]
    samples = []
    for task in over(tasks):
        with torch.no_grad(), switched(task.precision):
            spent = timed(task.make(), wait, clock, seconds)
        samples.append(
            Sample(
                what=task.what, detail=task.detail, precision=task.precision, layout=task.layout, seconds=spent,
                bytes=task.bytes, macs=task.macs,
            )
        )  # fmt: skip
    samples += _launches(device, wait, clock)
    return Profile(
        schema=SCHEMA,
        name=_name(device),
        kind=kind,
        software=_software(device),
        memory_bytes=_memory(device),
        cache_bytes=_cache(device),
        matrix_units=kind == "cuda" and torch.cuda.get_device_capability()[0] >= 7,
        samples=tuple(samples),
    )


def timed(call: Call, wait: Call, clock: Clock, seconds: float) -> float:
    """Return the median seconds of one call, from groups that are long enough for the clock and take so long together."""
    for _ in range(2):  # libraries choose their kernels, and memory is taken
        call()
    calls = 1
    while True:
        spent = _group(call, wait, clock, calls)
        if spent * REPEATS >= seconds:
            break
        calls = max(2 * calls, min(10 * calls, int(calls * seconds / REPEATS / max(spent, 1e-9))))
    return median([spent, *(_group(call, wait, clock, calls) for _ in range(REPEATS - 1))]) / calls


def _group(call: Call, wait: Call, clock: Clock, calls: int) -> float:
    wait()
    start = clock()
    for _ in range(calls):
        call()
    wait()
    return clock() - start


def _nothing() -> None:
    """The CPU has done its work when a call returns."""


def _tasks(device: torch.device, sizes: Sizes) -> Iterator[Task]:
    for mib in sizes.tensors:
        moved = 2 * mib * MIB
        yield Task("copy", f"{mib} MiB", "fp32", None, moved, 0, partial(_copy, device, mib))
        yield Task("function", f"relu of {mib} MiB", "fp32", None, moved, 0, partial(_function, device, mib))
    for precision in sizes.precisions:
        for size in sizes.matrices:
            make = partial(_matmul, device, size, precision)
            yield Task("matmul", f"{size}x{size}x{size}", precision, None, 0, size**3, make)
        for shape in CONVOLUTIONS:
            for layout in ("nchw", "nhwc"):
                yield _convolving(device, (sizes.batch, *shape), precision, layout)


def _convolving(device: torch.device, shape: tuple[int, ...], precision: str, layout: str) -> Task:
    n, c_in, c_out, side, k = shape
    detail = f"{n}x{c_in}x{side}x{side} to {c_out} by {k}x{k}"
    make = partial(_convolution, device, shape, precision, layout)
    return Task("window" if k > 1 else "pointwise", detail, precision, layout, 0, n * c_in * c_out * side * side * k * k, make)


def _possible(task: Task, device: torch.device) -> bool:
    """Whether the device has the precision: TF32 came with Ampere, bfloat16 too."""
    return device.type == "cpu" or task.precision not in ("tf32", "bf16") or torch.cuda.get_device_capability()[0] >= 8


def _random(device: torch.device, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    # Random, because zeros cost less power, and clocks rise with what is left.
    return torch.randn(*shape, device=device).to(dtype)


def _copy(device: torch.device, mib: int) -> Call:
    source = _random(device, mib * MIB // 4)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _function(device: torch.device, mib: int) -> Call:
    source = _random(device, mib * MIB // 4)
    target = torch.empty_like(source)
    return lambda: torch.clamp_min(source, 0, out=target)


def _matmul(device: torch.device, size: int, precision: str) -> Call:
    left, right = (_random(device, size, size, dtype=dtype_of(precision)) for _ in range(2))
    target = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=target)


def _convolution(device: torch.device, shape: tuple[int, ...], precision: str, layout: str) -> Call:
    n, c_in, c_out, side, k = shape
    form = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    x = _random(device, n, c_in, side, side, dtype=dtype_of(precision)).to(memory_format=form)
    weight = _random(device, c_out, c_in, k, k, dtype=dtype_of(precision)).to(memory_format=form)
    return lambda: F.conv2d(x, weight, padding=k // 2)


def _launches(device: torch.device, wait: Call, clock: Clock) -> list[Sample]:
    """Return the least time of a kernel, and what the CPU needs to start one, from layers that have next to nothing to do."""
    x, one = torch.ones(1, 1, 1, 1, device=device), torch.ones(1, device=device)
    calls = 300
    started, ended = [], []
    with torch.no_grad():
        for _ in range(REPEATS + 1):  # the first warms up
            wait()
            start = clock()
            for _ in range(calls):
                F.relu(F.batch_norm(F.conv2d(x, x), one, one, one, one))
            started.append((clock() - start) / (3 * calls))
            wait()
            ended.append((clock() - start) / (3 * calls))
    found = {"dispatch": median(started[1:]), "kernel": min(ended[1:])}
    detail = "convolution, batch norm and ReLU of a pixel"
    return [
        Sample(what=what, detail=detail, precision="fp32", layout=None, seconds=spent, bytes=8) for what, spent in found.items()
    ]


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{_cpu() or platform.machine()}, {torch.get_num_threads()} threads"


def _cpu() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:  # elsewhere than on Linux
        return platform.processor() or None


def _software(device: torch.device) -> dict[str, str]:
    found = {"torch": str(torch.__version__), "python": platform.python_version(), "system": platform.platform()}
    if device.type == "cuda":
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return _configured("SC_PAGE_SIZE") * _configured("SC_PHYS_PAGES")


def _cache(device: torch.device) -> int:
    """Return the bytes of the last cache; where nothing says so as many as any has, so that a bound stays one."""
    if device.type == "cpu":
        return _configured("SC_LEVEL3_CACHE_SIZE") or LARGEST_CACHE
    told = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
    try:
        return told or find(torch.cuda.get_device_name()).cache_bytes
    except UsageError:  # a device that the table does not have
        return LARGEST_CACHE


def _configured(name: str) -> int:
    try:
        return max(os.sysconf(name), 0)
    except (OSError, ValueError, AttributeError):  # a system that does not say
        return 0
