"""Two lists of layers set side by side in order, so that as much as possible of what is alike stands in one row.

Lists that are not too long get the best alignment there is. Longer ones are cut first, at the layers that are the same in all
respects (Bram Cohen's patience diff: a path stands once in a model), and gaps that are still too long by weaker likenesses. So two
networks of thousands of layers take a fraction of a second, and memory stays linear in their length.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

MOST_CELLS = 100_000  # of a table, one byte each: some 50 ms


class Likeness(NamedTuple):
    """What the alignment knows of a layer."""

    path: str
    op: str
    shape: Hashable
    arguments: Hashable  # and what else tells two layers apart that have one operator and output


Pairs = list[tuple[int, int]]
Likenesses = Sequence[Likeness]
Keys = Callable[[Likenesses], list[Hashable]]


def align(a: Likenesses, b: Likenesses) -> Pairs:
    """Return the pairs of indices, rising on both sides, that belong in one row; what is in no pair stands alone."""
    return _cut(a, b, [_exact, _paths, _turns])


def _cut(a: Likenesses, b: Likenesses, tiers: list[Keys]) -> Pairs:
    """Return the pairs of a gap; one that is too large for a table is cut at the layers that the first tier finds alike."""
    if not a or not b:
        return []
    if len(a) * len(b) <= MOST_CELLS:
        return _best(a, b)
    if not tiers:
        return []  # nothing alike in it
    anchors = _rising(tiers[0](a), tiers[0](b))
    pairs: Pairs = []
    i = j = 0
    for next_i, next_j in [*anchors, (len(a), len(b))]:
        pairs += [(i + k, j + m) for k, m in _cut(a[i:next_i], b[j:next_j], tiers[1:])]
        pairs.append((next_i, next_j))
        i, j = next_i + 1, next_j + 1
    return pairs[:-1]  # the last stands for the end of both


def _exact(layers: Likenesses) -> list[Hashable]:
    return list(layers)


def _paths(layers: Likenesses) -> list[Hashable]:
    return [(layer.path, layer.op) for layer in layers]


def _turns(layers: Likenesses) -> list[Hashable]:
    """The first convolution to 64x56x56, the second, ..."""
    seen: Counter[Hashable] = Counter()
    keys: list[Hashable] = []
    for layer in layers:
        kind = (layer.op, layer.shape)
        keys.append((kind, seen[kind]))
        seen[kind] += 1
    return keys


def _rising(a: list[Hashable], b: list[Hashable]) -> Pairs:
    """Return the longest list of equal keys that stands in the same order on both sides. A key stands once on each side."""
    where = {key: j for j, key in enumerate(b)}
    pairs = [(i, where[key]) for i, key in enumerate(a) if key in where]
    ends: list[int] = []  # for each length, the smallest j that a rising run of that length can end with
    run_of: list[int] = []  # for each length, the pair that ends it
    before: list[int | None] = []
    for index, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        if length == len(ends):
            ends.append(j)
            run_of.append(index)
        else:
            ends[length], run_of[length] = j, index
        before.append(run_of[length - 1] if length else None)
    run: Pairs = []
    last = run_of[-1] if run_of else None
    while last is not None:
        run.append(pairs[last])
        last = before[last]
    return run[::-1]


# How much two layers gain by standing in one row. The shape says most: it tells where in the network a layer is.
_OP, _SHAPE, _PATH, _ARGUMENTS = 1, 4, 3, 2
_STOP, _BOTH, _A, _B = range(4)


def _best(a: Likenesses, b: Likenesses) -> Pairs:
    """Return the pairs that gain most in all (Needleman and Wunsch 1970, gaps free); what has nothing in common is not paired."""
    steps = []
    above = [0] * (len(b) + 1)
    for layer in a:
        row = [0]
        step = bytearray([_STOP])
        left = 0
        for j, other in enumerate(b):
            best, way = above[j + 1], _A
            if left > best:
                best, way = left, _B
            gain = _gain(layer, other)
            if gain and above[j] + gain > best:
                best, way = above[j] + gain, _BOTH
            row.append(best)
            step.append(way)
            left = best
        steps.append(step)
        above = row
    pairs: Pairs = []
    i, j = len(a), len(b)
    while i and j:
        way = steps[i - 1][j]
        if way == _BOTH:
            pairs.append((i - 1, j - 1))
        i -= way != _B
        j -= way != _A
    return pairs[::-1]


def _gain(layer: Likeness, other: Likeness) -> int:
    path = layer.path == other.path
    if layer.op != other.op:
        return _PATH if path else 0
    return _OP + _PATH * path + _SHAPE * (layer.shape == other.shape) + _ARGUMENTS * (layer.arguments == other.arguments)
