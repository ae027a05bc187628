"""The summary of one network: its document for machines, its table for people."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from archcalc.analysis import Report
from archcalc.analysis.fold import GROUP, Fold, fold, scope
from archcalc.errors import UsageError, did_you_mean
from archcalc.graph import Graph
from archcalc.render.figures import count, inputs
from archcalc.render.formats import Result
from archcalc.render.notation import arguments
from archcalc.render.tables import ESSENTIAL, MARK, Cell, Column, Marked, Row, Table

if TYPE_CHECKING:
    from archcalc.analysis.conventions import Count
    from archcalc.analysis.memory.trace import Peak

    Peaks = tuple[Peak, Peak | None]  # of inference and of training

Axes = int | float | None
PerAxis = Axes | list[Axes]  # one value where the axes agree, else one for each
Inputs = list[int] | dict[str, list[int]]


class LayerRow(msgspec.Struct, frozen=True):
    """One layer, or with ``--depth`` the ``layers`` of a scope (``op`` is then ``group``). Counts are exact, bytes are bytes.

    ``counted`` is under the convention that the document's ``count`` names, null where that tool does not know the operator.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    params: int
    trainable: int
    buffers: int
    macs: int
    flops: int
    elementwise_flops: int
    output_bytes: int
    saved_bytes: int
    receptive_field: PerAxis
    jump: PerAxis
    padding: PerAxis
    paths_agree: bool
    neurons: int
    connections: int
    shares: str | None
    counted: int | None
    layers: int


class TotalsRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sums over the layers, and ``counted``: the total under the convention that the document's ``count`` names.

    With ``--peak`` also the most bytes that live at once, in inference and in a step of training with SGD and momentum.
    """

    params: int
    trainable: int
    buffers: int
    macs: int
    flops: int
    elementwise_flops: int
    output_bytes: int
    saved_bytes: int
    neurons: int
    connections: int
    counted: int
    infer_peak_bytes: int | None = None
    train_peak_bytes: int | None = None


class Summary(msgspec.Struct, frozen=True):
    """What ``archcalc summary --format json`` prints. ``input`` has the batch first; it is a mapping where there are several.

    ``unsupported`` says of how many layers of which operators the tool named by ``count`` knows nothing (they are not in
    ``totals.counted``), ``slips`` what it miscounts.
    """

    schema: str
    model: str
    variant: str
    title: str
    input: Inputs
    dtype: str
    count: str
    layers: tuple[LayerRow, ...]
    totals: TotalsRow
    unsupported: dict[str, int]
    slips: tuple[str, ...]


_SHARED = "^"  # the mark of parameters that count at another layer
_UNKNOWN = "?"  # the mark of a field that was not followed

MACS = "MACs: multiply-accumulates of convolutions and linear layers, bias not counted"

_COLUMNS = (
    Column("name", "layer", "name", ESSENTIAL),
    Column("op", "operator", "text", 60),
    Column("arguments", "arguments", "text", 10),
    Column("inputs", "inputs", "text"),
    Column("input_shapes", "input", "shape"),
    Column("output_shape", "output", "shape", 80),
    Column("params", "params", "count", 90),
    Column("params_percent", "params %", "percent"),
    Column("trainable", "trainable", "count"),
    Column("buffers", "buffers", "count"),
    Column("macs", "MACs", "count", 70),
    Column("macs_percent", "MACs %", "percent"),
    Column("counted", "counted", "count", 75),
    Column("flops", "FLOPs (full)", "count"),
    Column("elementwise_flops", "element-wise", "count"),
    Column("output_bytes", "activation", "bytes", 40),
    Column("output_bytes_percent", "activation %", "percent"),
    Column("saved_bytes", "saved", "bytes"),
    Column("receptive_field", "receptive field", "axes"),
    Column("jump", "jump", "axes"),
    Column("padding", "padding", "axes"),
    Column("paths_agree", "paths agree", "flag"),
    Column("neurons", "neurons", "count"),
    Column("connections", "connections", "count"),
    Column("shares", "shares", "text"),
    Column("layers", "layers", "count"),
)
COLUMNS = {column.key: column for column in _COLUMNS}
DEFAULT_COLUMNS = ("name", "op", "arguments", "output_shape", "params", "macs", "output_bytes")
EXACT_COLUMNS = tuple(key for key in COLUMNS if not key.endswith("_percent"))  # for spreadsheets and scripts
_MEANT = {
    "layer": "name", "operator": "op", "output": "output_shape", "shape": "output_shape", "input": "input_shapes",
    "parameters": "params", "mac": "macs", "mult_adds": "macs", "operations": "flops", "activation": "output_bytes",
    "activations": "output_bytes", "activation_bytes": "output_bytes", "memory": "output_bytes", "saved": "saved_bytes",
    "field": "receptive_field", "rf": "receptive_field", "stride": "jump", "units": "neurons", "percent": "params_percent",
}  # fmt: skip


def summary(
    model: str,
    graph: Graph,
    report: Report,
    *,
    depth: int | None = None,
    columns: Sequence[str] = DEFAULT_COLUMNS,
    counted: "Count | None" = None,
    peaks: "Peaks | None" = None,
) -> Result:
    """Return the summary of a variant of ``model``: rows folded to ``depth``, a table of these columns; MACs unless ``counted``."""
    amounts = _amounts(graph, report, depth, counted)
    sums = msgspec.structs.asdict(report.totals) | {"counted": report.totals.macs if counted is None else counted.total}
    infer, train = (None if peak is None else peak.bytes for peak in peaks or (None, None))
    batched = {name: list(shape) for name, shape in report.input.items()}
    document = Summary(
        schema="archcalc.summary/1",
        model=model,
        variant=report.model,
        title=report.title,
        input=next(iter(batched.values())) if len(batched) == 1 else batched,
        dtype=report.dtype,
        count="macs" if counted is None else counted.convention,
        layers=tuple(_row(folded, amounts[folded.layer.name]) for folded in fold(report, depth)),
        totals=TotalsRow(**sums, infer_peak_bytes=infer, train_peak_bytes=train),
        unsupported={} if counted is None else counted.unsupported,
        slips=() if counted is None else counted.slips,
    )
    return Result(document, "layers", partial(_table, document, graph, tuple(columns), _sharing(report, depth), peaks))


def chosen_columns(text: str | None, default: Sequence[str] = DEFAULT_COLUMNS) -> tuple[str, ...]:
    """Return the columns of ``--columns``: a list, ``all``, or with a ``+`` in front a list to add to the default.

    Raises UsageError for one that there is not.
    """
    if text is None:
        return tuple(default)
    words = [word.strip().lower().replace("-", "_") for word in text.split(",") if word.strip()]
    if [word.removeprefix("+") for word in words] == ["all"]:
        return tuple(COLUMNS)
    adds = text.strip().startswith("+")
    names = [word.removeprefix("+") for word in words if word != "+"]
    for name in names:
        if name not in COLUMNS:
            way_out = did_you_mean(name, list(COLUMNS), _MEANT) or f"one of {', '.join(COLUMNS)}"
            raise UsageError("E224", f"there is no column {name}", help=way_out)
    if not names:
        raise UsageError("E224", "--columns names no column", help=f"for example --columns {','.join(DEFAULT_COLUMNS)}")
    return tuple(dict.fromkeys([*default, *names] if adds else ["name", *names]))


def _amounts(graph: Graph, report: Report, depth: int | None, counted: "Count | None") -> dict[str, int | None]:
    """Return what each row counts under the convention, None where the tool knows none of its layers."""
    counts: Sequence[int | None] = [layer.macs for layer in report.layers]
    if counted is not None:
        from archcalc.analysis.conventions import layer_counts

        counts = layer_counts(graph, counted.convention)
    amounts: dict[str, int | None] = {}
    for layer, amount in zip(report.layers, counts, strict=True):
        name = layer.name if depth is None else scope(layer.name, depth)
        before = amounts.get(name)
        amounts[name] = before if amount is None else amount + (before or 0)
    return amounts


def _row(folded: Fold, counted: int | None) -> LayerRow:
    values = list(msgspec.structs.astuple(folded.layer))  # in the order of LayerRow, which begins with the fields of Layer
    values[_AXES] = map(_per_axis, values[_AXES])
    values += [counted, folded.layers]
    return LayerRow(*values)


_AXES = slice(LayerRow.__struct_fields__.index("receptive_field"), LayerRow.__struct_fields__.index("padding") + 1)


@cache
def _per_axis(values: "tuple[Any, ...] | None") -> PerAxis:
    """Return one number where the axes agree, whole ones as ints."""
    if values is None:
        return None
    numbers = [value if value is None else int(value) if value == int(value) else float(value) for value in values]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _sharing(report: Report, depth: int | None) -> dict[str, str]:
    """Return the rows in which parameters of earlier layers are used, with the first of these uses in words."""
    sharing: dict[str, str] = {}
    for layer in report.layers:
        if layer.shares is not None:
            sharing.setdefault(layer.name if depth is None else scope(layer.name, depth), f"{layer.name} those of {layer.shares}")
    return sharing


def _table(document: Summary, graph: Graph, keys: tuple[str, ...], sharing: Mapping[str, str], peaks: "Peaks | None") -> Table:
    """Return the table of these columns."""
    written = {node.name: arguments(node.op) for node in graph.layers} if "arguments" in keys else {}
    rows = tuple(tuple(_cell(key, row, document.totals, written, sharing) for key in keys) for row in document.layers)
    return Table(
        f"{document.title} ({document.variant})" if document.title else document.variant,
        _ranked(keys, document.count),
        rows,
        _totals(document, keys),
        (*_notes(document), *_heads(graph), *_peaks(peaks)),
        legends=_legends(document, sharing),
    )


def _ranked(keys: tuple[str, ...], convention: str) -> tuple[Column, ...]:
    """Return the columns; on a narrow screen those that were asked for outlast the usual ones, and of equals the first."""
    usual = set(DEFAULT_COLUMNS) if set(DEFAULT_COLUMNS) <= set(keys) else {"name"}
    named = COLUMNS | {"counted": replace(COLUMNS["counted"], heading=f"counted ({convention})")}
    return tuple(named[key] if key in usual else replace(named[key], importance=95) for key in keys)


def _cell(key: str, row: LayerRow, totals: TotalsRow, written: Mapping[str, str], sharing: Mapping[str, str]) -> Cell:
    if key == "arguments":
        return written.get(row.name, "") if row.op != GROUP else count(row.layers) + (" layer" if row.layers == 1 else " layers")
    if key.endswith("_percent"):
        return _percent(key, row, totals)
    value: Any = getattr(row, key)
    if key == "inputs":
        return ", ".join(value)
    if key in ("receptive_field", "jump") and not row.paths_agree:
        return Marked(value, _UNKNOWN if row.receptive_field is None else MARK)
    if key == "params" and row.name in sharing:
        return Marked(value, _SHARED)
    return tuple(value) if isinstance(value, list) else value


def _percent(key: str, row: "LayerRow | TotalsRow", totals: TotalsRow) -> float:
    quantity = key.removesuffix("_percent")
    part: int = getattr(row, quantity)
    return 100 * part / (getattr(totals, quantity) or 1)


def _totals(document: Summary, keys: tuple[str, ...]) -> Row:
    """Return the row under the table; columns whose sum means nothing stay empty."""
    totals: dict[str, Cell] = {"name": "total", "layers": sum(row.layers for row in document.layers)}
    for key in keys:
        if key.endswith("_percent"):
            totals[key] = _percent(key, document.totals, document.totals)
        elif key in TotalsRow.__struct_fields__:
            totals[key] = getattr(document.totals, key)
    return tuple(totals.get(key) for key in keys)


def _notes(document: Summary) -> list[str]:
    """Return what the numbers were asked of, and what is not among them."""
    named = document.input if isinstance(document.input, dict) else {"": document.input}
    batch = next(iter(named.values()))[0]
    totals = document.totals
    notes = [f"input {inputs(named)}, batch {count(batch)}, {document.dtype}"]
    if totals.trainable != totals.params:
        notes.append(f"parameters: {count(totals.trainable)} trained, {count(totals.params - totals.trainable)} frozen")
    if totals.buffers:
        notes.append(f"buffers: {count(totals.buffers)} numbers that are stored but not learned, not counted as parameters")
    if document.count != "macs":
        from archcalc.render.counts import told

        notes += told(document.count, totals.counted, document.unsupported, document.slips)
    return notes


def _heads(graph: Graph) -> list[str]:
    """Return in words what of the totals only training needs."""
    if len(graph.outputs) < 2:
        return []
    from archcalc.analysis.heads import heads

    alone = heads(graph)
    return [f"side heads, in training alone: {count(alone.params)} of the parameters, {count(alone.macs)} of the MACs"]


def _peaks(peaks: "Peaks | None") -> list[str]:
    """Return the peaks in words, with where they stand."""
    if peaks is None:
        return []
    from archcalc.render.memory import told, when

    named = zip(("inference", "training (momentum)"), peaks, strict=True)
    tops = [f"{name} {told(peak.bytes)} {when(peak.moment)}" for name, peak in named if peak is not None]
    return [f"peak bytes: {'; '.join(tops)}; archcalc memory shows what makes them"]


def _legends(document: Summary, sharing: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return what the columns count."""
    paths = "* the paths to this layer disagree in their stride or their centre; the field is all that they see together"
    unclaimed = f"{_UNKNOWN} nothing is claimed: too many paths of different strides lead here, or one from an input without axes"
    shared = f"{_SHARED} uses parameters of an earlier layer, which count there: {next(iter(sharing.values()), '')}"
    shared += ", ..." if len(sharing) > 1 else ""
    disagree = any(not row.paths_agree and row.receptive_field is not None for row in document.layers)
    unknown = any(not row.paths_agree and row.receptive_field is None for row in document.layers)
    return (
        ("macs", MACS),
        ("flops", "FLOPs (full): every operation of every layer, a multiply-accumulate as two"),
        ("output_bytes", "activation: bytes of each layer's output (1 KiB = 1,024 bytes)"),
        ("saved_bytes", "saved: bytes that autograd keeps for the backward pass, each storage once"),
        *((("receptive_field", paths),) if disagree else ()),
        *((("receptive_field", unclaimed),) if unknown else ()),
        *((("params", shared),) if sharing else ()),
    )
