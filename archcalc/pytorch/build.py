"""A graph as a ``torch.nn.Module``, made from the very source that ``archcalc build`` writes."""

import linecache
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING

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
    return load_class(source(graph), class_name(graph))()


def load_class(text: str, name: str) -> "type[nn.Module]":
    """Return a class from the source of a file."""
    # One text, one name: building again takes no more room.
    file = f"<archcalc build {name} {sha256(text.encode()).hexdigest()[:12]}>"
    module = ModuleType(f"archcalc_built_{name}")
    linecache.cache[file] = (len(text), None, [f"{line}\n" for line in text.split("\n")], file)
    exec(compile(text, file, "exec"), module.__dict__)
    made: type[nn.Module] = getattr(module, name)
    return made
