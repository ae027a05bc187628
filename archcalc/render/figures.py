"""Numbers, sizes and names as people read them: thousands apart, bytes in one unit, nothing that a terminal would obey."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from archcalc.errors import one_line

plain = one_line  # what every text passes on its way to a screen or a file
BYTE_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_MOST_DIGITS = 10**7  # a unit is large enough when the column's largest number has at most seven digits in it


def cells(text: str) -> int:
    """Return how many cells of a screen the text takes: a Korean letter takes two.

    >>> cells("conv"), cells("합성곱")
    (4, 6)
    """
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # deferred: only a name in another script needs it

    return cell_len(text)


def count(number: int) -> str:
    """Return a whole number with its thousands apart, never abbreviated.

    >>> count(62378344)
    '62,378,344'
    """
    return f"{number:,}"


def sizes(shape: Iterable[int]) -> str:
    """Return sizes the way papers print a feature map.

    >>> sizes((96, 55, 55))
    '96x55x55'
    """
    return "x".join(map(str, shape))


def inputs(shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the sizes of a network's inputs without the batch; each has its name where there are several.

    >>> inputs({"input": (1, 3, 227, 227)}), inputs({"left": (1, 1, 105, 105), "right": (1, 1, 105, 105)})
    ('3x227x227', 'left 1x105x105, right 1x105x105')
    """
    return ", ".join((f"{name} " if len(shapes) > 1 else "") + sizes(shape[1:]) for name, shape in shapes.items())


def shape(value: Any) -> str:
    """Return a shape without its batch, or several.

    >>> shape((1, 96, 55, 55)), shape(((8, 64, 7, 7), (8, 512)))
    ('96x55x55', '64x7x7, 512')
    """
    if value and isinstance(value[0], (tuple, list)):
        return ", ".join(map(shape, value))
    return sizes(value[1:])


def axes(value: Any) -> str:
    """Return a number that may differ along the axes: one number, or one for each.

    >>> axes(11), axes((3, 7)), axes(0.5), axes((None, 2))
    ('11', '3x7', '0.5', '?x2')
    """
    if isinstance(value, (tuple, list)):
        return "x".join(axes(one) for one in value)
    return "?" if value is None else count(value) if isinstance(value, int) else f"{value:g}"


def byte_unit(numbers: Iterable[int]) -> str:
    """Return the unit for a column of bytes: KiB, and a larger one only where seven digits of it would not do."""
    largest = max(numbers, default=0)
    return next((unit for unit, size in BYTE_UNITS.items() if largest < _MOST_DIGITS * size), "GiB")


def in_unit(number: int, size: int) -> str:
    """Return bytes in a unit, to one decimal; what is there but rounds to nothing says so.

    >>> in_unit(1161600, 1024), in_unit(0, 1024), in_unit(40, 1024)
    ('1,134.4', '0.0', '<0.1')
    """
    text = f"{number / size:,.1f}"
    return "<0.1" if text == "0.0" and number else text


def percent(share: float) -> str:
    """Return a part of a hundred, to one decimal.

    >>> percent(60.5), percent(0.0), percent(0.01)
    ('60.5', '0.0', '<0.1')
    """
    text = f"{share:.1f}"
    return "<0.1" if text == "0.0" and share else text


def milliseconds(seconds: float) -> str:
    """Return seconds in milliseconds, to the microsecond; what is there but rounds to nothing says so.

    >>> milliseconds(0.0123), milliseconds(2e-7), milliseconds(0.0)
    ('12.300', '<0.001', '0.000')
    """
    text = f"{seconds * 1e3:,.3f}"
    return "<0.001" if text == "0.000" and seconds else text


def significant(number: float) -> str:
    """Return a number to three digits that count, or all that stand before the point.

    >>> significant(235.12), significant(0.4321), significant(1234.5), significant(24.0), significant(99.96)
    ('235', '0.432', '1,234', '24.0', '100')
    """
    return f"{number:,.0f}" if round(number, 1) >= 100 else f"{number:#.3g}"


def _flag(value: bool) -> str:
    return "yes" if value else "no"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "name": plain,
    "text": plain,
    "prose": plain,
    "sizes": sizes,
    "shape": shape,
    "count": count,
    "axes": axes,
    "percent": percent,
    "milliseconds": milliseconds,
    "significant": significant,
    "flag": _flag,
}


def shown(kind: str, value: Any) -> str:
    """Return a cell of this kind as text; nothing is an empty text, and a text in a column of numbers stays one."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) else _SHOWN[kind](value)
