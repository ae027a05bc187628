"""The zoo's networks written a second time, in plain torch from their papers, to hold the specs against."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

Model = tuple[Callable[[], nn.Module], tuple[int, int, int]]


def models() -> dict[str, Model]:
    """Every variant that a family file of this package has: name -> (builder, (channels, height, width))."""
    found: dict[str, Model] = {}
    for family in pkgutil.iter_modules(__path__):
        for name, model in importlib.import_module(f"{__name__}.{family.name}").MODELS.items():
            assert name not in found, f"two oracle files have a model named {name}"
            found[name] = model
    return found


class PaddedConv2d(nn.Conv2d):
    """A convolution over an image padded by (left, right, top, bottom) zeros, which nn.Conv2d itself can't take."""

    def __init__(self, *arguments, border: tuple[int, int, int, int], **options):
        super().__init__(*arguments, **options)
        self.border = border

    def forward(self, x):
        return super().forward(F.pad(x, self.border))


def on_meta(model: Model) -> tuple[nn.Module, torch.Tensor]:
    """The module in evaluation mode and one image for it, both without storage."""
    build, shape = model
    with torch.device("meta"):
        return build().eval(), torch.zeros(1, *shape)


def params(module: nn.Module) -> int:
    """Elements of all parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def macs(module: nn.Module, image: torch.Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers in one forward, by PyTorch's own counter."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return counter.get_total_flops() // 2


def leaf_calls(module: nn.Module, image: torch.Tensor) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """The modules without children in the order in which one forward calls them, each with its output's shape."""
    calls: list[tuple[nn.Module, tuple[int, ...]]] = []
    for leaf in leaves(module):
        leaf.register_forward_hook(lambda called, _, output: calls.append((called, tuple(output.shape))))
    with torch.no_grad():
        module(image)
    return calls


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that have no children."""
    return (part for part in module.modules() if not any(part.children()))
