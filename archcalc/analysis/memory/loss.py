"""The loss that training is reckoned with: what it allocates, and its part of the tape."""

from typing import Final

from archcalc.analysis.memory.autocast import FULL_BYTES, WIDENED, policy
from archcalc.analysis.memory.forward import Forward
from archcalc.analysis.memory.tape import NOWHERE, Entry, Target, Tensor
from archcalc.analysis.memory.trace import FORWARD
from archcalc.graph import Graph

LOSS: Final = "loss"  # the moment's name, and the maker's, of what the loss takes


class Loss:
    """The main output's loss, and one after the other those of the heads, weighted and added to it.

    A flat output's is its mean cross entropy against ``target``, a storage; any other's the mean of the output.
    """

    def __init__(self, forward: Forward, target: int | None):
        self.forward, self.ledger, self.plan, self.target = forward, forward.ledger, forward.plan, target

    def of(self, graph: Graph) -> Tensor:
        """Run the losses of the graph's outputs, and return their sum."""
        self.ledger.at(FORWARD, LOSS)
        outputs = dict(graph.outputs)
        total = self._one(graph, outputs.pop("output"))
        for index in outputs.values():
            head = self._one(graph, index)
            weighted = self._scalar(head.width, [head], "new")
            self.ledger.drop(head.storage)
            added = self._scalar(max(total.width, weighted.width), [total, weighted], "same")
            for tensor in (weighted, total):
                self.ledger.drop(tensor.storage)
            total = added
        return total

    def _one(self, graph: Graph, index: int) -> Tensor:
        """Run the loss of one output."""
        output = self.forward.tensors[index]
        if len(graph.nodes[index].output) != 2:
            return self._scalar(output.width, [output], "new")
        assert self.target is not None
        output, passing = self._full(output)
        width = FULL_BYTES if self.plan.amp else output.width
        size = output.elements * width
        logarithms = self.ledger.new("saved", LOSS, size)
        likelihoods = Tensor(logarithms, output.elements, width, self._note([output], "new", (logarithms,), size))
        weights = self.ledger.new("saved", LOSS, width)  # of all images, by which the sum of their losses is divided
        loss = self._scalar(width, [likelihoods], "new", (logarithms, self.target, weights))
        for storage in (logarithms, weights, *passing):
            self.ledger.drop(storage)
        return loss

    def _full(self, output: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Return the output as the cross entropy reads it under autocast, and the storage of its cast, if there is one.

        It begins with a log_softmax, which on the CPU is cast for as well: ``cross_entropy_loss`` is in its list.
        """
        amp, rules = self.plan.amp, self.plan.rules
        if amp is None or output.width == FULL_BYTES or policy("log_softmax", rules, amp) == WIDENED:
            return output, ()
        cast = self.forward.cast(LOSS, output, FULL_BYTES)
        return cast, (cast.storage,)

    def _scalar(self, width: int, reads: list[Tensor], how: str, saved: tuple[int, ...] = ()) -> Tensor:
        storage = self.ledger.new("loss", LOSS, width)
        return Tensor(storage, 1, width, self._note(reads, how, saved, width))

    def _note(self, reads: list[Tensor], how: str, saved: tuple[int, ...], made_bytes: int) -> int:
        """Write an entry on the tape, unless nothing that is trained came before."""
        targets = []
        for tensor in reads:
            if tensor.entry != NOWHERE:
                brought = how if tensor.width == made_bytes else "new"  # a sum's gradient is brought to the type of its terms
                targets.append(Target(tensor.entry, brought, (), False, tensor.elements, tensor.width))
        if not targets:
            return NOWHERE
        for storage in saved:
            self.ledger.hold(storage)
        self.forward.tape.append(Entry(LOSS, tuple(targets), saved, made_bytes, bool(saved)))
        return len(self.forward.tape) - 1
