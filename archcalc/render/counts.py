"""Networks under every counting convention, with what takes one total to another: the document for machines, the table for people."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from archcalc.analysis.conventions import CONVENTIONS, Difference, Ledger, ledgers
from archcalc.graph import Graph
from archcalc.render.figures import count, plain
from archcalc.render.formats import Result
from archcalc.render.tables import ESSENTIAL, Cell, Column, Marked, Table


class CountRow(msgspec.Struct, frozen=True):
    """One model under one convention.

    ``multiply_add`` is what the tool calls one multiply-accumulate. The ``differences`` take the total of the convention ``against`` to
    this one. ``unsupported`` says of how many layers of which operators the tool knows nothing: they are not in its total. ``slips`` is
    what it miscounts, as it does itself.
    """

    model: str
    convention: str
    tool: str
    version: str
    checked: str
    multiply_add: int
    total: int
    by_kind: dict[str, int]
    against: str
    differences: tuple[Difference, ...]
    unsupported: dict[str, int]
    slips: tuple[str, ...]


class CountsDocument(msgspec.Struct, frozen=True):
    """What ``--count all --format json`` prints: for each model a row for each convention."""

    schema: str
    counts: tuple[CountRow, ...]


def counts(graphs: Sequence[Graph]) -> Result:
    """Return the models under every convention: one with its ledger, several side by side."""
    rows = tuple(_row(graph, found) for graph in graphs for found in ledgers(graph))
    document = CountsDocument("archcalc.counts/1", rows)
    return Result(document, "counts", lambda: _ledger(graphs[0], rows) if len(graphs) == 1 else _side_by_side(graphs, rows))


def told(name: str, total: int, unsupported: Mapping[str, int], slips: Iterable[str]) -> list[str]:
    """Return what a reader must know of one tool's total: what it counts, what is not in it, what it miscounts."""
    chosen = CONVENTIONS[name]
    tool = f"{chosen.tool} {chosen.version}".strip()
    notes = [f"counted as {name} ({tool}, {chosen.checked}): {count(total)}; {chosen.sentence}"]
    if unsupported:
        notes.append(f"{name} does not know {_layers(unsupported)}: not in its total")
    return notes + [f"slip of {name}, counted as it does: {sentence}" for sentence in slips]


def _row(graph: Graph, found: Ledger) -> CountRow:
    chosen, counted = CONVENTIONS[found.second.convention], found.second
    return CountRow(
        plain(graph.name),
        chosen.name,
        chosen.tool,
        chosen.version,
        chosen.checked,
        chosen.multiply_add,
        counted.total,
        counted.by_kind,
        found.first.convention,
        found.differences,
        counted.unsupported,
        counted.slips,
    )


def _ledger(graph: Graph, rows: Sequence[CountRow]) -> Table:
    columns = (
        Column("convention", "convention", "name", ESSENTIAL),
        Column("total", "total", "count", ESSENTIAL),
        Column("ledger", "is", "text", 80),
        Column("unsupported", "not counted", "text", 60),
    )
    cells = tuple((row.convention, _marked(row), _sum(row), _layers(row.unsupported)) for row in rows)
    unknown = "not counted: layers that the tool passes over or warns about, so that its total says nothing of them"
    title = f"{graph.title} ({graph.name})" if graph.title else graph.name
    return Table(title, columns, cells, None, _slips(rows), legends=(("unsupported", unknown),))


def _side_by_side(graphs: Sequence[Graph], rows: Sequence[CountRow]) -> Table:
    models = tuple(Column(f"total_{number}", graph.name, "count", ESSENTIAL) for number, graph in enumerate(graphs, 1))
    by_convention: dict[str, list[Cell]] = {name: [name] for name in CONVENTIONS}
    for row in rows:
        by_convention[row.convention].append(_marked(row))
    cells = tuple(tuple(line) for line in by_convention.values())
    return Table("", (Column("convention", "convention", "name", ESSENTIAL), *models), cells, None, _slips(rows))


def _marked(row: CountRow) -> Cell:
    return Marked(row.total) if row.slips else row.total


def _sum(row: CountRow) -> str:
    """Return the ledger as a sum: ``macs + BatchNorm 22,227,968 + pooling 100,352``."""
    if row.convention == row.against:
        return CONVENTIONS[row.convention].sentence
    terms = [f"{'+' if line.amount > 0 else '-'} {line.kind} {count(abs(line.amount))}" for line in row.differences]
    return " ".join([row.against, *terms])


def _layers(unsupported: Mapping[str, int]) -> str:
    """Return operators and how often each stands in the network: ``MaxPool2d, 16 Add``."""
    return ", ".join(operator if layers == 1 else f"{count(layers)} {operator}" for operator, layers in unsupported.items())


def _slips(rows: Sequence[CountRow]) -> tuple[str, ...]:
    """Return the slips that are in the totals, each once."""
    sentences = dict.fromkeys(f"* {row.convention}: {sentence}" for row in rows for sentence in row.slips)
    return tuple(sentences)
