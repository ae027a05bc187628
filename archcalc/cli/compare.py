"""``archcalc compare MODEL MODEL...``: layers aligned, what differs, and the totals."""

import click

from archcalc.cli.options import Command, Output, Request, Whole, count_option, counted, idle, models_options, output_options
from archcalc.errors import UsageError


@click.command(
    "compare",
    cls=Command,
    help="Models side by side: layers aligned, what differs, and the totals against those of the first.",
    examples=(
        "archcalc compare alexnet alexnet_two_towers",
        "archcalc compare resnet50 resnet101 resnet152 --depth 1",
        "archcalc compare resnet50 vgg16 --count all",
        "archcalc compare mine.yaml mine.yaml:deep",
        "archcalc compare vgg16 mine.yaml --all --input 3x64x64 -o both.csv",
    ),
)
@models_options
@click.option("--depth", metavar="N", type=Whole(), help="Fold layers into scopes, to paths of at most N names.")
@click.option("--all", "every_row", is_flag=True, help="Show the rows that are equal too; JSON, CSV and TSV always have them.")
@count_option
@output_options
def command(requests: tuple[Request, ...], depth: int | None, every_row: bool, count: str, output: Output) -> None:
    """Load, compare, render."""
    from archcalc.analysis.compare import compare
    from archcalc.render.compare import comparison

    if len(requests) < 2:
        raise UsageError("E227", "compare needs two models or more", help=f"archcalc summary {requests[0].model} shows one")
    if requests[0].variant is not None and len(set(requests)) < len(requests):
        twice = next(request for request in requests if requests.count(request) > 1)
        message = f"{twice.model} is named twice, and --variant {twice.variant} holds for both: it would be compared with itself"
        raise UsageError("E227", message, help=f"archcalc compare {twice.model} {twice.model}:{twice.variant}")
    if count == "all":
        if depth is not None or every_row:
            idle("--depth" if depth else "--all", "--count all has a row for each tool, and none for the layers")
        from archcalc.render.counts import counts

        output.write(counts([request.graph() for request in requests]))
        return
    if count != "macs" and output.format in ("csv", "tsv", "jsonl"):
        idle("--count", f"{output.format} has only the rows, and a count stands with the totals", "--format json or md has them")
    graphs = [request.graph() for request in requests]
    found = compare(graphs, dtype=requests[0].dtype, depth=depth)
    counts_of = [one for graph in graphs if (one := counted(graph, count))]
    every_row = every_row or output.format in ("csv", "tsv")
    output.write(comparison(found, every_row=every_row, counted=counts_of, asked=[request.model for request in requests]))
