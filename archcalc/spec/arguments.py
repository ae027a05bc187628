"""The arguments of one operator step: evaluated when they are first asked for, since they may name each other."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from archcalc.errors import ArgumentError, SpecError
from archcalc.ops import Op
from archcalc.ops.base import brief, defaults
from archcalc.spec.refusals import whole_help
from archcalc.spec.steps import OpStep
from archcalc.spec.values import Value

if TYPE_CHECKING:
    from archcalc.spec.expand import Expander

Names = Mapping[str, Any]


class Arguments(dict[str, Any]):
    """The arguments of one operator step, evaluated when first asked for, since they may name each other."""

    def __init__(self, expander: "Expander", step: OpStep, names: Names, current: int):
        super().__init__()
        self.expander = expander
        self.step = step
        self.names = names
        self.current = current
        self.waiting: list[str] = []

    def __missing__(self, name: str) -> Any:
        value = self.step.arguments.get(name)
        names = self.names
        if value is None:
            value, names = self.step.defaults[name], self.expander.params  # the spec's defaults see params, not a block's arguments
        if value.names:
            names = {**_unwritten(self.step.op, value.names), **names, **self._others(name, value)}
        self[name] = result = self.expander.evaluate(value, names, self.current)
        return result

    def _others(self, name: str, value: Value) -> dict[str, Any]:
        """Return the other arguments of the step that the value names. Its own name means what it means outside: stride: stride."""
        self.waiting.append(name)
        found = {}
        for other in sorted(other for other in value.names if other in self.step.arguments or other in self.step.defaults):
            if other == name:
                continue
            if other in self.waiting:
                raise SpecError("E056", f"{name} and {other} are each defined by the other", place=value.tree.place())
            found[other] = self[other]
        self.waiting.pop()
        return found


@lru_cache(maxsize=1024)
def _unwritten(op: type[Op], names: frozenset[str]) -> dict[str, Any]:
    """Return what the operator takes for those of the names that are arguments with a default: ``dilation`` is 1."""
    return {name: brief(default) for name, default in defaults(op).items() if name in names}


def at_argument(error: ArgumentError, step: OpStep, values: Mapping[str, Any]) -> ArgumentError:
    """Return the error with the place of the argument that it is about."""
    value = step.arguments.get(error.argument) or step.defaults.get(error.argument)
    if value is not None:
        error.place = value.tree.place()
        error.help = error.help or whole_help(value, values[error.argument])
    return error
