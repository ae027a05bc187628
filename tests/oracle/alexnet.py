"""AlexNet (Krizhevsky, Sutskever, Hinton 2012, section 3) as printed, as its descendants run it, and torchvision's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import nn

from . import PaddedConv2d


def response_norm(caffe: bool = False) -> nn.LocalResponseNorm:
    """Section 3.3's normalisation; torch divides alpha by the size 5, the paper does not, Caffe does and takes k = 1."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1) if caffe else nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)


def norm_and_pool(pool_first: bool, caffe: bool) -> Iterator[nn.Module]:
    """The paper normalises what is pooled next; Caffe's reference network pools first."""
    parts = [response_norm(caffe), nn.MaxPool2d(3, stride=2)]
    return reversed(parts) if pool_first else iter(parts)


def classifier(pixels: int) -> Iterator[nn.Module]:
    """fc6 to fc8 over 256 maps of `pixels` pixels each."""
    yield nn.Flatten()
    for features in (256 * pixels, 4096):
        yield from (nn.Linear(features, 4096), nn.ReLU(), nn.Dropout(0.5))
    yield nn.Linear(4096, 1000)


def alexnet(towers: int = 1, far_rows: int = 0, pool_first: bool = False, caffe: bool = False, last: int = 6) -> nn.Module:
    """The five convolutions, two of them normalised; conv2, conv4 and conv5 see one tower only; `last` is pool5's side."""
    return nn.Sequential(
        PaddedConv2d(3, 96, 11, stride=4, border=(0, far_rows, 0, far_rows)), nn.ReLU(), *norm_and_pool(pool_first, caffe),
        nn.Conv2d(96, 256, 5, padding=2, groups=towers), nn.ReLU(), *norm_and_pool(pool_first, caffe),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=towers), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=towers), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        *classifier(last * last),
    )  # fmt: skip


def torchvision_alexnet() -> nn.Module:
    """Krizhevsky 2014 ("One weird trick") in one tower with 256 maps in conv4, as torchvision has it."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(9216, 4096), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, 1000),
    )  # fmt: skip


def keras_alexnet() -> nn.Module:
    """A common Keras listing for CIFAR-10; its `same` puts 3 of 7 zeros before the image and 4 behind it."""
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    return nn.Sequential(
        nn.Upsample(size=224, mode="bilinear"),
        PaddedConv2d(3, 96, 11, stride=4, border=(3, 4, 3, 4)), nn.ReLU(), nn.MaxPool2d(3, stride=2), norm(96),
        nn.Conv2d(96, 256, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2), norm(256),
        nn.Conv2d(256, 384, 3, padding="same"), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding="same"), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(3, stride=2), norm(256),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 10), nn.Softmax(dim=1),
    )  # fmt: skip


MODELS = {
    "alexnet": (alexnet, (3, 227, 227)),
    "alexnet_two_towers": (partial(alexnet, towers=2), (3, 227, 227)),
    "alexnet_224": (partial(alexnet, towers=2, far_rows=3), (3, 224, 224)),
    "alexnet_caffenet": (partial(alexnet, towers=2, pool_first=True, caffe=True), (3, 227, 227)),
    "alexnet_pool_first": (partial(alexnet, pool_first=True), (3, 227, 227)),
    "alexnet_224_floor": (partial(alexnet, pool_first=True, last=5), (3, 224, 224)),
    "alexnet_torchvision": (torchvision_alexnet, (3, 224, 224)),
    "alexnet_keras": (keras_alexnet, (3, 32, 32)),
}
