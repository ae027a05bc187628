"""A network shared by several cards, every layer's channels divided among them: what one of the cards holds.

So Krizhevsky et al. 2012 (section 3.5) spread AlexNet over two GPUs: each has half of the kernels of every layer, and only some
layers read the channels of both.
"""

from collections.abc import Iterator
from math import gcd

from archcalc.analysis.memory.batches import Run
from archcalc.analysis.memory.trace import BACKWARD, FORWARD, Event, Storage, Trace
from archcalc.errors import UsageError
from archcalc.graph import Graph, Node
from archcalc.ops import Input

WHOLE = ("input", "target")  # every card has all images and their labels
MADE = ("input", "output")  # the storages of what nodes give to others
RECEIVED = "received"


def crossing(graph: Graph, towers: int) -> tuple[Node, ...]:
    """Return the layers that read the channels of all cards: products over them all, not in as many groups."""
    return tuple(
        node
        for node in graph.layers
        if node.op.macs(graph.x(node), node.output)
        and _groups(node) % towers
        and not isinstance(graph.nodes[node.inputs[0]].op, Input)
    )


def divided(graph: Graph, run: Run, towers: int) -> Run:
    """Return what one of the cards holds: its share of every storage, and in layers that read all channels those of the others.

    What is received from the others lives as long as the layer's own input is needed: through its forward pass, in training until
    its backward pass is done, where a gradient as large is made for them. Raises UsageError if a layer's channels, or their groups,
    do not divide.
    """
    if towers == 1:
        return run
    for node in graph.layers:
        channels, groups = node.output[1], _groups(node)
        if channels % towers or (groups > 1 and groups % towers):
            parts = f"{channels} channels" if channels % towers else f"{groups} groups"
            message = f"the {parts} of {node.name} do not divide among {towers} cards"
            raise UsageError("E266", message, help=f"--towers {_divisor(graph)}", layer=node.name)
    storages = [storage._replace(bytes=0) for storage in run.trace.storages]
    fixed, per_image = (
        [one if storage.what in WHOLE else -(-one // towers) for one, storage in zip(sizes, storages, strict=True)]
        for sizes in (run.fixed, run.per_image)
    )
    moments: dict[tuple[str, str], int] = {moment: index for index, moment in enumerate(run.trace.moments)}
    width = _widths(graph, run)
    lives: list[tuple[int, int, int]] = []  # from the beginning of a moment to the end of another, the storage
    for node in crossing(graph, towers):
        others = graph.x(node).elements // graph.x(node).n * width[node.inputs[0]] * (towers - 1) // towers
        forward, backward = (moments.get((phase, node.name)) for phase in (FORWARD, BACKWARD))
        if forward is None:  # a side head, in inference
            continue
        for first, last in [(forward, forward if backward is None else backward), *([(backward, backward)] if backward else [])]:
            lives.append((first, last, len(storages)))
            storages.append(Storage(RECEIVED, node.name, 0))
            fixed.append(0)
            per_image.append(others)
    trace = run.trace._replace(storages=tuple(storages), events=tuple(_with(run.trace, lives)))
    return Run(trace, tuple(fixed), tuple(per_image))


def _widths(graph: Graph, run: Run) -> list[int]:
    """Return, for each node, the bytes of one element of its output; what looks into its input's storage has those of the input."""
    sizes = {
        storage.node: fixed + slope  # one of them is 0: a lone image is written down as fixed
        for storage, fixed, slope in zip(run.trace.storages, run.fixed, run.per_image, strict=True)
        if storage.what in MADE
    }
    widths: list[int] = []
    for node in graph.nodes:
        size, elements = sizes.get(node.name), node.output.elements // node.output.n
        widths.append(widths[node.inputs[0]] if size is None else size // elements)
    return widths


def _with(trace: Trace, lives: list[tuple[int, int, int]]) -> Iterator[Event]:
    """Yield the events with further storages, each allocated as its first moment begins and released as its last one ends."""
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for first, last, storage in lives:
        begins.setdefault(first, []).append(storage)
        ends.setdefault(last, []).append(storage)
    place = 0
    for index in range(len(trace.moments)):
        yield from ((index, storage, 1) for storage in begins.get(index, ()))
        while place < len(trace.events) and trace.events[place][0] == index:
            yield trace.events[place]
            place += 1
        yield from ((index, storage, -1) for storage in ends.get(index, ()))


def _divisor(graph: Graph) -> int:
    """Return a number of cards among which every layer's channels and groups do divide."""
    parts = [gcd(node.output[1], _groups(node)) if _groups(node) > 1 else node.output[1] for node in graph.layers]
    return gcd(*parts) or 1


def _groups(node: Node) -> int:
    """Return in how many groups of channels a layer works, 1 where each output reads all of them."""
    groups: int = getattr(node.op, "groups", 1)
    return groups
