"""What fits on a device: its document for machines, and for people a row for each way of running, with the limit under it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from archcalc.analysis.memory.fit import Card, Room
from archcalc.analysis.memory.terms import Term
from archcalc.analysis.memory.towers import crossing
from archcalc.graph import Graph
from archcalc.render.figures import count, inputs, plain
from archcalc.render.formats import Result
from archcalc.render.memory import At, brief, term_text, told
from archcalc.render.tables import ESSENTIAL, Cell, Column, Table


class Asked(NamedTuple):
    """One network that was asked about: the model's name, the values that tell it from the others, and its rooms."""

    model: str
    over: dict[str, str]
    graph: Graph
    rooms: tuple[Room, ...]


class FitRow(msgspec.Struct, frozen=True):
    """One way of running. Every number but ``batch``, ``next_batch`` and ``given_back`` is in bytes.

    ``batch`` is the largest that fits within ``limit_bytes``, 0 where not one image does; ``over`` are the values of ``--over``.
    The peaks are those of ``shown_batch`` on a device without limits: the batch that was asked for, or else the largest, 1 where
    none fits. ``next_batch``, one image more or the batch asked for, takes ``next_bytes``, of which ``missing_bytes`` are missing.
    ``given_back`` is how often cached segments had to return to the device on the way.
    """

    over: dict[str, str]
    mode: str
    dtype: str
    amp: str | None
    optimizer: str | None
    batch: int
    fits: bool
    limit_bytes: int
    shown_batch: int
    peak_bytes: int
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    peak_at: At
    bytes_per_image: int
    next_batch: int
    next_bytes: int
    missing_bytes: int
    given_back: int


class FitDocument(msgspec.Struct, frozen=True):
    """What ``archcalc fit --format json`` prints: a row for each way of running, and the ``terms`` that the limits leave room for.

    ``gpu`` is null where only ``memory_bytes`` were given, and ``half`` where that GPU has no 16-bit type to reckon in; ``batch``
    is null unless one was asked for. ``checkpoint`` names the blocks that run twice. With ``towers`` above 1 the bytes are those of
    one of so many devices, and ``received`` names the layers that read the channels of the others too.
    """

    schema: str
    model: str
    variant: str
    title: str
    input: list[int] | dict[str, list[int]]
    gpu: str | None
    half: str | None
    memory_bytes: int
    rules: str
    weight_decay: bool
    implementation: str
    checkpoint: tuple[str, ...]
    batch: int | None
    towers: int
    received: tuple[str, ...]
    rows: tuple[FitRow, ...]
    terms: tuple[Term, ...]


def fit(found: Sequence[Asked], card: Card, batch: int | None, towers: int) -> Result:
    """Return what fits."""
    graph, plan = found[0].graph, found[0].rooms[0].plan
    named = {node.name: [int(size) for size in node.output[1:]] for node in graph.inputs}
    largest = max((room for one in found for room in one.rooms), key=lambda room: sum(term.allowance_bytes for term in room.terms))
    document = FitDocument(
        schema="archcalc.fit/1",
        model=plain(found[0].model),
        variant=plain(graph.name),
        title=plain(graph.title),
        input=next(iter(named.values())) if len(named) == 1 else named,
        gpu=card.gpu or None,
        half=card.half,
        memory_bytes=card.memory_bytes,
        rules=plan.rules,
        weight_decay=plan.weight_decay,
        implementation=plan.implementation,
        checkpoint=tuple(map(plain, plan.checkpoint)),
        batch=batch,
        towers=towers,
        received=tuple(plain(node.name) for node in crossing(graph, towers)) if towers > 1 else (),
        rows=tuple(_row(one.over, room) for one in found for room in one.rooms),
        terms=largest.terms,
    )
    return Result(document, "rows", partial(_table, document))


def _row(over: dict[str, str], room: Room) -> FitRow:
    plan = room.plan
    return FitRow(
        over=over,
        mode="train" if plan.train else "infer",
        dtype=plan.dtype,
        amp=plan.amp,
        optimizer=plan.optimizer if plan.train else None,
        batch=room.batch,
        fits=room.fits,
        limit_bytes=room.limit_bytes,
        shown_batch=room.asked or room.batch or 1,
        peak_bytes=room.peak_bytes,
        allocated_peak_bytes=room.allocated_peak_bytes,
        reserved_peak_bytes=room.reserved_peak_bytes,
        peak_at=At(*room.peak_at),
        bytes_per_image=room.bytes_per_image,
        next_batch=room.asked or room.batch + 1,
        next_bytes=room.next_bytes,
        missing_bytes=room.missing_bytes,
        given_back=room.given_back,
    )


def _table(document: FitDocument) -> Table:
    over = tuple(document.rows[0].over) if document.rows else ()
    asked = document.batch is not None
    cached = document.rules == "cuda"  # by the rules of the CPU there are no blocks
    columns = (
        *(Column(name, name, "text", ESSENTIAL) for name in over),
        Column("run", "run", "name", ESSENTIAL),
        Column("type", "type", "name", ESSENTIAL),
        *([Column("fits", "fits", "flag", 98)] if asked else []),
        Column("batch", "largest batch", "count", 99),
        Column("peak_bytes", f"tensors of {count(document.batch or 0)}" if asked else "tensors", "bytes", 60),
        *([Column("allocated_peak_bytes", "blocks", "bytes", 80)] if cached else []),
        Column("limit_bytes", "limit", "bytes", 70),
        Column("missing_bytes", "missing" if asked else "missing for one more", "bytes", 90),
        Column("bytes_per_image", "one image", "bytes", 85),
        Column("peak_at", "peak", "text", 40),
    )
    rows: list[tuple[Cell, ...]] = []
    for row in document.rows:
        run = "inference" if row.mode == "infer" else f"training, {row.optimizer}"
        kind = f"{row.dtype}, amp {row.amp}" if row.amp else row.dtype
        way: tuple[Cell, ...] = (*row.over.values(), run, kind, *([row.fits] if asked else []), row.batch)
        took: tuple[Cell, ...] = (row.peak_bytes, *([row.allocated_peak_bytes] if cached else []))
        rows.append((*way, *took, row.limit_bytes, row.missing_bytes, row.bytes_per_image, brief(row.peak_at)))
    several = len({(row.mode, row.dtype, row.amp, row.optimizer) for row in document.rows}) > 1
    changes = (number for number in range(1, len(rows)) if document.rows[number].over != document.rows[number - 1].over)
    breaks = frozenset(changes if several else ())
    return Table(_title(document), columns, tuple(rows), None, tuple(_notes(document)), breaks, _LEGENDS)


_LEGENDS = (
    ("peak_bytes", "tensors: what lives at the peak"),
    (
        "allocated_peak_bytes",
        "blocks: what CUDA's caching allocator makes of that, for which it must find segments within the limit",
    ),
    ("bytes_per_image", "one image: by how much the bytes grow with the batch where the limit is met"),
)


def _title(document: FitDocument) -> str:
    name = f"{document.title} ({document.variant})" if document.title else document.variant
    device = document.gpu or "a device"
    cards = f"{document.towers} of {device}, each" if document.towers > 1 else device
    return f"{name} on {cards} with {told(document.memory_bytes)}"


def _notes(document: FitDocument) -> list[str]:
    """Return what was asked, what a limit leaves room for, and where cards share the layers."""
    varied = {name for row in document.rows for name in row.over}
    named = document.input if isinstance(document.input, dict) else {"input": document.input}
    shown = inputs({name: (1, *sizes) for name, sizes in named.items()}) if not varied & set(named) else ""
    how = f"rules of {document.rules.upper()}"
    if any(row.mode == "train" for row in document.rows):
        decay = ", with weight decay" if document.weight_decay else ""
        blocks = f", checkpoint {', '.join(document.checkpoint)}" if document.checkpoint else ""
        how += f"; training: {document.implementation}{decay}{blocks}"
    notes = [f"input {shown}; {how}" if shown else how]
    if document.half is None and all(row.amp is None and row.dtype == "float32" for row in document.rows):
        notes.append(f"float32 alone: {document.gpu} has no 16-bit type to reckon in")
    if document.batch is not None:
        notes.append(f"batch {count(document.batch)} was asked for; the largest is that within the same limit")
    if document.towers > 1:
        received = ", ".join(document.received) or "none"
        notes.append(
            f"bytes of one of {document.towers} devices: its share of all params, gradients and activations, the whole input,"
        )
        notes.append(f"and where a layer reads the channels of all ({received}) those of the others and their gradient as well")
    if any(row.missing_bytes and row.next_bytes <= row.limit_bytes for row in document.rows):
        notes.append(
            "where blocks below the limit do not fit, what is left of it is in pieces, and the missing bytes are of one piece"
        )
    if any(row.given_back for row in document.rows):
        notes.append("close to some limits cached segments go back to the device on the way: it fits, but each step waits for that")
    left = [f"{term.name} {told(term.allowance_bytes)}" for term in document.terms if term.allowance_bytes]
    if left:
        notes.append(f"limit: the device's bytes less what is left free, at most {', '.join(left)}")
    return notes + [term_text(term) for term in document.terms]
