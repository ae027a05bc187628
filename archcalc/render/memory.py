"""The bytes of a run: its document for machines, and for people a table of the layers, of its moments, and what makes the peak."""

import os
import sys
from functools import partial

import msgspec
from msgspec.structs import replace

from archcalc.analysis.memory.report import Instant, LayerBytes, Live, Usage
from archcalc.analysis.memory.terms import Term
from archcalc.analysis.memory.trace import START, Moment
from archcalc.graph import Graph
from archcalc.render.delivery import deliver, goes_to_stdout
from archcalc.render.figures import BYTE_UNITS, count, in_unit, inputs, plain
from archcalc.render.formats import FORMATS, Result
from archcalc.render.sparkline import signs_for, sparkline
from archcalc.render.tables import ESSENTIAL, Cell, Column, Row, Table
from archcalc.render.terminal import GAP, PIPE, lay_out, screen

WIDEST_LINE = 100  # of the sparkline, where nothing narrower is asked for
MOST_LIVE = 8  # storages at the peak that are told one by one


class At(msgspec.Struct, frozen=True):
    """A moment of the run: ``start``, ``forward``, ``backward`` or ``step``, and the layer at work, empty where none is."""

    phase: str
    layer: str


class Recomputed(msgspec.Struct, frozen=True):
    """What running ``blocks`` twice is worth: saved bytes without and with it, and the multiply-accumulates that are done again."""

    blocks: tuple[str, ...]
    saved_bytes_before: int
    saved_bytes_after: int
    macs: int


class MemoryDocument(msgspec.Struct, frozen=True):
    """What ``archcalc memory --format json`` prints. Every number is in bytes.

    ``saved_bytes`` is what autograd keeps between the passes, each storage once, at the layer that made it (``summary`` has it at
    the one that first keeps it). ``peak_bytes`` is the most that tensors take at once, reached at ``peak_at`` by the storages of
    ``peak``, the oldest first. CUDA's caching allocator makes ``allocated_peak_bytes`` and ``reserved_peak_bytes`` of it in two
    steps on end; null with ``rules`` cpu. ``terms`` are among none of these. ``checkpoint`` is null where nothing runs twice.
    """

    schema: str
    model: str
    variant: str
    title: str
    input: list[int] | dict[str, list[int]]
    dtype: str
    amp: str | None
    mode: str
    rules: str
    optimizer: str | None
    weight_decay: bool
    implementation: str | None
    param_bytes: int
    buffer_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    saved_bytes: int
    peak_bytes: int
    peak_at: At
    peak: tuple[Live, ...]
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    checkpoint: Recomputed | None
    layers: tuple[LayerBytes, ...]
    timeline: tuple[Instant, ...]
    terms: tuple[Term, ...]


def memory(model: str, graph: Graph, found: Usage, *, timeline: bool = False) -> Result:
    """Return the bytes of a run; its table has a row for each layer, or with ``timeline`` for each moment."""
    named = {node.name: [int(size) for size in node.output] for node in graph.inputs}
    plan = found.plan
    same = {name: getattr(found, name) for name in MemoryDocument.__struct_fields__ if name in Usage.__struct_fields__}
    paid = None if found.checkpoint is None else Recomputed(tuple(map(plain, plan.checkpoint)), *found.checkpoint)
    document = MemoryDocument(
        **same | {"peak_at": At(*found.peak_at), "checkpoint": paid},
        schema="archcalc.memory/1",
        model=plain(model),
        variant=plain(graph.name),
        title=plain(graph.title),
        input=next(iter(named.values())) if len(named) == 1 else named,
        dtype=plan.dtype,
        amp=plan.amp,
        mode="train" if plan.train else "infer",
        rules=plan.rules,
        optimizer=plan.optimizer if plan.train else None,
        weight_decay=plan.weight_decay,
        implementation=plan.implementation if plan.train else None,
    )
    return Result(document, "timeline" if timeline else "layers", partial(_moments if timeline else _layers, document))


def write(result: Result, format: str, file: str | None = None, width: int | None = None) -> None:
    """Write the result in a format to a file, or to standard output; a table has its curves under it.

    Raises UsageError if that cannot be written.
    """
    target = screen(sys.stdout, os.environ, width) if goes_to_stdout(file) else replace(PIPE, width=width)
    text = FORMATS[format](result, target)
    if format == "table":
        document = result.document
        assert isinstance(document, MemoryDocument)
        signs = signs_for(sys.stdout, target.terminal)
        lines = curves(document, min(target.width or WIDEST_LINE, WIDEST_LINE), signs)
        text = lay_out(result.table(), target) + "\n".join(["", "live bytes over time, the most per phase", *lines]) + "\n"
    deliver(text, file)


def curves(document: MemoryDocument, width: int, signs: str) -> list[str]:
    """Return the bytes that live over each phase as a line, all to one scale, and the most of them."""
    phases: dict[str, list[int]] = {}
    for instant in document.timeline:
        phases.setdefault(instant.phase, []).append(instant.peak_bytes)
    if document.peak_at.phase != START:
        phases.pop(START, None)  # nothing happens in it
    most = {phase: told(max(heights), document.peak_bytes) for phase, heights in phases.items()}
    named, edge, longest = (max(map(len, texts)) for texts in (phases, most.values(), phases.values()))
    room = min(longest, max(1, width - named - edge - 2 * len(GAP)))
    lines = []
    for phase, heights in phases.items():
        line = sparkline(heights, max(1, room * len(heights) // longest), signs, document.peak_bytes)
        lines.append(f"{phase:{named}}{GAP}{line:{room}}{GAP}{most[phase]:>{edge}}")
    return lines


def brief(moment: At) -> str:
    """Return a moment as a cell of a table has it: its phase and its layer."""
    return f"{moment.phase}: {plain(moment.layer)}" if moment.layer else moment.phase


def when(moment: At | Moment) -> str:
    """Return a moment in words.

    >>> when(At("backward", "conv2")), when(At("step", ""))
    ('in the backward pass at conv2', "in the optimizer's step")
    """
    phase, layer = (moment.phase, moment.layer) if isinstance(moment, At) else moment
    words = {"forward": "in the forward pass", "backward": "in the backward pass", "step": "in the optimizer's step"}
    return words.get(phase, "before the first layer") + (f" at {plain(layer)}" if layer else "")


_LAYER_COLUMNS = (
    Column("name", "layer", "name", ESSENTIAL),
    Column("op", "operator", "text", 50),
    Column("param_bytes", "params", "bytes", 80),
    Column("buffer_bytes", "buffers", "bytes", 20),
    Column("gradient_bytes", "gradients", "bytes", 60),
    Column("optimizer_bytes", "optimizer state", "bytes", 60),
    Column("output_bytes", "output", "bytes", 70),
    Column("saved_bytes", "saved", "bytes", 90),
    Column("forward_peak_bytes", "live in forward", "bytes", 85),
    Column("backward_peak_bytes", "live in backward", "bytes", 85),
)
SUMMED = ("param_bytes", "buffer_bytes", "gradient_bytes", "optimizer_bytes", "output_bytes", "saved_bytes")
TRAINING = ("gradient_bytes", "optimizer_bytes", "saved_bytes", "backward_peak_bytes")  # columns that inference leaves empty


def _layers(document: MemoryDocument) -> Table:
    """Return the table of the layers."""
    train = document.mode == "train"
    columns = tuple(column for column in _LAYER_COLUMNS if train or column.key not in TRAINING)
    rows = tuple(tuple(getattr(row, column.key) for column in columns) for row in document.layers)
    sums: dict[str, Cell] = {"name": "total"}
    sums |= {column.key: sum(getattr(row, column.key) for row in document.layers) for column in columns[2:] if column.key in SUMMED}
    totals = tuple(sums.get(column.key) for column in columns)
    return Table(_title(document), columns, rows, totals, tuple(_notes(document)), legends=_LEGENDS)


_LEGENDS = (
    (
        "saved_bytes",
        "saved: what autograd keeps from the forward into the backward pass, each storage once, at the layer that made it",
    ),
    ("forward_peak_bytes", "live in forward, backward: the most bytes of all tensors together while the layer runs"),
)


def _moments(document: MemoryDocument) -> Table:
    """Return the table of the moments: what lives at the height of each, by what it is for."""
    groups = dict.fromkeys(group for instant in document.timeline for group in instant.groups)
    columns = (
        Column("phase", "phase", "text", ESSENTIAL),
        Column("layer", "layer", "name", ESSENTIAL),
        Column("peak_bytes", "live", "bytes", 95),
        Column("allocated_bytes", "allocated", "bytes", 70),
        Column("released_bytes", "released", "bytes", 70),
        *(Column(group.replace(" ", "_") + "_bytes", group, "bytes", 60) for group in groups),
        Column("live_bytes", "left", "bytes", 50),
    )
    rows: list[Row] = []
    for one in document.timeline:
        lives = (one.groups.get(group, 0) for group in groups)
        rows.append((one.phase, one.layer, one.peak_bytes, one.allocated_bytes, one.released_bytes, *lives, one.live_bytes))
    phases = [instant.phase for instant in document.timeline]
    breaks = frozenset(phases.index(phase) for phase in dict.fromkeys(phases)) - {0}
    return Table(_title(document), columns, tuple(rows), None, tuple(_notes(document)), breaks)


def _title(document: MemoryDocument) -> str:
    name = f"{document.title} ({document.variant})" if document.title else document.variant
    if document.mode == "infer":
        return f"{name}: inference"
    decay = " with weight decay" if document.weight_decay else ""
    return f"{name}: training, {document.optimizer}{decay}, {document.implementation}"


def _notes(document: MemoryDocument) -> list[str]:
    """Return what the run is, the peak and what makes it, what an allocator makes of it, and what is not among the numbers."""
    named = document.input if isinstance(document.input, dict) else {"": document.input}
    batch = next(iter(named.values()))[0]
    precision = f"{document.dtype} under autocast to {document.amp}" if document.amp else document.dtype
    notes = [f"input {inputs(named)}, batch {count(batch)}, {precision}; rules of {document.rules.upper()}"]
    notes += [f"peak bytes {told(document.peak_bytes)}, {when(document.peak_at)}: {_makes(document)}"]
    notes += [f"largest there: {_largest(document)}"]
    if document.allocated_peak_bytes is not None and document.reserved_peak_bytes is not None:
        reserved = told(document.reserved_peak_bytes)
        allocated = told(document.allocated_peak_bytes, document.reserved_peak_bytes)
        notes.append(f"CUDA's caching allocator: {allocated} allocated and {reserved} reserved at most, in two steps in a row")
    if document.checkpoint is not None:
        notes.append(paid_text(document.checkpoint))
    return notes + [term_text(term) for term in document.terms]


def _makes(document: MemoryDocument) -> str:
    """Return the groups that make the peak."""
    at = next(one for one in document.timeline if one.peak_bytes == document.peak_bytes)
    return ", ".join(f"{group} {told(size, document.peak_bytes)}" for group, size in at.groups.items())


def _largest(document: MemoryDocument) -> str:
    """Return the largest storages that live at the peak."""
    largest = sorted(document.peak, key=lambda live: -live.bytes)
    shown = [f"{_named(live)} {told(live.bytes, document.peak_bytes)}" for live in largest[:MOST_LIVE]]
    others = [live.bytes for live in largest[MOST_LIVE:]]
    return "; ".join([*shown, *([f"{count(len(others))} others {told(sum(others), document.peak_bytes)}"] if others else [])])


def _named(live: Live) -> str:
    """Return what a storage is for, and whose it is."""
    return live.what if live.what in ("input", "target", "loss") or not live.layer else f"{live.what} of {plain(live.layer)}"


def told(size: int, beside: int | None = None) -> str:
    """Return bytes with their unit: the smallest of which four digits before the point will do, for it or for what is ``beside``.

    >>> told(1536), told(97_817_344), told(24 * 2**30), told(1536, 97_817_344), told(617_472, 97_817_344)
    ('1.5 KiB', '93.3 MiB', '24.0 GiB', '<0.1 MiB', '0.6 MiB')
    """
    largest = max(size, beside or 0)
    unit = next((unit for unit, one in BYTE_UNITS.items() if largest < 10_000 * one), "GiB")
    return f"{in_unit(size, BYTE_UNITS[unit])} {unit}"


def term_text(term: Term) -> str:
    """Return a term that no shape gives, and what is known of it."""
    if term.high_bytes is None:
        much = f"at least {told(term.low_bytes)}" if term.low_bytes else "0 or more"
    elif term.high_bytes == term.low_bytes:
        much = told(term.low_bytes)
    else:
        much = f"{told(term.low_bytes, term.high_bytes) if term.low_bytes else '0'} to {told(term.high_bytes)}"
    where = "" if term.where == "allocator" else ", outside the allocator"
    return f"not among these bytes: {term.name}, {much}{where}; {term.because}"


def paid_text(paid: Recomputed) -> str:
    """Return what recomputation saves and costs."""
    before, after = told(paid.saved_bytes_before), told(paid.saved_bytes_after)
    return f"checkpoint {', '.join(paid.blocks)}: saved bytes {before} -> {after}, for {count(paid.macs)} MACs computed again"
