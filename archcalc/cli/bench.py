"""``archcalc bench MODEL...``: how long it takes, measured beside what was predicted."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from archcalc.cli.options import Command, FileName, Number, Output, Request, Whole, idle, output_options, unsized_models_options
from archcalc.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from archcalc.analysis.roofline.profile import Profile
    from archcalc.analysis.timing.plan import Case
    from archcalc.analysis.timing.result import BenchDocument
    from archcalc.analysis.timing.sampling import Limits

# Held equal by a test to the tables of archcalc.analysis.timing.plan.
DEVICES = ("cuda", "cpu")
MODES = ("infer", "fwd-bwd", "train")
DTYPES = ("fp32", "tf32", "bf16", "fp16", "amp-bf16", "amp-fp16")
LAYOUTS = ("nchw", "nhwc")
EXECUTIONS = ("eager", "graph", "compile")
WRONG, MISSING, INTERRUPTED = 1, 3, 130
LONGEST = 86_400  # seconds: a day for one time
OF_REPORTS = {"report", "older", "strict", "format", "file", "width", "errors"}  # the parameters that printing a file again heeds


class Several(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Several of some words, or whole numbers, apart by commas; each once."""

    name = "list"

    def __init__(self, words: tuple[str, ...] = ()):
        self.words = words
        self.whole = Whole()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        found = [self._one(part.strip(), param, ctx) for part in str(value).split(",")]
        return tuple(dict.fromkeys(found))

    def _one(self, part: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not self.words:
            return self.whole.convert(part, param, ctx)
        if part not in self.words:
            self.fail(f"{part or 'nothing'} is none of {', '.join(self.words)}", param, ctx)
        return part

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from archcalc.cli.completion import listed  # the shell asks for it, commands do not

        return listed(self.words, incomplete)


@click.command(
    "bench",
    cls=Command,
    help="""How long a step takes: the median with its interval, measured in PyTorch beside what was predicted.

    Options that take several values time every combination. The exit code is 1 under --strict if a time is not fit to be quoted, 3
    if a combination could not be timed: a batch that does not fit, or what PyTorch refuses.""",
    examples=(
        "archcalc bench resnet50",
        "archcalc bench lenet5 --device cpu",
        "archcalc bench resnet50 vgg16 --batch 1,32,256 --dtype fp32,tf32,amp-bf16 --layout nchw,nhwc --json times.json",
        "archcalc bench resnet50 --batch 64 --mode train --per-layer",
        "archcalc bench resnet50 --compare times.json --strict",
        "archcalc bench --report times.json --format csv",
    ),
)
@unsized_models_options
@click.option("--device", type=click.Choice(DEVICES), default="cuda", help="Where to run.")
@click.option("--mode", type=click.Choice(MODES), default="infer", help="Forward; and backward; and a step of SGD with momentum.")
@click.option("--batch", "batches", metavar="N,N,...", type=Several(), default="1", help="Images in the batch.")
@click.option(
    "--dtype", "dtypes", metavar="A,B,...", type=Several(DTYPES), default="fp32", help=f"{', '.join(DTYPES)}; fp32 is IEEE's."
)
@click.option("--layout", "layouts", metavar="A,B", type=Several(LAYOUTS), default="nchw", help="nchw, or nhwc (channels_last).")
@click.option(
    "--exec",
    "executions",
    metavar="A,B,...",
    type=Several(EXECUTIONS),
    show_default="eager,graph; on a CPU eager",
    help="As it is; captured once as a CUDA graph; by torch.compile.",
)
@click.option("--per-layer", is_flag=True, help="Take the time apart layer by layer.")
@click.option("--min-time", metavar="S", type=Number(0, LONGEST), default=0.5, help="Seconds sampled at least.")
@click.option("--max-time", metavar="S", type=Number(0, LONGEST, min_open=True), default=15.0, help="Seconds sampled at most.")
@click.option(
    "--rel-ci",
    "percent",
    metavar="PERCENT",
    type=Number(0, 100, min_open=True),
    show_default="0.5; on a CPU 2",
    help="Stop when half the interval is at most this much of the median.",
)
@click.option("--interleave", is_flag=True, help="Let the combinations take turns, so that a disturbance meets them all.")
@click.option("--threads", metavar="N", type=Whole(4096), show_default="PyTorch's choice", help="Threads that work on a CPU.")
@click.option("--profile", metavar="FILE", type=FileName(), help="What archcalc calibrate wrote about this device.")
@click.option(
    "--json", "json_file", metavar="FILE", type=FileName("write"), help="Keep every sample in FILE, written as each run ends."
)
@click.option("--compare", "older", metavar="FILE", type=FileName(), help="Say what is faster or slower than in that file.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a time is noisy, drifting or throttled, or with --compare slower.")
@click.option("--report", metavar="FILE", type=FileName(), help="Print this file of --json again, and time nothing.")
@click.option("--dry-run", is_flag=True, help="Say what would be timed, the peak bytes, and how long it takes at least.")
@output_options
@click.pass_context
def command(
    context: click.Context, /, requests: tuple[Request, ...], report: str | None, older: str | None, output: Output, **options: Any
) -> None:
    """Load, time, render."""
    from archcalc.analysis.timing.result import read_report

    before = None if older is None else read_report(older)
    if report is not None:
        _refuse_idle_beside_report(context, requests)
        _show(context, read_report(report), before, options["strict"], output)
        return
    if not requests:
        raise UsageError("E220", "archcalc bench needs a MODEL", help="archcalc bench resnet50, or --report FILE")
    cases = _cases(requests, options)
    limits = _limits(options)
    _refuse_idle(options, len(cases))
    if options["dry_run"]:
        from archcalc.render.bench_plan import planned

        output.write(planned(cases, limits, _profile(options)))
        return
    from archcalc.cli.timing import timed
    from archcalc.render.delivery import probe

    probe(output.file)
    document = timed(cases, limits, _profile(options), options, sys.stderr)
    if document is not None:  # of several processes one tells
        _show(context, document, before, options["strict"], output)


def _refuse_idle_beside_report(context: click.Context, requests: tuple[Request, ...]) -> None:
    """Raise UsageError for a model or an option that says how to time: a report has been timed."""
    if requests:
        idle("--report", "it prints a file again, and a MODEL was named", "leave out one of them")
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in OF_REPORTS and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            idle(parameter.opts[0], "--report prints a file again, and times nothing")


def _refuse_idle(options: dict[str, Any], cases: int) -> None:
    """Raise UsageError for an option that could change nothing of what is timed, or keep nothing."""
    if options["interleave"] and cases == 1:
        idle("--interleave", "there is only one combination to be timed")
    if options["threads"] is not None and options["device"] != "cpu":
        idle("--threads", f"--device is {options['device']}")
    if options["json_file"] == "-":
        raise UsageError("E222", "--json keeps a file, and - is standard output", help="--format json prints every sample there")


def _profile(options: dict[str, Any]) -> "Profile | None":
    """Return what calibrate measured of the device. Raises UsageError for what is no profile, or one of another kind of device."""
    from archcalc.analysis.roofline.profile import read_profile

    if options["profile"] is None:
        return None
    found = read_profile(options["profile"])
    if found.kind != options["device"]:
        message = f"{options['profile']} is a profile of {found.name}, and --device is {options['device']}"
        raise UsageError("E280", message, help=f"archcalc calibrate --device {options['device']} -o FILE")
    return found


def _cases(requests: tuple[Request, ...], options: dict[str, Any]) -> "tuple[Case, ...]":
    """Return what is to be timed. Raises ArchcalcError for whatever is not there or does not fit."""
    from archcalc.analysis.timing.plan import USUAL_EXECUTIONS, Case, check, configurations, processes

    device = options["device"]
    usual = USUAL_EXECUTIONS[device] if processes(os.environ) == 1 else ("eager",)  # several share gradients in eager mode
    by_model = {request.model: request for request in requests}
    found = configurations(
        by_model,
        mode=options["mode"],
        device=device,
        batches=options["batches"],
        dtypes=options["dtypes"],
        layouts=options["layouts"],
        executions=options["executions"] or usual,
    )
    graphs = {
        (model, batch): request._replace(batch=batch).graph() for model, request in by_model.items() for batch in options["batches"]
    }
    cases = tuple(Case(one, graphs[one.model, one.batch]) for one in found)
    for case in cases:
        check(case)
    return cases


def _limits(options: dict[str, Any]) -> "Limits":
    """Return when to stop. Raises UsageError where the least is more than the most."""
    from archcalc.analysis.timing.plan import USUAL_PRECISION
    from archcalc.analysis.timing.sampling import Limits

    least, most, percent = options["min_time"], options["max_time"], options["percent"]
    if least > most:
        raise UsageError("E278", f"--min-time {least:g} is longer than --max-time {most:g}", help="a longer --max-time")
    return Limits(
        min_seconds=least,
        max_seconds=most,
        relative_interval=USUAL_PRECISION[options["device"]] if percent is None else percent / 100,
    )


def _show(context: click.Context, document: "BenchDocument", before: "BenchDocument | None", strict: bool, output: Output) -> None:
    """Print what was measured, and leave with the exit code that it deserves."""
    from archcalc.analysis.timing.result import compared
    from archcalc.render.bench import benched

    told = document if before is None else compared(document, before)
    output.write(benched(told, before, exactly=output.format in ("csv", "tsv")))
    context.exit(_exit_code(told, strict))


def _exit_code(document: "BenchDocument", strict: bool) -> int:
    if not document.complete:
        return INTERRUPTED
    if any(run.failure for run in document.runs):
        return MISSING
    unfit = any(run.warnings or (run.change and run.change.verdict == "SLOWER") for run in document.runs)
    return WRONG if strict and unfit else 0
