"""Which variable each tensor of a straight-line ``forward`` stands in, and where it is let go."""

import re
from typing import NamedTuple

from archcalc.graph import Graph, only_in_training
from archcalc.pytorch.names import LONGEST, word

MAIN, HEAD = "x", "y"  # variables of the main path, and those that only training has: x, x1, x2, ...
FOREVER = 1 << 62


class Line(NamedTuple):
    """The statement of one node (by index): its variable, those it reads, and those that nothing reads after it.

    ``carried`` is a second variable for the same tensor, which a side head reads when the main path has long let go of it;
    ``training`` says that the statement runs in training only.
    """

    node: int
    target: str
    sources: tuple[str, ...]
    released: tuple[str, ...]
    carried: str | None
    training: bool


class Plan(NamedTuple):
    """The names of the inputs, the statements in order, and the variable of each output.

    ``carried`` are the inputs that training keeps under a second name from the start, each with that name.
    """

    inputs: tuple[str, ...]
    carried: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    outputs: dict[str, str]


def plan(graph: Graph) -> Plan:
    """Return the statements of the graph's ``forward``. A variable is used again as soon as its tensor is no longer needed."""
    return _Planner(graph).plan()


class _Planner:
    """Gives out variables, one pool of them for what always runs and one for what only training runs."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.training = only_in_training(graph)
        count = len(graph.nodes)
        self.last_read = {False: [-1] * count, True: [-1] * count}  # by statements that always run, and by those of training
        for index, node in enumerate(graph.nodes):
            for i in node.inputs:
                self.last_read[self.training[index]][i] = index
        for name, index in graph.outputs.items():
            self.last_read[name != "output"][index] = FOREVER
        self.names: list[str] = []  # of each node's tensor, on the main path or in the heads
        self.carried: dict[int, str] = {}
        self.free: dict[bool, list[int]] = {False: [], True: []}
        self.taken = {False: 0, True: 0}

    def plan(self) -> Plan:
        """Return the statements."""
        inputs = self._inputs()
        lines = tuple(self._line(index) for index, node in enumerate(self.graph.nodes) if node.inputs)
        outputs = {name: self._name(index, name != "output") for name, index in self.graph.outputs.items()}
        carried = tuple((self.names[i], self.carried[i]) for i in self.carried if not self.graph.nodes[i].inputs)
        return Plan(inputs, carried, lines, outputs)

    def _inputs(self) -> tuple[str, ...]:
        nodes = self.graph.inputs
        names = [MAIN] if len(nodes) == 1 else _argument_names([node.name for node in nodes])
        self.taken[False] = 1 if len(nodes) == 1 else 0
        found = iter(names)
        self.names = [next(found) if not node.inputs else "" for node in self.graph.nodes]
        for index, node in enumerate(self.graph.nodes):
            if not node.inputs:
                self._carry(index)
        return tuple(names)

    def _line(self, index: int) -> Line:
        node, training = self.graph.nodes[index], self.training[index]
        sources = tuple(self._name(i, training) for i in node.inputs)
        dying = dict.fromkeys(i for i in node.inputs if self._dies(i, index, training))
        released = [self._name(i, training) for i in dying]
        own = {number: name for name in released if (number := _number(name, training)) is not None}
        if own:
            target = own[min(own)]
            released.remove(target)
        else:
            target = self._take(training)
        self._give_back(released, training)
        self.names[index] = target
        carried = None if training else self._carry(index)
        if max(self.last_read[training][index], self.last_read[True][index] if training else -1) < 0 and carried is None:
            released.append(target)  # nobody reads it
            self._give_back([target], training)
        return Line(index, target, sources, tuple(released), carried, training)

    def _carry(self, index: int) -> str | None:
        """Return a second name for a tensor of the main path that a side head reads when the main path is through with it."""
        if self.last_read[True][index] <= self.last_read[False][index]:
            return None
        self.carried[index] = self._take(True)
        return self.carried[index]

    def _dies(self, i: int, index: int, training: bool) -> bool:
        """Whether the statement of ``index`` is the last to read the tensor of ``i`` under the name that it reads."""
        if not training or self.training[i] or i in self.carried:
            return self.last_read[training][i] == index
        return False  # the main path lets go of it later

    def _name(self, i: int, training: bool) -> str:
        return self.carried[i] if training and i in self.carried else self.names[i]

    def _take(self, training: bool) -> str:
        free = self.free[training]
        if free:
            number = free.pop(free.index(min(free)))
        else:
            number = self.taken[training]
            self.taken[training] += 1
        return f"{HEAD if training else MAIN}{number or ''}"

    def _give_back(self, names: list[str], training: bool) -> None:
        for name in names:
            number = _number(name, training)
            if number is not None:
                self.free[training].append(number)


def _argument_names(inputs: list[str]) -> list[str]:
    """Return a name for each of several inputs: two that differ in their signs alone must not be one identifier.

    >>> _argument_names(["left-eye", "left_eye", "2nd"])
    ['left_eye_x', 'left_eye__x', 'input2nd_x']
    """
    names: list[str] = []
    for name in inputs:
        name = word(name).lstrip("_")[:LONGEST]
        name = name if name.isidentifier() else f"input{name}"
        while f"{name}_{MAIN}" in names:
            name += "_"
        names.append(f"{name}_{MAIN}")
    return names


def _number(name: str, training: bool) -> int | None:
    """Return which of the pool's variables the name is, None if none: a named input."""
    match = re.fullmatch(rf"{HEAD if training else MAIN}([0-9]*)", name)
    return int(match[1] or 0) if match else None
