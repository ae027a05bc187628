"""What the graph's module stores, by the keys of its ``state_dict`` and in their order: reckoned without PyTorch."""

from typing import NamedTuple

from archcalc.graph import Graph
from archcalc.pytorch.source import steps


class Entry(NamedTuple):
    """A tensor of the module: its sizes, whether it is learned, and whether it holds whole numbers, as a counter does."""

    sizes: tuple[int, ...]
    learned: bool
    whole: bool = False


def state(graph: Graph) -> dict[str, Entry]:
    """Return the tensors of ``archcalc.pytorch.build.build(graph)`` by their keys. What is shared has the keys of its holder."""
    found = {}
    for node, _, path in filter(lambda step: step.own, steps(graph)):
        for stored in node.op.state(graph.x(node)):
            counter = stored.name == "num_batches_tracked"
            found[f"{path}.{stored.name}"] = Entry(stored.sizes, stored.learned, counter)
    return found
