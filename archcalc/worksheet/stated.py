"""A layer line of any operator: its name, and its arguments as a spec has them: ``LayerNorm: normalized_shape=[9, 7], bias=false``.

``worksheet`` writes it where an operator has no words of its own (``write``), or where those leave out what its numbers come from.
"""

import json
import re
from typing import Any

from msgspec.structs import replace

from archcalc.errors import ArchcalcError
from archcalc.ops import OPS, Op
from archcalc.ops.base import defaults

_STATED = re.compile(r"(?P<op>[A-Z][A-Za-z0-9]{1,40})\s*:\s*(?P<arguments>[a-z_]+\s*=.{1,4000})")
_ARGUMENT = re.compile(r"(?P<name>[a-z_]+)\s*=\s*(?P<value>\[[^=]*\]|\"[^\"=]*\"|[^\[\]\",=\s]+)\s*(?:,\s*|$)")

Arguments = dict[str, Any]


def telling(op: Op, x: Any) -> Arguments:
    """Return the arguments without which the operator's output, parameters or MACs on ``x`` would be others."""
    plainest = op
    for name, default in defaults(type(op)).items():
        if getattr(op, name) != default and _answers(plainest, x, **{name: default}) == _answers(op, x):
            plainest = replace(plainest, **{name: default})
    unsaid = defaults(type(op)).items()
    return {name: value for name in op.__struct_fields__ if (name, value := getattr(plainest, name)) not in unsaid}


def _answers(op: Op, x: Any, **changed: Any) -> tuple[object, ...] | None:
    try:
        op = replace(op, **changed)
        y = op.output(x)
    except ArchcalcError:  # the default does not go with the other arguments, or with the input
        return None
    return tuple(y), op.params(x), op.macs(x, y)


def stated(op: Op, arguments: Arguments) -> str:
    """Return the line of an operator with these arguments."""
    written = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
    return f"{type(op).__name__}: {written}" if written else type(op).__name__


def read_stated(line: str) -> tuple[Op, Arguments] | None:
    """Return the operator that a line states and the arguments that it names, None for any other line."""
    found = _STATED.fullmatch(line)
    if found is None or found["op"] not in OPS:
        return None
    arguments: Arguments = {}
    place = found.start("arguments")
    while place < found.end():
        argument = _ARGUMENT.match(line, place)
        if argument is None or argument["name"] in arguments:
            return None
        try:
            arguments[argument["name"]] = _hashable(json.loads(argument["value"]))
        except (ValueError, RecursionError):
            return None
        place = argument.end()
    try:
        op = OPS[found["op"]](**arguments)
    except (ArchcalcError, TypeError):
        return None
    return op, {name: getattr(op, name) for name in arguments}


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
