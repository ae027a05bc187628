"""Tables as data: exact cells, what each column is, and the texts that people read."""

from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from archcalc.render.figures import BYTE_UNITS, byte_unit, in_unit, plain, shown

ESSENTIAL = 100  # the importance of a column that is never left out

MARK = "*"

Kind = Literal[
    "name", "text", "prose", "sizes", "shape", "count", "bytes", "axes", "percent", "milliseconds", "significant", "flag"
]


class Marked(NamedTuple):
    """A value that a note under the table is about; the mark stands behind it, for people only."""

    value: Any
    mark: str = MARK


Cell = str | int | float | bool | tuple[Any, ...] | None
Row = tuple[Cell, ...]


class Column(msgspec.Struct, frozen=True):
    """What a column holds: ``key`` names it for machines, ``heading`` for people.

    On a narrow terminal the column of the least ``importance`` is left out first.
    """

    key: str
    heading: str
    kind: Kind = "text"
    importance: int = 50

    @property
    def right(self) -> bool:
        """Whether the cells stand at the right: those with digits to compare."""
        return self.kind in ("count", "bytes", "axes", "percent", "milliseconds", "significant")


class Table(msgspec.Struct, frozen=True):
    """Rows under columns; ``breaks`` are the rows before which a reader needs air.

    ``legends`` says, by the key of a column, what its figures are; a legend goes where its column goes.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    totals: Row | None = None
    notes: tuple[str, ...] = ()
    breaks: frozenset[int] = frozenset()
    legends: tuple[tuple[str, str], ...] = ()


class Texts(msgspec.Struct, frozen=True):
    """A table as people read it: every cell a text without control characters."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    totals: tuple[str, ...] | None
    notes: tuple[str, ...]


def texts(table: Table) -> Texts:
    """Return the table's texts; the bytes of a column all stand in one unit, which its heading names."""
    body = table.rows if table.totals is None else (*table.rows, table.totals)
    columns = []
    headings = []
    for index, column in enumerate(table.columns):
        heading, cells = _column(column, [row[index] for row in body])
        headings.append(plain(heading))
        columns.append(cells)
    lines = tuple(zip(*columns, strict=True)) if columns else ()
    rows, totals = (lines, None) if table.totals is None else (lines[:-1], lines[-1])
    return Texts(plain(table.title), tuple(headings), rows, totals, notes(table, [column.key for column in table.columns]))


def notes(table: Table, keys: Collection[str]) -> tuple[str, ...]:
    """Return what stands under the table when these columns are shown."""
    return tuple(plain(note) for note in (*table.notes, *(legend for key, legend in table.legends if key in keys)))


def _column(column: Column, cells: list[Cell]) -> tuple[str, list[str]]:
    """Return the heading and the texts of one column."""
    if column.kind != "bytes":
        return column.heading, [_text(column.kind, cell) for cell in cells]
    unit = byte_unit(cell for cell in cells if isinstance(cell, int))
    size = BYTE_UNITS[unit]
    return f"{column.heading} ({unit})", ["" if cell is None else in_unit(cell, size) for cell in cells]  # type: ignore[arg-type]


def _text(kind: str, cell: Cell) -> str:
    if isinstance(cell, Marked):
        return shown(kind, cell.value) + cell.mark
    return shown(kind, cell)


def exact(row: Row) -> Iterable[Any]:
    """Return the cells of a row without the marks that are for people."""
    return (cell.value if isinstance(cell, Marked) else cell for cell in row)
