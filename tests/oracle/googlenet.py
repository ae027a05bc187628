"""GoogLeNet (Szegedy and others 2015, Table 1 and Fig. 3) and torchvision's remake of it with BatchNorm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

# Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
ROWS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}

Unit = Callable[..., nn.Sequential]


def plain(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """The paper's unit: a convolution and a ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, padding=size // 2), nn.ReLU())


def normalised(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """torchvision's unit: a convolution without bias, BatchNorm with TensorFlow's epsilon, a ReLU."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU())


class Inception(nn.Module):
    """Four branches side by side, their maps stacked; `large` is the kernel of the third, 5 in the paper."""

    def __init__(self, unit: Unit, inputs: int, row: tuple[int, ...], large: int):
        super().__init__()
        c1, r3, c3, r5, c5, projected = row
        self.branches = nn.ModuleList([
            unit(inputs, c1, 1),
            nn.Sequential(unit(inputs, r3, 1), unit(r3, c3, 3)),
            nn.Sequential(unit(inputs, r5, 1), unit(r5, c5, large)),
            nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(inputs, projected, 1)),
        ])  # fmt: skip
        self.outputs = c1 + c3 + c5 + projected

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def inceptions(unit: Unit, inputs: int, names: str, large: int) -> nn.Sequential:
    """Several rows of Table 1, one after the other."""
    modules = []
    for name in names.split():
        modules.append(Inception(unit, inputs, ROWS[name], large))
        inputs = modules[-1].outputs
    return nn.Sequential(*modules)


def auxiliary_head(unit: Unit, inputs: int, pool: nn.Module) -> nn.Module:
    """Section 5: average pool to 4x4, 128 1x1 maps, 1024 units, dropout of 70 %, the classes."""
    return nn.Sequential(
        pool, unit(inputs, 128, 1), nn.Flatten(),
        nn.Linear(4 * 4 * 128, 1024), nn.ReLU(), nn.Dropout(0.7), nn.Linear(1024, 1000),
    )  # fmt: skip


class GoogLeNet(nn.Module):
    """The paper's network: a stem, nine inceptions, a classifier; the heads look at 4a and 4d, and run in evaluation too."""

    def __init__(
        self, unit: Unit, stem: nn.Module, large: int, last_pool: int, heads: list[nn.Module], classifier: list[nn.Module]
    ):
        super().__init__()
        self.stem = stem
        pool3, pool4 = nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(last_pool, 2, ceil_mode=True)
        self.to_4a = nn.Sequential(inceptions(unit, 192, "3a 3b", large), pool3, inceptions(unit, 480, "4a", large))
        self.to_4d = inceptions(unit, 512, "4b 4c 4d", large)
        self.to_5b = nn.Sequential(inceptions(unit, 528, "4e", large), pool4, inceptions(unit, 832, "5a 5b", large))
        self.heads = nn.ModuleList(heads)
        self.classifier = nn.Sequential(*classifier, nn.Linear(1024, 1000))

    def forward(self, x):
        at_4a = self.to_4a(self.stem(x))
        aux = [head(at_4a) for head in self.heads[:1]]
        at_4d = self.to_4d(at_4a)
        aux += [head(at_4d) for head in self.heads[1:]]
        return self.classifier(self.to_5b(at_4d)), *aux


class TorchvisionGoogLeNet(GoogLeNet):
    """The same with the heads computed after 5b, where torchvision's state_dict has them."""

    def forward(self, x):
        at_4a = self.to_4a(self.stem(x))
        at_4d = self.to_4d(at_4a)
        at_5b = self.to_5b(at_4d)
        aux = [head(point) for head, point in zip(self.heads, (at_4a, at_4d), strict=False)]
        return self.classifier(at_5b), *aux


def googlenet(aux: bool = False) -> nn.Module:
    """Table 1 with Fig. 3's normalisation; pools round up, as 112 -> 56 -> 28 needs without padding."""
    stem = nn.Sequential(
        plain(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5),
        plain(64, 64, 1), plain(64, 192, 3), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2, ceil_mode=True),
    )  # fmt: skip
    heads = [auxiliary_head(plain, inputs, nn.AvgPool2d(5, stride=3)) for inputs in (512, 528)] if aux else []
    classifier = [nn.AvgPool2d(7, stride=1), nn.Flatten(), nn.Dropout(0.4)]
    return GoogLeNet(plain, stem, large=5, last_pool=3, heads=heads, classifier=classifier)


def torchvision_googlenet(aux: bool = False) -> nn.Module:
    """torchvision's: BatchNorm, 3x3 in place of 5x5, no response norm, a 2x2 pool before 5a, dropout of 20 %."""
    stem = nn.Sequential(
        normalised(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True),
        normalised(64, 64, 1), normalised(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True),
    )  # fmt: skip
    heads = [auxiliary_head(normalised, inputs, nn.AdaptiveAvgPool2d(4)) for inputs in (512, 528)] if aux else []
    classifier = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return TorchvisionGoogLeNet(normalised, stem, large=3, last_pool=2, heads=heads, classifier=classifier)


MODELS = {
    "googlenet": (googlenet, (3, 224, 224)),
    "googlenet_aux": (partial(googlenet, aux=True), (3, 224, 224)),
    "googlenet_torchvision": (torchvision_googlenet, (3, 224, 224)),
    "googlenet_torchvision_aux": (partial(torchvision_googlenet, aux=True), (3, 224, 224)),
}
