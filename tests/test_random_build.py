"""Random networks: what is built of them runs forward and backward, and gives the numbers of a runner that knows nothing of it.

The runner calls the nodes' modules of torch.nn (tests/torch_modules.py) one by one; both have the same parameters.
"""

import pytest
import torch
from hypothesis import given

from archcalc.graph import Graph
from archcalc.pytorch.build import build
from archcalc.pytorch.check import check
from archcalc.pytorch.source import steps
from archcalc.spec import parse
from tests.copying import copy_layer
from tests.strategies import specs
from tests.test_random_graphs import forward, modules

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def both(text: str) -> tuple[Graph, torch.nn.Module, list[torch.nn.Module | None]]:
    """The graph, what is built of it, and the runner's modules with the same numbers."""
    graph = parse(text, "drawn.yaml").graph(batch=2)
    torch.manual_seed(0)
    built, runner = build(graph), modules(graph)
    for step, call in zip(steps(graph), runner, strict=True):
        if step.own and step.node.shares is None and call is not None:
            copy_layer(built.get_submodule(step.path), call)
    return graph, built, runner


def returned(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def compare(text: str) -> None:
    graph, built, runner = both(text)
    images = [torch.randn(tuple(node.output)) for node in graph.inputs]
    for training in (True, False):
        for module in (built, *runner):
            if module is not None:
                module.train(training)
        torch.manual_seed(1)
        found = returned(built(*[image.clone() for image in images]))
        torch.manual_seed(1)
        expected = forward(graph, runner, [image.clone() for image in images])
        wanted = list(graph.outputs.items()) if training else [("output", graph.outputs["output"])]
        assert [tuple(y.shape) for y in found] == [tuple(graph.nodes[index].output) for _, index in wanted]
        for y, (_, index) in zip(found, wanted, strict=True):
            torch.testing.assert_close(y, expected[index], rtol=1e-4, atol=1e-5, equal_nan=True)
    backward(graph, built, images)


def backward(graph: Graph, built: torch.nn.Module, images: list[torch.Tensor]) -> None:
    """Parameters that lead to an output and are trained get a gradient of their own size, frozen ones get none."""
    outputs = [y for y in returned(built.train()(*[image.clone() for image in images])) if y.requires_grad]
    if outputs:
        torch.stack([y.float().sum() for y in outputs]).sum().backward()
    reached = {index for name in graph.outputs.values() for index in ancestors(graph, name)}
    for index, step in enumerate(steps(graph)):
        if step.own:
            for parameter in built.get_submodule(step.path).parameters():
                assert parameter.requires_grad != step.node.frozen
                assert (parameter.grad is not None) == (index in reached and not step.node.frozen)


def ancestors(graph: Graph, index: int) -> set[int]:
    return {index}.union(*(ancestors(graph, before) for before in graph.nodes[index].inputs))


@given(specs())
def test_random_networks_build_and_give_the_runners_numbers(text: str) -> None:
    compare(text)


@given(specs())
def test_random_networks_agree_with_pytorch(text: str) -> None:
    assert check(parse(text, "drawn.yaml").graph(batch=2)).differences == ()


JOINED = """input: {left: [3, 8, 8], right: [3, 8, 8]}
blocks:
  tower: [{Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, BatchNorm2d, ReLU]
layers:
- tower: {name: seen, from: left}
- tower: {name: again, from: right, share: seen}
- Concat: {name: pair, from: [seen, again]}
- head: {name: side, layers: [Flatten, {Linear: {out_features: 2}}]}
- group: {name: fixed, frozen: true, layers: [{Conv2d: {out_channels: 4, kernel_size: 1}}]}
- Multiply: {from: [fixed, again]}
"""


def test_shared_frozen_headed_and_fed_twice() -> None:
    """What random networks seldom have together."""
    compare(JOINED)
    assert check(parse(JOINED, "joined.yaml").graph(batch=2)).differences == ()
