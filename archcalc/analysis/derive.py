"""Numbers followed back: which formula gave each, with which values, and where those come from, step by step to the input image.

An operator is asked again with numbers that remember: its arguments know the line that wrote them, the sizes of its input the layer
that made them. Nothing is worked out a second way; a layer is asked only when an explanation leads to it.
"""

from collections.abc import Iterator
from functools import cache
from heapq import heappop, heappush
from math import prod
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from archcalc.analysis.cost import DTYPE_BYTES
from archcalc.analysis.receptive import Field, Fields, Uneven, View, fields_behind, receptive_fields
from archcalc.analysis.written import Written
from archcalc.formula import formula
from archcalc.formula.printed import letters, named, text
from archcalc.formula.traced import Given, traced_fraction
from archcalc.graph import Graph, Node
from archcalc.ops import Op
from archcalc.ops.base import WHOLE, kinds
from archcalc.shape import Shape
from archcalc.symbols import TENSOR_AXES, meaning

Number = int | float  # or a fraction, in the receptive fields of networks that upsample


@formula
def input_elements(x: Shape) -> int:
    """Every number of the input."""
    return prod(x)


@formula
def output_elements(y: Shape) -> int:
    """Every number of the output."""
    return prod(y)


class Value(msgspec.Struct, frozen=True):
    """One letter of a formula: its number, what it means, and where it comes from.

    ``source`` says so in words; ``layer`` is the earlier layer that made the number, ``derivation`` how this layer itself did.
    """

    letter: str
    number: Number
    meaning: str
    source: str
    layer: str | None = None
    derivation: "Derivation | None" = None


class Derivation(msgspec.Struct, frozen=True):
    """A number with its arithmetic: the formula in letters, the same in numbers, the result, and the values that went in.

    Where there is no formula, because the number was written down or handed on, ``letters`` is the letter alone.
    """

    layer: str
    quantity: str
    part: str
    letters: str
    numbers: str
    result: Number
    meaning: str
    values: tuple[Value, ...]


class _Place:
    """A number on its way from one layer to another: the node that it leaves, and which of that node's numbers it is."""

    index: int
    quantity: str
    axis: int


class _Link(_Place, Given):
    pass


@cache
def _fraction_link() -> Any:
    class FractionLink(_Place, traced_fraction()):  # type: ignore[misc]
        pass

    return FractionLink


def _link(number: Any, index: int, quantity: str, axis: int) -> Any:
    link: Any = _Link(number, "") if isinstance(number, int) else _fraction_link()(number)
    link.index, link.quantity, link.axis = index, quantity, axis
    return link


class Real(float):
    """A written number that is not whole."""

    source: str


class _InputShape(Shape):
    """A shape whose count of elements can be explained."""

    @property
    def elements(self) -> int:
        return input_elements(x=self)


class _OutputShape(Shape):
    """The same, for what an operator makes."""

    @property
    def elements(self) -> int:
        return output_elements(y=self)


class Tracer:
    """Asks the operators of one graph again, with numbers that remember where they came from."""

    def __init__(self, graph: Graph, written: Written, dtype: str = "float32"):
        self.graph = graph
        self.written = written
        self.item_bytes = Given(DTYPE_BYTES[dtype], f"bytes of a {dtype} (--dtype)")
        self._ops: dict[tuple[Op, int | None], Op] = {}
        self._outputs: dict[int, Shape] = {}
        self._behind: dict[int, Fields] = {}
        self._plain: list[Fields] | None = None
        self.named: list[tuple[int, str, int]] = []  # numbers of earlier layers that values name, the latest layer first
        self.told: set[tuple[int, str, int]] = set()

    def op(self, index: int) -> Op:
        """Return a node's operator with arguments that know where they were written."""
        node = self.graph.nodes[index]
        key = (node.op, node.line)  # repeated blocks have the same operators from the same lines
        found = self._ops.get(key)
        if found is None:
            found = self._ops[key] = self._traced(node)
        return found

    def _traced(self, node: Node) -> Op:
        from copy import copy

        op = copy(node.op)
        for name in kinds(type(op)):
            value = getattr(op, name)
            if isinstance(value, tuple):
                sizes = tuple([self._given(size, node, name, axis) for axis, size in enumerate(value)])
                force_setattr(op, name, sizes)
            elif isinstance(value, (int, float)):
                force_setattr(op, name, self._given(value, node, name, None))
        return op

    def _given(self, value: Any, node: Node, name: str, axis: int | None) -> Any:
        if isinstance(value, int):
            return Given(value, self.written.argument(node, name, axis))
        if not isinstance(value, float):
            return value
        real = Real(value)
        real.source = self.written.argument(node, name, axis)
        return real

    def x(self, index: int) -> Any:
        """Return what a node's operator is asked about, every size linked to the layer that made it."""
        nodes, inputs = self.graph.nodes, self.graph.nodes[index].inputs
        shapes = [_InputShape([_link(size, i, "output", axis) for axis, size in enumerate(nodes[i].output)]) for i in inputs]
        return tuple(shapes) if nodes[index].op.merges else shapes[0]

    def y(self, index: int) -> Shape:
        """Return the shape that a node makes."""
        found = self._outputs.get(index)
        if found is None:
            node = self.graph.nodes[index]
            if node.inputs:
                found = _OutputShape(self.op(index).output(self.x(index)))
            else:
                found = _OutputShape([Given(size, self.written.input(node, axis)) for axis, size in enumerate(node.output)])
            self._outputs[index] = found
        return found

    def fields(self, index: int) -> Fields:
        """Return the receptive field behind a node along each axis, from those before it."""
        found = self._behind.get(index)
        if found is None:
            node = self.graph.nodes[index]
            if node.inputs:
                incoming = [self._incoming(i) for i in node.inputs]
                found = fields_behind(self.op(index), self.x(index), self.y(index), incoming)
            else:
                itself, apart = Given(1, "a pixel sees itself"), Given(1, "pixels stand 1 apart")
                edge = Given(0, "the image begins at its edge")
                found = tuple([Field((View(itself, edge, apart),), size) for size in self.y(index).axes])
            self._behind[index] = found
        return found

    def _incoming(self, index: int) -> Fields:
        """Return the fields that a node hands on, linked to it."""
        if self._plain is None:
            self._plain = receptive_fields(self.graph)
        linked = []
        for axis, field in enumerate(self._plain[index]):
            views = tuple([self._linked(view, index, axis, position) for position, view in enumerate(field.views)])
            linked.append(Field(views, _link(field.size, index, "size", axis), field.aligned))
        return tuple(linked)

    def _linked(self, view: View | Uneven, index: int, axis: int, position: int) -> View | Uneven:
        place = 8 * axis + position  # a node has few views (receptive.MOST_VIEWS), mostly one
        return replace(view, **{name: _link(getattr(view, name), index, name, place) for name in View.__struct_fields__})

    def follow(self, link: Any) -> Any:
        """Return the number that stands at the other end of a link."""
        index: int = link.index
        if link.quantity == "output":
            return self.y(index)[link.axis]
        if link.quantity != "size":
            axis, position = divmod(link.axis, 8)
            return getattr(self.fields(index)[axis].views[position], link.quantity)
        return self._size(index, link.axis, int(link))

    def _size(self, index: int, axis: int, size: int) -> Any:
        """Return the positions that a node has along an axis of the network's input: its output's, or those before a Flatten."""
        assert self._plain is not None
        while True:
            node = self.graph.nodes[index]
            if len(node.output.axes) == len(self._plain[index]):
                return _link(size, index, "output", 2 + axis)
            if node.op.window(self.graph.x(node)) == WHOLE:
                return Given(1, f"{node.name} sees the whole map: one position")
            index = node.inputs[0]

    def origin(self, number: Any, index: int) -> tuple[Any, int, str, int]:
        """Return where a number was made: itself without links, the node, which of its quantities, and which axis."""
        quantity, axis = "", 0
        while isinstance(number, _Place):
            index, quantity, axis = number.index, number.quantity, number.axis
            number = self.follow(number)
        return number, index, quantity, axis

    def describe(self, number: Any, index: int, quantity: str, part: str) -> Derivation:
        """Return how a number of a node came about."""
        layer = self.graph.nodes[index].name
        function = getattr(number, "formula", None)
        if function is None:
            value = self.value(_LETTERS.get(part.partition(",")[0], part), number, index, None)
            return Derivation(layer, quantity, part, "", _shown(number), _bare(number), value.meaning, (value,))
        values = tuple([self.value(letter, one, index, function) for letter, one in named(number.values)])
        shown = text(function, number.values)
        meant = " ".join((function.__doc__ or "").split())
        return Derivation(layer, quantity, part, letters(function, number.values), shown, _bare(number), meant, values)

    def value(self, letter: str, number: Any, index: int, function: Any) -> Value:
        """Return one letter of a formula with its source."""
        made, at, quantity, axis = self.origin(number, index)
        assert made == number, f"{letter} of {self.graph.nodes[index].name} is {number}, but {made} where it was made"
        node = self.graph.nodes[at]
        derivation = None
        if isinstance(getattr(made, "source", None), str):
            source = made.source
        elif getattr(made, "formula", None) is None:
            source = self.rule(node, letter)
        elif at == index and not isinstance(number, _Place):
            source = ""
            derivation = self.describe(made, index, "", letter)
        else:
            heappush(self.named, (-at, quantity, axis))
            return Value(letter, _bare(number), meaning(letter), f"{what(node, quantity, axis)} of {node.name}", node.name)
        if at != index and source.startswith("given: ") and self.graph.nodes[at].inputs:
            source += f" ({node.name})"
        return Value(letter, _bare(number), meaning(letter), source, None, derivation)

    def rule(self, node: Node, letter: str) -> str:
        """Return the source of a number that nobody wrote: a rule of the operator's own."""
        name = type(node.op).__name__
        if letter in ("r", "a"):
            return "looked up output by output: they do not all see equally many pixels"
        if letter == "j":
            return "all outputs see the same: none has a neighbour"
        if letter == "b":
            return "the branches: " + ", ".join(self.graph.nodes[i].name for i in node.inputs)
        if hasattr(node.op, "table") and letter in ("m", "c_out"):
            return self.written.argument(node, "table")
        if hasattr(node.op, "mode") and letter in ("k", "k_h", "k_w"):
            return self.written.argument(node, "mode")
        if letter.startswith("p") and getattr(node.op, "padding", None) == "same":
            return self.written.argument(node, "padding")
        if letter in ("k", "s", "p", "u", "d"):
            return f"where {name} has its windows"
        about = (type(node.op).__doc__ or "").split("\n")[0]
        return f"{name}: {about.split(';')[0].split(', ``')[0].rstrip('.')}"

    def trail(self, *, every: bool = False) -> Iterator[Derivation]:
        """Yield, nearest first, how the numbers of earlier layers that were named came about, back to the input.

        Each is told once. Unless ``every`` is wanted, a layer that leaves a number as it was is passed by.
        """
        while self.named:
            place = heappop(self.named)
            if place in self.told:
                continue
            self.told.add(place)
            index, quantity, axis = -place[0], *place[1:]
            number = self.follow(_link(0, index, quantity, axis))
            letter = _HANDED_ON[quantity]
            before = getattr(number, "values", {}).get(letter)
            if before == number and not every:
                self.value(letter, before, index, None)  # names the layer before
                continue
            yield self.describe(number, index, quantity, self.letter(index, quantity, axis))

    def letter(self, index: int, quantity: str, axis: int) -> str:
        """Return the letter of one of a node's numbers."""
        if quantity == "output":
            return TENSOR_AXES["y"][len(self.graph.nodes[index].output)].split("*")[axis]
        return _HANDED_ON[quantity]


_HANDED_ON = {"output": "i", "field": "r", "padding": "a", "jump": "j"}  # the letter under which a formula takes in the same number
_LETTERS = {"receptive field": "r", "jump": "j", "overhang": "a"}


def what(node: Node, quantity: str, axis: int) -> str:
    """Return a number of a node in words: ``output height``, ``receptive field``."""
    if quantity == "output":
        return "batch" if axis == 0 else meaning(TENSOR_AXES["y"][len(node.output)].split("*")[axis]).partition(" (")[0]
    return {"field": "receptive field", "padding": "overhang", "jump": "jump"}.get(quantity, quantity)


def _bare(number: Any) -> Any:
    """Return the number without its memory."""
    if isinstance(number, int):
        return int(number)
    if isinstance(number, float):
        return float(number)
    from fractions import Fraction

    return Fraction(number)


def _shown(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(_bare(number))
