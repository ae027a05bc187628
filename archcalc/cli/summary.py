"""``archcalc summary MODEL``: a row per layer, and totals."""

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
@count_option
@output_options
def command(request: Request, depth: int | None, columns: str | None, count: str, output: Output) -> None:
    """Load, analyse, render."""
    if columns is not None and output.format in ("json", "jsonl"):
        idle("--columns", f"{output.format} has them all")
    if count == "all":
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
    output.write(
        summary(spec.name, graph, analyse(graph, dtype=request.dtype), depth=depth, columns=keys, counted=counted(graph, count))
    )
