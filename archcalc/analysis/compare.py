"""Models side by side: their layers aligned, and what differs between those that stand in one row."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from archcalc.analysis.alignment import Likeness, align
from archcalc.analysis.cost import analyse
from archcalc.analysis.report import Layer, Report, sums
from archcalc.graph import Graph

COMPARED = ("params", "macs")  # of every row, besides its operator, arguments and output


class Part(msgspec.Struct, frozen=True):
    """A layer, or a scope folded into one: then ``op`` is empty and ``layers`` says how many it holds.

    ``output_shape`` is the last layer's, counts are sums; ``arguments`` are the operator's, all of them.
    """

    name: str
    op: str
    arguments: dict[str, Any]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    layers: int = 1


class Row(msgspec.Struct, frozen=True):
    """What stands side by side: each model's part, None where it has none, and each differing quantity's value in every model."""

    parts: tuple[Part | None, ...]
    differences: dict[str, tuple[Any, ...]]

    @property
    def equal(self) -> bool:
        """Whether every model has this part, and the same one."""
        return not self.differences and None not in self.parts


class Comparison(msgspec.Struct, frozen=True):
    """Two or more models, their reports, and their rows in order; the first is the one that the others are held against."""

    reports: tuple[Report, ...]
    rows: tuple[Row, ...]


def compare(graphs: Sequence[Graph], *, dtype: str = "float32", depth: int | None = None) -> Comparison:
    """Return the models' layers aligned. ``depth`` folds what lies deeper than so many names of a path into its scope."""
    reports = tuple(analyse(graph, dtype=dtype) for graph in graphs)
    models = [parts(graph, report, depth) for graph, report in zip(graphs, reports, strict=True)]
    columns: list[tuple[Part | None, ...]] = [(part,) for part in models[0]]
    for count, model in enumerate(models[1:], start=1):
        columns = list(_joined(columns, model, count))
    return Comparison(reports, tuple(Row(column, _differences(column)) for column in columns))


def parts(graph: Graph, report: Report, depth: int | None = None) -> list[Part]:
    """Return the layers of a model, those deeper than ``depth`` folded into their scopes."""
    arguments = {node.name: msgspec.structs.asdict(node.op) for node in graph.layers}
    found = []
    for scope, layers in groupby(report.layers, key=_scope(depth)):
        rows = tuple(layers)
        last = rows[-1]
        if scope == last.name:
            found.append(Part(last.name, last.op, arguments[last.name], last.output_shape, last.params, last.macs))
        else:
            total = sums(rows)
            found.append(Part(scope, "", {}, last.output_shape, total.params, total.macs, len(rows)))
    return found


def _scope(depth: int | None) -> Callable[[Layer], str]:
    """Return the function that gives a layer's name, cut to so many parts of its path."""
    return lambda layer: layer.name if depth is None else ".".join(layer.name.split(".")[:depth])


def _joined(columns: list[tuple[Part | None, ...]], model: list[Part], count: int) -> Iterator[tuple[Part | None, ...]]:
    """Yield the rows of ``count`` models with one more beside them; a row is known by the last model that has a part in it."""
    known = [_likeness(next(part for part in reversed(column) if part is not None)) for column in columns]
    pairs = align(known, [_likeness(part) for part in model])
    alone = (None,) * count
    i = j = 0
    for next_i, next_j in [*pairs, (len(columns), len(model))]:
        yield from ((*column, None) for column in columns[i:next_i])
        yield from ((*alone, part) for part in model[j:next_j])
        if next_i < len(columns):
            yield (*columns[next_i], model[next_j])
        i, j = next_i + 1, next_j + 1


def _likeness(part: Part) -> Likeness:
    return Likeness(part.name, part.op, part.output_shape, tuple(part.arguments.values()))


def _differences(column: tuple[Part | None, ...]) -> dict[str, tuple[Any, ...]]:
    """Return the quantities that are not the same in all the models that have the part."""
    present = [part for part in column if part is not None]
    names = ["op", "layers", "output_shape", *COMPARED]
    found = {name: tuple(None if part is None else getattr(part, name) for part in column) for name in names}
    if all(part.op == present[0].op for part in present):
        arguments = {
            name: tuple(None if part is None else part.arguments[name] for part in column) for name in present[0].arguments
        }
        found = arguments | found
    return {name: values for name, values in found.items() if _vary(values, column)}


def _vary(values: tuple[Any, ...], column: tuple[Part | None, ...]) -> bool:
    present = [value for value, part in zip(values, column, strict=True) if part is not None]
    return any(value != present[0] for value in present)
