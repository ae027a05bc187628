"""How much work a spec asks for: counted step by step and ended at a bound, so that a small file cannot take long."""

from collections.abc import Mapping
from typing import Any

from archcalc.errors import SpecError
from archcalc.spec.source import Tree
from archcalc.spec.values import Name, Value, extent

MOST_STEPS = 1_000_000  # steps run, also those that make no node
STEP = 64  # the work of running one step, in units of one part of an expression, or of one item of a list that a part walks over


class Work:
    """The work done so far for one graph."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = 0

    def spend(self, work: int, tree: Tree) -> None:
        """Count some work. Raises SpecError where it becomes more than a graph of the largest size can need."""
        self.done += work
        if self.done > MOST_STEPS * STEP:
            message = f"the spec takes more work than {MOST_STEPS:,} steps"
            raise SpecError("E051", message, help="fewer repeats, or shorter lists in their expressions", place=tree.place())

    def evaluate(self, value: Value | Name, names: Mapping[str, Any]) -> None:
        """Count the work of evaluating: any part of an expression may walk over all the lists that it names."""
        listed = 0
        for name in value.names:
            items = names.get(name)
            if type(items) is list:
                listed += extent(items)
        self.spend(value.parts * (1 + listed), value.tree)
