"""VGG (Simonyan and Zisserman 2015): Table 1 by its columns, and torchvision's with and without BatchNorm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import nn

# A figure is a 3x3 convolution with so many maps, "1x1" one that keeps the map count, M a max pool.
COLUMNS = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x1 M 512 512 1x1 M 512 512 1x1 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def features(column: str, batch_norm: bool) -> Iterator[nn.Module]:
    """The convolutional part of one column, rectified after each convolution."""
    maps = 3
    for entry in COLUMNS[column].split():
        if entry == "M":
            yield nn.MaxPool2d(2, stride=2)
        elif entry == "LRN":  # section 2.1: with the parameters of AlexNet, whose alpha torch divides by the size
            yield nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        else:
            outputs, size = (maps, 1) if entry == "1x1" else (int(entry), 3)
            yield nn.Conv2d(maps, outputs, size, padding=size // 2)
            if batch_norm:
                yield nn.BatchNorm2d(outputs)
            yield nn.ReLU()
            maps = outputs


def vgg(column: str, batch_norm: bool = False, adaptive: bool = False) -> nn.Module:
    """One column of Table 1; torchvision's has an adaptive pool, which does nothing to the 7x7 of a 224 image."""
    return nn.Sequential(
        *features(column, batch_norm),
        *([nn.AdaptiveAvgPool2d(7)] if adaptive else []),
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    )  # fmt: skip


MODELS = {
    "vgg": (partial(vgg, "D"), (3, 224, 224)),
    "vgg_a": (partial(vgg, "A"), (3, 224, 224)),
    "vgg_a_lrn": (partial(vgg, "A-LRN"), (3, 224, 224)),
    "vgg_b": (partial(vgg, "B"), (3, 224, 224)),
    "vgg_c": (partial(vgg, "C"), (3, 224, 224)),
    "vgg_d": (partial(vgg, "D"), (3, 224, 224)),
    "vgg_e": (partial(vgg, "E"), (3, 224, 224)),
    "vgg11": (partial(vgg, "A", adaptive=True), (3, 224, 224)),
    "vgg13": (partial(vgg, "B", adaptive=True), (3, 224, 224)),
    "vgg16": (partial(vgg, "D", adaptive=True), (3, 224, 224)),
    "vgg19": (partial(vgg, "E", adaptive=True), (3, 224, 224)),
    "vgg11_bn": (partial(vgg, "A", batch_norm=True, adaptive=True), (3, 224, 224)),
    "vgg13_bn": (partial(vgg, "B", batch_norm=True, adaptive=True), (3, 224, 224)),
    "vgg16_bn": (partial(vgg, "D", batch_norm=True, adaptive=True), (3, 224, 224)),
    "vgg19_bn": (partial(vgg, "E", batch_norm=True, adaptive=True), (3, 224, 224)),
}
