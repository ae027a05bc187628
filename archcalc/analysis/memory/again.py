"""The second forward of checkpointed blocks, in the middle of the backward pass."""

from archcalc.analysis.memory.checkpoint import Block
from archcalc.analysis.memory.forward import Forward, Stop
from archcalc.analysis.memory.readers import Readers
from archcalc.analysis.memory.tape import NOWHERE
from archcalc.analysis.memory.trace import BACKWARD


class Again:
    """Knows for each block which part of the tape is its own; keeps its input, and runs it again when the backward pass asks.

    ``macs`` are the multiply-accumulates of what has run again.
    """

    def __init__(self, forward: Forward, blocks: tuple[Block, ...]):
        self.forward, self.blocks = forward, blocks
        self.macs = 0
        self._starts = {block.first: number for number, block in enumerate(blocks)}
        self._ends = {block.last: number for number, block in enumerate(blocks)}
        self._begins = [0] * len(blocks)  # of each block, its first entry on the tape
        self._wanting: list[list[int]] = [[] for _ in blocks]  # and those that want something

    def before(self, index: int) -> None:
        """Begin the block whose first node this is, if there is one: its input is kept."""
        number = self._starts.get(index)
        if number is not None:
            self.forward.block = number
            self._begins[number] = len(self.forward.tape)
            self.forward.ledger.hold(self.kept(number))

    def after(self, index: int) -> None:
        """End the block whose last node this is, if there is one.

        Its input stays for the first entry on the tape that wants something, which is the last in the backward pass.
        """
        number = self._ends.get(index)
        if number is None:
            return
        self.forward.block = NOWHERE
        tape = self.forward.tape
        wanting = self._wanting[number] = [place for place in range(self._begins[number], len(tape)) if tape[place].wants]
        kept = self.kept(number)
        first = next((place for place in wanting if place not in self.forward.forgotten), None)
        if first is None:
            self.forward.ledger.drop(kept)
        else:
            tape[first] = tape[first]._replace(saved=(kept,))

    def kept(self, number: int) -> int:
        """Return the storage of a block's input."""
        return self.forward.tensors[self.blocks[number].input].storage

    def run(self, number: int) -> dict[int, tuple[int, ...]]:
        """Run a block again; return, for each of its entries that wants something and that a gradient reaches, its storages."""
        first, block, wanting = self.forward, self.blocks[number], self._wanting[number]
        second = Forward(first.graph, first.plan, first.ledger, first.parameters, phase=BACKWARD, wanting=len(wanting))
        second.recipes = first.recipes
        second.tensors[block.input] = first.tensors[block.input]
        self._nodes(second, block)
        second.end_autocast()
        found = dict(zip(wanting, [entry.saved for entry in second.tape if entry.wants], strict=True))
        for place in first.forgotten.intersection(wanting):
            for storage in found.pop(place):
                first.ledger.drop(storage)
        return found

    def _nodes(self, second: Forward, block: Block) -> None:
        """Run the block's nodes until everything is there that its backward wants; then everything else is let go."""
        nodes, inside = second.graph.nodes, range(block.first, block.last + 1)
        readers = Readers(second, inside, (block.input, block.output))
        try:
            for index in inside:
                second.run(index)
                self.macs += nodes[index].op.macs(second.graph.x(nodes[index]), nodes[index].output)
                readers.ran(index)
        except Stop:
            pass
        readers.end()
