"""Side heads: what of a network works in training alone, and what that takes."""

import msgspec

from archcalc.graph import Graph, only_in_training


class Heads(msgspec.Struct, frozen=True):
    """What works in training alone: the parameters that nothing else uses, and the MACs over the batch."""

    params: int
    macs: int


def heads(graph: Graph) -> Heads:
    """Return what the side heads take, and what hangs on them."""
    aside = only_in_training(graph)
    layers = [node for node, alone in zip(graph.nodes, aside, strict=True) if alone and node.inputs]
    idle = [graph.nodes[index] for index in idle_holders(graph, aside)]
    return Heads(
        sum(node.op.params(graph.x(node)) for node in idle if node.inputs),
        sum(node.op.macs(graph.x(node), node.output) for node in layers),
    )


def idle_holders(graph: Graph, aside: list[bool]) -> set[int]:
    """Return the nodes, by index, whose parameters are used by none but the nodes ``aside``."""
    holders = [index if node.shares is None else node.shares for index, node in enumerate(graph.nodes)]
    working = {holder for holder, alone in zip(holders, aside, strict=True) if not alone}
    return set(holders) - working
