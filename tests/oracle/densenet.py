"""DenseNets in plain torch, written from Huang et al. 2017: the figures that the specs are held against."""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn

IMAGENET, CIFAR = (3, 224, 224), (3, 32, 32)


def conv(c_in, c_out, kernel, stride=1):
    """A convolution without bias that keeps the size when the stride is 1."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)


class DenseLayer(nn.Sequential):
    """BN, ReLU, 3x3 convolution to k maps, appended to the input; B puts BN, ReLU, 1x1 convolution to 4k maps before it."""

    def __init__(self, c_in, growth_rate, bottleneck):
        steps = []
        for kernel, maps in ([(1, 4 * growth_rate)] if bottleneck else []) + [(3, growth_rate)]:
            number = len(steps) // 3 + 1
            steps += [
                (f"norm{number}", nn.BatchNorm2d(c_in)),
                (f"relu{number}", nn.ReLU()),
                (f"conv{number}", conv(c_in, maps, kernel)),
            ]
            c_in = maps
        super().__init__(OrderedDict(steps))

    def forward(self, x):
        return torch.cat([x, super().forward(x)], dim=1)


def dense_block(c_in, depth, growth_rate, bottleneck):
    layers = [DenseLayer(c_in + i * growth_rate, growth_rate, bottleneck) for i in range(depth)]
    return nn.Sequential(OrderedDict((f"denselayer{i + 1}", layer) for i, layer in enumerate(layers)))


def transition(c_in, c_out):
    """BN, ReLU, 1x1 convolution, 2x2 average pooling. The ReLU is the code's; the paper's text has BN and convolution."""
    steps = {"norm": nn.BatchNorm2d(c_in), "relu": nn.ReLU(), "conv": conv(c_in, c_out, 1), "pool": nn.AvgPool2d(2)}
    return nn.Sequential(OrderedDict(steps))


def densenet(stem, c_in, depths, growth_rate, *, bottleneck, theta, last_norm, classes):
    """Dense blocks with a transition between each two; theta is the share of the maps that a transition keeps."""
    features = OrderedDict(stem)
    for block, depth in enumerate(depths, start=1):
        features[f"denseblock{block}"] = dense_block(c_in, depth, growth_rate, bottleneck)
        c_in += depth * growth_rate
        if block < len(depths):
            kept = int(theta * c_in)
            features[f"transition{block}"] = transition(c_in, kept)
            c_in = kept
    features[last_norm] = nn.BatchNorm2d(c_in)
    parts = {
        "features": nn.Sequential(features),
        "relu": nn.ReLU(),
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": nn.Linear(c_in, classes),
    }
    return nn.Sequential(OrderedDict(parts))


def densenet_imagenet(depths, growth_rate=32):
    """Table 1; all of them are DenseNet-BC with theta 0.5."""
    maps = 2 * growth_rate
    stem = {
        "conv0": conv(3, maps, 7, 2),
        "norm0": nn.BatchNorm2d(maps),
        "relu0": nn.ReLU(),
        "pool0": nn.MaxPool2d(3, 2, 1),
    }
    return densenet(stem, maps, depths, growth_rate, bottleneck=True, theta=0.5, last_norm="norm5", classes=1000)


def densenet_cifar(depth, growth_rate, *, bc=False):
    """Section 3, Implementation Details: three equal blocks; 16 first maps, 2k for BC."""
    maps = 2 * growth_rate if bc else 16
    per_block, rest = divmod(depth - 4, 6 if bc else 3)
    assert rest == 0
    theta = 0.5 if bc else 1
    depths = [per_block] * 3
    stem = {"conv0": conv(3, maps, 3)}
    return densenet(stem, maps, depths, growth_rate, bottleneck=bc, theta=theta, last_norm="norm4", classes=10)


MODELS = {
    "densenet": (partial(densenet_imagenet, (6, 12, 24, 16)), IMAGENET),
    "densenet121": (partial(densenet_imagenet, (6, 12, 24, 16)), IMAGENET),
    "densenet161": (partial(densenet_imagenet, (6, 12, 36, 24), growth_rate=48), IMAGENET),
    "densenet169": (partial(densenet_imagenet, (6, 12, 32, 32)), IMAGENET),
    "densenet201": (partial(densenet_imagenet, (6, 12, 48, 32)), IMAGENET),
    "densenet264": (partial(densenet_imagenet, (6, 12, 64, 48)), IMAGENET),
    "densenet_cifar": (partial(densenet_cifar, 40, 12), CIFAR),
    "densenet_40_12": (partial(densenet_cifar, 40, 12), CIFAR),
    "densenet_100_12": (partial(densenet_cifar, 100, 12), CIFAR),
    "densenet_100_24": (partial(densenet_cifar, 100, 24), CIFAR),
    "densenet_bc_100_12": (partial(densenet_cifar, 100, 12, bc=True), CIFAR),
    "densenet_bc_250_24": (partial(densenet_cifar, 250, 24, bc=True), CIFAR),
    "densenet_bc_190_40": (partial(densenet_cifar, 190, 40, bc=True), CIFAR),
}
