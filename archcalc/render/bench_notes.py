"""What stands under measured times: what is not fit to be quoted, where it was measured, and what the columns mean."""

from collections.abc import Sequence

from archcalc.analysis.timing.predicted import known
from archcalc.analysis.timing.result import BenchDocument, Environment, Run, Warning
from archcalc.render.compare import ratio
from archcalc.render.figures import count, plain
from archcalc.render.memory import told as told_bytes
from archcalc.render.roofline import told
from archcalc.render.timings import percent, signed_percent

_WARNINGS: dict[Warning, str] = {
    "imprecise": "the interval is wider than --rel-ci asks for: a longer --max-time, or a quieter machine",
    "drift": "the second half is unlike the first: let the machine come to rest, or --interleave",
    "unsteady": "it was still changing when the warm-up ran out: a longer --max-time",
    "throttled": "the GPU slowed itself down",
}


def notes_on(document: BenchDocument, before: BenchDocument | None) -> tuple[str, ...]:
    """Return the sentences under a benchmark, and under its comparison with an older one."""
    return (
        *_on_runs(document.runs),
        *_on_comparison(document, before),
        *_on_environment(document),
        *_meanings(document),
        *_on_prediction(document),
    )


def verdict(run: Run) -> str | None:
    """Return how a run stands to an older one, in a word and a figure."""
    return None if run.change is None else f"{run.change.verdict} {signed_percent(run.change.ratio - 1)} %"


def _on_runs(runs: Sequence[Run]) -> list[str]:
    """Return what went wrong or is not fit to be quoted, run by run, and how several processes did."""
    notes = []
    for run in runs:
        who = plain(run.configuration.label) if len(runs) > 1 else ""
        said = [_WARNINGS[warning] + _reasons(run, warning) for warning in run.warnings]
        if run.failure and run.refused:
            said.append(plain(run.failure))
        elif run.failure:
            needed = f"; {told_bytes(run.predicted_peak_bytes)} were predicted for its tensors" if run.predicted_peak_bytes else ""
            said.append(f"{run.failure}{needed}; a smaller --batch, and archcalc fit finds the largest")
        elif run.stopped == "interrupted":
            said.append("interrupted: these are the samples until then")
        if run.undivided:
            said.append(f"not taken apart layer by layer: {run.undivided}")
        if run.breakdown and run.statistics:
            said.append(_in_words(run))
        if run.ranks:
            medians = ", ".join(told(one) for one in run.ranks.median_seconds)
            said.append(
                f"{run.ranks.processes} processes ({run.ranks.backend}): {medians}; alone {told(run.ranks.alone_seconds)}: "
                f"scaling efficiency {run.ranks.scaling_efficiency:.1%}"
            )
        notes += [f"{who}: {sentence}" if who else sentence for sentence in said]
    return notes


def _in_words(run: Run) -> str:
    """Return the time of a whole run whose layers fill the table."""
    found = run.statistics
    assert found is not None
    beside = [f"median {told(found.median_seconds)}"]
    if found.precision is not None:
        beside.append(f"+- {percent(found.precision)} %")
    if run.estimate_seconds:
        beside.append(f"{ratio(found.median_seconds / run.estimate_seconds)} of the estimate")
    if run.change:
        beside.append(f"{verdict(run)} against the older file")
    return ", ".join(beside)


def _on_comparison(document: BenchDocument, before: BenchDocument | None) -> list[str]:
    """Return what a reader must know of a comparison: runs that met nothing, and times that were taken elsewhere."""
    if before is None:
        return []
    alone = sum(run.statistics is not None and run.change is None for run in document.runs)
    notes = []
    if alone:
        runs = "1 run has" if alone == 1 else f"{count(alone)} runs have"
        notes.append(f"{runs} nothing to be compared with in the older file: the same network, timed in the same way")
    here, there = _setting(document), _setting(before)
    others = [f"{name} {there[name]} there, {here[name]} here" for name in here if here[name] != there[name]]
    return [*notes, *([f"the older times were taken elsewhere: {'; '.join(others)}"] if others else [])]


def _setting(document: BenchDocument) -> dict[str, str]:
    """Return what times of the same network may differ by."""
    here = document.environment
    found = {"device": _devices(here), "torch": here.torch, "CUDA": here.cuda, "cuDNN": here.cudnn}
    driver = " and ".join(dict.fromkeys(gpu.driver for gpu in here.gpus if gpu.driver))
    more = {"driver": driver} if here.gpus else {"threads": here.threads}
    return {name: str(value or "none") for name, value in (found | more | {"processes": here.processes}).items()}


def _on_prediction(document: BenchDocument) -> list[str]:
    """Return whose roofline the times stand beside, or how to come by one."""
    if not any(run.statistics for run in document.runs):
        return []
    name = document.predicted_for
    if name is None:
        device = "cuda" if document.environment.gpus else "cpu"
        way_out = f"archcalc calibrate --device {device} -o FILE measures it, then --profile FILE"
        return [f"not predicted: {_devices(document.environment)} is not in the table of devices; {way_out}"]
    found = known(name)
    doubt = ", whose peaks were read in no primary source" if found and not found.device.verified else ""
    lacking = sorted({run.configuration.dtype for run in document.runs if run.statistics and run.bound_seconds is None})
    return [
        f"predicted for {name}{doubt}",
        *([f"nothing is known of its arithmetic in {' and '.join(lacking)}"] if lacking else []),
    ]


def _reasons(run: Run, warning: Warning) -> str:
    return f" ({', '.join(run.clocks.throttling)})" if warning == "throttled" and run.clocks else ""


def _on_environment(document: BenchDocument) -> list[str]:
    """Return where it was measured, in a line that can be quoted."""
    here: Environment = document.environment
    named = {"torch": here.torch, "CUDA": here.cuda, "cuDNN": here.cudnn}
    versions = [f"{name} {version}" for name, version in named.items() if version]
    threads = f", {count(here.threads)} {'thread' if here.threads == 1 else 'threads'}" if not here.gpus else ""
    line = f"{_devices(here)}{threads}; {', '.join(versions)}; {document.started}"
    clocks = [run.clocks for run in document.runs if run.clocks]
    told_clocks = (
        [f"SM clock {min(one.least_mhz for one in clocks):,} to {max(one.most_mhz for one in clocks):,} MHz, at most "
         f"{max(one.most_celsius for one in clocks)} degrees, {max(one.most_watts for one in clocks):,.0f} W"]
        if clocks else []
    )  # fmt: skip
    return [line, *told_clocks, *([] if document.complete else ["not complete: the run was interrupted"])]


def _devices(here: Environment) -> str:
    return " and ".join(dict.fromkeys(gpu.name for gpu in here.gpus)) or here.processor


def _meanings(document: BenchDocument) -> list[str]:
    if any(run.breakdown for run in document.runs):
        apart = [run.breakdown for run in document.runs if run.breakdown]
        methods = f"layers are timed by the {' or the '.join(dict.fromkeys(one.method for one in apart))}"
        roofed = any(layer.share_of_roof for one in apart for layer in one.layers)
        meanings = (
            "of estimate: what the layer took over what archcalc roofline expects",
            "% of roof: what bytes at full bandwidth, or arithmetic at the peak, would take, over what the layer took",
        )
        return [methods, *(meanings if roofed else ())]
    notes = ["+-: half of the 95 % interval of the median, of which no distribution is assumed; outliers are counted, and kept"]
    if any(run.launch_bound is not None for run in document.runs):
        notes.append("launch: the share of the eager time that a captured graph saves, which the CPU spends on launching")
    if any(run.bound_seconds for run in document.runs):
        notes.append("of bound, of estimate: the median over the least time, and over the one that archcalc roofline expects")
    return notes
