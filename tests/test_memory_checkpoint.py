"""Blocks that are computed again instead of kept, against torch.utils.checkpoint on real tensors."""

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import archcalc
from archcalc.analysis.memory import Plan, simulate
from archcalc.analysis.memory.checkpoint import Block, blocks
from archcalc.analysis.memory.simulate import recomputation
from archcalc.errors import UsageError
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS
from archcalc.spec import parse
from tests.memory_oracle import compare, load, run_in_torch, tensors
from tests.storage_tracer import loss_of
from tests.strategies import specs
from tests.test_random_graphs import modules


class Runner(nn.Module):
    """Runs a graph node by node, each tensor released at its last use, and blocks under torch's own checkpoint."""

    def __init__(self, graph: Graph, patterns: tuple[str, ...]):
        super().__init__()
        self.graph, self.calls = graph, modules(graph)
        self.blocks = {block.first: block for block in blocks(graph, patterns)}
        self.held = nn.ModuleList(call for call in self.calls if call is not None)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        nodes, waiting = self.graph.nodes, iter(inputs)
        tensors = {number: next(waiting) for number, node in enumerate(nodes) if not node.inputs}
        reads = Counter(i for node in nodes for i in node.inputs) + Counter(self.graph.outputs.values())
        place = len(tensors)
        while place < len(nodes):
            block = self.blocks.get(place)
            if block is None:
                self.run(range(place, place + 1), tensors, reads)
                place += 1
                continue
            options = {"use_reentrant": False, "preserve_rng_state": False}
            tensors[block.output] = checkpoint(self.part(block), tensors[block.input], **options)
            place = block.last + 1
            for i in (i for node in nodes[block.first : place] for i in node.inputs):
                self.read(i, tensors, reads)
        outputs = tuple(tensors[end] for end in self.graph.outputs.values())
        return outputs if len(outputs) > 1 else outputs[0]

    def part(self, block: Block):
        inside = range(block.first, block.last + 1)

        def call(x: torch.Tensor) -> torch.Tensor:
            tensors = {block.input: x}
            reads = Counter(i for number in inside for i in self.graph.nodes[number].inputs) + Counter([block.input, block.output])
            self.run(inside, tensors, reads)
            return tensors[block.output]

        return call

    def run(self, inside: range, tensors: dict[int, torch.Tensor], reads: Counter[int]) -> None:
        for number in inside:
            inputs = self.graph.nodes[number].inputs
            tensors[number] = self.calls[number](*[tensors[i] for i in inputs])
            for i in inputs:
                self.read(i, tensors, reads)
            if not reads[number]:
                del tensors[number]

    def read(self, i: int, tensors: dict[int, torch.Tensor], reads: Counter[int]) -> None:
        reads[i] -= 1
        if not reads[i]:
            tensors.pop(i, None)


CHECKPOINTS = [
    ("resnet18", [3, 64, 64], ("layer1",)),
    ("resnet18", [3, 64, 64], ("layer*",)),
    ("resnet18", [3, 64, 64], ("layer*.*",)),
    ("resnet18", [3, 64, 64], ("layer1", "layer2.*")),
    pytest.param("densenet_40_12", [3, 16, 16], ("*block*",), marks=pytest.mark.slow),
    pytest.param("googlenet", None, ("inception*",), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("amp", [None, "bf16"])
@pytest.mark.parametrize(("name", "size", "patterns"), CHECKPOINTS, ids=str)
def test_checkpoints(name, size, patterns, amp):
    graph = load(name, 2, size)
    plan = Plan(train=True, optimizer="sgd", rules="cpu", checkpoint=patterns, amp=amp)
    compare(graph, plan, Runner(graph, patterns))


BEGINNING, LINEAR = "{Upsample: {scale_factor: 2}}", "Flatten, {Linear: {out_features: 400}}"
CONV = "out_channels: 8, kernel_size: 3, padding: 1"
INSIDE = {
    # What has been computed again goes before a bias's gradient is summed up.
    **{f"{step} behind Linear": f"{BEGINNING}, {LINEAR}, {step}" for step in ("Softmax", "LogSoftmax", "ReLU", "GELU")},
    "Dropout before Linear": f"Dropout, {LINEAR}, LogSoftmax",
    # Nothing is kept of a branch that leads nowhere, neither the first time nor the second.
    "unread": f"{{Conv2d: {{name: a, {CONV}}}}}, GELU, {{Conv2d: {{{CONV}}}}}, GELU, {{Conv2d: {{from: a, {CONV}}}}}, GELU",
    "unread first": f"{{GELU: {{name: a}}}}, {{Conv2d: {{{CONV}}}}}, GELU, {{Conv2d: {{from: a, {CONV}}}}}, GELU",
}


@pytest.mark.parametrize("amp", [None, "bf16"])
@pytest.mark.parametrize("inside", INSIDE)
def test_small_blocks(inside, amp):
    text = f"input: [4, 12, 12]\nlayers: [{{Conv2d: {{{CONV}}}}}, {{group: {{name: g, layers: [{INSIDE[inside]}]}}}}]\n"
    graph = parse(text, "small.yaml").graph(batch=8)
    compare(graph, Plan(train=True, optimizer="sgd", rules="cpu", checkpoint=("g",), amp=amp), Runner(graph, ("g",)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("amp", [None, "bf16"])
@settings(max_examples=max(30, settings.default.max_examples // 2))
@given(specs())
def test_random_blocks(amp: str | None, text: str) -> None:
    """Of a random network, every block that can be computed again."""
    graph = parse(text, "drawn.yaml").graph(batch=2)
    paths = dict.fromkeys(node.name.partition(".")[0] for node in graph.layers if "." in node.name)
    patterns = tuple(path for path in paths if repeatable(graph, path))
    assume(patterns and run_in_torch(graph))
    compare(graph, Plan(train=True, optimizer="sgd", rules="cpu", checkpoint=patterns, amp=amp), Runner(graph, patterns))


def repeatable(graph: Graph, path: str) -> bool:
    """Whether this block can be computed again."""
    try:
        return bool(blocks(graph, (path,)))
    except UsageError:
        return False


@pytest.mark.parametrize(("name", "size", "patterns"), CHECKPOINTS, ids=str)
def test_what_checkpoints_save_and_cost(name, size, patterns):
    """The multiply-accumulates of the second forward are what PyTorch's own counter counts more."""
    graph = load(name, 2, size)
    found = recomputation(graph, Plan(train=True, rules="cpu", checkpoint=patterns))
    macs = []
    for blocked in ((), patterns):
        inputs, target = tensors(graph, torch.float32)
        with FlopCounterMode(display=False) as counter:
            loss_of(Runner(graph, blocked).train()(*inputs), target).backward()
        macs.append(counter.get_total_flops() // 2)
    assert found.macs == macs[1] - macs[0] > 0
    assert found.saved_bytes_before == archcalc.analyse(graph, rules="cpu").totals.saved_bytes > found.saved_bytes_after


REFUSED = [
    ("resnet18", ("layer7",), "E263", "no block layer7"),
    ("resnet18", ("layer1.0", "layer1"), "E264", "overlap"),
    ("googlenet_aux", ("aux1",), None, ""),
    ("resnet18", ("layer1.0.relu1",), None, ""),
    ("two inputs", ("g",), "E264", "reads 2 tensors from outside: a, b"),
    ("two outputs", ("g",), "E264", "2 of its tensors are used outside: g.c, g.d"),
    ("apart", ("g",), "E264", "between stands between its layers"),
]


def small(what: str) -> Graph:
    conv, builder = OPS["Conv2d"](3, 1), Builder()
    last = builder.input("input", (1, 3, 4, 4))
    if what == "apart":
        for name in ("g.0", "between", "g.1"):
            last = builder.add(name, conv, (last,))
        return builder.graph(what, {"output": last})
    first, second = ("a", "b") if what == "two inputs" else ("g.c", "g.d")
    one = builder.add(first, conv, (last,))
    two = builder.add(second, conv, (one,))
    return builder.graph(what, {"output": builder.add("g.add" if what == "two inputs" else "add", OPS["Add"](), (one, two))})


@pytest.mark.parametrize(("name", "patterns", "code", "why"), REFUSED, ids=str)
def test_blocks_that_cannot_be_computed_again(name, patterns, code, why):
    graph = small(name) if name in ("two inputs", "two outputs", "apart") else archcalc.load(name)
    if code is None:
        assert blocks(graph, patterns)
        return
    with pytest.raises(UsageError, match=why) as caught:
        simulate(graph, Plan(train=True, checkpoint=patterns))
    assert caught.value.code == code
    simulate(graph, Plan(checkpoint=patterns))  # in inference there is nothing to keep, nor to compute again
