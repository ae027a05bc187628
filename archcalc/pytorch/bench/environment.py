"""Where a benchmark ran: versions, devices, threads, the commit of the folder it was started in."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from archcalc import __version__
from archcalc.analysis.timing.result import Environment, Gpu
from archcalc.pytorch.bench.nvml import Watch, watch

GIT_SECONDS = 5.0


def environment(device: str, processes: int = 1) -> Environment:
    """Return what the times depend on besides the model."""
    cuda = device == "cuda"
    return Environment(
        archcalc=__version__,
        python=sys.version.split()[0],
        torch=str(torch.__version__),
        system=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        cuda=torch.version.cuda if cuda else None,
        cudnn=_cudnn() if cuda else None,
        gpus=_gpus() if cuda else (),
        git=_commit(),
        processes=processes,
    )


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let PyTorch work with so many threads on the CPU, and put their number back; None leaves it as it is."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def current_watch() -> Watch | None:
    """Return a watch on the current CUDA device, None where NVML cannot be had."""
    return watch(f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}")


def _gpus() -> tuple[Gpu, ...]:
    found = current_watch()
    driver = None if found is None else found.driver()
    gpus = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        capability = f"{properties.major}.{properties.minor}"
        gpus.append(Gpu(name=properties.name, compute_capability=capability, memory_bytes=properties.total_memory, driver=driver))
    return tuple(gpus)


def _cudnn() -> str | None:
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return None if version is None else str(version)


def _processor() -> str:
    """Return the processor's name: Linux keeps it in a file of its own."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit of the current folder, with + where files that git knows were changed; None where there is no git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        ended = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", errors="replace", timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None
