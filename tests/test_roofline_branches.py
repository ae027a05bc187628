"""The roofline of graphs that are no chain, against what PyTorch runs: branches that nobody reads, heads, shared and frozen layers.

Multiply-accumulates are those of PyTorch's own counter over a pass of the built module; casts and sums of gradients are those that
its dispatcher shows.
"""

import pytest
import torch
from hypothesis import given
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from archcalc import load
from archcalc.analysis.devices import find
from archcalc.analysis.roofline import Roofline, roofline
from archcalc.analysis.roofline.limits import fewest_macs
from archcalc.analysis.roofline.model import network
from archcalc.analysis.roofline.precision import PRECISIONS
from archcalc.analysis.roofline.traffic import STEP_PASSES
from archcalc.graph import Graph
from archcalc.pytorch.build import build
from archcalc.spec import parse
from tests.strategies import specs

UNREAD = """
input: [3, 8, 8]
layers:
  - Conv2d: {name: a, out_channels: 6, kernel_size: 3, padding: 1}
  - Conv2d: {name: unread, out_channels: 5, kernel_size: 3, padding: 1}
  - Conv2d: {name: b, from: a, out_channels: 4, kernel_size: 3}
  - GlobalAvgPool2d
  - Flatten
"""
SUMMED = """
input: [4, 8, 8]
layers:
  - Conv2d: {name: c, out_channels: 4, kernel_size: 3, padding: 1}
  - group: {name: unread, layers: [ReLU, Conv2d: {out_channels: 2, kernel_size: 1}]}
  - Multiply: {name: square, from: [c, c]}
  - Concat: {name: joined, from: [square, c, c]}
  - head: {name: side, layers: [Conv2d: {out_channels: 3, kernel_size: 1}]}
  - Flatten
"""
SHARED = """
input: [5, 7, 7]
layers:
  - Conv2d: {name: stem, out_channels: 6, kernel_size: 3, padding: 1}
  - Conv2d: {name: r1, out_channels: 6, kernel_size: 3, padding: 1}
  - PReLU: {name: q1}
  - Conv2d: {name: r2, out_channels: 6, kernel_size: 3, padding: 1, share: r1}
  - PReLU: {name: q2, share: q1}
  - Concat: {name: joined, from: [stem, q2]}
  - Conv2d: {name: r3, from: q1, out_channels: 6, kernel_size: 3, padding: 1, share: r1}
  - Conv2d: {name: end, from: joined, out_channels: 3, kernel_size: 1}
"""  # r3 is read by nobody
HEADS = """
input: [3, 8, 8]
layers:
  - Conv2d: {name: fixed, out_channels: 4, kernel_size: 3, padding: 1, frozen: true}
  - head: {name: idle, layers: [Flatten]}
  - head: {name: map, layers: [Conv2d: {out_channels: 4, kernel_size: 1}]}
  - Conv2d: {name: again, from: input, out_channels: 4, kernel_size: 3, padding: 1, share: fixed}
  - Conv2d: {name: wide, out_channels: 4, kernel_size: 5}
  - head: {name: side, layers: [Flatten, Linear: {name: fc, out_features: 2}]}
  - Flatten
  - Linear: {name: fc, out_features: 2, share: side.fc}
"""  # the holder of the last layer's parameters does not run in evaluation
SPECS = {"unread": UNREAD, "summed": SUMMED, "shared": SHARED, "heads": HEADS}


def graph_of(name: str) -> Graph:
    return parse(SPECS[name], f"{name}.yaml").graph(batch=2)


def reckoned(graph: Graph, mode: str) -> Roofline:
    return roofline(graph, find("a100"), mode=mode)


def outputs(module: torch.nn.Module, graph: Graph) -> list[torch.Tensor]:
    """What leaves the module and depends on a parameter that is trained."""
    found = module(*[torch.randn(tuple(node.output)) for node in graph.inputs])
    return [y for y in (found if isinstance(found, tuple) else (found,)) if y.requires_grad]


def backward(ends: list[torch.Tensor]) -> None:
    if ends:
        torch.autograd.backward(ends, [torch.ones_like(y) for y in ends])


def of_gradients(gradient, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, mask, **_) -> int:
    """Floating-point operations of ``convolution_backward``: as many as forward for each gradient asked for, in groups too.

    PyTorch's own rule for it reckons the weight's gradient as if every convolution had one group.
    """
    return sum(mask[:2]) * conv_flop_count(x, weight, gradient, transposed)


def compare_macs(graph: Graph) -> None:
    module = build(graph)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs(module.eval(), graph)
    assert 2 * reckoned(graph, "infer").macs == counter.get_total_flops()
    mapping = {torch.ops.aten.convolution_backward: of_gradients}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        backward(outputs(module.train(), graph))
    assert 2 * reckoned(graph, "fwd-bwd").macs == counter.get_total_flops()


@pytest.mark.parametrize("graph", [*map(graph_of, SPECS), load("googlenet_aux", batch=2)], ids=lambda graph: graph.name)
def test_products_are_those_that_pytorch_runs(graph: Graph) -> None:
    compare_macs(graph)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(specs())
def test_products_of_random_networks_are_those_that_pytorch_runs(text: str) -> None:
    compare_macs(parse(text, "drawn.yaml").graph(batch=2))


@pytest.mark.parametrize("name", SPECS)
def test_the_step_is_over_the_parameters_that_have_a_gradient(name: str) -> None:
    graph = graph_of(name)
    module = build(graph).train()
    backward(outputs(module, graph))
    stepped = sum(parameter.numel() for parameter in module.parameters() if parameter.grad is not None)
    step = reckoned(graph, "train").step
    assert step is not None
    assert step.moved_bytes == STEP_PASSES * 4 * stepped


class Calls(TorchDispatchMode):
    """Writes down the casts, by the elements of what is cast, and the additions of tensors, by those of a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.casts: list[int] = []
        self.sums: list[int] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket is torch.ops.aten._to_copy:
            self.casts.append(result.numel())
        elif function.overloadpacket in (torch.ops.aten.add, torch.ops.aten.add_):
            self.sums.append(result.numel())
        return result


@pytest.mark.parametrize("mode", ["infer", "fwd-bwd"])
@pytest.mark.parametrize("name", SPECS)
def test_autocast_casts_a_trained_parameter_once_and_its_gradient_once(name: str, mode: str) -> None:
    graph = graph_of(name)
    module = build(graph).train(mode != "infer")
    with Calls() as calls:
        with torch.set_grad_enabled(mode != "infer"), torch.autocast("cpu", torch.bfloat16):
            ends = outputs(module, graph)
        backward(ends)
    works = [work for _, works in network(graph, PRECISIONS["amp-bf16"], mode) for work in works]
    casts = [work.moved // (4 + 2) for work in works if work.what == "cast"]
    assert sorted(casts) == sorted(calls.casts)


@pytest.mark.parametrize("name", SPECS)
def test_sums_of_gradients_are_those_that_autograd_takes(name: str) -> None:
    graph = graph_of(name)
    ends = outputs(build(graph).train(), graph)
    with Calls() as calls:
        backward(ends)
    works = [work for _, works in network(graph, PRECISIONS["fp32"], "fwd-bwd") for work in works]
    assert sorted(work.moved // (3 * 4) for work in works if work.what == "sum of gradients") == sorted(calls.sums)


@pytest.mark.parametrize(("side", "k"), [(12, 3), (12, 5), (16, 9), (31, 31)])
def test_a_convolution_by_fourier_transforms_takes_more_products_than_the_bound_allows(side: int, k: int) -> None:
    n, c_in, c_out, edge = 2, 3, 4, k // 2
    image, weight = torch.randn(n, c_in, side, side, dtype=torch.double), torch.randn(c_out, c_in, k, k, dtype=torch.double)
    tile = (side + 2 * edge,) * 2
    images, weights = torch.fft.rfft2(torch.nn.functional.pad(image, [edge] * 4)), torch.fft.rfft2(weight, tile).conj()
    products = images[:, None] * weights[None]
    found = torch.fft.irfft2(products.sum(dim=2), tile)[..., :side, :side]
    torch.testing.assert_close(found, torch.nn.functional.conv2d(image, weight, padding=edge))
    direct = n * c_out * side**2 * c_in * k**2
    assert fewest_macs(direct, (k, k)) <= 3 * products.numel() <= direct  # a complex product takes three real ones
