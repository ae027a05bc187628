"""The ways to run a step: as it is, compiled, or captured once as a CUDA graph and replayed."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from archcalc.pytorch.bench.devices import Step
from archcalc.pytorch.bench.workload import Workload

BEFORE_CAPTURE = 3  # steps on a side stream: what is allocated and searched for once must not be captured (PyTorch's own advice)


def executed(workload: Workload, *, named: bool = False, cuda: Any = torch.cuda) -> Step:
    """Return the step, run in the way that is asked for; compiled, its kernels tell the profiler their names if ``named``."""
    way = workload.configuration.exec
    if way == "graph":
        return captured(workload.step, cuda)
    if way == "compile":
        from torch._inductor import config  # deferred: it takes seconds

        workload.module = torch.compile(workload.network)
        with config.patch({"cpp.enable_kernel_profile": named}):
            workload.step()
    return workload.step


def captured(step: Step, cuda: Any = torch.cuda, within: AbstractContextManager[object] | None = None) -> Step:
    """Return what replays the step as one launch; ``within`` is a context for the capture alone."""
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(BEFORE_CAPTURE):
            step()
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    with within or nullcontext(), cuda.graph(graph):
        step()
    replay: Step = graph.replay  # which keeps the graph alive
    return replay
