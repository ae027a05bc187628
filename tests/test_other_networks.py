"""Networks that are not bundled, their specs written from the language's page alone, against the same in plain torch.

The specs are in tests/data/specs. The models here are written from the papers, independently of the specs.
"""

# ruff: noqa: E501 (an architecture reads by the row)

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archcalc
from archcalc.analysis.expected import judge
from archcalc.spec import read_spec

SPECS = Path(__file__).parent / "data" / "specs"
Build = Callable[[], nn.Module]


class Apply(nn.Module):
    """Parts and what to do with them."""

    def __init__(self, function: Callable[..., torch.Tensor], **parts: nn.Module):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.function = function

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        return self.function(self.parts, *x)


def conv(c_in: int, c_out: int, k: int, s: int = 1, g: int = 1, act: Callable[[], nn.Module] | None = nn.ReLU) -> nn.Sequential:
    parts = [nn.Conv2d(c_in, c_out, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*parts, *([act()] if act else []))


def head(c: int, classes: int = 1000) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]


def residual(main: nn.Module, skip: nn.Module | None = None) -> nn.Module:
    return Apply(lambda p, x: p["main"](x) + p["skip"](x), main=main, skip=skip or nn.Identity())


def mobilenet_v1(alpha: float = 1) -> nn.Module:
    widths = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    c = int(32 * alpha)
    layers = [conv(3, c, 3, 2)]
    for out, s in widths:
        layers += [conv(c, c, 3, s, c), conv(c, int(out * alpha), 1)]
        c = int(out * alpha)
    return nn.Sequential(*layers, *head(c))


def mobilenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 32, 3, 2, act=nn.ReLU6)]
    c = 32
    for t, out, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            stride, inside = (s if i == 0 else 1), t * c
            steps = [conv(c, inside, 1, act=nn.ReLU6)] if t > 1 else []
            block = nn.Sequential(*steps, conv(inside, inside, 3, stride, inside, nn.ReLU6), conv(inside, out, 1, act=None))
            layers.append(residual(block) if stride == 1 and c == out else block)
            c = out
    return nn.Sequential(*layers, conv(c, 1280, 1, act=nn.ReLU6), *head(1280))


def squeezenet() -> nn.Module:
    def fire(c: int, s: int, e: int) -> nn.Module:
        expand = Apply(
            lambda p, x: torch.cat([p["one"](x), p["three"](x)], 1), one=nn.Conv2d(s, e, 1), three=nn.Conv2d(s, e, 3, padding=1)
        )
        return nn.Sequential(nn.Conv2d(c, s, 1), nn.ReLU(), expand, nn.ReLU())

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    stem = [
        nn.Conv2d(3, 64, 3, 2),
        nn.ReLU(),
        pool(),
        fire(64, 16, 64),
        fire(128, 16, 64),
        pool(),
        fire(128, 32, 128),
        fire(256, 32, 128),
    ]
    fires = [pool(), fire(256, 48, 192), fire(384, 48, 192), fire(384, 64, 256), fire(512, 64, 256)]
    return nn.Sequential(*stem, *fires, nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def gate(c: int, inside: int, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, inside, 1), act(), nn.Conv2d(inside, c, 1), nn.Sigmoid())
    return Apply(lambda p, x: x * p["squeeze"](x), squeeze=squeeze)


def resnet50_like(groups: int, width: int, ratio: int = 0) -> nn.Module:
    layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    c = 64
    for w, n in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        for i in range(n):
            s = 2 if i == 0 and w > 64 else 1
            inside, out = groups * width * w // 64, 4 * w
            parts = [conv(c, inside, 1), conv(inside, inside, 3, s, groups), conv(inside, out, 1, act=None)]
            main = nn.Sequential(*parts, *([gate(out, out // ratio)] if ratio else []))
            layers += [residual(main, conv(c, out, 1, s, act=None) if i == 0 else None), nn.ReLU()]
            c = out
    return nn.Sequential(*layers, *head(c))


def efficientnet_b0() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 32, 3, 2, act=nn.SiLU)]
    c = 32
    for t, k, out, s, n in [
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 2, 3),
        (6, 5, 112, 1, 3),
        (6, 5, 192, 2, 4),
        (6, 3, 320, 1, 1),
    ]:
        for i in range(n):
            stride, inside = (s if i == 0 else 1), t * c
            steps = [conv(c, inside, 1, act=nn.SiLU)] if t > 1 else []
            block = nn.Sequential(
                *steps,
                conv(inside, inside, k, stride, inside, nn.SiLU),
                gate(inside, c // 4, nn.SiLU),
                conv(inside, out, 1, act=None),
            )
            layers.append(residual(block) if stride == 1 and c == out else block)
            c = out
    return nn.Sequential(*layers, conv(c, 1280, 1, act=nn.SiLU), *head(1280))


def shufflenet_v1() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    c = 24
    for out, n in [(240, 4), (480, 8), (960, 4)]:
        for i in range(n):
            s, inside = (2 if i == 0 else 1), out // 4
            last = out - c if s == 2 else out
            main = nn.Sequential(
                conv(c, inside, 1, g=1 if c == 24 else 3), nn.ChannelShuffle(3), conv(inside, inside, 3, s, inside, None), conv(inside, last, 1, g=3, act=None)
            )  # fmt: skip
            pooled = Apply(lambda p, x: torch.cat([p["pool"](x), p["main"](x)], 1), pool=nn.AvgPool2d(3, 2, 1), main=main)
            layers += [pooled if s == 2 else residual(main), nn.ReLU()]
            c = out
    return nn.Sequential(*layers, *head(c))


def unet(base: int = 64) -> nn.Module:
    def double(c_in: int, c_out: int) -> nn.Module:
        parts = [[nn.Conv2d(c, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()] for c in (c_in, c_out)]
        return nn.Sequential(*parts[0], *parts[1])

    down = nn.ModuleList([double(3, base), *(double(base << i, base << i + 1) for i in range(4))])
    up = nn.ModuleList(nn.ConvTranspose2d(base << i + 1, base << i, 2, 2) for i in reversed(range(4)))
    join = nn.ModuleList(double(base << i + 1, base << i) for i in reversed(range(4)))

    def run(parts: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for number, step in enumerate(down):
            x = step(nn.functional.max_pool2d(x, 2) if number else x)
            skips.append(x)
        for wider, joined, skip in zip(up, join, reversed(skips[:-1]), strict=True):
            x = joined(torch.cat([skip, wider(x)], 1))
        return parts["last"](x)

    return Apply(run, down=down, up=up, join=join, last=nn.Conv2d(base, 2, 1))


def keyword_1d() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv1d(1, 32, 80, 4), nn.BatchNorm1d(32), nn.ReLU()]
    c = 32
    for out, pad in ((32, (1, 1)), (64, (1, 1)), (128, (0, 1))):  # `same` by hand: 3981 -> 1991 -> 996 -> 498
        layers += [nn.ConstantPad1d(pad, 0), nn.Conv1d(c, out, 3, 2), nn.BatchNorm1d(out), nn.ReLU()]
        c = out
    layers += [nn.ConstantPad1d((3, 5), 0), nn.Conv1d(c, 16, 9, dilation=2, groups=2, bias=False), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * (498 + 8 - 16), 35), nn.LogSoftmax(1))


def video_3d() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(3, 32, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.ReLU(),
        nn.Conv3d(32, 64, 3, 2, 1, groups=4, bias=False), nn.ReLU(),
        nn.Conv3d(64, 64, (1, 3, 3), 3, dilation=(1, 2, 2)), nn.GELU(), nn.Flatten(), nn.Linear(64 * 3 * 8 * 8, 10),
    )  # fmt: skip


def siamese() -> nn.Module:
    tower = nn.Sequential(
        nn.Conv2d(1, 64, 10), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(64, 128, 7), nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * 21 * 21, 256), nn.Sigmoid(),
    )  # fmt: skip
    both = lambda p, left, right: p["last"](torch.cat([p["tower"](left), p["tower"](right)], 1)).sigmoid()  # noqa: E731
    return Apply(both, tower=tower, last=nn.Linear(512, 1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


NETWORKS: list[tuple[str, str | None, Build]] = [
    ("mobilenet_v1", None, mobilenet_v1),
    ("mobilenet_v1", "mobilenet_v1_050", lambda: mobilenet_v1(0.5)),
    ("mobilenet_v2", None, mobilenet_v2),
    ("squeezenet1_1", None, squeezenet),
    ("resnext50_32x4d", None, lambda: resnet50_like(32, 4)),
    ("resnext50_32x4d", "se_resnet50", lambda: resnet50_like(1, 64, 16)),
    ("efficientnet_b0", None, efficientnet_b0),
    ("shufflenet_v1", None, shufflenet_v1),
    ("unet", None, unet),
    ("keyword_1d", None, keyword_1d),
    ("video_3d", None, video_3d),
    ("siamese", None, siamese),
    ("mlp", None, mlp),
]  # fmt: skip


@pytest.mark.parametrize(("file", "variant", "build"), NETWORKS, ids=[variant or file for file, variant, _ in NETWORKS])
def test_a_spec_equals_the_network_in_plain_torch(file: str, variant: str | None, build: Build) -> None:
    graph = archcalc.load(SPECS / f"{file}.yaml", variant=variant)
    report = archcalc.analyse(graph)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = build().eval()
        output = model(*(torch.empty(node.output) for node in graph.inputs))
    assert graph.nodes[graph.outputs["output"]].output == tuple(output.shape)
    assert report.totals.params == sum(p.numel() for p in model.parameters())
    assert report.totals.buffers == sum(b.numel() for b in model.buffers())
    assert report.totals.macs == counter.get_total_flops() // 2


# Printed by others, besides what the specs expect: torchvision's model cards, and Keras' for MobileNet's 4,253,864 less BatchNorm statistics.
PUBLISHED = [
    ("mobilenet_v1", 4_231_976, 568_740_352),
    ("mobilenet_v2", 3_504_872, 300_774_272),
    ("squeezenet1_1", 1_235_496, 349_151_936),
    ("resnext50_32x4d", 25_028_904, None),
    ("efficientnet_b0", 5_288_548, None),
    ("mlp", 266_610, 266_200),
]


@pytest.mark.parametrize(("file", "params", "macs"), PUBLISHED)
def test_published_totals(file: str, params: int, macs: int | None) -> None:
    totals = archcalc.analyse(archcalc.load(SPECS / f"{file}.yaml")).totals
    assert (totals.params, totals.macs if macs else None) == (params, macs)


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_the_specs_expect(path: Path) -> None:
    spec, _ = read_spec(str(path))
    assert any(path.stem == file for file, _, _ in NETWORKS), "a spec without a model to hold it against"
    for name, variant in spec.variants.items():
        graph = spec.graph(name)
        for finding in judge(variant.expect, graph, archcalc.analyse(graph)):
            assert finding.right, finding
