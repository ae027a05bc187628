"""A run of a network on real tensors, to hold the simulated one against (tests/storage_tracer.py follows the tensors)."""

import re
from collections import Counter
from pathlib import Path

import torch
from torch import nn

import archcalc
from archcalc.analysis.memory import Plan, peak, simulate
from archcalc.analysis.memory.trace import BACKWARD, FORWARD, STEP, Trace
from archcalc.graph import Graph
from archcalc.pytorch.build import build
from tests.storage_tracer import StorageTracer, loss_of, trace_inference, trace_step, trace_training

SPECS = Path(__file__).parent / "data" / "specs"
AMP = {None: None, "bf16": torch.bfloat16}
WAYS = {"foreach": {"foreach": True}, "forloop": {"foreach": False}, "fused": {"fused": True}}


def load(name: str, batch: int, size: list[int] | None) -> Graph:
    """A bundled network, or one of tests/data/specs."""
    where = SPECS / f"{name}.yaml"
    return archcalc.load(str(where) if where.exists() else name, batch=batch, **({} if size is None else {"input": size}))


def optimizer(plan: Plan):
    options = {**WAYS[plan.implementation], "weight_decay": 1e-4 if plan.weight_decay else 0, "lr": 1e-6}
    if plan.optimizer.startswith("adam"):
        kind = torch.optim.Adam if plan.optimizer == "adam" else torch.optim.AdamW
        return lambda parameters: kind(parameters, **options)
    momentum = {} if plan.optimizer == "sgd" else {"momentum": 0.9, "nesterov": plan.optimizer == "nesterov"}
    return lambda parameters: torch.optim.SGD(parameters, **momentum, **options)


def tensors(graph: Graph, dtype: torch.dtype) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    """Random inputs, and targets if an output is flat."""
    inputs = [torch.randn(node.output).to(dtype) for node in graph.inputs]
    flat = any(len(graph.nodes[index].output) == 2 for index in graph.outputs.values())
    return inputs, torch.zeros(inputs[0].shape[0], dtype=torch.int64) if flat else None


def run_in_torch(graph: Graph) -> bool:
    """Whether PyTorch would train it: it has a parameter to train, on the way to the output, and enough values for a norm."""
    model = build(graph)
    inputs, target = tensors(graph, torch.float32)
    try:
        loss_of(model(*inputs), target).backward()
    except (RuntimeError, ValueError) as refusal:
        if re.search("does not require grad|more than 1 value per channel|modified by an inplace operation", str(refusal)):
            return False
        raise
    return True


def traced(graph: Graph, plan: Plan, model: nn.Module | None = None) -> StorageTracer:
    dtype = getattr(torch, plan.dtype)
    model = (build(graph) if model is None else model).to(dtype)
    inputs, target = tensors(graph, dtype)
    if plan.train:
        return trace_training(model, inputs, target, optimizer(plan), AMP[plan.amp])
    return trace_inference(model, inputs, AMP[plan.amp])


def compare(graph: Graph, plan: Plan, model: nn.Module | None = None, *, all_made: bool = True) -> None:
    """The simulated peak equals the traced one, and so do the storages that make it, and all that were ever made (``all_made``)."""
    trace, real = simulate(graph, plan), traced(graph, plan, model)
    found = peak(trace)
    live = Counter(storage.bytes for storage in found.live if storage.bytes)
    assert (found.bytes, live) == (real.peak, Counter(real.at_peak)), f"at {found.moment}"
    if all_made:
        assert made(trace, FORWARD, BACKWARD, STEP) == Counter(real.made)


def made(trace: Trace, *phases: str) -> Counter[int]:
    """The sizes of the storages that are made in these phases; PyTorch allocates nothing for an empty one."""
    new = [storage for moment, storage, change in trace.events if change > 0 and trace.moments[moment].phase in phases]
    sizes = Counter(trace.storages[storage].bytes for storage in new)
    del sizes[0]
    return sizes


def compare_steps(graph: Graph, plan: Plan) -> None:
    """What the optimizer remembers and what its step makes, against the optimizer alone on gradients of zeros."""
    trace, real = simulate(graph, plan), trace_step(build(graph), optimizer(plan))
    state = sum(storage.bytes for storage in trace.storages if storage.what == "optimizer state")
    before = high = live = 0
    for moment, storage, change in trace.events:
        live += change * trace.storages[storage].bytes
        if trace.moments[moment].phase == STEP:
            high = max(high, live)
        else:
            before = high = live
    assert (state, high - before) == (real.state, real.peak - real.start)
    assert made(trace, STEP) == Counter(real.made)
