"""Receptive fields over a graph: how much of the input each output sees, over all the paths that lead to it.

The rules are those of Araujo, Norris and Sim 2019 ("Computing Receptive Fields of Convolutional Neural Networks",
doi 10.23915/distill.00021), carried forward instead of back: for one axis the first output sees the input's pixels from ``start`` to
``end``, and its neighbours see the same, moved by ``jump``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from archcalc.graph import Graph, Node
from archcalc.ops.base import WHOLE, Window

if TYPE_CHECKING:
    from fractions import Fraction

Number = "int | Fraction"


class Field(NamedTuple):
    """What the outputs along one axis see. ``jump`` is None where paths of different strides meet.

    ``aligned`` is False where the paths to this layer disagree: in their strides, or in the pixel that they centre on.
    """

    start: "int | Fraction"
    end: "int | Fraction"
    jump: "int | Fraction | None"
    size: int  # outputs along this axis
    aligned: bool = True

    @property
    def receptive_field(self) -> "int | Fraction":
        """Pixels of the input that one output sees."""
        return self.end - self.start + 1

    @property
    def padding(self) -> "int | Fraction":
        """Pixels by which the first output's field hangs over the edge of the input."""
        return -self.start


Fields = tuple[Field, ...]


def receptive_fields(graph: Graph) -> list[Fields]:
    """Return, for each node, the field along each spatial axis of the network's input; () where the input has none."""
    found: list[Fields] = []
    for node in graph.nodes:
        if not node.inputs:
            found.append(tuple(Field(0, 0, 1, size) for size in node.output.axes))
            continue
        incoming = [found[i] for i in node.inputs]
        fields = incoming[0] if len(incoming) == 1 else tuple(_union(axis) for axis in zip(*incoming, strict=False))
        found.append(_through(graph, node, fields))
    return found


def _through(graph: Graph, node: Node, fields: Fields) -> Fields:
    """Return the fields behind one operator."""
    view = None if node.op.merges else node.op.window(graph.x(node))
    sizes = node.output.axes
    if view is None:
        # A flattened tensor keeps the fields of its positions: the layer after it sees all of them.
        return fields if len(sizes) != len(fields) else tuple(_sized(field, size) for field, size in zip(fields, sizes, strict=True))
    if view == WHOLE:
        return tuple(_whole(field) for field in fields)
    return tuple(_window(field, window, size) for field, window, size in zip(fields, view, sizes, strict=False))


def _sized(field: Field, size: int) -> Field:
    return field if field.size == size else field._replace(size=size)


def _window(field: Field, window: Window, size: int) -> Field:
    if field.jump is None:
        return field._replace(size=size)
    start = _exact(field.start - window.p * field.jump)
    end = _exact(field.end + (window.d * (window.k - 1) - window.p) * field.jump)
    return Field(start, end, _divided(field.jump * window.s, window.u), size, field.aligned)


def _whole(field: Field) -> Field:
    """Every output sees the whole map: the first position's field to the last one's."""
    if field.jump is None:
        return field._replace(size=1)
    return Field(field.start, field.end + (field.size - 1) * field.jump, field.jump * field.size, 1, field.aligned)


def _union(fields: Sequence[Field]) -> Field:
    """Return what is seen over several paths. A path of one position (a gate) is spread over the others and has no stride to compare."""
    widest = max(field.size for field in fields)
    spread = [field for field in fields if field.size == widest]
    first = spread[0]
    jump = first.jump if all(field.jump == first.jump for field in spread) else None
    centred = all(field.start + field.end == first.start + first.end for field in spread)
    aligned = jump is not None and centred and all(field.aligned for field in fields)
    start, end = min(field.start for field in fields), max(field.end for field in fields)
    return Field(start, end, jump, widest, aligned)


def _divided(a: "int | Fraction", b: int) -> "int | Fraction":
    if b == 1:
        return a
    from fractions import Fraction  # deferred: only upsampling needs it

    return _exact(Fraction(a, b))


def _exact(number: "int | Fraction") -> "int | Fraction":
    """Return a whole number as an int."""
    return number if type(number) is int else int(number) if number == int(number) else number
