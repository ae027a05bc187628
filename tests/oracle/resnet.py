"""Residual networks in plain torch, written from He et al. 2015 and 2016: the figures that the specs are held against."""

from functools import partial

from torch import nn
from torch.nn import functional

IMAGENET, CIFAR = (3, 224, 224), (3, 32, 32)


class ZeroPadShortcut(nn.Module):
    """Option A (He et al. 2015, 3.3): take every stride-th pixel, append zero maps; no parameters."""

    def __init__(self, extra_maps, stride):
        super().__init__()
        self.extra_maps, self.stride = extra_maps, stride

    def forward(self, x):
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra_maps))


def conv(c_in, c_out, kernel, stride=1):
    """A convolution without bias (BatchNorm stands beside it) that keeps the size when the stride is 1."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)


def shortcut(option, c_in, c_out, stride):
    """The second input of the addition, under option A, B or C; None where it is the identity."""
    same_shape = stride == 1 and c_in == c_out
    if option == "C" or (option == "B" and not same_shape):
        return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))
    return None if same_shape else ZeroPadShortcut(c_out - c_in, stride)


class Basic(nn.Module):
    """Two 3x3 convolutions (Figure 5, left)."""

    def __init__(self, c_in, width, stride, option):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = shortcut(option, c_in, width, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x):
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(residual + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times the width (Figure 5, right); v1 strides in the first 1x1, v1.5 in the 3x3."""

    def __init__(self, c_in, width, stride, option, v1=False):
        super().__init__()
        c_out = 4 * width
        self.conv1, self.bn1, self.relu1 = conv(c_in, width, 1, stride if v1 else 1), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = conv(width, width, 3, 1 if v1 else stride), nn.BatchNorm2d(width), nn.ReLU()
        self.conv3, self.bn3 = conv(width, c_out, 1), nn.BatchNorm2d(c_out)
        self.downsample = shortcut(option, c_in, c_out, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x):
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.relu2(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return self.relu3(residual + (x if self.downsample is None else self.downsample(x)))


class PreActivation(nn.Module):
    """BatchNorm and ReLU before each convolution (He et al. 2016, Figure 4e), as a bottleneck.

    Where the shape changes, both paths start from the activated input. `activated` says that the input already is.
    """

    def __init__(self, c_in, width, stride, activated=False, stride_on_3x3=False):
        super().__init__()
        c_out = 4 * width
        strides = (1, stride) if stride_on_3x3 else (stride, 1)
        self.bn1, self.relu1 = (None, None) if activated else (nn.BatchNorm2d(c_in), nn.ReLU())
        self.conv1, self.bn2, self.relu2 = conv(c_in, width, 1, strides[0]), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.bn3, self.relu3 = conv(width, width, 3, strides[1]), nn.BatchNorm2d(width), nn.ReLU()
        self.conv3 = conv(width, c_out, 1)
        self.projection = None if c_in == c_out else conv(c_in, c_out, 1, stride)

    def forward(self, x):
        active = x if self.bn1 is None else self.relu1(self.bn1(x))
        residual = self.relu2(self.bn2(self.conv1(active)))
        residual = self.conv3(self.relu3(self.bn3(self.conv2(residual))))
        return residual + (x if self.projection is None else self.projection(active))


def stages(unit, expansion, c_in, widths, depths):
    """`depths[i]` units, `expansion*widths[i]` maps out of each; the first unit of each stage but the first halves the size."""
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        units = []
        for index in range(depth):
            units.append(unit(c_in, width, 2 if stage > 0 and index == 0 else 1))
            c_in = expansion * width
        yield f"layer{stage + 1}", nn.Sequential(*units)


def classifier(c_in, classes):
    yield "avgpool", nn.AdaptiveAvgPool2d(1)
    yield "flatten", nn.Flatten()
    yield "fc", nn.Linear(c_in, classes)


def network(*parts):
    model = nn.Sequential()
    for name, module in parts:
        model.add_module(name, module)
    return model


def imagenet_stem():
    yield "conv1", conv(3, 64, 7, 2)
    yield "bn1", nn.BatchNorm2d(64)
    yield "relu", nn.ReLU()
    yield "maxpool", nn.MaxPool2d(3, 2, 1)


def resnet(unit, depths, option="B", **version):
    """He et al. 2015, Table 1."""
    expansion = 4 if unit is Bottleneck else 1
    body = stages(partial(unit, option=option, **version), expansion, 64, (64, 128, 256, 512), depths)
    return network(*imagenet_stem(), *body, *classifier(512 * expansion, 1000))


def resnet_cifar(n):
    """He et al. 2015, 4.2: 6n + 2 layers, option A throughout."""
    stem = ("conv1", conv(3, 16, 3)), ("bn1", nn.BatchNorm2d(16)), ("relu", nn.ReLU())
    body = stages(partial(Basic, option="A"), 1, 16, (16, 32, 64), (n, n, n))
    return network(*stem, *body, *classifier(64, 10))


def preact_cifar(n):
    """He et al. 2016: 9n + 2 layers."""
    body = stages(PreActivation, 4, 16, (16, 32, 64), (n, n, n))
    tail = ("bn_last", nn.BatchNorm2d(256)), ("relu_last", nn.ReLU())
    return network(("conv1", conv(3, 16, 3)), *body, *tail, *classifier(256, 10))


def preact_imagenet(depths):
    """He et al. 2016, ImageNet: the very first unit has no activation of its own, since conv1's comes before the pooling."""
    body = dict(stages(partial(PreActivation, stride_on_3x3=True), 4, 64, (64, 128, 256, 512), depths))
    body["layer1"][0] = PreActivation(64, 64, 1, activated=True)
    tail = ("bn_last", nn.BatchNorm2d(2048)), ("relu_last", nn.ReLU())
    return network(*imagenet_stem(), *body.items(), *tail, *classifier(2048, 1000))


D18, D34, D50, D101, D152 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)

MODELS = {
    "resnet": (partial(resnet, Bottleneck, D50), IMAGENET),
    "resnet18": (partial(resnet, Basic, D18), IMAGENET),
    "resnet34": (partial(resnet, Basic, D34), IMAGENET),
    "resnet50": (partial(resnet, Bottleneck, D50), IMAGENET),
    "resnet101": (partial(resnet, Bottleneck, D101), IMAGENET),
    "resnet152": (partial(resnet, Bottleneck, D152), IMAGENET),
    "resnet50_v1": (partial(resnet, Bottleneck, D50, v1=True), IMAGENET),
    "resnet101_v1": (partial(resnet, Bottleneck, D101, v1=True), IMAGENET),
    "resnet152_v1": (partial(resnet, Bottleneck, D152, v1=True), IMAGENET),
    "resnet18_a": (partial(resnet, Basic, D18, option="A"), IMAGENET),
    "resnet34_a": (partial(resnet, Basic, D34, option="A"), IMAGENET),
    "resnet34_b": (partial(resnet, Basic, D34, option="B"), IMAGENET),
    "resnet34_c": (partial(resnet, Basic, D34, option="C"), IMAGENET),
    "resnet50_v1_a": (partial(resnet, Bottleneck, D50, option="A", v1=True), IMAGENET),
    "resnet50_v1_c": (partial(resnet, Bottleneck, D50, option="C", v1=True), IMAGENET),
    "resnet_cifar": (partial(resnet_cifar, 3), CIFAR),
    "resnet20": (partial(resnet_cifar, 3), CIFAR),
    "resnet32": (partial(resnet_cifar, 5), CIFAR),
    "resnet44": (partial(resnet_cifar, 7), CIFAR),
    "resnet56": (partial(resnet_cifar, 9), CIFAR),
    "resnet110": (partial(resnet_cifar, 18), CIFAR),
    "resnet1202": (partial(resnet_cifar, 200), CIFAR),
    "resnet_preact": (partial(preact_cifar, 18), CIFAR),
    "preact_resnet164": (partial(preact_cifar, 18), CIFAR),
    "preact_resnet1001": (partial(preact_cifar, 111), CIFAR),
    "preact_resnet200": (partial(preact_imagenet, (3, 24, 36, 3)), IMAGENET),
}
