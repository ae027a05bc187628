"""The kinds of argument that operators take: each reads a value as a spec writes it, and describes itself for the JSON Schema.

A field is annotated with its kind, ``kernel_size: Pair``, and holds the value as read: ``3`` becomes ``(3, 3)``.
"""

from math import isfinite
from typing import Annotated, Any

LARGEST = 2**31 - 1  # a size beyond this is a slip of the pen; it also keeps every product short enough to print


class Kind:
    """What an argument may be. ``read`` returns the value as the operator holds it, or raises ValueError saying what was expected."""

    expected: str
    schema: dict[str, Any]
    words: tuple[str, ...] = ()  # texts that are values, where any other text is an expression

    def read(self, value: Any) -> Any:
        raise NotImplementedError


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _Whole(Kind):
    """A whole number of at least ``least``."""

    def __init__(self, least: int):
        self.least = least
        self.expected = f"a whole number of at least {least}"
        self.schema = {"type": "integer", "minimum": least}

    def read(self, value: Any) -> int:
        if not _is_whole(value) or not self.least <= value <= LARGEST:
            raise ValueError(self.expected)
        assert isinstance(value, int)
        return value


class _Flag(Kind):
    """True or false."""

    expected = "true or false"
    schema = {"type": "boolean"}

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(self.expected)
        return value


class _Real(Kind):
    """A number, within bounds if it has them."""

    def __init__(self, least: float | None = None, most: float | None = None):
        self.least, self.most = least, most
        bounds = {"minimum": ("of at least", least), "maximum": ("of at most", most)}
        limits = {key: bound for key, (_, bound) in bounds.items() if bound is not None}
        self.expected = " ".join(["a number", " and ".join(f"{bounds[key][0]} {bound:g}" for key, bound in limits.items())]).strip()
        self.schema = {"type": "number"} | limits

    def read(self, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not isfinite(value):
            raise ValueError(self.expected)
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            raise ValueError(self.expected)
        return value


class _Sizes(Kind):
    """One whole number for all axes, or one for each."""

    def __init__(self, axes: int, least: int):
        self.axes, self.least = axes, least
        self.expected = f"a whole number of at least {least}" + (f", or a list of {axes} of them" if axes > 1 else "")
        one = {"type": "integer", "minimum": least}
        self.schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": axes, "maxItems": axes}]}

    def read(self, value: Any) -> tuple[int, ...]:
        sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,) * self.axes
        if len(sizes) != self.axes or not all(_is_whole(size) and self.least <= size <= LARGEST for size in sizes):
            raise ValueError(self.expected)
        return sizes


class _Padding(Kind):
    """Padding: a number, one for each axis, one for each side of each axis (top, bottom, left, right), or ``same``."""

    words = ("same",)

    def __init__(self, axes: int):
        self.axes = axes
        sides = "[height, width], [top, bottom, left, right]" if axes == 2 else f"a list of {axes} or {2 * axes} of them"
        self.expected = f"a whole number of at least 0, {sides} or same"
        one = {"type": "integer", "minimum": 0}
        self.schema = {"anyOf": [one, {"const": "same"}, {"type": "array", "items": one, "minItems": axes, "maxItems": 2 * axes}]}

    def read(self, value: Any) -> tuple[int, ...] | str:
        if value == "same":
            return "same"
        sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,) * self.axes
        if len(sizes) not in (self.axes, 2 * self.axes) or not all(_is_whole(size) and 0 <= size <= LARGEST for size in sizes):
            raise ValueError(self.expected)
        return sizes


class _Choice(Kind):
    """One of a few words."""

    def __init__(self, *words: str):
        self.words = words
        self.expected = " or ".join(words)
        self.schema = {"enum": list(words)}

    def read(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError(self.expected)
        return str(value)


class _Whichever(Kind):
    """Either of two kinds, the first that fits."""

    def __init__(self, *kinds: Kind):
        self.kinds = kinds
        self.expected = ", or ".join(kind.expected for kind in kinds)
        self.schema = {"anyOf": [kind.schema for kind in kinds]}
        self.words = tuple(word for kind in kinds for word in kind.words)

    def read(self, value: Any) -> Any:
        for kind in self.kinds:
            try:
                return kind.read(value)
            except ValueError:
                continue
        raise ValueError(self.expected)


class _Nothing(Kind):
    """The absence of a value: ``null``."""

    expected = "null"
    schema = {"type": "null"}

    def read(self, value: Any) -> None:
        if value is not None:
            raise ValueError(self.expected)


class _Lists(Kind):
    """A list of lists of whole numbers: LeNet-5's connection table, output map -> input maps."""

    expected = "a list that holds, for each output map, the list of its input maps (counted from 0)"
    schema = {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}}

    def read(self, value: Any) -> tuple[tuple[int, ...], ...]:
        rows = value if isinstance(value, (list, tuple)) else ()
        if not rows or not all(isinstance(row, (list, tuple)) and row and all(_is_whole(i) and i >= 0 for i in row) for row in rows):
            raise ValueError(self.expected)
        return tuple(tuple(row) for row in rows)


Count = Annotated[int, _Whole(1)]
Whole = Annotated[int, _Whole(0)]
Index = Annotated[int, _Whole(-4)]  # a dimension, counted from the end when negative
Flag = Annotated[bool, _Flag()]
Real = Annotated[float, _Real()]
Positive = Annotated[float, _Real(least=0.0)]
Ratio = Annotated[float, _Real(least=0.0, most=1.0)]
Single = Annotated[tuple[int, ...], _Sizes(1, 1)]
Pair = Annotated[tuple[int, ...], _Sizes(2, 1)]
Triple = Annotated[tuple[int, ...], _Sizes(3, 1)]
SinglePadding = Annotated[tuple[int, ...] | str, _Padding(1)]
PairPadding = Annotated[tuple[int, ...] | str, _Padding(2)]
TriplePadding = Annotated[tuple[int, ...] | str, _Padding(3)]
WholePair = Annotated[tuple[int, ...], _Sizes(2, 0)]
OptionalPair = Annotated[tuple[int, ...] | None, _Whichever(_Nothing(), _Sizes(2, 1))]
Table = Annotated[tuple[tuple[int, ...], ...], _Lists()]
PaddingMode = Annotated[str, _Choice("zeros", "reflect", "replicate", "circular")]
