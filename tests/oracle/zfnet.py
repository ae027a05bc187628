"""ZFNet (Zeiler and Fergus 2014, Fig. 3), with the sizes that the figure prints: 224, 110, 55, 26, 13, 6."""

from __future__ import annotations

from torch import nn

from . import PaddedConv2d


def zfnet() -> nn.Module:
    """Convolve, rectify, pool (sizes rounded up), normalise across maps; then three full layers."""
    norm = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2}
    return nn.Sequential(
        # 1 + ceil((224 - 7)/2) = 110: the last window reaches one row and one column past the image.
        PaddedConv2d(3, 96, 7, stride=2, border=(0, 1, 0, 1)), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.LocalResponseNorm(**norm),
        nn.Conv2d(96, 256, 5, stride=2), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.LocalResponseNorm(**norm),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    )  # fmt: skip


MODELS = {"zfnet": (zfnet, (3, 224, 224))}
