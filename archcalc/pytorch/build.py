"""A graph as a ``torch.nn.Module``, made from the very source that ``archcalc build`` writes."""

import linecache
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from archcalc.graph import Graph
from archcalc.pytorch.missing import need_torch
from archcalc.pytorch.source import class_name, source

if TYPE_CHECKING:
    from torch import nn


def build(graph: Graph) -> "nn.Module":
    """Return the graph as a module, in training mode and with PyTorch's initial weights.

    It is an instance of the class in ``archcalc.pytorch.source.source(graph)``, whose lines tracebacks show.
    In training a network with side heads returns a tuple, the main output first. Raises UsageError as ``source`` does, and
    MissingError without PyTorch.
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"build takes a Graph, not {type(graph).__name__}: build(archcalc.load('resnet18'))")
    need_torch("E320", "building a model needs", without="its source needs none")
    name = class_name(graph)
    made: type[nn.Module] = getattr(loaded(source(graph), name), name)
    return made()


class Source(ModuleType):
    """A source as a module of Python's. Since nobody else could import it, it is pickled as its text, and copied as itself."""

    __slots__ = ("name", "text")  # in the namespace they would stand among the source's own names

    def __init__(self, text: str, name: str):
        super().__init__(f"archcalc_built_{name}")
        self.text, self.name = text, name

    def __reduce__(self) -> tuple[Any, ...]:
        return loaded, (self.text, self.name)

    def __deepcopy__(self, memo: object) -> Self:
        return self


def loaded(text: str, name: str) -> Source:
    """Return a source, whose network's class is called ``name``, with its classes, which can be pickled.

    They are new ones each time: torch.compile would take what it learned of one network's batches for another's of the same class.
    """
    # One text, one name: building again takes no more room.
    file = f"<archcalc build {name} {sha256(text.encode()).hexdigest()[:12]}>"
    module = Source(text, name)
    linecache.cache[file] = (len(text), None, [f"{line}\n" for line in text.split("\n")], file)
    exec(compile(text, file, "exec"), module.__dict__)

    def reduced(self: Any, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        made = type(self)
        if vars(module).get(made.__name__) is not made:  # a class that somebody derived from it
            return object.__reduce_ex__(self, protocol)
        return blank, (module, made.__name__), self.__getstate__()

    for made in vars(module).values():
        if isinstance(made, type) and made.__module__ == module.__name__:
            made.__reduce_ex__ = reduced  # type: ignore[assignment, method-assign]  # what pickle and copy ask a class for
    return module


def blank(module: Source, name: str) -> "nn.Module":
    """Return an instance of a class of a source, with nothing in it yet: what a pickle or a copy begins with."""
    made: type[nn.Module] = getattr(module, name)
    return made.__new__(made)
