"""A network of two layers, for what is about files and not about networks."""

import torch
from torch import Tensor, nn

from archcalc.pytorch.build import build
from archcalc.spec import parse

TINY = """\
name: tiny
input: [2, 4, 4]
layers:
  - Conv2d: {name: conv, out_channels: 3, kernel_size: 1}
  - BatchNorm2d: {name: bn}
"""


def tiny() -> nn.Module:
    return build(parse(TINY, "tiny.yaml").graph())


def tiny_state() -> dict[str, Tensor]:
    return {key: torch.full_like(tensor, 2) for key, tensor in tiny().state_dict().items()}
