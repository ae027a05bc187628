"""Models side by side: their layers aligned, and what differs between those that stand in one row."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from archcalc.analysis.alignment import Likeness, align
from archcalc.analysis.cost import analyse
from archcalc.analysis.fold import GROUP, fold
from archcalc.analysis.report import Report
from archcalc.graph import Graph


class Part(msgspec.Struct, frozen=True):
    """A layer of one model, or the ``layers`` of a folded scope: then ``op`` is ``group``, and there are no ``arguments``."""

    name: str
    op: str
    arguments: dict[str, Any]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    layers: int


class Row(msgspec.Struct, frozen=True):
    """What stands side by side: each model's part, None where it has none, and each differing quantity's value in every model.

    A difference is looked for among the models that have the part; names do not count as one.
    """

    parts: tuple[Part | None, ...]
    differences: dict[str, tuple[Any, ...]]

    @property
    def equal(self) -> bool:
        """Whether every model has this part, and the same one."""
        return not self.differences and None not in self.parts


class Comparison(msgspec.Struct, frozen=True):
    """Two or more models, their reports, and their rows in order; the others are held against the first."""

    reports: tuple[Report, ...]
    rows: tuple[Row, ...]


def compare(graphs: Sequence[Graph], *, dtype: str = "float32", depth: int | None = None) -> Comparison:
    """Return the models' layers aligned, each folded to paths of at most ``depth`` names beforehand."""
    reports = tuple(analyse(graph, dtype=dtype) for graph in graphs)
    models = [_parts(graph, report, depth) for graph, report in zip(graphs, reports, strict=True)]
    columns: list[tuple[Part | None, ...]] = [(part,) for part in models[0]]
    for count, model in enumerate(models[1:], start=1):
        columns = list(_joined(columns, model, count))
    return Comparison(reports, tuple(Row(column, _differences(column)) for column in columns))


def _parts(graph: Graph, report: Report, depth: int | None) -> list[Part]:
    arguments = {node.name: msgspec.structs.asdict(node.op) for node in graph.layers}
    found = []
    for folded in fold(report, depth):
        layer = folded.layer
        own = arguments.get(layer.name, {})  # a folded scope has none
        found.append(Part(layer.name, layer.op, own, layer.output_shape, layer.params, layer.macs, folded.layers))
    return found


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
    # Two scopes are not alike for being scopes, as two convolutions are: it takes their name or their output.
    op = f"{GROUP} to {part.output_shape}" if part.op == GROUP else part.op
    return Likeness(part.name, op, part.output_shape, (*part.arguments.values(), part.params))


def _differences(column: tuple[Part | None, ...]) -> dict[str, tuple[Any, ...]]:
    """Return the quantities that vary among the models that have the part; arguments by name, if the operator is one."""
    present = [part for part in column if part is not None]
    if len(present) < 2:
        return {}
    found = {}
    if all(part.op == present[0].op for part in present):
        for name in present[0].arguments:
            found[name] = tuple(None if part is None else part.arguments[name] for part in column)
    for name in ("op", "layers", "output_shape", "params", "macs"):
        found[name] = tuple(None if part is None else getattr(part, name) for part in column)
    return {name: values for name, values in found.items() if _vary(values, column)}


def _vary(values: tuple[Any, ...], column: tuple[Part | None, ...]) -> bool:
    return len({value for value, part in zip(values, column, strict=True) if part is not None}) > 1
