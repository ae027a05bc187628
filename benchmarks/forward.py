"""What a node of a built model costs on the CPU in eager mode, beside the same network written by hand and interpreted."""

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archcalc.graph import Graph
from archcalc.pytorch.build import build
from archcalc.pytorch.source import steps
from archcalc.spec import parse

BLOCKS, NODES = 64, 448  # seven nodes a block
OURS, BY_HAND, INTERPRETED, FLOOR = "archcalc's source", "torchvision's style", "a dict interpreter", "functions alone"
LIMITS = {BY_HAND: 0.95, INTERPRETED: 0.75}  # of their CPU time, ours may take

SPEC = f"""\
name: tiny
input: [1, 4, 4]
defaults:
  Conv2d: {{out_channels: 1, bias: false}}
blocks:
  bottleneck:
    - Add:
        main:
          - Conv2d: {{name: conv1, kernel_size: 1}}
          - ReLU: {{name: relu1}}
          - Conv2d: {{name: conv2, kernel_size: 3, padding: 1}}
          - ReLU: {{name: relu2}}
          - Conv2d: {{name: conv3, kernel_size: 1}}
        skip: []
    - ReLU: {{name: relu3}}
  normed:
    - Add:
        main:
          - Conv2d: {{name: conv1, kernel_size: 3, padding: 1}}
          - BatchNorm2d: {{name: bn1}}
          - ReLU: {{name: relu1}}
          - Conv2d: {{name: conv2, kernel_size: 3, padding: 1}}
          - BatchNorm2d: {{name: bn2}}
        skip: []
    - ReLU: {{name: relu2}}
layers:
  - BLOCK: {{name: blocks, repeat: {BLOCKS}}}
"""


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut, as torchvision writes its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 1, bias=False)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(1, 1, 1, bias=False)
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.relu1(out)
        out = self.conv2(out)
        out = self.relu2(out)
        out = self.conv3(out)
        out += x
        return self.relu3(out)

    def functions(self) -> Callable[[Tensor], Tensor]:
        """The block without modules."""
        first, second, third = self.conv1.weight, self.conv2.weight, self.conv3.weight

        def forward(x: Tensor) -> Tensor:
            out = torch.relu(F.conv2d(x, first))
            out = torch.relu(F.conv2d(out, second, None, 1, 1))
            return torch.relu(F.conv2d(out, third) + x)

        return forward


class Normed(nn.Module):
    """Two convolutions with batch norm around a shortcut, as torchvision's BasicBlock."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(1)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu1(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out += x
        return self.relu2(out)

    def functions(self) -> Callable[[Tensor], Tensor]:
        """The block without modules."""
        one, two = self.conv1.weight, self.conv2.weight
        norms = [(bn.weight, bn.bias, bn.running_mean, bn.running_var, False, 0.1, bn.eps, True) for bn in (self.bn1, self.bn2)]

        def forward(x: Tensor) -> Tensor:
            out = torch.relu(torch.batch_norm(F.conv2d(x, one, None, 1, 1), *norms[0]))
            return torch.relu(torch.batch_norm(F.conv2d(out, two, None, 1, 1), *norms[1]) + x)

        return forward


class ByHand(nn.Module):
    """The network as a sequence of blocks."""

    def __init__(self, block: type[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(block() for _ in range(BLOCKS)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Sum(nn.Module):
    """A node that has no module of its own."""

    def forward(self, *branches: Tensor) -> Tensor:
        return sum(branches[1:], branches[0])


class Interpreter(nn.Module):
    """The graph walked node by node: modules in one dict, tensors in another, by name."""

    def __init__(self, graph: Graph, built: nn.Module) -> None:
        super().__init__()
        found = [step for step in steps(graph) if step.node.inputs]
        self.layers = nn.ModuleDict(
            {_key(step.node.name): built.get_submodule(step.path) if step.path else Sum() for step in found}
        )
        self.order = [(_key(step.node.name), [_key(graph.nodes[i].name) for i in step.node.inputs]) for step in found]

    def forward(self, x: Tensor) -> Tensor:
        tensors = {"input": x}
        for name, inputs in self.order:
            tensors[name] = self.layers[name](*[tensors[i] for i in inputs])
        return tensors[name]


def _key(name: str) -> str:
    return name.replace(".", "_")  # a ModuleDict takes no dots


class Net(NamedTuple):
    """A network to be timed; only the first is judged."""

    title: str
    block: str
    written: type[Bottleneck] | type[Normed]


NETS = (Net("bottlenecks", "bottleneck", Bottleneck), Net("with batch norm", "normed", Normed))


def contenders(net: Net) -> dict[str, Callable[[Tensor], Tensor]]:
    """The same network in four ways, with the same weights. Stops where their outputs differ."""
    graph = parse(SPEC.replace("BLOCK", net.block), "tiny.yaml").graph()
    assert sum(1 for _ in graph.layers) == NODES
    ours, by_hand = build(graph).eval(), ByHand(net.written).eval()
    by_hand.load_state_dict(ours.state_dict())
    functions = [block.functions() for block in by_hand.blocks]

    def floor(x: Tensor) -> Tensor:
        for function in functions:
            x = function(x)
        return x

    found = {OURS: ours, BY_HAND: by_hand, INTERPRETED: Interpreter(graph, ours).eval(), FLOOR: floor}
    x = torch.rand(1, 1, 4, 4)
    for name, model in found.items():
        if not torch.equal(model(x), ours(x)):
            sys.exit(f"{net.title}: {name} computes something else")
    return found


def measure(models: Mapping[str, Callable[[Tensor], Tensor]], rounds: int, order: random.Random) -> dict[str, list[float]]:
    """CPU seconds per node of each. Every round runs all once, in an order of its own, so that drift falls on all alike."""
    x = torch.rand(1, 1, 4, 4)
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + rounds // 10):  # the first are warm-up
        for name in order.sample(list(models), len(models)):
            start = time.process_time_ns()
            models[name](x)
            elapsed = time.process_time_ns() - start
            if number >= rounds // 10:
                times[name].append(elapsed / 1e9 / NODES)
    return times


def table(times: Mapping[str, list[float]], limits: Mapping[str, float]) -> str:
    """One line each: microseconds per node, above the floor, and what share of both ours takes."""
    middle = {name: median(found) * 1e6 for name, found in times.items()}
    lines = [f"{'CPU time per node':22}{'us':>8}{'ours':>8}{'limit':>7}{'above floor':>14}{'ours':>8}"]
    for name, value in middle.items():
        above = value - middle[FLOOR]
        share = f"{middle[OURS] / value:8.2f}"
        limit = f"{limits[name]:7.2f}" if name in limits else " " * 7
        rest = f"{above:14.2f}{(middle[OURS] - middle[FLOOR]) / above:8.2f}" if name != FLOOR else ""
        lines.append(f"{name:22}{value:8.2f}{share}{limit}{rest}")
    return "\n".join(lines)


def broken(times: Mapping[str, list[float]]) -> list[str]:
    """The limits that do not hold, one sentence each."""
    ratios = {name: median(times[OURS]) / median(times[name]) for name in LIMITS}
    return [
        f"{OURS} takes {ratio:.3f} of the time of {name}, limit {LIMITS[name]}"
        for name, ratio in ratios.items()
        if ratio > LIMITS[name]
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-n", "--rounds", type=int, default=500, help="rounds to run (default 500)")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    failures: list[str] = []
    with torch.no_grad():
        for net in NETS:
            times = measure(contenders(net), chosen.rounds, random.Random(0))
            print(f"{net.title}, {NODES} nodes")
            print(table(times, LIMITS), end="\n\n")
            failures += [f"{net.title}: {sentence}" for sentence in broken(times)]
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
