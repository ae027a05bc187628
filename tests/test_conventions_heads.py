"""Side heads and the counting conventions: no tool meets in evaluation what runs in training alone."""

import io
from pathlib import Path

import pytest
import torch

import archcalc
from archcalc.analysis.conventions import CONVENTIONS, HEADS, count, layer_counts, ledger
from archcalc.analysis.heads import heads
from archcalc.graph import Builder, Graph
from tests.counting_tools import Whole, torch_total, total
from tests.op_cases import ops
from tests.test_conventions import installed


@pytest.mark.filterwarnings("ignore")
def test_what_a_head_reads_is_folded_all_the_same():
    """As torch.onnx does it: the head is not in the file."""
    builder = Builder()
    c = builder.add("conv", ops.Conv2d(4, 3, bias=False), (builder.input("input", (2, 6, 8, 8)),))
    norm, head = builder.add("norm", ops.BatchNorm2d(), (c,)), builder.add("head", ops.ReLU(), (c,))
    graph = builder.graph("headed", {"output": norm, "head": head})
    assert count(graph, "onnx-tool").total == 2 * 36 * 4 * 54 + 2 * 36 * 4
    file = io.BytesIO()
    torch.onnx.export(archcalc.build(graph).eval(), (torch.rand(2, 6, 8, 8),), file, dynamo=False, opset_version=20)
    assert [node.op_type for node in pytest.importorskip("onnx").load_from_string(file.getvalue()).graph.node] == ["Conv"]


# Heads at the start, with layers behind them, and with parameters that the main path uses too; one reads an input of its own.
HEADED = """
name: headed
input: {image: [3, 16, 16], hint: [3, 16, 16]}
layers:
  - Conv2d: {name: stem, from: image, out_channels: 8, kernel_size: 3, padding: 1}
  - head: {name: early, from: hint, layers: [Conv2d: {out_channels: 4, kernel_size: 1}]}
  - Conv2d: {name: wide, out_channels: 8, kernel_size: 5}
  - Hardswish
  - head: {name: late, layers: [GlobalAvgPool2d, Flatten, Linear: {name: fc, out_features: 4}]}
  - Conv2d: {name: narrow, out_channels: 8, kernel_size: 3, from: stem}
  - AdaptiveAvgPool2d: {output_size: 1}
  - Flatten
  - Linear: {name: fc, out_features: 4, share: late.fc}
"""


def with_heads(model: str, folder: Path, batch: int) -> Graph:
    if model == "headed":
        (folder / "headed.yaml").write_text(HEADED)
        model = str(folder / "headed.yaml")
    return archcalc.load(model, batch=batch)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("model", ["headed", "googlenet_aux", "googlenet_torchvision_aux"])
def test_a_network_with_heads_counts_what_the_tools_see_of_it_in_evaluation(model, batch, tmp_path):
    graph = with_heads(model, tmp_path, batch)
    network = archcalc.build(graph)
    images = [torch.rand(tuple(node.output)) for node in graph.inputs]
    running = Whole(network, images[1:])
    in_evaluation = total("torch", running, images[0])
    assert count(graph, "torch").total == sum(layer_counts(graph, "torch")) == in_evaluation
    installed("torchinfo")
    assert count(graph, "torchinfo").total == sum(layer_counts(graph, "torchinfo")) == total("torchinfo", running, images[0])
    in_training = torch_total(running.train(), images[0])
    assert 2 * count(graph, "macs").total == in_training
    assert 2 * heads(graph).macs == 2 * count(graph, "macs").by_kind[HEADS] == in_training - in_evaluation


@pytest.mark.parametrize("model", ["headed", "googlenet_aux"])
def test_what_heads_hold_is_what_a_backward_pass_in_evaluation_leaves_alone(model, tmp_path):
    graph = with_heads(model, tmp_path, 1)
    network = archcalc.build(graph).eval()
    network(*(torch.rand(tuple(node.output)) for node in graph.inputs)).sum().backward()
    assert heads(graph).params == sum(one.numel() for one in network.parameters() if one.grad is None) > 0


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name not in ("macs", "full")])
@pytest.mark.parametrize("model", ["googlenet", "googlenet_torchvision"])
def test_no_tool_counts_nor_misses_what_only_heads_have(model, name):
    assert count(archcalc.load(f"{model}_aux"), name) == count(archcalc.load(model), name)


@pytest.mark.parametrize("name", ["macs", "full"])
def test_heads_are_a_line_of_their_own_where_they_count(name):
    own, headed = (archcalc.load(model) for model in ("googlenet", "googlenet_aux"))
    (line,) = (line for line in ledger(headed, "fvcore", name).differences if line.kind == HEADS)
    assert count(headed, name).by_kind == count(own, name).by_kind | {HEADS: line.amount}


def test_a_screen_tells_of_heads_where_there_are_some(run):
    alone = heads(archcalc.load("googlenet_aux"))
    note = f"side heads, in training alone: {alone.params:,} of the parameters, {alone.macs:,} of the MACs"
    assert note in run("summary", "googlenet_aux").out.splitlines()
    assert note in run("summary", "googlenet_aux", "--count", "torch", "--depth", "1").out.splitlines()
    every = run("summary", "googlenet_aux", "--count", "all").out
    assert f"- side heads {alone.macs:,}" in every
    assert "side heads run in training alone: they are in the totals of macs and full, in no tool's" in every
    assert "heads" not in run("summary", "googlenet").out + run("summary", "googlenet", "--count", "all").out
