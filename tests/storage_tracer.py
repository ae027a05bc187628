"""An independent witness of memory: real tensors on the CPU, every storage followed from the operator that makes it to its end.

It stands between autograd and the kernels (a dispatch mode), where every operator's results pass by. What kernels allocate inside
themselves passes unseen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class StorageTracer(TorchDispatchMode):
    """Adds up the bytes of all storages that are alive, and remembers the most; ``made`` are those of all that came.

    ``start`` are the bytes that were there before, ``state`` those among them that the optimizer remembers.

    PyTorch's engine adds a second gradient to the first in place where nothing else holds that; under any dispatch mode it never
    does (``isTensorSubclassLike``), and makes a third tensor. A sum that would have been in place is therefore not counted until
    the first of its terms is gone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.held: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.bytes = self.peak = self.start = self.state = 0
        self.at_peak: list[int] = []
        self.made: list[int] = []

    def watch(self, tensors: Iterable[torch.Tensor]) -> None:
        """Count tensors that are there already."""
        for tensor in tensors:
            self._follow(tensor)
        self.start = self.bytes
        self.made.clear()
        self._look()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._look()
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor)
        if func is torch.ops.aten.add.Tensor and would_be_in_place(args[0]):
            self.made.pop()
        else:
            self._look()
        return found

    def _look(self) -> None:
        if self.bytes > self.peak:
            self.peak = self.bytes
            self.at_peak = sorted(self.live.values(), reverse=True)

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.live or not storage.nbytes():
            return
        self.live[key] = storage.nbytes()
        self.made.append(storage.nbytes())
        self.bytes += storage.nbytes()
        self.held[key] = weakref.ref(storage, lambda _: self._gone(key))

    def _gone(self, key: int) -> None:
        self.bytes -= self.live.pop(key)
        del self.held[key]


# What refers to a tensor and to its storage when it comes here as an argument and only the engine's buffer holds it otherwise:
# that buffer and the argument's copies on its way to Python; the tensor itself and the storage's object.
TENSOR_ALONE, STORAGE_ALONE = 4, 2


def would_be_in_place(older: torch.Tensor) -> bool:
    """Whether a sum is the engine's, which without the tracer would be written over its first term."""
    in_backward = torch._C._current_graph_task_id() != -1 and not torch.is_grad_enabled()
    tensors, storages = older._use_count(), torch._C._storage_Use_Count(older.untyped_storage()._cdata)
    alone = (tensors, storages) == (TENSOR_ALONE, STORAGE_ALONE)
    return in_backward and alone and torch.ops.aten.is_non_overlapping_and_dense(older)


Outputs = torch.Tensor | tuple[torch.Tensor, ...]


def loss_of(outputs: Outputs, target: torch.Tensor | None) -> torch.Tensor:
    """The mean cross entropy of flat outputs, the mean of others; heads after the main one, weighted."""
    if isinstance(outputs, torch.Tensor):
        outputs = (outputs,)
    total = one_loss(outputs[0], target)
    for head in outputs[1:]:
        total = total + 0.3 * one_loss(head, target)
    return total


def one_loss(output: torch.Tensor, target: torch.Tensor | None) -> torch.Tensor:
    return F.cross_entropy(output, target) if output.dim() == 2 else output.mean()


def trace_inference(model: nn.Module, inputs: list[torch.Tensor], amp: torch.dtype | None = None) -> StorageTracer:
    """One forward in evaluation mode; the output is held at the end."""
    model.eval()
    tracer = StorageTracer()
    tracer.watch([*model.parameters(), *model.buffers(), *inputs])
    with torch.no_grad(), tracer, torch.autocast("cpu", amp, enabled=amp is not None):
        model(*inputs)
    return tracer


def trace_training(
    model: nn.Module,
    inputs: list[torch.Tensor],
    target: torch.Tensor | None,
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    amp: torch.dtype | None = None,
) -> StorageTracer:
    """The second of two training steps."""
    model.train()
    steps = optimizer([parameter for parameter in model.parameters() if parameter.requires_grad])

    def one_step() -> None:
        with torch.autocast("cpu", amp, enabled=amp is not None):
            loss = loss_of(model(*inputs), target)
        loss.backward()
        steps.step()

    one_step()
    steps.zero_grad(set_to_none=True)
    tracer = StorageTracer()
    held = [*model.parameters(), *model.buffers(), *inputs, *remembered(steps)]
    tracer.watch(held if target is None else [*held, target])
    with tracer:
        one_step()
    return tracer


def remembered(steps: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [value for of_one in steps.state.values() for value in of_one.values() if isinstance(value, torch.Tensor)]


def trace_step(model: nn.Module, optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> StorageTracer:
    """The second step of an optimizer, every gradient being there."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    steps = optimizer(parameters)
    steps.step()
    tracer = StorageTracer()
    tracer.watch([*parameters, *[parameter.grad for parameter in parameters if parameter.grad is not None], *remembered(steps)])
    tracer.state = sum(tensor.untyped_storage().nbytes() for tensor in remembered(steps))
    with tracer:
        steps.step()
    return tracer
