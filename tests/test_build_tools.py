"""Built modules as PyTorch's own tools meet them: fx traces, compile and export take them whole, and give the same numbers."""

import pytest
import torch
from torch import nn

import archcalc
from archcalc.spec import parse
from tests.variants import these_and_slowly_the_others

with_tools = these_and_slowly_the_others("lenet5", "alexnet_torchvision", "resnet18", "googlenet_aux", "densenet_40_12")


def sample(variant: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    graph = archcalc.load(variant)
    return archcalc.build(graph).eval(), torch.randn(graph.nodes[0].output)


@with_tools
def test_fx_traces_it(variant: str) -> None:
    module, x = sample(variant)
    traced = torch.fx.symbolic_trace(module)
    with torch.no_grad():
        assert torch.equal(traced(x), module(x))
    trained = torch.fx.symbolic_trace(module.train())
    heads = len(archcalc.load(variant).outputs)
    (output,) = [node for node in trained.graph.nodes if node.op == "output"]
    assert len(output.args[0] if isinstance(output.args[0], tuple) else output.args) == heads


@with_tools
def test_compile_takes_it_whole(variant: str) -> None:
    module, x = sample(variant)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(x), module(x))


@with_tools
def test_export_takes_it(variant: str) -> None:
    module, x = sample(variant)
    with torch.no_grad():
        exported = torch.export.export(module, (x,))
        assert torch.equal(exported.module()(x), module(x))


POOLS = [
    "AvgPool2d: {kernel_size: 3, stride: 2, padding: [0, 1, 1, 0], ceil_mode: true}",
    "AvgPool2d: {kernel_size: 3, stride: 2, padding: same, count_include_pad: false}",
    "MaxPool2d: {kernel_size: 2, padding: same, stride: 1}",
    "Conv2d: {out_channels: 3, kernel_size: 4, padding: same, padding_mode: reflect}",
    "RBF: {out_features: 10}",
]


@pytest.mark.parametrize("layer", POOLS)
def test_tools_take_our_own_layers(layer: str) -> None:
    first = "Flatten" if "RBF" in layer else "ReLU"
    graph = parse(f"input: [3, 8, 8]\nlayers:\n- {first}\n- {layer}\n", "net.yaml").graph()
    module, x = archcalc.build(graph).eval(), torch.randn(2, 3, 8, 8)
    torch._dynamo.reset()
    assert torch.equal(torch.fx.symbolic_trace(module)(x), module(x))
    assert torch.equal(torch.compile(module, backend="eager", fullgraph=True)(x), module(x))
    assert torch.equal(torch.export.export(module, (x,)).module()(x), module(x))
