"""Who still reads the outputs of a run of nodes: with the last reader an output goes, and with the last gradient its tape."""

from collections import Counter
from collections.abc import Iterable, Sequence

from archcalc.analysis.memory.forward import Forward


class Readers:
    """Counts the readers of each output while ``forward`` runs the nodes of ``running`` in turn; ``held`` are read in the end too.

    Autograd's graph hangs on the tensors at its ends. So what it keeps for nodes that lead to none of ``held`` goes before any
    backward pass, with the last output of those.
    """

    def __init__(self, forward: Forward, running: Sequence[int], held: Iterable[int]):
        self.forward, self.running = forward, running
        nodes = forward.graph.nodes
        self._reads = Counter(held)
        self._reads.update([i for index in running for i in nodes[index].inputs])
        self._needs = Counter(self._reads)  # the readers through which a gradient may still come

    def ran(self, index: int) -> None:
        """Let go of what this node, which has run, was the last to read, and of its own output if nobody reads that."""
        reads, forward = self._reads, self.forward
        for i in forward.graph.nodes[index].inputs:
            reads[i] -= 1
            if not reads[i]:
                forward.release(i)
        if not reads[index]:
            forward.release(index)
            self._forget(index)

    def end(self) -> None:
        """Let go of the outputs that are still there, of those nodes that have run."""
        for index in self.running:
            if index in self.forward.tensors and self._reads[index]:
                self.forward.release(index)

    def _forget(self, index: int) -> None:
        """Forget the tape of a node that leads nowhere, and of those before it that led to such nodes alone."""
        ended = [index]
        while ended:
            index = ended.pop()
            self.forward.forget(index)
            for i in self.forward.graph.nodes[index].inputs:
                self._needs[i] -= 1
                if not self._needs[i]:
                    ended.append(i)
