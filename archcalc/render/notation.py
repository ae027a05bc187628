"""An operator's arguments in the short hand of papers: ``11x11, 96, /4`` for a convolution's kernel, channels and stride."""

from collections.abc import Callable
from typing import Any

from archcalc.ops import Op
from archcalc.ops.base import defaults, shown
from archcalc.render.figures import sizes

# What stands for an argument that is not at its default, in this order; any other argument is written name=value.
_SHORT: dict[str, Callable[[Any], str]] = {
    "kernel_size": lambda value: _one_for_all(value, full=True),
    "out_channels": str,
    "out_features": str,
    "stride": lambda value: "/" + _one_for_all(value),
    "padding": lambda value: "same" if value == "same" else "pad " + _one_for_all(value),
    "dilation": lambda value: "dilation " + _one_for_all(value),
    "groups": lambda value: f"groups {value}",
    "bias": lambda value: "bias" if value else "no bias",
}

_REQUIRED = object()  # equal to nothing: an argument without a default is always written


def arguments(op: Op) -> str:
    """Return the arguments that differ from their defaults; nothing that tells two operators apart is left out."""
    unwritten = defaults(type(op))
    given = {name: value for name in op.__struct_fields__ if not _same(value := getattr(op, name), unwritten.get(name, _REQUIRED))}
    short = [write(given[name]) for name, write in _SHORT.items() if name in given]
    return ", ".join(short + [_named(name, value) for name, value in given.items() if name not in _SHORT])


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


def _named(name: str, value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return f"{name} of {len(value)}"  # a connection table has a line for each map: too long for a cell
    if isinstance(value, tuple):
        return f"{name}={_one_for_all(value)}"
    return f"{name}={shown(value)}"
