"""Measured times: the document for machines, and for people a row for each run, or for each layer of the runs taken apart."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from archcalc.analysis.timing.result import BenchDocument, Run
from archcalc.render.bench_layers import layer_rows
from archcalc.render.bench_notes import notes_on, verdict
from archcalc.render.compare import ratio
from archcalc.render.formats import Result, as_json
from archcalc.render.tables import ESSENTIAL, Cell, Column, Table
from archcalc.render.terminal import PIPE
from archcalc.render.timings import figure, milliseconds, percent, signed_percent


class Field(NamedTuple):
    """A column of the table of runs, and how a run fills it; ``exact`` is the same for machines."""

    column: Column
    shown: Callable[[Run], Cell]
    exact: Callable[[Run], Cell] | None = None


def _of(name: str) -> Callable[[Run], Cell]:
    return lambda run: getattr(run.configuration, name)


def _statistic(name: str, show: Callable[[float], Cell]) -> Callable[[Run], Cell]:
    def cell(run: Run) -> Cell:
        value = None if run.statistics is None else getattr(run.statistics, name)
        return None if value is None else show(value)

    return cell


def _value(name: str, show: Callable[[float], Cell]) -> Callable[[Run], Cell]:
    def cell(run: Run) -> Cell:
        value = getattr(run, name)
        return None if value is None else show(value)

    return cell


def _time(name: str, heading: str, importance: int) -> Field:
    column = Column(name, heading, "count", importance)
    return Field(column, _statistic(name, milliseconds), _statistic(name, float))


def _number(name: str, heading: str, importance: int, show: Callable[[float], Cell]) -> Field:
    return Field(Column(name, heading, "count", importance), _value(name, show), _value(name, float))


def _against(key: str, heading: str, importance: int, predicted: str) -> Field:
    """Return the column of the measured median over what was predicted."""

    def cell(show: Callable[[float], Cell], run: Run) -> Cell:
        seconds = getattr(run, predicted)
        return None if run.statistics is None or not seconds else show(run.statistics.median_seconds / seconds)

    return Field(Column(key, heading, "count", importance), partial(cell, ratio), partial(cell, float))


def _precision(run: Run) -> Cell:
    share = None if run.statistics is None else run.statistics.precision
    return None if share is None else percent(share)


def _count(run: Run) -> Cell:
    return run.statistics.count if run.statistics else None


def _outliers(run: Run) -> Cell:
    return run.statistics.outliers if run.statistics else None


FIELDS = (
    Field(Column("model", "model", "name", ESSENTIAL), _of("model")),
    Field(Column("mode", "mode", "text", 30), _of("mode")),
    Field(Column("batch", "batch", "count", 90), _of("batch")),
    Field(Column("dtype", "dtype", "text", 88), _of("dtype")),
    Field(Column("layout", "layout", "text", 60), _of("layout")),
    Field(Column("exec", "exec", "text", 89), _of("exec")),
    _time("median_seconds", "median ms", ESSENTIAL),
    Field(Column("precision", "+- %", "count", 95), _precision, _statistic("precision", float)),
    Field(Column("change", "against", "text", 94), verdict),
    _number("images_per_second", "images/s", 80, figure),
    _number("flops_per_second", "TFLOP/s", 70, lambda rate: figure(rate / 1e12)),
    _number("launch_bound", "launch %", 86, percent),
    _number("bound_seconds", "bound ms", 82, milliseconds),
    _against("of_bound", "of bound", 84, "bound_seconds"),
    _number("estimate_seconds", "estimate ms", 83, milliseconds),
    _against("of_estimate", "of estimate", 85, "estimate_seconds"),
    _time("iqr_seconds", "IQR ms", 50),
    _time("p90_seconds", "p90 ms", 40),
    _time("p99_seconds", "p99 ms", 40),
    Field(Column("samples", "samples", "count", 45), _count),
    Field(Column("outliers", "outliers", "count", 44), _outliers),
    Field(Column("drift", "drift %", "count", 43), _statistic("drift", signed_percent), _statistic("drift", float)),
)
LEFT_OUT = (  # where no run has any
    "launch_bound", "bound_seconds", "of_bound", "estimate_seconds", "of_estimate", "change", "p90_seconds", "p99_seconds",
)  # fmt: skip


def benched(document: BenchDocument, before: BenchDocument | None = None, *, exactly: bool = False) -> Result:
    """Return a benchmark, with the older one that it was compared with; ``exactly`` has seconds and no rounding in its table."""
    return Result(document, "runs", partial(_table, document, before, exactly))


def json_text(document: BenchDocument) -> str:
    """Return the document as the JSON that --report reads."""
    return as_json(benched(document), PIPE)


def _table(document: BenchDocument, before: BenchDocument | None, exactly: bool) -> Table:
    notes = notes_on(document, before)
    if any(run.breakdown for run in document.runs):
        return replace(layer_rows(document.runs, exactly), notes=notes)
    rows = {field: tuple([_cell(field, run, exactly) for run in document.runs]) for field in FIELDS}
    kept = [field for field, cells in rows.items() if field.column.key not in LEFT_OUT or any(cell is not None for cell in cells)]
    columns = tuple([_column(field, exactly) for field in kept])
    return Table("", columns, tuple(zip(*(rows[field] for field in kept), strict=True)), None, notes)


def _cell(field: Field, run: Run, exactly: bool) -> Cell:
    return (field.exact or field.shown)(run) if exactly else field.shown(run)


def _column(field: Field, exactly: bool) -> Column:
    return replace(field.column, heading=field.column.key) if exactly else field.column
