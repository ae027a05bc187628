"""Built modules against the bundled networks written a second time, in plain torch from the papers: equal numbers in, equal out."""

import pytest
import torch
from torch import nn

import archcalc
from tests import oracle
from tests.copying import copy_layer, randomise
from tests.variants import these_and_slowly_the_others

SAME_BITS = ("resnet50", "densenet121", "googlenet", "googlenet_aux")  # the others may add in another order


def pair(variant: str) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """The built module and the independent one with its numbers, layer by layer in the order in which they run, and an image."""
    make, shape = oracle.models()[variant]
    graph = archcalc.load(variant)
    torch.manual_seed(0)
    ours, theirs, x = archcalc.build(graph), make(), torch.randn(1, *shape)
    randomise(ours)
    ran = [leaf for leaf, _ in oracle.leaf_calls(theirs.eval(), x) if [*leaf.parameters(), *leaf.buffers()]]
    layers = [ours.get_submodule(node.name) for node in graph.layers if node.op.state(graph.x(node))]
    assert len(layers) == len(ran)
    for layer, leaf in zip(layers, ran, strict=True):
        copy_layer(layer, leaf)
    return ours, theirs, x


def first(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The main output: the oracle's side heads run in evaluation too."""
    return output[0] if isinstance(output, tuple) else output


@these_and_slowly_the_others("lenet5", "resnet50", "densenet121", "googlenet", "googlenet_aux")
def test_outputs_are_those_of_an_independent_network(variant: str) -> None:
    ours, theirs, x = pair(variant)
    with torch.no_grad():
        y, expected = ours.eval()(x), first(theirs.eval()(x))
    assert y.std() > 0
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(y, expected) or variant not in SAME_BITS


@pytest.mark.parametrize("variant", ["googlenet_aux", "googlenet_torchvision_aux"])
def test_side_heads_in_training_are_those_of_an_independent_network(variant: str) -> None:
    ours, theirs, x = pair(variant)
    x = torch.cat([x, x + 1])
    torch.manual_seed(3)
    found = ours.train()(x)
    torch.manual_seed(3)
    expected = theirs.train()(x)
    assert isinstance(found, tuple)
    assert [tuple(y.shape) for y in found] == [(2, 1000)] * 3
    for y, other in zip(found, expected, strict=True):
        torch.testing.assert_close(y, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_an_independent_network() -> None:
    ours, theirs, x = pair("resnet20")
    for net in (ours.train(), theirs.train()):
        first(net(torch.cat([x, -x]))).square().sum().backward()
    norms = [[float(p.grad.norm()) for p in net.parameters()] for net in (ours, theirs)]
    assert sorted(norms[0]) == pytest.approx(sorted(norms[1]), rel=1e-4)
