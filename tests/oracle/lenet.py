"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, section II.B) and what is taught under its name today."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# Table I by its columns: the S2 maps that each of the sixteen C3 maps sees.
C3_INPUTS = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()


class ScaledTanh(nn.Module):
    """f(a) = A tanh(S a) with A = 1.7159 and S = 2/3 (appendix A)."""

    def forward(self, x):
        return 1.7159 * torch.tanh(x * 2 / 3)


class Subsample(nn.Module):
    """The sum of each 2x2 field, times the map's coefficient, plus its bias."""

    def __init__(self, maps: int):
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x):
        return 4 * F.avg_pool2d(x, 2) * self.coefficient + self.bias


class TableConv2d(nn.Module):
    """A 5x5 convolution whose output maps each see only some of the input maps."""

    def __init__(self, table: list[str]):
        super().__init__()
        self.table = [[int(digit) for digit in column] for column in table]
        for index, inputs in enumerate(self.table):
            self.register_parameter(f"weight{index}", nn.Parameter(torch.zeros(1, len(inputs), 5, 5)))
        self.bias = nn.Parameter(torch.zeros(len(table), 1, 1))

    def forward(self, x):
        maps = [F.conv2d(x[:, inputs], getattr(self, f"weight{index}")) for index, inputs in enumerate(self.table)]
        return torch.cat(maps, dim=1) + self.bias


class RBF(nn.Module):
    """Squared distance to a fixed 7x12 bitmap per class, not trained; the bitmaps' pixels don't matter here."""

    def __init__(self, classes: int, pixels: int):
        super().__init__()
        self.register_buffer("centres", torch.ones(classes, pixels))

    def forward(self, x):
        return (x[:, None] - self.centres).square().sum(dim=2)


def lenet5() -> nn.Module:
    """The network of 1998, on characters centred in 32x32."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), ScaledTanh(),
        Subsample(6), ScaledTanh(),
        TableConv2d(C3_INPUTS), ScaledTanh(),
        Subsample(16), ScaledTanh(),
        nn.Conv2d(16, 120, 5), ScaledTanh(),
        nn.Flatten(),
        nn.Linear(120, 84), ScaledTanh(),
        RBF(10, 84),
    )  # fmt: skip


def lenet5_modern() -> nn.Module:
    """The usual remake for 28x28 digits: average pooling, a full C3, softmax."""
    return nn.Sequential(
        nn.ZeroPad2d(2),
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(),
        nn.Linear(120, 84), nn.Tanh(),
        nn.Linear(84, 10), nn.Softmax(dim=1),
    )  # fmt: skip


MODELS = {
    "lenet5": (lenet5, (1, 32, 32)),
    "lenet5_modern": (lenet5_modern, (1, 28, 28)),
}
