"""``archcalc summary MODEL``: a row per layer, and totals."""

import click

from archcalc.cli.options import Command, Output, Request, Whole, count_option, counted, model_options, output_options


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
@click.option("--columns", metavar="A,B,...", help="Columns of the table: any key of the JSON's layers; +A adds to the usual ones.")
@count_option
@output_options
def command(request: Request, depth: int | None, columns: str | None, count: str, output: Output) -> None:
    """Load, analyse, render."""
    spec, _, graph = request.load()
    if count == "all":
        from archcalc.render.counts import counts

        output.write(counts([graph]))
        return
    from archcalc.analysis import analyse
    from archcalc.render.summary import DEFAULT_COLUMNS, EXACT_COLUMNS, chosen_columns, summary

    usual = EXACT_COLUMNS if output.format in ("csv", "tsv") else DEFAULT_COLUMNS
    keys = chosen_columns(columns, usual)
    output.write(
        summary(spec.name, graph, analyse(graph, dtype=request.dtype), depth=depth, columns=keys, counted=counted(graph, count))
    )
