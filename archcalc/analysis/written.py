"""Where each number of a network was written down: the line of the spec, the command line, or a default."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archcalc.graph import Graph, Node
from archcalc.ops import Op
from archcalc.ops.base import defaults, kinds, shown
from archcalc.spec.steps import Body, GroupStep, MergeStep, OpStep

if TYPE_CHECKING:
    from archcalc.spec import Spec
    from archcalc.spec.values import Value

# Operators that torch.nn lacks: their defaults are archcalc's own.
OUR_OWN = frozenset(("ConnectedConv2d", "GlobalAvgPool2d", "RBF", "Resize", "ScaledTanh", "ShortcutA", "TrainableSubsample2d"))
LONGEST = 48  # characters of an expression that are quoted


class Written:
    """Tells where the numbers of a graph were written, as closely as the spec at hand allows.

    Without the spec a source is the line of the step. ``input_given`` is true where the command line set the input's sizes.
    """

    def __init__(self, graph: Graph, spec: "Spec | None" = None, variant: str | None = None, input_given: bool = False):
        self.graph = graph
        self.inputs = {} if spec is None or input_given else spec.variant(variant).inputs
        self.input_given = input_given
        self.steps: dict[tuple[int, type[Op]], list[OpStep]] = {}
        for step in () if spec is None else _steps(spec):
            self.steps.setdefault((step.common.place.line, step.op), []).append(step)

    def argument(self, node: Node, name: str, axis: int | None = None) -> str:
        """Return where an argument of a node's operator was written; ``axis`` chooses from a list of sizes."""
        step = self._step(node)
        value = None if step is None else step.arguments.get(name) or step.defaults.get(name)
        if value is not None:
            return self._at(value, name, axis)
        if step is not None or node.line is None or getattr(node.op, name) == defaults(type(node.op)).get(name):
            return "the default" if type(node.op).__name__ in OUR_OWN else "PyTorch's default"
        return f"given: {self.graph.file}:{node.line} {name}"

    def input(self, node: Node, axis: int) -> str:
        """Return where a size of an input was written; axis 0 is the batch."""
        if axis == 0:
            return "given: --batch"
        if self.input_given:
            return "given: --input"
        value = self.inputs.get(node.name)
        return f"given: {self.graph.file} input" if value is None else self._at(value, "input", axis - 1)

    def _at(self, value: "Value", name: str, axis: int | None) -> str:
        """Return the place of a value, with its text where that is an expression."""
        if value.items is not None and axis is not None and axis < len(value.items):
            value = value.items[axis]
        place = f"given: {self.graph.file}:{value.tree.line} {name}"
        if value.expression is None:
            return place
        text = " ".join(str(getattr(value.tree, "text", "")).split())
        return f"{place}: {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}"

    def _step(self, node: Node) -> OpStep | None:
        """Return the step that made the node: the one on its line whose written numbers are the operator's."""
        steps = self.steps.get((node.line or 0, type(node.op)), [])
        return next((step for step in steps if len(steps) == 1 or _agrees(step, node.op)), None)


def _steps(spec: "Spec") -> Iterator[OpStep]:
    """Yield every operator step of the layers and the blocks."""
    waiting = [spec.layers, *spec.blocks.values()]
    while waiting:
        body: Body = waiting.pop()
        for step in body.steps:
            if isinstance(step, OpStep):
                yield step
            elif isinstance(step, MergeStep):
                waiting += step.branches
            elif isinstance(step, GroupStep):
                waiting.append(step.body)


def _agrees(step: OpStep, op: Op) -> bool:
    """Whether the operator has the numbers that the step writes out."""
    readers = kinds(type(op))
    written = {**step.defaults, **step.arguments}
    constants = {name: value.constant for name, value in written.items() if value.expression is None and value.items is None}
    return all(shown(readers[name].read(constant)) == shown(getattr(op, name)) for name, constant in constants.items())
