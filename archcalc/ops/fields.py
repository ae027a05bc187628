"""The kinds of argument that operators take: each reads a value as a spec writes it, and describes itself for the JSON Schema.

A field is annotated with its kind, ``kernel_size: Pair``, and holds the value as read: ``3`` becomes ``(3, 3)``.
"""

from math import isfinite
from typing import Annotated, Any

LARGEST = 2**31 - 1  # a size beyond this is a slip of the pen; it also keeps every product short enough to print


class Kind:
    """What an argument may be. ``read`` returns the value as the operator holds it, or raises ValueError with what was expected."""

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


_SIDES = {
    1: "or [start, end]",
    2: "[height, width] or [top, bottom, left, right]",
    3: "[depth, height, width] or [front, back, top, bottom, left, right]",
}


class _Sides(Kind):
    """Padding: a number, one for each axis, or one for each side of each axis (top, bottom, left, right)."""

    def __init__(self, axes: int):
        self.axes = axes
        self.expected = f"a whole number of at least 0, {_SIDES[axes]}"
        one = {"type": "integer", "minimum": 0}
        lists = [{"type": "array", "items": one, "minItems": count, "maxItems": count} for count in (axes, 2 * axes)]
        self.schema = {"anyOf": [one, *lists]}

    def read(self, value: Any) -> tuple[int, ...]:
        sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,) * self.axes
        if len(sizes) not in (self.axes, 2 * self.axes) or not all(_is_whole(size) and 0 <= size <= LARGEST for size in sizes):
            raise ValueError(self.expected)
        return sizes


class _OutputSizes(Kind):
    """The output's height and width; null keeps the input's."""

    expected = "a whole number of at least 1, or a list of two of them, where null keeps the input's size"
    schema = {
        "anyOf": [
            {"type": ["integer", "null"], "minimum": 1},
            {"type": "array", "items": {"type": ["integer", "null"], "minimum": 1}, "minItems": 2, "maxItems": 2},
        ]
    }

    def read(self, value: Any) -> tuple[int | None, ...]:
        sizes = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        if len(sizes) != 2 or not all(size is None or (_is_whole(size) and 1 <= size <= LARGEST) for size in sizes):
            raise ValueError(self.expected)
        return sizes


class _Tail(Kind):
    """The last sizes of a tensor: a whole number, or a list of them."""

    expected = "a whole number of at least 1, or a list of up to four of them"
    schema = {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 4},
        ]
    }

    def read(self, value: Any) -> tuple[int, ...]:
        sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        if not 1 <= len(sizes) <= 4 or not all(_is_whole(size) and 1 <= size <= LARGEST for size in sizes):
            raise ValueError(self.expected)
        return sizes


class _Factors(Kind):
    """A factor above 0 for both axes, or one for each."""

    expected = "a number above 0, or a list of two of them"
    schema = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 2, "maxItems": 2},
        ]
    }

    def read(self, value: Any) -> tuple[float, ...]:
        factors = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        numbers = all(isinstance(factor, (int, float)) and not isinstance(factor, bool) for factor in factors)
        if len(factors) != 2 or not numbers or not all(0 < factor <= LARGEST for factor in factors):
            raise ValueError(self.expected)
        return factors


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


class _OrNull(Kind):
    """Another kind, or ``null``."""

    def __init__(self, kind: Kind):
        self.kind = kind
        self.words = kind.words
        self.expected = f"null, or {kind.expected}"
        self.schema = {"anyOf": [{"type": "null"}, kind.schema]}

    def read(self, value: Any) -> Any:
        if value is None:
            return None
        try:
            return self.kind.read(value)
        except ValueError:
            raise ValueError(self.expected) from None


class _Same(Kind):
    """Padding on the sides, or ``same``."""

    words = ("same",)

    def __init__(self, axes: int):
        self.sides = _Sides(axes)
        self.expected = f"{self.sides.expected}, or same"
        self.schema = {"anyOf": [{"const": "same"}, *self.sides.schema["anyOf"]]}

    def read(self, value: Any) -> tuple[int, ...] | str:
        if isinstance(value, str) and value == "same":
            return value
        try:
            return self.sides.read(value)
        except ValueError:
            raise ValueError(self.expected) from None


class _Table(Kind):
    """A list of lists of whole numbers: LeNet-5's connection table, output map -> input maps."""

    expected = "a list that holds, for each output map, the list of its input maps, each once and counted from 0"
    schema = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "integer", "minimum": 0}},
    }

    def read(self, value: Any) -> tuple[tuple[int, ...], ...]:
        rows = value if isinstance(value, (list, tuple)) else ()
        if not rows or not all(_is_table_row(row) for row in rows):
            raise ValueError(self.expected)
        return tuple(tuple(row) for row in rows)


def _is_table_row(row: Any) -> bool:
    if not isinstance(row, (list, tuple)) or not row:
        return False
    return all(_is_whole(index) and 0 <= index <= LARGEST for index in row) and len(set(row)) == len(row)


Count = Annotated[int, _Whole(1)]
OptionalCount = Annotated[int | None, _OrNull(_Whole(1))]
Index = Annotated[int, _Whole(-4)]  # a dimension, counted from the end when negative
Flag = Annotated[bool, _Flag()]
OptionalFlag = Annotated[bool | None, _OrNull(_Flag())]
Real = Annotated[float, _Real()]
OptionalReal = Annotated[float | None, _OrNull(_Real())]
Positive = Annotated[float, _Real(least=0.0)]
Ratio = Annotated[float, _Real(least=0.0, most=1.0)]
Single = Annotated[tuple[int, ...], _Sizes(1, 1)]
Pair = Annotated[tuple[int, ...], _Sizes(2, 1)]
Triple = Annotated[tuple[int, ...], _Sizes(3, 1)]
OptionalPair = Annotated[tuple[int, ...] | None, _OrNull(_Sizes(2, 1))]
WholePair = Annotated[tuple[int, ...], _Sizes(2, 0)]
SinglePadding = Annotated[tuple[int, ...] | str, _Same(1)]
PairPadding = Annotated[tuple[int, ...] | str, _Same(2)]
TriplePadding = Annotated[tuple[int, ...] | str, _Same(3)]
PairSides = Annotated[tuple[int, ...], _Sides(2)]
OutputSizes = Annotated[tuple[int | None, ...], _OutputSizes()]
OptionalTail = Annotated[tuple[int, ...] | None, _OrNull(_Tail())]
OptionalFactors = Annotated[tuple[float, ...] | None, _OrNull(_Factors())]
Table = Annotated[tuple[tuple[int, ...], ...], _Table()]
PaddingMode = Annotated[str, _Choice("zeros", "reflect", "replicate", "circular")]
Interpolation = Annotated[str, _Choice("nearest", "bilinear", "bicubic")]
Approximation = Annotated[str, _Choice("none", "tanh")]
