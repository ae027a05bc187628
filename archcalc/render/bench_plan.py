"""What a benchmark would do: the configurations, the bytes they take, how long it lasts, and what the times are expected to be."""

from collections.abc import Sequence
from functools import partial

import msgspec

from archcalc.analysis.roofline.profile import Profile
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.predicted import expected, known, peak_bytes
from archcalc.analysis.timing.sampling import Limits, duration
from archcalc.render.figures import count
from archcalc.render.formats import Result
from archcalc.render.roofline import told
from archcalc.render.tables import ESSENTIAL, Column, Row, Table
from archcalc.render.timings import milliseconds

SCHEMA = "archcalc.bench-plan/1"


class PlannedRun(msgspec.Struct, frozen=True):
    """One configuration that would be timed, and the most bytes that its tensors would take at once.

    ``bound_seconds`` and ``estimate_seconds`` are what its device allows and what is expected; None without its profile.
    """

    configuration: Configuration
    predicted_peak_bytes: int
    bound_seconds: float | None = None
    estimate_seconds: float | None = None


class PlanDocument(msgspec.Struct, frozen=True):
    """What ``archcalc bench --dry-run --format json`` prints: what would be timed, and for how long, in seconds."""

    schema: str
    least_seconds: float
    most_seconds: float
    runs: tuple[PlannedRun, ...]


def planned(cases: Sequence[Case], limits: Limits, profile: Profile | None = None) -> Result:
    """Return what would be timed, how long that takes, and of a device with a profile what the times will be."""
    runs = tuple([_run(case, profile) for case in cases])
    least, most = duration(limits, len(runs))
    document = PlanDocument(SCHEMA, least, most, runs)
    return Result(document, "runs", partial(_table, document))


def _run(case: Case, profile: Profile | None) -> PlannedRun:
    roof = expected(case, known(None, profile))
    seconds = (roof.bound_seconds, roof.estimate_seconds) if roof else (None, None)
    return PlannedRun(case.configuration, peak_bytes(case), *seconds)


def _table(document: PlanDocument) -> Table:
    names = ("model", "mode", "device", "batch", "dtype", "layout", "exec")
    columns = [
        *(Column(name, name, "name" if name == "model" else "count" if name == "batch" else "text", ESSENTIAL) for name in names),
        Column("predicted_peak_bytes", "peak", "bytes", 80),
    ]
    foreseen = any(run.estimate_seconds for run in document.runs)
    if foreseen:
        columns += [Column("bound_ms", "bound ms", "count", 70), Column("estimate_ms", "estimate ms", "count", 75)]
    rows: list[Row] = []
    for run in document.runs:
        seconds = (run.bound_seconds, run.estimate_seconds) if foreseen else ()
        times = [None if one is None else milliseconds(one) for one in seconds]
        rows.append((*(getattr(run.configuration, name) for name in names), run.predicted_peak_bytes, *times))
    notes = (
        f"{count(len(rows))} {'run' if len(rows) == 1 else 'runs'}: at least {told(document.least_seconds)}, and up to "
        f"{told(document.most_seconds)} where the times vary; getting each network ready comes on top",
        "peak: the most bytes that its tensors take at once; PyTorch's own workspaces come on top",
    )
    return Table("", tuple(columns), tuple(rows), None, notes)
