"""The table of runs that were taken apart: a row for each layer, its share of the time, and how near it comes to the roof."""

from collections.abc import Callable, Sequence

from archcalc.analysis.timing.result import Breakdown, Run, TimedLayer
from archcalc.render.compare import ratio
from archcalc.render.tables import ESSENTIAL, Cell, Column, Row, Table
from archcalc.render.timings import figure, milliseconds

COLUMNS = (
    Column("run", "run", "text", 99),
    Column("name", "layer", "name", ESSENTIAL),
    Column("op", "operator", "text", 40),
    Column("forward_seconds", "forward ms", "count", 95),
    Column("backward_seconds", "backward ms", "count", 94),
    Column("check_seconds", "profiler ms", "count", 30),
    Column("share", "%", "percent", 96),
    Column("flops_per_second", "TFLOP/s", "count", 80),
    Column("bytes_per_second", "GB/s", "count", 79),
    Column("estimate_seconds", "estimate ms", "count", 82),
    Column("of_estimate", "of estimate", "count", 86),
    Column("share_of_roof", "% of roof", "percent", 85),
    Column("bound", "bound", "text", 84),
)
ALWAYS = ("name", "op", "forward_seconds", "share", "flops_per_second", "bytes_per_second")


def layer_rows(runs: Sequence[Run], exactly: bool) -> Table:
    """Return the rows of all runs that were taken apart; of one alone the last one is the sum."""
    apart = [(run, run.breakdown) for run in runs if run.breakdown is not None]
    rows: list[Row] = []
    breaks = set()
    for run, parts in apart:
        breaks.add(len(rows))
        label = run.configuration.label
        rows += [_row(label, layer, parts, exactly) for layer in parts.layers]
        rows += [_other(label, name, seconds, parts, exactly) for name, seconds in parts.other_seconds.items()]
        rows.append(_other(label, "sum", parts.sum_seconds, parts, exactly))
        rows.append(_other(label, "undivided", parts.total_seconds, parts, exactly))
    kept = [index for index, column in enumerate(COLUMNS) if _is_wanted(column.key, [row[index] for row in rows], len(apart))]
    columns = tuple([COLUMNS[index] for index in kept])
    return Table(
        apart[0][0].configuration.label if len(apart) == 1 else "",
        columns,
        tuple([tuple([row[index] for index in kept]) for row in rows]),
        breaks=frozenset(breaks - {0}),
    )


def _is_wanted(key: str, cells: Sequence[Cell], runs: int) -> bool:
    return runs > 1 if key == "run" else key in ALWAYS or any(cell is not None for cell in cells)


def _row(label: str, layer: TimedLayer, parts: Breakdown, exactly: bool) -> Row:
    time: Callable[[float], Cell] = float if exactly else milliseconds
    spent = layer.forward_seconds + (layer.backward_seconds or 0.0)
    return (
        label,
        layer.name,
        layer.op,
        time(layer.forward_seconds),
        None if layer.backward_seconds is None else time(layer.backward_seconds),
        None if layer.check_seconds is None else time(layer.check_seconds),
        _percent(spent, parts),
        _rate(layer.flops_per_second if layer.macs else None, 1e12, exactly),
        _rate(layer.bytes_per_second if layer.moved_bytes else None, 1e9, exactly),
        None if layer.estimate_seconds is None else time(layer.estimate_seconds),
        _over(spent, layer.estimate_seconds, exactly),
        None if layer.share_of_roof is None else 100 * layer.share_of_roof,
        layer.bound,
    )


def _other(label: str, name: str, seconds: float, parts: Breakdown, exactly: bool) -> Row:
    time: Callable[[float], Cell] = float if exactly else milliseconds
    return (label, f"({name})", None, time(seconds), None, None, _percent(seconds, parts), None, None, None, None, None, None)


def _percent(seconds: float, parts: Breakdown) -> float | None:
    return 100 * seconds / parts.total_seconds if parts.total_seconds else None


def _over(seconds: float, expected: float | None, exactly: bool) -> Cell:
    if not expected:
        return None
    return seconds / expected if exactly else ratio(seconds / expected)


def _rate(value: float | None, unit: float, exactly: bool) -> Cell:
    if value is None:
        return None
    return value if exactly else figure(value / unit)
