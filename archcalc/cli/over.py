"""``--over NAME=A,B,...``: the same question for several values of a param, or for several sizes of the input."""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import click

from archcalc.cli.options import ONLY_INPUT, Request, idle
from archcalc.errors import UsageError

MOST_ROWS = 100  # combinations that one table may have
_SIZES = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){0,3}")
_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")


class Axis(NamedTuple):
    """What is varied: a param or an input of this name, and its values as they were written."""

    name: str
    values: tuple[str, ...]

    @property
    def of_input(self) -> bool:
        """Whether the values are sizes of an input."""
        return self.name == ONLY_INPUT or all("x" in value and _SIZES.fullmatch(value) for value in self.values)

    def gives(self, name: str, of_input: bool) -> bool:
        """Whether it is this param that is varied, or this input, whose name may be left out where there is only one."""
        return self.of_input == of_input and (self.name == name or (of_input and ONLY_INPUT in (self.name, name)))


def read_axes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[Axis, ...]:
    """Return the axes that were named. Raises UsageError for one that cannot be read, and for too many combinations."""
    parted = [(text, *text.partition("=")) for text in texts]
    rows = prod(sum(len(_values(part)) for part in values.split(",")) for *_, values in parted)
    if rows > MOST_ROWS:
        raise UsageError("E269", f"--over makes {rows:,} combinations, more than {MOST_ROWS}", help="fewer values")
    axes: list[Axis] = []
    for text, name, equals, values in parted:
        several = tuple(str(one) for part in values.split(",") for one in _values(part))
        axis = Axis(name.strip(), several)
        readable = axis.name and equals and all(several)
        if not readable or (axis.name == ONLY_INPUT and not all(map(_SIZES.fullmatch, several))):
            way_out = "--over input=3x128x128,3x256x256, or a param of the spec: --over classes=10,100 or depth=1..4"
            raise UsageError("E269", f"--over needs name=value,value,..., not {text}", help=way_out)
        if any(other.gives(axis.name, axis.of_input) for other in axes):
            raise UsageError("E269", f"--over names {axis.name} twice", help="one --over with all its values")
        axes.append(axis)
    return tuple(axes)


def _values(part: str) -> Sequence[str | int]:
    """Return one value, or those of a range; an empty text for a range without any."""
    found = _RANGE.fullmatch(part.strip())
    return (part.strip(),) if found is None else range(int(found[1]), int(found[2]) + 1) or ("",)


def combinations(request: Request, axes: tuple[Axis, ...]) -> Iterator[tuple[dict[str, str], Request]]:
    """Yield each combination of values by name, and the request for it.

    Raises UsageError for a setting that every combination would overrule.
    """
    for option, of_input, named in (("--set", False, request.settings), ("--input", True, request.inputs)):
        for name in (name for name, _ in named if any(axis.gives(name, of_input) for axis in axes)):
            idle(f"{option} {name}", "--over gives it its values")
    for values in product(*(axis.values for axis in axes)):
        settings, inputs = request.settings, request.inputs
        for axis, value in zip(axes, values, strict=True):
            if axis.of_input:
                inputs = (*inputs, (axis.name, tuple(int(size) for size in value.split("x"))))
            else:
                settings = (*settings, (axis.name, value))
        yield (
            {axis.name: value for axis, value in zip(axes, values, strict=True)},
            request._replace(settings=settings, inputs=inputs),
        )
