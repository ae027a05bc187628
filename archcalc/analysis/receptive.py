"""Receptive fields over a graph: how much of the input each output sees, over all the paths that lead to it.

The rules are those of Araujo, Norris and Sim 2019 ("Computing Receptive Fields of Convolutional Neural Networks",
doi 10.23915/distill.00021), carried forward instead of back: along one axis the first output sees the input's pixels from ``start``
to ``end``, and its neighbours see the same, moved by ``jump``. Where paths of different jumps meet, each stays a view of its own.
Behind an upsampling outputs stand between pixels and do not all see equally many; but what they see comes round, so it is looked up
for each output of one period (``Uneven``).
"""

from collections.abc import Sequence
from math import gcd, inf, lcm
from operator import attrgetter, is_
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from archcalc.formula import formula, ratio
from archcalc.formula.traced import Number, Traced
from archcalc.graph import Graph
from archcalc.ops import Op, Phases, Window
from archcalc.ops.base import MOST_PHASES, WHOLE
from archcalc.ops.base import View as Windows
from archcalc.shape import Shape

Jump = TypeVar("Jump", int, Number)  # whole, unless outputs stand between pixels

MOST_VIEWS = 8  # paths of different jumps that are followed; past that, or a period of MOST_PHASES, nothing is claimed


@formula
def window_field(r: int, k: int, d: int, j: Jump) -> Jump:
    """What one input sees, and d*j pixels more for each element of the kernel after the first (Araujo et al. 2019)."""
    return r + d * (k - 1) * j


@formula
def window_padding(a: int, p: int, j: Jump) -> Jump:
    """Every pixel of padding before the first input stands for j pixels of the network's input."""
    return a + p * j


@formula
def window_jump(j: Jump, s: int) -> Jump:
    """The strides on the way, multiplied."""
    return j * s


@formula
def resampled_jump(j: Number, s: int, u: int) -> Number:
    """The strides on the way, multiplied, and divided by the upsampling."""
    return ratio(j * s, u)


@formula
def whole_field(r: int, i: int, j: int) -> int:
    """From the field of the first position to that of the last."""
    return r + (i - 1) * j


@formula
def seen_inside(r: int, a: int) -> int:
    """The field without the part before the edge."""
    return r - a


@formula
def joined_field(a: int, z: int) -> int:
    """From where the path that begins first begins, to where the path that ends last ends."""
    return a + z


Edges = tuple[float, ...]  # pixels, or infinity


class View(msgspec.Struct, frozen=True):
    """What is seen over the paths of one jump: ``field`` pixels by output 0, moved by ``jump`` from one output to the next.

    ``padding`` of the first output's pixels lie before the input's edge. With jump 0 all outputs see the same, or there is but one.
    """

    field: int
    padding: int
    jump: int

    @property
    def starts(self) -> tuple[int, ...]:
        """The first pixel that output 0 sees."""
        return (-self.padding,)

    @property
    def ends(self) -> tuple[int, ...]:
        """The last pixel that output 0 sees."""
        return (self.field - self.padding - 1,)


class Uneven(msgspec.Struct, frozen=True):
    """The same where outputs differ: output o of the first period sees the pixels from ``starts[o]`` to ``ends[o]``.

    An output that sees nothing starts at infinity. ``field`` is the largest, and ``jump`` the mean over a period.
    """

    field: int
    padding: int
    jump: Number
    starts: Edges
    ends: Edges


class Field(msgspec.Struct, frozen=True):
    """What the ``size`` outputs along one axis see.

    ``aligned`` is False where the paths to this layer disagree: in their jumps, or in the pixel that they centre on.
    """

    views: tuple[View | Uneven, ...]
    size: int
    aligned: bool = True

    @property
    def jump(self) -> "Number | None":
        """Pixels of the input between two neighbouring outputs; None where paths of different jumps met, or there is but one."""
        if len(self.views) == 1 and self.views[0].jump:
            return self.views[0].jump
        moving = [view.jump for view in self.views if view.jump]
        if not moving:
            return 0 if self.size > 1 else None
        return moving[0] if len(moving) == 1 else None

    @property
    def receptive_field(self) -> int:
        """Pixels of the input that one output sees, at most."""
        if len(self.views) == 1:
            return int(self.views[0].field)
        return int(max([end - start + 1 for start, end in _spans(self)]))

    @property
    def padding(self) -> int:
        """Pixels by which the first output's field hangs over the edge of the input."""
        return int(max([view.padding for view in self.views]))


Fields = tuple[Field, ...]
_ALIGNED = attrgetter("aligned")


def receptive_fields(graph: Graph) -> list[Fields]:
    """Return, for each node, the field along each spatial axis of the network's input; () where it has none, or none is known."""
    found: list[Fields] = []
    windows: dict[tuple[Op, Shape], Windows] = {}  # repeated blocks ask the same question again and again
    nodes = graph.nodes
    for node in nodes:
        inputs = node.inputs
        if len(inputs) > 1:
            found.append(_met([found[i] for i in inputs]))
        elif inputs:
            x = nodes[inputs[0]].output
            key = (node.op, x)
            if key not in windows:
                windows[key] = None if node.op.merges else node.op.window(x)
            window, fields = windows[key], found[inputs[0]]
            found.append(fields if window is None and node.output == x else _behind(window, node.output, fields))
        else:
            pixels = {size: Field((View(1, 0, 1),), size) for size in node.output.axes}
            found.append(tuple([pixels[size] for size in node.output.axes]))
    return found


def fields_behind(op: Op, x: Shape, y: Shape, incoming: list[Fields]) -> Fields:
    """Return the fields behind one operator from those of its inputs."""
    return _met(incoming) if len(incoming) > 1 else _behind(None if op.merges else op.window(x), y, incoming[0])


def _behind(windows: Windows, y: Shape, fields: Fields) -> Fields:
    sizes = y.axes
    if windows is None:
        # A flattened tensor keeps the fields of its positions: the layer after it sees all of them.
        if len(sizes) != len(fields) or sizes == tuple([field.size for field in fields]):
            return fields
        return tuple([replace(field, size=size) for field, size in zip(fields, sizes, strict=True)])
    if windows == WHOLE:
        return tuple([_whole(field) for field in fields])
    if len(windows) != len(fields) or len(sizes) != len(fields):
        return ()  # a window over positions that a Flatten has mixed
    axes = zip(fields, windows, sizes, strict=True)
    if len(fields) == 2 and fields[0] is fields[1] and windows[0] == windows[1] and sizes[0] == sizes[1]:
        return _known([_through(*next(axes))] * 2)  # a square map
    return _known([_through(*axis) for axis in axes])


def _known(fields: list[Field | None]) -> Fields:
    """Return the fields, () if one is unknown."""
    return tuple([field for field in fields if field is not None]) if None not in fields else ()


def _through(field: Field, window: Window | Phases, size: int) -> Field | None:
    """Return the field behind a window; None where no more can be claimed."""
    views = []
    for view in field.views:
        behind = _seen_through(view, window, field.size, size)
        if behind is None:
            return None
        views.append(behind)
    return _field(tuple(views), size, field.aligned)


def _seen_through(view: View | Uneven, window: Window | Phases, inputs: int, outputs: int) -> View | Uneven | None:
    r, a, j = view.field, view.padding, view.jump
    if isinstance(window, Window):
        k, s, p, d = window
        if isinstance(view, View):
            return View(window_field(r, k, d, view.jump), window_padding(a, p, view.jump), window_jump(view.jump, s))
        jump, u = window_jump(j, s), 1
    else:
        k, s, u, d = window.k, window.s, window.u, 1
        j = j if inputs > 1 else 0  # what is stretched from a single position sees the same everywhere
        jump = resampled_jump(j, s, u)
        if not j:
            assert isinstance(j, int)
            assert isinstance(jump, int)
            return View(window_field(r, k, d, j), window_padding(a, 0, j), jump)
        if not window.first:
            return None
        p = -window.first[0]
    count = u * len(view.starts) // gcd(u * len(view.starts), s)  # outputs after which views and windows come round together
    seen = _looked_up(view, window, count)
    if seen is None:
        return None
    behind = _made(*seen, jump, outputs)
    # Where the rules hold for the widest output as well, which is most often, they explain it.
    field, padding = window_field(r, k, d, j), window_padding(a, p, j)
    if isinstance(field, Traced) and field == behind.field:
        behind = replace(behind, field=field)
    return replace(behind, padding=padding) if isinstance(padding, Traced) and padding == behind.padding else behind


def _looked_up(view: View | Uneven, window: Window | Phases, count: int) -> tuple[Edges, Edges] | None:
    """Return the first and the last pixels that ``count`` outputs of a window see; None if that is too much to look up."""
    starts, ends, n = view.starts, view.ends, len(view.starts)
    shift = int(n * view.jump)
    rising = _rises(starts, shift) and _rises(ends, shift)
    reach = 1 if rising else n  # after a period everything lies further on
    if count * reach > MOST_PHASES:
        return None
    if rising and isinstance(window, Window):
        k, s, p, d = window
        first = [starts[m % n] + m // n * shift for m in range(-p, count * s - p, s)]
        return tuple(first), tuple([ends[m % n] + m // n * shift for m in range(d * (k - 1) - p, d * (k - 1) - p + count * s, s)])
    inputs = [window.inputs(o) for o in range(count)]
    first = [min([starts[m % n] + m // n * shift for m in seen[:reach]], default=inf) for seen in inputs]
    return tuple(first), tuple([max([ends[m % n] + m // n * shift for m in seen[-reach:]], default=-inf) for seen in inputs])


def _rises(edges: Edges, shift: int) -> bool:
    """Whether no output's edge lies before that of the output before it."""
    return edges[-1] <= edges[0] + shift and list(edges) == sorted(edges)


def _made(starts: Edges, ends: Edges, jump: Number, size: int) -> View | Uneven:
    """Return the view of ``size`` outputs from what those of a period see; plain, if all see alike."""
    field = int(max([0, *[end - start + 1 for start, end in zip(starts[:size], ends[:size], strict=True)]]))
    begin = min(starts) if starts[0] == inf else starts[0]
    padding = 0 if begin == inf else -int(begin)
    if len(starts) > 1:
        return Uneven(field, padding, jump, starts, ends)
    return View(field, padding, jump if isinstance(jump, Traced) else int(jump))


def _field(views: tuple[View | Uneven, ...], size: int, aligned: bool) -> Field | None:
    """Return the field of some views; None if they are too many to follow, or come round too late together."""
    if len(views) > 1 and (len(views) > MOST_VIEWS or lcm(*[len(view.starts) for view in views]) > MOST_PHASES):
        return None
    return Field(views, size, aligned)


def _whole(field: Field) -> Field:
    """Every output sees the whole map: from what its first position sees to what its last one does."""
    if len(field.views) == 1 and isinstance(field.views[0], View):
        view = field.views[0]
        return Field((View(whole_field(view.field, field.size, view.jump), view.padding, 0),), 1, field.aligned)
    spans = _spans(field)
    start, end = int(min([start for start, _ in spans])), int(max([end for _, end in spans]))
    return Field((View(end - start + 1, -start, 0),), 1, field.aligned)


def _spans(field: Field) -> list[tuple[float, float]]:
    """Return the first and the last pixel that an output sees over all paths, for the outputs among which the extremes are.

    They are within a period of one of the ends: there lie the extremes of each straight line, and of its distance to another.
    """
    period, size = lcm(*[len(view.starts) for view in field.views]), field.size
    positions = range(size) if size <= 2 * period else (*range(period), *range(size - period, size))
    edges = [(view.starts, view.ends, len(view.starts), int(len(view.starts) * view.jump)) for view in field.views]
    return [
        (
            min([starts[o % n] + o // n * shift for starts, _, n, shift in edges]),
            max([ends[o % n] + o // n * shift for _, ends, n, shift in edges]),
        )
        for o in positions
    ]


def _met(incoming: list[Fields]) -> Fields:
    """Return what is seen over several paths; () if one of them is unknown, or they have not equally many axes."""
    if len(set(map(len, incoming))) > 1:
        return ()
    axes = list(zip(*incoming, strict=True))
    if len(axes) == 2 and all(map(is_, *axes)):
        return _known([_union(axes[0])] * 2)  # a square map
    return _known([_union(axis) for axis in axes])


def _union(fields: Sequence[Field]) -> Field | None:
    """Return the field of several paths along one axis."""
    widest = max([field.size for field in fields])
    aligned = all(map(_ALIGNED, fields))
    views: dict[Number, View | Uneven] = {}
    for field in fields:
        for view in field.views:
            here = view if field.size == widest else View(view.field, view.padding, 0)  # a gate of one position serves all
            other = views.get(here.jump)
            if other is None:
                views[here.jump] = here
                continue
            aligned = aligned and (not here.jump or _centred(other, here))
            joined = _joined(other, here, widest)
            if joined is None:
                return None
            views[here.jump] = joined
    return _field(tuple(views.values()), widest, aligned and sum(map(bool, views)) <= 1)


def _centred(one: View | Uneven, other: View | Uneven) -> bool:
    """Whether two paths of one jump centre on the same pixel: where outputs differ, on the average over a period."""
    n, m = len(one.starts), len(other.starts)
    centre, others = sum(one.starts) + sum(one.ends), sum(other.starts) + sum(other.ends)
    return bool(m * (centre - n * (n - 1) * one.jump) == n * (others - m * (m - 1) * one.jump))


def _joined(one: View | Uneven, other: View | Uneven, size: int) -> View | Uneven | None:
    """Return what two paths of one jump see together, which is most often what one of them sees; None if that is unknown."""
    if isinstance(one, View) and isinstance(other, View):
        first, last = (one, other) if one.padding >= other.padding else (other, one)
        if last.ends <= first.ends:
            return first
        if last.padding == first.padding:
            return last
        return View(joined_field(first.padding, seen_inside(last.field, last.padding)), first.padding, first.jump)
    count = lcm(len(one.starts), len(other.starts))
    if count > MOST_PHASES:
        return None
    starts = tuple([min(both) for both in zip(*[_unrolled(view.starts, view.jump, count) for view in (one, other)], strict=True)])
    ends = tuple([max(both) for both in zip(*[_unrolled(view.ends, view.jump, count) for view in (one, other)], strict=True)])
    for view in (one, other):
        if (starts, ends) == (_unrolled(view.starts, view.jump, count), _unrolled(view.ends, view.jump, count)):
            return view
    return _made(starts, ends, one.jump, size)


def _unrolled(edges: Edges, jump: Number, count: int) -> Edges:
    """Return the edges of so many outputs, a number of periods."""
    shift = int(len(edges) * jump)
    return tuple([edge + turn * shift for turn in range(count // len(edges)) for edge in edges])
