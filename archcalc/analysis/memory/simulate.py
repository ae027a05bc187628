"""A run, from the graph alone: every storage that PyTorch allocates and releases, at the level of tensors."""

from math import prod
from typing import Final, NamedTuple

import msgspec

from archcalc.analysis.memory.again import Again
from archcalc.analysis.memory.backward import Backward
from archcalc.analysis.memory.checkpoint import blocks
from archcalc.analysis.memory.forward import Forward, Parameters
from archcalc.analysis.memory.ledger import Ledger
from archcalc.analysis.memory.loss import LOSS, Loss
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.readers import Readers
from archcalc.analysis.memory.step import allocate_state, step
from archcalc.analysis.memory.tape import NOWHERE, Parameter, Tensor
from archcalc.analysis.memory.trace import BACKWARD, START, Trace
from archcalc.graph import Graph, needed_by, only_in_training
from archcalc.ops import Input

TARGET_BYTES: Final = 8  # a class, as int64
COUNTED: Final = "num_batches_tracked"  # BatchNorm's, the one buffer that is int64 whatever the dtype
COUNT_BYTES: Final = 8

__all__ = ["LOSS", "Recomputation", "recomputation", "simulate"]


class Recomputation(NamedTuple):
    """What checkpoints save and cost: bytes kept for the backward pass, and multiply-accumulates that are done a second time."""

    saved_bytes_before: int
    saved_bytes_after: int
    macs: int


def simulate(graph: Graph, plan: Plan) -> Trace:
    """Return the life of every storage in one run of the network.

    In inference that is one forward under ``torch.no_grad()``, with the caller holding input and output. In training it is a step
    that is not the first, so the optimizer's state is there: ``loss = criterion(model(x), target)``, ``loss.backward()``,
    ``optimizer.step()``, after ``zero_grad(set_to_none=True)``. The criterion is the mean cross entropy where the output is
    (N, classes), the mean of the output where it is not; heads' losses are weighted and added. Raises UsageError for a checkpoint
    that cannot be.
    """
    run = _Run(graph, plan)
    run.all()
    return run.ledger.trace()


def recomputation(graph: Graph, plan: Plan) -> Recomputation:
    """Return what the plan's checkpoints save and cost in training; parameters are not counted, the network's input is."""
    before, after = _Run(graph, msgspec.structs.replace(plan, checkpoint=())), _Run(graph, plan)
    before.all()
    after.all()
    return Recomputation(before.saved_bytes, after.saved_bytes, after.again.macs)


class _Run:
    """One run: the ledger, what is there from the start, and the phases in turn."""

    def __init__(self, graph: Graph, plan: Plan):
        self.graph, self.plan, self.ledger = graph, plan, Ledger()
        self.ledger.at(START, "")
        self.parameters: Parameters = {}
        self._allocate()
        self.forward = Forward(graph, plan, self.ledger, self.parameters)
        self.again = Again(self.forward, blocks(graph, plan.checkpoint) if plan.train else ())
        self.saved_bytes = 0

    def all(self) -> None:
        """Run all phases."""
        if not self.plan.train:
            self._inputs()
            self._forward(only_in_training(self.graph))
            return
        learned = self._trained()
        allocate_state(self.ledger, self.plan, learned)
        self._inputs()
        self._forward([False] * len(self.graph.nodes))
        self._backward()
        step(self.ledger, self.plan, [parameter for parameter in learned if parameter.gradient is not None])

    def _allocate(self) -> None:
        """Allocate parameters and buffers."""
        graph, width = self.graph, self.plan.item_bytes
        for index, node in enumerate(graph.nodes):
            if not node.inputs or node.shares is not None:
                continue
            own = self.parameters[index] = {}
            for stored in node.op.state(graph.x(node)):
                elements, of_one = prod(stored.sizes), COUNT_BYTES if stored.name == COUNTED else width
                storage = self.ledger.new("parameter" if stored.learned else "buffer", node.name, elements * of_one)
                own[stored.name] = Parameter(node.name, storage, elements, of_one, stored.learned and not node.frozen)

    def _trained(self) -> list[Parameter]:
        """Return the parameters that are trained and that a loss depends on: they get a gradient, and have state."""
        graph = self.graph
        needed = needed_by(graph, list(graph.outputs.values()))
        holders = {index if node.shares is None else node.shares for index, node in enumerate(graph.nodes) if needed[index]}
        return [
            parameter
            for index, own in self.parameters.items()
            if index in holders
            for parameter in own.values()
            if parameter.learned
        ]

    def _inputs(self) -> None:
        """Allocate the network's inputs, which the caller holds throughout."""
        width = self.plan.item_bytes
        for index, node in enumerate(self.graph.nodes):
            if not node.inputs:
                elements = node.output.elements
                storage = self.ledger.new("input", node.name, elements * width)
                self.forward.tensors[index] = Tensor(storage, elements, width)
                self.ledger.hold(storage)
        self.target: int | None = None
        if self.plan.train and any(len(self.graph.nodes[index].output) == 2 for index in self.graph.outputs.values()):
            self.target = self.ledger.new("target", "", self.graph.inputs[0].output.n * TARGET_BYTES)

    def _forward(self, skipped: list[bool]) -> None:
        """Run the nodes that are not skipped; each output goes when nothing is left to read it."""
        nodes = self.graph.nodes
        running = [index for index, node in enumerate(nodes) if not skipped[index] and not isinstance(node.op, Input)]
        readers = Readers(self.forward, running, self.graph.outputs.values())
        for index in running:
            self.again.before(index)
            self.forward.run(index)
            readers.ran(index)
            self.again.after(index)

    def _backward(self) -> None:
        """Run the loss, and back from it; the caller holds the loss, and ``backward`` its gradient, a one."""
        self.saved_bytes = self._saved()
        loss = Loss(self.forward, self.target).of(self.graph)
        self.forward.end_autocast()
        for index in set(self.graph.outputs.values()):
            self.forward.release(index)
        if loss.entry == NOWHERE:
            return
        self.ledger.at(BACKWARD, LOSS)
        root = self.ledger.new("loss", LOSS, loss.width)
        self.ledger.hold(root)
        Backward(self.ledger, self.forward.tape, self.again.run).run(root)
        self.ledger.drop(root)

    def _saved(self) -> int:
        """Return the bytes that the forward pass has left for the backward pass, each storage once."""
        saved = {storage for entry in self.forward.tape for storage in entry.saved}
        return sum([self.ledger.storages[storage].bytes for storage in saved])
