"""Every bundled variant against its published numbers and, layer by layer, against plain PyTorch models written from the papers.

The oracle is torch itself on the meta device: the modules that run, in the order in which they run, with the shapes they make, the
parameters they hold and the multiply-accumulates that torch.utils.flop_counter counts.
"""

import re
from pathlib import Path

import pytest

import archcalc
from archcalc.analysis.expected import judge
from archcalc.spec.loading import bundled
from archcalc.spec.zoo import FOLDER, index
from tests.oracle import leaf_calls, macs, models, on_meta

MODELS = models()
VARIANTS = sorted(index())
SPECS = sorted(Path(FOLDER).glob("*.yaml"))
# What torch writes as a function and not as a module, or needs a module for only because of how torch is written.
FUNCTIONAL = {"Add", "Multiply", "Concat", "Flatten", "Identity"}
# The models' own classes for what torch.nn lacks, by the operator they stand for.
NAMED_OTHERWISE = {
    "ZeroPadShortcut": "ShortcutA",
    "Subsample": "TrainableSubsample2d",
    "PaddedConv2d": "Conv2d",
    "TableConv2d": "ConnectedConv2d",
    "Upsample": "Resize",  # the Keras listing resizes; no bundled spec upsamples
}


def test_every_variant_has_an_independent_model() -> None:
    assert sorted(MODELS) == VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_layers_equal_pytorch(variant: str) -> None:
    model, image = on_meta(MODELS[variant])
    calls = []
    for leaf, shape in leaf_calls(model, image):
        name = type(leaf).__name__
        calls.append((NAMED_OTHERWISE.get(name, name), shape, sum(p.numel() for p in leaf.parameters())))
    report = archcalc.analyse(archcalc.load(variant))
    rows = [(row.op, tuple(row.output_shape), row.params) for row in report.layers]
    assert [row for row in rows if row[0] not in FUNCTIONAL] == [call for call in calls if call[0] not in FUNCTIONAL]
    assert report.totals.params == sum(p.numel() for p in model.parameters())
    assert report.totals.buffers == sum(b.numel() for b in model.buffers())
    assert report.totals.macs == macs(model, image)


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_numbers(variant: str) -> None:
    spec = bundled(index()[variant])
    expectations = spec.variant(variant).expect
    assert expectations, f"{variant} has no expect section"
    graph = archcalc.load(variant)
    for finding in judge(expectations, graph, archcalc.analyse(graph)):
        assert finding.right, f"{finding.expectation} found {finding.found}"


def test_the_quick_index_equals_a_full_reading() -> None:
    read = {name: str(path) for path in SPECS for name in bundled(str(path)).variants}
    assert index() == read
    assert {path.stem: bundled(str(path)).name for path in SPECS} == {path.stem: path.stem for path in SPECS}


# The totals of the papers and of torchvision's published weights; the same variants carry them in their spec's expect section.
PUBLISHED = [
    # variant, quantity, number, where it is printed
    ("alexnet", "params", 62_378_344, "one tower at 227"),
    ("alexnet_two_towers", "params", 60_965_224, "Krizhevsky et al. 2012: 60 million"),
    ("alexnet_torchvision", "params", 61_100_840, "torchvision AlexNet_Weights.IMAGENET1K_V1"),
    ("lenet5", "trainable", 60_000, "LeCun et al. 1998, II.B"),
    ("lenet5", "connections", 340_908, "LeCun et al. 1998, II.B"),
    ("lenet5_modern", "params", 61_706, "Keras listing"),
    ("vgg16", "params", 138_357_544, "torchvision VGG16_Weights.IMAGENET1K_V1"),
    ("googlenet_torchvision", "params", 6_624_904, "torchvision GoogLeNet_Weights, without the heads"),
    ("resnet18", "params", 11_689_512, "torchvision ResNet18_Weights"),
    ("resnet50", "params", 25_557_032, "torchvision ResNet50_Weights"),
    ("resnet50", "macs", 4_089_184_256, "torch.utils.flop_counter"),
    ("densenet121", "params", 7_978_856, "torchvision DenseNet121_Weights"),
]


@pytest.mark.parametrize(("variant", "quantity", "number", "printed"), PUBLISHED)
def test_known_totals(variant: str, quantity: str, number: int, printed: str) -> None:
    assert getattr(archcalc.analyse(archcalc.load(variant)).totals, quantity) == number, printed


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_names_its_source(path) -> None:
    spec = bundled(str(path))
    assert all(re.match(r"https?://\S+$", variant.source) for variant in spec.variants.values())
    assert path.stat().st_size < 12_000, "a spec is a page that one reads"
