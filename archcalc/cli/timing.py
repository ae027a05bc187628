"""What ``archcalc bench`` does while it times: runs are kept as they end, in the file too, and a terminal hears how it goes."""

import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archcalc.analysis.roofline.profile import Profile
    from archcalc.analysis.timing.plan import Case
    from archcalc.analysis.timing.result import BenchDocument, Run
    from archcalc.analysis.timing.sampling import Limits


def timed(
    cases: "tuple[Case, ...]", limits: "Limits", profile: "Profile | None", options: dict[str, Any], stream: Any
) -> "BenchDocument | None":
    """Time the cases and return all runs; interrupted, those that there are. None in all processes of several but the first."""
    from archcalc.analysis.timing.result import BenchDocument
    from archcalc.pytorch.missing import need_torch
    from archcalc.render.delivery import probe

    need_torch("E351", "timing needs")
    probe(options["json_file"])
    from archcalc.pytorch.bench import Options, environment, known_device, measure, process, threads
    from archcalc.render.ticker import Ticker

    device = options["device"]
    wanted = Options(limits=limits, interleave=options["interleave"], per_layer=options["per_layer"], profile=profile)
    with threads(options["threads"]), process(device) as here, Ticker(len(cases), stream) as ticker:
        known = known_device(device, profile)
        blank = BenchDocument(
            complete=False,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            environment=environment(device, here.processes),
            limits=limits,
            predicted_for=known.device.name if known else None,
            runs=(),
        )
        keeper = Keeper(blank, cases, options["json_file"] if here.first else None)
        try:
            measure(cases, wanted, keeper.keep, ticker.tell, here)
        except KeyboardInterrupt:
            complete = False
        else:
            complete = True
        return keeper.document(complete=complete) if here.first else None


class Keeper:
    """Keeps the runs of a document, and with ``file`` writes all that there are whenever one is added."""

    def __init__(self, blank: "BenchDocument", cases: "tuple[Case, ...]", file: str | None):
        self.blank, self.file = blank, file
        self.order = {case.configuration: place for place, case in enumerate(cases)}
        self.runs: list[Run] = []

    def keep(self, run: "Run") -> None:
        """Add a run."""
        self.runs.append(run)
        self.document(complete=False)

    def document(self, complete: bool) -> "BenchDocument":
        """Return what there is, in the order in which it was asked for, and write it."""
        from msgspec.structs import replace

        from archcalc.analysis.timing.result import with_launch_shares

        runs = sorted(self.runs, key=lambda run: self.order[run.configuration])
        found = replace(self.blank, complete=complete, runs=with_launch_shares(runs))
        if self.file is not None:
            from archcalc.render.bench import json_text
            from archcalc.render.delivery import deliver

            deliver(json_text(found), self.file)
        return found
