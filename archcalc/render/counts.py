"""Networks as every tool counts them, and what takes one total to another: the document for machines, the table for people."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from archcalc.analysis.conventions import CONVENTIONS, HEADS, Count, Difference, Ledger, ledgers
from archcalc.graph import Graph
from archcalc.render.figures import count
from archcalc.render.formats import Result
from archcalc.render.tables import ESSENTIAL, Cell, Column, Marked, Table


class CountRow(msgspec.Struct, frozen=True):
    """One model under one convention.

    ``multiply_add`` is what the tool calls one multiply-accumulate. The ``differences`` take the total of the convention
    ``against`` to this one. ``unsupported`` says of how many layers of which operators the tool knows nothing: they are not in its
    total. ``slips`` is what it miscounts, as it does itself.
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
    notes = [f"counted as {_tool(name)}: {count(total)}; {CONVENTIONS[name].sentence}"]
    if unsupported:
        notes.append(f"{name} does not know {_layers(unsupported)}: not in its total")
    return notes + [f"slip of {name}, counted as it does: {sentence}" for sentence in slips]


def told_of_several(letters: str, counted: Sequence[Count]) -> list[str]:
    """Return the same of several models that stand side by side, each under its letter."""
    name = counted[0].convention
    totals = ", ".join(f"{letter} {count(one.total)}" for letter, one in zip(letters, counted, strict=True))
    unknown = "; ".join(
        f"{letter}: {_layers(one.unsupported)}" for letter, one in zip(letters, counted, strict=True) if one.unsupported
    )
    slips = dict.fromkeys(sentence for one in counted for sentence in one.slips)
    return [
        f"counted as {_tool(name)}: {totals}; {CONVENTIONS[name].sentence}",
        *([f"{name} does not know these layers, they are not in its totals: {unknown}"] if unknown else []),
        *(f"slip of {name}, counted as it does: {sentence}" for sentence in slips),
    ]


def _tool(name: str) -> str:
    """Return the convention with its tool, the tool's version and the date on which it was checked."""
    chosen = CONVENTIONS[name]
    return f"{name} ({' '.join(filter(None, (chosen.tool, chosen.version)))}, {chosen.checked})"


def _row(graph: Graph, found: Ledger) -> CountRow:
    chosen, counted = CONVENTIONS[found.second.convention], found.second
    return CountRow(
        graph.name,
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
        Column("convention", "convention", "text", ESSENTIAL),
        Column("total", "total", "count", ESSENTIAL),
        Column("ledger", "is", "prose", 80),
        Column("unsupported", "not counted", "prose", 60),
    )
    cells = tuple((row.convention, _marked(row), _sum(row), _layers(row.unsupported)) for row in rows)
    title = f"{graph.title} ({graph.name})" if graph.title else graph.name
    return Table(title, columns, cells, None, _notes(rows))


def _side_by_side(graphs: Sequence[Graph], rows: Sequence[CountRow]) -> Table:
    models = tuple(Column(f"total_{number}", graph.name, "count", ESSENTIAL) for number, graph in enumerate(graphs, 1))
    by_convention: dict[str, list[Cell]] = {name: [name] for name in CONVENTIONS}
    for row in rows:
        by_convention[row.convention].append(_marked(row))
    cells = tuple(tuple(line) for line in by_convention.values())
    return Table("", (Column("convention", "convention", "text", ESSENTIAL), *models), cells, None, _notes(rows))


def _marked(row: CountRow) -> Cell:
    return Marked(row.total, "+") if row.unsupported else row.total


def _sum(row: CountRow) -> str:
    """Return the ledger as a sum: ``macs + BatchNorm 22,227,968 + pooling 100,352``."""
    if row.convention == row.against:
        return CONVENTIONS[row.convention].sentence
    terms = [f"{'+' if line.amount > 0 else '-'} {line.kind} {count(abs(line.amount))}" for line in row.differences]
    return " ".join([row.against, *terms])


def _layers(unsupported: Mapping[str, int]) -> str:
    """Return operators and how often each stands in the network: ``MaxPool2d, 16 Add``."""
    return ", ".join(operator if layers == 1 else f"{count(layers)} {operator}" for operator, layers in unsupported.items())


def _notes(rows: Sequence[CountRow]) -> tuple[str, ...]:
    """Return what the marks mean, where side heads count, and the slips in the totals: each once, with whose it is."""
    unknown = "+ the tool passes over some layers or warns about them: they are not in its total"
    heads = dict.fromkeys(row.convention for row in rows if HEADS in row.by_kind)
    alone = f"side heads run in training alone: they are in the totals of {' and '.join(heads)}, in no tool's"
    slips: dict[str, dict[str, None]] = {}
    for row in rows:
        for sentence in row.slips:
            slips.setdefault(sentence, {})[row.convention] = None
    notes = (f"slip of {' and '.join(names)}, counted as it does: {sentence}" for sentence, names in slips.items())
    return (*([unknown] if any(row.unsupported for row in rows) else []), *([alone] if heads else []), *notes)
