"""A forward pass as segments: which layers a stretch of time belongs to, told by the modules that are entered and left in it.

Modules stand in the spec's order, so the n-th call belongs to the n-th layer that has one. What runs between two calls (a sum of
branches, a flattening) has no module: a stretch that holds several such layers belongs to them together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn

from archcalc.graph import Graph, Node, only_in_training
from archcalc.pytorch.source import steps

IDENTITY = "{0}"  # the call of a layer that hands its input on


class Segment(NamedTuple):
    """The layers that a stretch belongs to; ``module`` is where its module is found, None for what runs between modules."""

    layers: tuple[Node, ...]
    module: str | None


def segments(graph: Graph, training: bool) -> tuple[Segment, ...]:
    """Return the stretches of one forward pass: before each call one between modules, however empty, and one at the end."""
    left_out = [not training and only for only in only_in_training(graph)]
    found: list[Segment] = []
    between: list[Node] = []
    for step, out in zip(steps(graph), left_out, strict=True):
        if out or not step.node.inputs:
            continue
        if step.path:
            found += [Segment(tuple(between), None), Segment((step.node,), step.path)]
            between = []
        elif step.code.call != IDENTITY:
            between.append(step.node)
    return (*found, Segment(tuple(between), None))


class Marker:
    """Hears when each segment begins: ``begin`` gets its number, and at the end of the pass the number of all segments."""

    def __init__(self, network: nn.Module, wanted: tuple[Segment, ...], begin: Callable[[int], None]):
        self.network, self.wanted, self.begin = network, wanted, begin
        self.at = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to every pass of the network in this context."""
        paths = {segment.module for segment in self.wanted if segment.module is not None}
        modules = {path: self.network.get_submodule(path) for path in paths}
        hooks = [self.network.register_forward_pre_hook(self._start), self.network.register_forward_hook(self._end)]
        for path, module in modules.items():
            hooks += [module.register_forward_pre_hook(self._enter(path)), module.register_forward_hook(self._leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _start(self, module: nn.Module, inputs: Any) -> None:
        self.at = 0
        self.begin(0)

    def _enter(self, path: str) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, inputs: Any) -> None:
            self.at += 1
            assert self.wanted[self.at].module == path, f"{path} is called where {self.wanted[self.at].module} was expected"
            self.begin(self.at)

        return enter

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.at += 1
        self.begin(self.at)

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        assert self.at == len(self.wanted) - 1, f"{len(self.wanted)} segments, and {self.at + 1} were seen"
        self.begin(len(self.wanted))
