"""One network's numbers put into another that is written otherwise: layer by layer, and of a layer's tensors by size."""

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def copy_layer(source: nn.Module, target: nn.Module) -> None:
    """Copy a layer's parameters, and its buffers: each into the first of its size that is still to be filled."""
    _copy(source.parameters(), target.parameters())
    _copy(source.buffers(), target.buffers())


def _copy(source: Iterable[torch.Tensor], target: Iterable[torch.Tensor]) -> None:
    waiting = list(target)
    for tensor in source:
        place = next(index for index, other in enumerate(waiting) if other.shape == tensor.shape)
        waiting.pop(place).copy_(tensor)
    assert not waiting, "every tensor is filled"


@torch.no_grad()
def randomise(module: nn.Module, seed: int = 0) -> None:
    """Draw scales around 1, shifts around 0 and statistics, so that no factor of 1 and no sum of 0 can hide a difference.

    Matrices stay as PyTorch begins them: of a deep network's outputs something would else be left in no type.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and tensor.numel() == max(tensor.shape, default=1):
            centre = 0.0 if name.endswith(("bias", "mean")) else 1.0
            tensor.copy_(centre + (torch.rand(tensor.shape, generator=generator) - 0.5) / 2)
