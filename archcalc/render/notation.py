"""An operator's arguments in the short hand of papers: ``11x11, 96, /4`` for a convolution's kernel, channels and stride."""

from collections.abc import Callable, Sequence
from typing import Any

from archcalc.ops import Op
from archcalc.ops.base import brief, defaults, kinds, shown
from archcalc.render.figures import plain, sizes

# What stands for an argument that is not at its default, in this order; any other argument is written name=value.
_SHORT: dict[str, Callable[[Any], str]] = {
    "kernel_size": lambda value: _one_for_all(value, full=True),
    "out_channels": str,
    "out_features": str,
    "stride": lambda value: "/" + _one_for_all(value),
    "padding": lambda text: text if text == "same" else f"pad {text}",
    "dilation": lambda value: "dilation " + _one_for_all(value),
    "groups": lambda value: f"groups {value}",
    "bias": lambda value: "bias" if value else "no bias",
}

_REQUIRED = object()  # equal to nothing: an argument without a default is always written


def arguments(op: Op) -> str:
    """Return the arguments that differ from their defaults; nothing that tells two operators apart is left out."""
    unwritten = defaults(type(op))
    given = {name: value for name in op.__struct_fields__ if not _same(value := getattr(op, name), unwritten.get(name, _REQUIRED))}
    if "padding" in given:  # whose numbers may be those of axes or of ends: the operator knows
        given["padding"] = _text(given["padding"], ends_of(type(op), "padding"))
    short = [write(given[name]) for name, write in _SHORT.items() if name in given]
    return ", ".join(short + [_named(op, name, value) for name, value in given.items() if name not in _SHORT])


def ends_of(op: type[Op], name: str) -> int:
    """Return how many numbers an argument has if it gives two ends of each axis; 0 for one that never does: all but padding."""
    return 2 * len(kinds(op)[name].read(0)) if name == "padding" else 0


def apart(values: Sequence[Any], ends: int = 0) -> list[str]:
    """Return the values that some operators have for one argument, as briefly as tells them apart: 3 and 5, 10 and 10x10.

    As many numbers as there are ``ends`` stand as a spec writes them.

    >>> apart([(3, 3), (5, 5)]), apart([(10,), (10, 10)]), apart([(1,), (1, 0)], ends=2)
    (['3', '5'], ['10', '10x10'], ['1', '[1, 0]'])
    """
    found = [_text(value, ends) for value in values]
    return found if len(set(found)) == len(set(values)) else [_text(value, ends, full=True) for value in values]


def _text(value: Any, ends: int = 0, full: bool = False) -> str:
    if isinstance(value, tuple) and len(value) == ends and (full or len(set(value)) > 1):
        return shown(value)
    if isinstance(value, tuple) and None not in value:
        return f"{len(value)} lists" if isinstance(value[0], tuple) else _one_for_all(value, full)
    return plain(shown(brief(value)) if isinstance(value, tuple) or value is None or isinstance(value, bool) else str(value))


def _same(value: Any, default: Any) -> bool:
    """Whether a value says what the default says: four sides of 0 are no other padding than two axes of 0."""
    if isinstance(value, tuple) and isinstance(default, tuple):
        return value == default or len({*value, *default}) == 1
    return bool(value == default)


def _one_for_all(value: Any, full: bool = False) -> str:
    """Return sizes as one number where the axes agree, unless all of them are wanted."""
    if not isinstance(value, tuple):
        return str(value)
    return str(value[0]) if len(set(value)) == 1 and not full else sizes(value)


def _named(op: Op, name: str, value: Any) -> str:
    if isinstance(value, tuple) and isinstance(value[0], tuple):
        return f"{name} of {len(value)}"  # a connection table has a line for each map: too long for a cell
    if not isinstance(value, tuple) or None in value:
        return f"{name}={shown(brief(value))}"
    alone = kinds(type(op))[name].read(value[0])  # normalized_shape 10 is the last axis, and no other
    return f"{name}={_one_for_all(value, full=alone != value)}"
