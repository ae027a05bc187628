"""The backward pass: the tape read from its end, each entry with the gradient that has gathered for it."""

from collections.abc import Callable

from archcalc.analysis.memory.ledger import Ledger
from archcalc.analysis.memory.tape import NOWHERE, SUMMED, Entry, Gathered, Parameter, Target
from archcalc.analysis.memory.trace import BACKWARD


class Backward:
    """PyTorch's engine: runs the tape's entries from the last to the first, gathers gradients for each, and hands on what it makes.

    Where several gradients meet, a later one is added in place if nothing else holds the storage of the earlier one, and it is no
    view (``can_accumulate_inplace`` in torch/csrc/autograd/input_buffer.cpp; a view holds the tensor that it is of); otherwise
    their sum is a new tensor. ``again`` computes a checkpointed block, by number, a second time, and returns for each of its
    entries the storages that it wants.
    """

    def __init__(self, ledger: Ledger, tape: list[Entry], again: Callable[[int], dict[int, tuple[int, ...]]]):
        self.ledger, self.tape, self.again = ledger, tape, again
        self.gathered: dict[int, Gathered] = {}  # by entry
        self.recomputed: dict[int, tuple[int, ...]] = {}  # by entry of a checkpointed block: what it wants

    def run(self, root: int) -> None:
        """Run from the gradient of the loss, of which ``root`` is the storage."""
        last = len(self.tape) - 1
        self.gathered[last] = Gathered(root)
        node = ""
        for index in range(last, -1, -1):
            found = self.gathered.pop(index, None)
            if found is None:
                continue
            entry = self.tape[index]
            if entry.node != node:
                node = entry.node
                self.ledger.at(BACKWARD, node)
            recomputed: tuple[int, ...] = ()
            if entry.block != NOWHERE and entry.wants:
                if index not in self.recomputed:
                    self.recomputed |= self.again(entry.block)
                    self.ledger.at(BACKWARD, node)
                recomputed = self.recomputed.pop(index)
            self._entry(entry, found, recomputed)

    def _entry(self, entry: Entry, incoming: Gathered, recomputed: tuple[int, ...]) -> None:
        """Run an entry: all its gradients are there before the one that came and what was kept go, and are handed on after that.

        What was kept goes when the engine is done with the entry, what was ``recomputed`` with the derivative that asked for it. In
        between gradients are summed up (``validate_outputs`` in torch/csrc/autograd/engine.cpp).
        """
        ledger = self.ledger
        packed = ledger.new("scratch", entry.node, entry.made_bytes) if entry.packs and not incoming.contiguous else NOWHERE
        # PyTorch reckons the gradient of the last argument first.
        made = [self._gradient(entry, target, incoming) for target in entry.targets[::-1]][::-1]
        results = [(target, one) for target, one in zip(entry.targets, made, strict=True) if target.place != NOWHERE]
        if len(results) < len(made):
            for target, one in zip(entry.targets, made, strict=True):
                if target.place == NOWHERE:
                    ledger.drop(one.storage)
        if packed != NOWHERE:
            ledger.drop(packed)
        for storage in recomputed:
            ledger.drop(storage)
        for number, (target, one) in enumerate(results):
            if target.how in SUMMED:
                if target.summed_bytes:
                    summed = ledger.new("scratch", entry.node, target.summed_bytes)
                    ledger.drop(one.storage)
                    one = Gathered(summed)
                results[number] = target, Gathered(self._new(entry, target), target.turned)
                ledger.drop(one.storage)
        ledger.drop(incoming.storage)
        for storage in entry.saved:
            ledger.drop(storage)
        transposed = []  # these go through an entry of their own, which comes next
        for target, gradient in results:
            if target.turned and target.how == "new":
                transposed.append((target, gradient))
            else:
                self._hand_on(entry, target, gradient)
        for target, gradient in transposed:
            self._hand_on(entry, target, gradient)

    def _gradient(self, entry: Entry, target: Target, incoming: Gathered) -> Gathered:
        """Make the gradient of one argument, at first of the size in which it is reckoned."""
        how, ledger = target.how, self.ledger
        if how == "new":
            scratch = [ledger.new("scratch", entry.node, elements * target.width) for elements in target.work]
            gradient = Gathered(self._new(entry, target), target.turned)
            for storage in scratch:
                ledger.drop(storage)
            return gradient
        if how == "stretched":
            return Gathered(ledger.new("scratch", entry.node, entry.made_bytes))
        ledger.hold(incoming.storage)
        return Gathered(incoming.storage, incoming.view or how in ("view", "part"), incoming.contiguous and how != "part")

    def _new(self, entry: Entry, target: Target) -> int:
        what = "gradient" if isinstance(target.place, int) else "parameter gradient"
        return self.ledger.new(what, entry.node, target.elements * target.width)

    def _hand_on(self, entry: Entry, target: Target, gradient: Gathered) -> None:
        """Add a gradient to those that have gathered for its entry or parameter."""
        ledger, place = self.ledger, target.place
        older = place.gradient if isinstance(place, Parameter) else self.gathered.get(place)
        if older is not None:
            if older.view or ledger.references[older.storage] > 1:
                total = self._new(entry, target)
                ledger.drop(older.storage)
                older = Gathered(total)
            ledger.drop(gradient.storage)
            gradient = older
        if isinstance(place, Parameter):
            place.gradient = gradient
        else:
            self.gathered[place] = gradient
