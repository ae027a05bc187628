"""``archcalc summary MODEL``: a row per layer, and totals."""

from typing import TYPE_CHECKING

import click

from archcalc.cli.options import (
    Command,
    Output,
    Request,
    Whole,
    completed_by,
    count_option,
    counted,
    idle,
    model_options,
    output_options,
)

if TYPE_CHECKING:
    from archcalc.analysis.memory.trace import Peak
    from archcalc.graph import Graph


@click.command(
    "summary",
    cls=Command,
    help="A row per layer: output shape, params, MACs and activation bytes, and the totals.",
    examples=(
        "archcalc summary alexnet",
        "archcalc summary resnet50 --depth 1 --input 3x128x128",
        "archcalc summary densenet121 --set growth_rate=24 --format json",
        "archcalc summary vgg16 --columns +receptive_field,jump -o vgg16.md",
        "archcalc summary resnet50 --count all",
        "archcalc summary resnet50 --batch 32 --peak",
    ),
)
@model_options
@click.option("--depth", metavar="N", type=Whole(), help="Fold layers into scopes, to paths of at most N names.")
@click.option(
    "--columns",
    metavar="A,B,...",
    shell_complete=completed_by("complete_columns"),
    help="Columns of the table: any key of the JSON's layers; +A adds to the usual ones.",
)
@click.option("--peak", is_flag=True, help="With the totals, the peak bytes of inference and of a training step.")
@count_option
@output_options
def command(request: Request, depth: int | None, columns: str | None, peak: bool, count: str, output: Output) -> None:
    """Load, analyse, render."""
    if columns is not None and output.format in ("json", "jsonl"):
        idle("--columns", f"{output.format} has them all")
    if peak and output.format in ("csv", "tsv", "jsonl"):
        idle("--peak", f"{output.format} has only the rows, and the peak stands with the totals", "--format json or md has them")
    if count == "all":
        if peak:
            idle("--peak", "--count all has no totals in bytes")
        if depth is not None or columns is not None:
            idle("--depth" if depth else "--columns", "--count all has a row for each tool, and none for the layers")
        from archcalc.render.counts import counts

        output.write(counts([request.graph()]))
        return
    from archcalc.analysis import analyse
    from archcalc.render.summary import DEFAULT_COLUMNS, EXACT_COLUMNS, chosen_columns, summary

    spec, _, graph = request.load()
    usual = EXACT_COLUMNS if output.format in ("csv", "tsv") else (*DEFAULT_COLUMNS, *(["counted"] if count != "macs" else []))
    keys = chosen_columns(columns, usual)
    report = analyse(graph, dtype=request.dtype)
    tops = peaks(graph, request.dtype) if peak else None
    output.write(summary(spec.name, graph, report, depth=depth, columns=keys, counted=counted(graph, count), peaks=tops))


def peaks(graph: "Graph", dtype: str) -> "tuple[Peak, Peak | None]":
    """Return the peaks of inference and of training; the simulator is read only where they are asked for."""
    from archcalc.analysis.memory.peaks import peaks as found

    return found(graph, dtype)
