"""Random networks against PyTorch: shapes, parameters, buffers, multiply-accumulates, and the bytes that autograd keeps.

The oracle runs the graph's nodes as modules of torch.nn (tests/torch_modules.py) on the CPU, with real numbers.
"""

from itertools import product
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archcalc
from archcalc.graph import Graph
from archcalc.spec import parse
from tests.strategies import specs
from tests.torch_modules import module


class Run(NamedTuple):
    """What PyTorch made of a graph: each node's output, parameters and buffers, the MACs, and the bytes kept for a backward."""

    shapes: list[tuple[int, ...]]
    params: list[int]
    buffers: list[int]
    macs: int
    saved_bytes: int


def modules(graph: Graph) -> list[nn.Module | None]:
    """A module for each node, the holder's own where parameters are shared; None for an input."""
    found: list[nn.Module | None] = []
    for node in graph.nodes:
        if not node.inputs:
            found.append(None)
        elif node.shares is not None:
            found.append(found[node.shares])
        else:
            made = module(node.op, graph.x(node))
            for parameter in made.parameters():
                parameter.requires_grad_(not node.frozen)
            found.append(made)
    return found


def forward(graph: Graph, run: list[nn.Module | None], tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Every node's output, in order."""
    outputs: list[torch.Tensor] = []
    waiting = iter(tensors)
    for node, call in zip(graph.nodes, run, strict=True):
        outputs.append(next(waiting) if call is None else call(*(outputs[i] for i in node.inputs)))
    return outputs


def in_pytorch(graph: Graph, dtype: torch.dtype = torch.float32) -> Run:
    run = modules(graph)
    for call in run:
        if call is not None:
            call.to(dtype)
    own = [None if node.shares is not None else call for node, call in zip(graph.nodes, run, strict=True)]
    tensors = [torch.randn(node.output).to(dtype) for node in graph.inputs]
    held = {p.untyped_storage().data_ptr() for call in own if call is not None for p in (*call.parameters(), *call.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = forward(graph, run, tensors)
    for call in run:
        if call is not None:
            call.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward(graph, run, [torch.zeros_like(tensor) for tensor in tensors])
    return Run(
        [tuple(output.shape) for output in outputs],
        [0 if call is None else sum(p.numel() for p in call.parameters()) for call in own],
        [0 if call is None else sum(b.numel() for b in call.buffers()) for call in own],
        counter.get_total_flops() // 2,
        sum(storage.nbytes() for storage in storages.values()),
    )


def compare(text: str, batch: int, dtype: str = "float32") -> None:
    graph = parse(text, "drawn.yaml").graph(batch=batch)
    report = archcalc.analyse(graph, rules="cpu", dtype=dtype)
    found = in_pytorch(graph, getattr(torch, dtype))
    assert [tuple(node.output) for node in graph.nodes] == found.shapes
    count = len(graph.inputs)
    assert [layer.params for layer in report.layers] == found.params[count:]
    assert [layer.buffers for layer in report.layers] == found.buffers[count:]
    assert report.totals.macs == found.macs
    assert report.totals.saved_bytes == found.saved_bytes


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(specs())
def test_random_networks_equal_pytorch(text: str) -> None:
    compare(text, batch=2)


CONV = "Conv2d: {name: conv, out_channels: 4, kernel_size: 3, padding: 1}"
LINEAR = "Linear: {out_features: 8}"
WANTED = [
    # Nothing is kept for a derivative that nobody wants: that of a frozen parameter, or of the image.
    [CONV, "Conv2d: {out_channels: 4, kernel_size: 3, frozen: true}"],
    [CONV, "ConvTranspose2d: {out_channels: 4, kernel_size: 3, frozen: true}"],
    ["Flatten", LINEAR, "Linear: {out_features: 8, frozen: true}"],
    ["Flatten", LINEAR, "GELU", "Linear: {out_features: 8, frozen: true}", "Tanh", "Linear: {out_features: 8, frozen: true}"],
    ["Flatten", LINEAR, "Linear: {out_features: 8, frozen: true, bias: false}", LINEAR],
    [CONV, "TrainableSubsample2d: {kernel_size: 2}"],
    [CONV, "TrainableSubsample2d: {kernel_size: 2, frozen: true}"],
    ["TrainableSubsample2d: {kernel_size: 2}"],
    ["PReLU", CONV],
    [CONV, "BatchNorm2d: {frozen: true}", "GroupNorm: {num_groups: 2, frozen: true}", "PReLU: {frozen: true}"],
    *(
        [CONV, f"Multiply: {{from: [{', '.join(factors)}]}}"]
        for count in (2, 3, 4)
        for factors in product(("conv", "input"), repeat=count)
    ),
]


@pytest.mark.parametrize("layers", WANTED, ids=str)
def test_only_what_a_derivative_wants_is_kept(layers: list[str]) -> None:
    compare(f"input: [4, 8, 8]\nlayers: [{', '.join('{' + layer + '}' if ':' in layer else layer for layer in layers)}]\n", batch=2)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "layer", ["BatchNorm2d", "LayerNorm", "GroupNorm: {num_groups: 2}", "Dropout", "MaxPool2d: {kernel_size: 2}"]
)
def test_bytes_are_kept_in_the_type_of_the_activations(layer: str, dtype: str) -> None:
    compare(f"input: [4, 8, 8]\nlayers:\n- {CONV}\n- {layer}\n", batch=2, dtype=dtype)
