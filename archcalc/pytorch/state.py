"""What the graph's module stores, by the keys of its ``state_dict`` and in their order: reckoned without PyTorch."""

from typing import NamedTuple

from archcalc.graph import Graph
from archcalc.pytorch.source import steps


class Entry(NamedTuple):
    """A tensor of the module: its sizes, whether it is learned, and whether it holds whole numbers, as a counter does.

    ``holder`` is the key of the tensor that it is one with where parameters are tied, otherwise its own.
    """

    sizes: tuple[int, ...]
    learned: bool
    holder: str
    whole: bool = False

    @property
    def kind(self) -> str:
        """What kind of numbers it holds: ``real`` or ``whole``."""
        return "whole" if self.whole else "real"


def state(graph: Graph) -> dict[str, Entry]:
    """Return the tensors of ``archcalc.pytorch.build.build(graph)`` by their keys. What is shared has the keys of its holder."""
    found = {}
    for node, _, path in filter(lambda step: step.own, steps(graph)):
        for stored in node.op.state(graph.x(node)):
            holder = graph.nodes[node.shares].name if node.shares is not None and stored.learned else path
            counter = stored.name == "num_batches_tracked"
            found[f"{path}.{stored.name}"] = Entry(stored.sizes, stored.learned, f"{holder}.{stored.name}", counter)
    return found
