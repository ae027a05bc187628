"""A network on a device's roofline: its document for machines, its table for people."""

from functools import partial

import msgspec

from archcalc.analysis.roofline import Roofline, Row
from archcalc.analysis.roofline.limits import ESTIMATE, intensity
from archcalc.analysis.roofline.precision import precision_named
from archcalc.analysis.roofline.profile import Profile
from archcalc.graph import Graph
from archcalc.render.figures import count, inputs, plain
from archcalc.render.formats import Result, as_json
from archcalc.render.tables import ESSENTIAL, Cell, Column, Table
from archcalc.render.terminal import PIPE
from archcalc.render.timings import figure

MEASURED = "measured"


class RooflineDocument(msgspec.Struct, frozen=True):
    """What ``archcalc roofline --format json`` prints. Seconds are of one batch; ``intensity`` is in FLOP per byte.

    ``peak`` is in FLOP/s, ``bandwidth`` in bytes/s, as the ``source`` has them; ``verified`` is false where nobody has read
    them there. No run in eager mode beats ``bound_seconds``. ``estimate_seconds`` is the sum of layers and ``step``, or
    ``dispatch_seconds`` where the CPU needs longer to start the kernels; most runs should lie from ``low_seconds`` to
    ``high_seconds``.
    """

    schema: str
    model: str
    variant: str
    title: str
    input: list[int] | dict[str, list[int]]
    gpu: str
    source: str
    verified: bool
    precision: str
    layout: str
    mode: str
    bandwidth: int
    peak: int
    kernels: int
    macs: int
    moved_bytes: int
    intensity: float
    bound_seconds: float
    estimate_seconds: float
    low_seconds: float
    high_seconds: float
    dispatch_seconds: float
    layers: tuple[Row, ...]
    step: Row | None


_COLUMNS = (
    Column("name", "layer", "name", ESSENTIAL),
    Column("op", "operator", "text", 40),
    Column("macs", "MACs", "count", 60),
    Column("moved_bytes", "moved", "bytes", 70),
    Column("intensity", "FLOP/byte", "significant", 80),
    Column("bound", "bound", "text", 90),
    Column("least_seconds", "least ms", "milliseconds", 85),
    Column("estimate_seconds", "about ms", "milliseconds", 95),
    Column("percent", "%", "percent", 75),
)


def rooflined(model: str, graph: Graph, found: Roofline) -> Result:
    """Return the roofline of a variant of ``model``."""
    named = {node.name: [int(size) for size in node.output] for node in graph.inputs}
    same = {name: getattr(found, name) for name in RooflineDocument.__struct_fields__ if name in Roofline.__struct_fields__}
    device = found.device
    document = RooflineDocument(
        **same | {"model": plain(model)},
        schema="archcalc.roofline/1",
        variant=plain(graph.name),
        title=plain(graph.title),
        input=next(iter(named.values())) if len(named) == 1 else named,
        gpu=plain(device.name),
        source=plain(device.source),
        verified=device.verified,
        bandwidth=device.bandwidth,
        peak=device.peak(precision_named(found.precision).unit),
        intensity=float(intensity(macs=found.macs, moved=found.moved_bytes)) if found.moved_bytes else 0.0,
        layers=found.rows,
    )
    return Result(document, "layers", partial(_table, document))


def _table(document: RooflineDocument) -> Table:
    rows = [*document.layers, *([document.step] if document.step else [])]
    spent = sum(row.estimate_seconds for row in rows)
    breaks = frozenset({len(document.layers)}) if document.step else frozenset()
    totals = (
        "total", None, document.macs, document.moved_bytes, document.intensity if document.macs else None, None,
        document.bound_seconds, spent, 100.0 if spent else None,
    )  # fmt: skip
    title = f"{document.title or document.variant} on {document.gpu}"
    return Table(title, _COLUMNS, tuple(_cells(row, spent) for row in rows), totals, tuple(notes(document)), breaks)


def _cells(row: Row, spent: float) -> tuple[Cell, ...]:
    if row.bound is None:  # a view
        return (row.name, row.op, 0, 0, None, None, None, None, None)
    return (
        row.name, row.op, row.macs, row.moved_bytes, row.intensity if row.macs else None, row.bound,
        row.least_seconds, row.estimate_seconds, 100 * row.estimate_seconds / (spent or 1),
    )  # fmt: skip


def notes(document: RooflineDocument) -> list[str]:
    """Return what was asked, what the device is, what came out, and what a column means."""
    named = document.input if isinstance(document.input, dict) else {"": document.input}
    batch = next(iter(named.values()))[0]
    asked = f"input {inputs(named)}, batch {count(batch)}, {document.precision}, {document.layout}, {document.mode}"
    bandwidth, peak = f"{document.bandwidth / 1e9:,.0f} GB/s", f"{document.peak / 1e12:,.4g} TFLOP/s in {document.precision}"
    doubt = "" if document.verified else "; UNVERIFIED: nobody has read these figures in the source yet"
    estimate = document.estimate_seconds
    found = [
        f"about {told(estimate)} a batch ({batch / estimate:,.0f} images/s); most runs from {told(document.low_seconds)} to "
        f"{told(document.high_seconds)}; none below {told(document.bound_seconds)}"
        if document.kernels
        else "views take no time, and nothing else runs"
    ]
    if document.kernels and estimate == document.dispatch_seconds:
        found.append(
            f"bound by launches: the CPU needs {told(estimate)} to start {count(document.kernels)} kernels, longer than the device "
            "takes to run them; a CUDA graph does not need it"
        )
    return [
        asked,
        f"{document.gpu}: {bandwidth}, {peak} ({document.source}{doubt})",
        *found,
        "moved: bytes that the kernels of eager mode read and write; FLOP/byte: two for each multiply-accumulate, over these bytes",
        _meaning(document),
    ]


def _meaning(document: RooflineDocument) -> str:
    best = "all that the cache can hold and the fastest algorithm for windows on ordinary cores"
    least = f"least: no run in eager mode is faster, with {best}"
    if document.source.startswith(MEASURED):
        return f"{least}; about: at the rates that were measured"
    return f"{least}; about: {ESTIMATE.bandwidth:.0%} of the datasheet's bandwidth and {ESTIMATE.arithmetic:.0%} of its peak"


def profile_text(profile: Profile) -> str:
    """Return a profile as the JSON that --profile reads, a line for each measurement."""
    return as_json(Result(profile, "samples", lambda: Table("", (), ())), PIPE)


def told(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> told(0.0123), told(3.5), told(4e-5), told(0.9999), told(86400.0)
    ('12.3 ms', '3.5 s', '40 us', '1,000 ms', '86,400 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds * 1e6)} us"
