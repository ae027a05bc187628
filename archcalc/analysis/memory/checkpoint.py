"""Activation recomputation: blocks whose inside is not kept, but run a second time when its backward comes.

The rules are those of ``torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)``: of a block only its input is kept,
until its backward is through; at the first need the block runs again, as far as the last tensor that its backward wants. (The
state of the random generator, 5,056 bytes a block on the host, is left out.)
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import NamedTuple

from archcalc.errors import UsageError, did_you_mean
from archcalc.graph import Graph


class Block(NamedTuple):
    """Nodes ``first`` to ``last`` under one path, the node outside that they read, and the one whose tensor leaves them."""

    path: str
    first: int
    last: int
    input: int
    output: int


def blocks(graph: Graph, patterns: tuple[str, ...]) -> tuple[Block, ...]:
    """Return the blocks that are meant, in order.

    A pattern is a path, ``layer1`` for all that stands under it; with ``*`` for part of a name it means several: ``layer1.*`` is
    each unit of layer1 by itself. Raises UsageError where nothing is meant, or what is meant cannot be run again by itself.
    """
    found = sorted({path for pattern in patterns for path in _paths(graph, pattern)})
    made = sorted([_block(graph, path) for path in found], key=lambda block: block.first)
    for block, following in pairwise(made):
        if following.first <= block.last:
            message = f"{block.path} and {following.path} overlap, and nothing is computed again twice"
            raise UsageError("E264", message, help=f"leave out {following.path}, or {block.path}")
    return tuple(made)


def _paths(graph: Graph, pattern: str) -> Iterator[str]:
    """Yield the paths that a pattern means: of layers, or of what holds several."""
    parts = pattern.split(".")
    paths = dict.fromkeys(
        ".".join(names[: len(parts)]) for names in (node.name.split(".") for node in graph.layers) if len(names) >= len(parts)
    )
    matching = [path for path in paths if all(map(fnmatchcase, path.split("."), parts))]
    if not matching:
        scopes = sorted({node.name.rpartition(".")[0] for node in graph.layers if "." in node.name})
        way_out = did_you_mean(pattern, scopes) or f"a path, as in archcalc summary {graph.name}; layer1.* is each unit of layer1"
        raise UsageError("E263", f"{graph.name} has no block {pattern} to compute again", help=way_out)
    yield from matching


def _block(graph: Graph, path: str) -> Block:
    """Return the block of this path. Raises UsageError unless one tensor goes in and one comes out."""
    nodes = graph.nodes
    inside = [index for index, node in enumerate(nodes) if node.name == path or node.name.startswith(path + ".")]
    first, last, members = inside[0], inside[-1], set(inside)
    if len(inside) != last - first + 1:
        other = next(nodes[index].name for index in range(first, last) if index not in members)
        raise _refusal(path, f"{other} stands between its layers")
    read = dict.fromkeys(i for index in inside for i in nodes[index].inputs if i not in members)
    if len(read) != 1:
        raise _refusal(path, f"it reads {len(read)} tensors from outside: {', '.join(nodes[i].name for i in read)}")
    left = {i for index, node in enumerate(nodes) if index not in members for i in node.inputs if i in members}
    left |= members.intersection(graph.outputs.values())
    if len(left) != 1:
        names = ", ".join(nodes[i].name for i in sorted(left)) or "none"
        raise _refusal(path, f"{len(left)} of its tensors are used outside: {names}")
    return Block(path, first, last, *read, *left)


def _refusal(path: str, why: str) -> UsageError:
    way_out = "a block of which one tensor goes in and one comes out, such as a residual unit"
    return UsageError("E264", f"{path} cannot be computed again by itself: {why}", help=way_out)
