"""The weights that a module begins with, held against the papers' figures."""

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from archcalc import Graph, load
from archcalc.ops.initial import draw
from archcalc.pytorch.build import build
from archcalc.pytorch.initial import initialise
from archcalc.spec import parse


@pytest.fixture(scope="module")
def started() -> Callable[[str, tuple[int, ...] | None], tuple[Graph, nn.Module]]:
    """A network and its module with the weights of seed 0, made once."""
    made: dict[str, tuple[Graph, nn.Module]] = {}

    def start(name: str, input: tuple[int, ...] | None = None) -> tuple[Graph, nn.Module]:
        if name not in made:
            graph = load(name, input=input)
            module = build(graph)
            initialise(module, graph, seed=0)
            made[name] = graph, module
        return made[name]

    return start


NORMAL = [
    # network, input, layer, standard deviation by the paper, the bias's constant
    ("alexnet", None, "conv2", 0.01, 1),
    ("alexnet", None, "conv3", 0.01, 0),
    ("alexnet", None, "fc7", 0.01, 1),
    ("alexnet", None, "fc8", 0.01, 0),
    ("zfnet", (3, 99, 99), "conv4", 0.01, 0),
    ("vgg_a", (3, 32, 32), "features.3", 0.1, 0),
    ("vgg11", (3, 32, 32), "features.3", sqrt(2 / (9 * 128)), 0),
    ("resnet18", None, "layer4.1.conv1", sqrt(2 / (9 * 512)), None),
    ("resnet18", None, "layer4.0.downsample.0", sqrt(2 / 512), None),
    ("densenet121", None, "features.denseblock4.denselayer1.conv1", sqrt(2 / 512), None),
    ("googlenet_torchvision", None, "inception4e.branch2.1.conv", 0.01, None),
]


@pytest.mark.parametrize(("name", "input", "layer", "deviation", "bias"), NORMAL)
def test_normal_weights_have_the_papers_spread(started, name, input, layer, deviation, bias) -> None:
    _, module = started(name, input)
    made = module.get_submodule(layer)
    weight = made.weight.detach()
    count = weight.numel()
    assert abs(float(weight.mean())) < 5 * deviation / sqrt(count)
    assert float(weight.std()) == pytest.approx(deviation, rel=5 / sqrt(2 * count))
    third = float((weight.abs() > 2 * deviation).float().mean())
    assert third == pytest.approx(0.0455, abs=5 * sqrt(0.0455 / count))  # beyond two deviations: 4.55 % of what is normal
    if bias is None:
        assert made.bias is None
    else:
        assert torch.equal(made.bias, torch.full_like(made.bias, bias))


@pytest.mark.parametrize(("layer", "fan_in"), [("C1", 25), ("S2", 4), ("S4", 4), ("C5", 400), ("F6", 120)])
def test_lenets_weights_lie_between_its_bounds(started, layer: str, fan_in: int) -> None:
    made = started("lenet5")[1].get_submodule(layer)
    for tensor in (made.weight, made.bias):
        assert_uniform(tensor, 2.4 / fan_in)


def test_lenets_third_layer_has_a_bound_for_each_map(started) -> None:
    graph, module = started("lenet5")
    third = module.get_submodule("C3")
    for number, row in enumerate(graph.find("C3").op.table):
        assert_uniform(third.get_parameter(f"maps.{number}.weight"), 2.4 / (25 * len(row)))
        assert abs(float(third.bias[number].detach())) <= 2.4 / (25 * len(row))


def assert_uniform(tensor: Tensor, bound: float) -> None:
    values = tensor.detach().double()
    count = values.numel()
    assert float(values.abs().max()) <= bound * (1 + 1e-6)
    assert abs(float(values.mean())) < 5 * bound / sqrt(3 * count)
    if count > 20:
        assert float(values.abs().mean()) == pytest.approx(bound / 2, abs=5 * bound / sqrt(12 * count))


def test_what_no_paper_says_begins_as_pytorch_has_it(started) -> None:
    _, module = started("alexnet_torchvision")
    for layer, fan_in in (("features.3", 64 * 25), ("classifier.6", 4096)):
        made = module.get_submodule(layer)
        for tensor in (made.weight, made.bias):
            assert_uniform(tensor, 1 / sqrt(fan_in))
    norm = started("resnet18")[1].get_submodule("bn1")
    assert torch.equal(norm.weight, torch.ones(64))
    assert torch.equal(norm.bias, torch.zeros(64))


def test_a_seed_gives_the_same_weights_and_leaves_pytorchs_own_alone() -> None:
    graph = load("resnet20")
    before = torch.random.get_rng_state()
    first, second, other = build(graph), build(graph), build(graph)
    torch.random.set_rng_state(before)
    initialise(first, graph, seed=3)
    torch.rand(7)
    after = torch.random.get_rng_state()
    initialise(second, graph, seed=3)
    assert torch.equal(torch.random.get_rng_state(), after)
    initialise(other, graph, seed=4)
    both = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in both)
    assert not torch.equal(first.state_dict()["conv1.weight"], other.state_dict()["conv1.weight"])
    assert not torch.equal(first.state_dict()["fc.weight"], other.state_dict()["fc.weight"])


def test_weights_of_another_type_are_the_same_numbers() -> None:
    graph = load("lenet5")
    wide, narrow = build(graph).double(), build(graph).bfloat16()
    initialise(wide, graph, seed=1)
    initialise(narrow, graph, seed=1)
    assert torch.equal(wide.get_parameter("C1.weight").bfloat16(), narrow.get_parameter("C1.weight"))


FORMS = [
    "0.25",
    "[1, 2]",
    "{uniform: [0.5, 0]}",
    "{normal: {mean: [10, -10], std: 0.1}}",
    "{trunc_normal: {std: 1, bound: 0.5}}",
    "xavier_uniform",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_drawn(form: str) -> None:
    text = f"input: [50, 1, 1]\nlayers:\n  - Conv2d: {{name: c, out_channels: 2, kernel_size: 1, init: {{weight: {form}}}}}\n"
    graph = parse(text, "net.yaml").graph()
    module = build(graph)
    initialise(module, graph)
    node = graph.find("c")
    assert node.init is not None
    assert node.init.weight is not None
    drawn = draw(node.init.weight, node.op.fans(graph.x(node)))
    for number, row in enumerate(module.get_parameter("c.weight").detach()):
        centre, spread, cut = (value[number] if isinstance(value, tuple) else value for value in drawn[1:])
        assert float((row - centre).abs().max()) <= (4 * spread if drawn.shape == "normal" else spread) + 1e-6
        assert (float(row.std()) > 0) == (spread > 0)
        assert cut is None or float(row.abs().max()) <= cut
