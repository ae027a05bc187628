"""The list of bundled models: its document for machines, its table for people."""

import msgspec

from archcalc.analysis import Report
from archcalc.graph import Graph
from archcalc.render.formats import Result
from archcalc.render.tables import ESSENTIAL, Column, Table


class ModelRow(msgspec.Struct, frozen=True):
    """One bundled model or variant; ``family`` is the spec file that holds it, ``input`` has no batch."""

    name: str
    family: str
    title: str
    source: str
    input: list[int] | dict[str, list[int]]
    params: int
    trainable: int
    macs: int
    layers: int


class Models(msgspec.Struct, frozen=True):
    """What ``archcalc list --format json`` prints."""

    schema: str
    models: tuple[ModelRow, ...]


def model_row(name: str, family: str, graph: Graph, report: Report) -> ModelRow:
    """Return the row of one model."""
    inputs = {input: list(shape[1:]) for input, shape in report.input.items()}
    only = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    totals = report.totals
    return ModelRow(name, family, graph.title, graph.source, only, totals.params, totals.trainable, totals.macs, len(report.layers))


def listing(rows: tuple[ModelRow, ...]) -> Result:
    """Return the list of these models."""
    return Result(Models("archcalc.list/1", rows), "models", lambda: _table(rows))


def _table(rows: tuple[ModelRow, ...]) -> Table:
    columns = (
        Column("name", "model", "name", ESSENTIAL),
        Column("params", "params", "count", 90),
        Column("macs", "MACs", "count", 80),
        Column("input", "input", "sizes", 60),
        Column("layers", "layers", "count", 20),
        Column("title", "title", "prose", 85),  # which tells variants apart
    )
    cells = tuple((row.name, row.params, row.macs, _input(row), row.layers, row.title) for row in rows)
    breaks = frozenset(index for index in range(1, len(rows)) if rows[index].family != rows[index - 1].family)
    count = "1 model" if len(rows) == 1 else f"{len(rows)} models"
    return Table("", columns, cells, None, (f"{count}; archcalc summary MODEL shows the layers of one",), breaks)


def _input(row: ModelRow) -> "tuple[int, ...] | str":
    if isinstance(row.input, dict):
        return ", ".join(f"{name} {'x'.join(map(str, sizes))}" for name, sizes in row.input.items())
    return tuple(row.input)
