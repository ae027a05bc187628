"""Receptive fields over a graph: how much of the input each output sees, over all the paths that lead to it.

The rules are those of Araujo, Norris and Sim 2019 ("Computing Receptive Fields of Convolutional Neural Networks",
doi 10.23915/distill.00021), carried forward instead of back: along one axis the first output sees the input's pixels from ``start``
to ``end``, and its neighbours see the same, moved by ``jump``. Where paths of different jumps meet, each stays a view of its own.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from archcalc.formula import formula, ratio
from archcalc.graph import Graph
from archcalc.ops import Op
from archcalc.ops.base import WHOLE, Window
from archcalc.shape import Shape

if TYPE_CHECKING:
    from fractions import Fraction

MOST_VIEWS = 8  # paths of different jumps that are followed; past that nothing is claimed


@formula
def window_field(r: int, k: int, d: int, j: int) -> int:
    """What one input sees, and d*j pixels more for each element of the kernel after the first (Araujo et al. 2019)."""
    return r + d * (k - 1) * j


@formula
def window_padding(a: int, p: int, j: int) -> int:
    """Every pixel of padding before the first input stands for j pixels of the network's input."""
    return a + p * j


@formula
def window_jump(j: int, s: int) -> int:
    """The strides on the way, multiplied."""
    return j * s


@formula
def resampled_jump(j: int, s: int, u: int) -> int:
    """The strides on the way, multiplied, and divided by the upsampling."""
    return ratio(j * s, u)  # type: ignore[return-value]


@formula
def whole_field(r: int, i: int, j: int) -> int:
    """From the field of the first position to that of the last."""
    return r + (i - 1) * j


@formula
def whole_jump(j: int, i: int) -> int:
    """A map seen as a whole: another would begin behind it."""
    return j * i


@formula
def seen_inside(r: int, a: int) -> int:
    """The field without the part before the edge."""
    return r - a


@formula
def joined_field(a: int, z: int) -> int:
    """From where the path that begins first begins, to where the path that ends last ends."""
    return a + z


class View(NamedTuple):
    """What is seen over the paths of one jump: ``field`` pixels by output 0, moved by ``jump`` from one output to the next.

    ``padding`` of the first output's pixels lie before the input's edge. Jump 0 is that of a gate: all outputs see the same.
    """

    field: "int | Fraction"
    padding: "int | Fraction"
    jump: "int | Fraction"

    @property
    def start(self) -> "int | Fraction":
        """The first pixel that output 0 sees."""
        return -self.padding

    @property
    def end(self) -> "int | Fraction":
        """The last pixel that output 0 sees."""
        return self.field - self.padding - 1


class Field(NamedTuple):
    """What the ``size`` outputs along one axis see.

    ``aligned`` is False where the paths to this layer disagree: in their jumps, or in the pixel that they centre on.
    """

    views: tuple[View, ...]
    size: int
    aligned: bool = True

    @property
    def jump(self) -> "int | Fraction | None":
        """Pixels of the input between two neighbouring outputs; None where paths of different jumps met."""
        moving = [view.jump for view in self.views if view.jump]
        return moving[0] if len(moving) == 1 else None if moving else 0

    @property
    def receptive_field(self) -> "int | Fraction":
        """Pixels of the input that one output sees, at most."""
        if len(self.views) == 1:
            return self.views[0].field
        # What is seen in all is widest at one of the ends: it is the largest of some straight lines less the least of some others.
        spans = (_spanned(self.views, position) for position in (0, self.size - 1))
        return max(end - start + 1 for start, end in spans)

    @property
    def padding(self) -> "int | Fraction":
        """Pixels by which the first output's field hangs over the edge of the input."""
        return max(view.padding for view in self.views)


Fields = tuple[Field, ...]


def receptive_fields(graph: Graph) -> list[Fields]:
    """Return, for each node, the field along each spatial axis of the network's input; () where it has none, or none is known."""
    found: list[Fields] = []
    for node in graph.nodes:
        if not node.inputs:
            found.append(tuple([Field((View(1, 0, 1),), size) for size in node.output.axes]))
        else:
            found.append(fields_behind(node.op, graph.x(node), node.output, [found[i] for i in node.inputs]))
    return found


def fields_behind(op: Op, x: Shape, y: Shape, incoming: list[Fields]) -> Fields:
    """Return the fields behind one operator from those of its inputs."""
    if len(incoming) > 1:
        return _met(incoming)
    fields = incoming[0]
    view = None if op.merges else op.window(x)
    sizes = y.axes
    if view is None:
        # A flattened tensor keeps the fields of its positions: the layer after it sees all of them.
        return (
            fields if len(sizes) != len(fields) else tuple(_sized(field, size) for field, size in zip(fields, sizes, strict=True))
        )
    if view == WHOLE:
        return tuple(_whole(field) for field in fields)
    if len(view) != len(fields) or len(sizes) != len(fields):
        return ()  # a window over positions that a Flatten has mixed
    return tuple(_window(field, window, size) for field, window, size in zip(fields, view, sizes, strict=True))


def _sized(field: Field, size: int) -> Field:
    return field if field.size == size else field._replace(size=size)


def _window(field: Field, window: Window, size: int) -> Field:
    views = []
    k, s, p, d, u = window
    for r, a, step in field.views:
        j = step if field.size > 1 or u == 1 else 0  # what is stretched from a single position sees the same everywhere
        jump = window_jump(j, s) if u == 1 else resampled_jump(j, s, u)
        views.append(View(window_field(r, k, d, j), window_padding(a, p, j), jump))
    return Field(tuple(views), size, field.aligned)


def _whole(field: Field) -> Field:
    """Every output sees the whole map: from what its first position sees to what its last one does."""
    if len(field.views) == 1:
        ((r, a, j),) = field.views
        return Field((View(whole_field(r, field.size, j), a, whole_jump(j, field.size)),), 1, field.aligned)
    start, _ = _spanned(field.views, 0)
    _, end = _spanned(field.views, field.size - 1)
    for view in field.views:  # a gate may see further than both
        start, end = min(start, view.start), max(end, view.end)
    return Field((View(end - start + 1, -start, (field.jump or 0) * field.size),), 1, field.aligned)


def _met(incoming: list[Fields]) -> Fields:
    """Return what is seen over several paths; () if one of them is unknown, or they have not equally many axes."""
    if any(len(fields) != len(incoming[0]) for fields in incoming):
        return ()
    met = tuple(_union(axis) for axis in zip(*incoming, strict=True))
    return met if all(len(field.views) <= MOST_VIEWS for field in met) else ()


def _union(fields: "tuple[Field, ...]") -> Field:
    """Return the field of several paths along one axis."""
    widest = max(field.size for field in fields)
    aligned = all(field.aligned for field in fields)
    views: dict[int | Fraction, View] = {}
    for field in fields:
        for view in field.views:
            here = view if field.size == widest else view._replace(jump=0)  # a gate of one position serves all
            other = views.get(here.jump)
            if other is not None and here.jump:
                aligned = aligned and other.start + other.end == here.start + here.end
            views[here.jump] = here if other is None else _joined(other, here)
    return Field(tuple(views.values()), widest, aligned and sum(map(bool, views)) <= 1)


def _joined(one: View, other: View) -> View:
    """Return what two paths of one jump see together, which is most often what one of them sees."""
    first, last = (one, other) if one.padding >= other.padding else (other, one)
    if last.end <= first.end:
        return first
    if last.padding == first.padding:
        return last
    return View(joined_field(first.padding, seen_inside(last.field, last.padding)), first.padding, first.jump)


def _spanned(views: Iterable[View], position: int) -> "tuple[int | Fraction, int | Fraction]":
    """Return the first and the last pixel that the output at a position sees."""
    return min(view.start + position * view.jump for view in views), max(view.end + position * view.jump for view in views)
