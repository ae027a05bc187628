"""``archcalc explain MODEL [LAYER]``: the arithmetic behind every number, followed back to where it was written."""

import click

from archcalc.cli.options import Command, Output, Request, completed_by, model_options, output_options

# Held equal by a test to archcalc.analysis.explain.QUANTITIES and PEAK.
QUANTITIES = (
    "output", "params", "macs", "flops", "activation", "saved", "receptive-field", "neurons", "connections", "buffers", "peak",
)  # fmt: skip


@click.command(
    "explain",
    cls=Command,
    help="""The arithmetic behind the numbers of a LAYER, or behind the totals: symbols, then numbers, then the result.

    Each value is followed back to its source: a formula, an earlier layer, or the line of the spec that gives it.""",
    examples=(
        "archcalc explain alexnet conv1",
        "archcalc explain alexnet fc6 --quantity params",
        "archcalc explain resnet50 layer4.2.conv2 --quantity receptive-field --trace",
        "archcalc explain vgg16 -o vgg16.tex",
    ),
)
@model_options
@click.argument("layer", metavar="[LAYER]", required=False, shell_complete=completed_by("complete_layers"))
@click.option(
    "--quantity",
    "quantities",
    type=click.Choice(QUANTITIES),
    multiple=True,
    show_default="the main ones",
    help="What to explain; repeatable.",
)
@click.option("--trace", is_flag=True, help="Follow every number the whole way back; name every layer of a total.")
@output_options
def command(request: Request, layer: str | None, quantities: tuple[str, ...], trace: bool, output: Output) -> None:
    """Load, explain, render."""
    from archcalc.analysis.explain import explain
    from archcalc.analysis.written import Written
    from archcalc.render.explain import explained, write

    spec, variant, graph = request.load()
    name = None if layer is None else graph.find(layer).name
    written = Written(graph, spec, variant, bool(request.inputs))
    found = explain(graph, name, quantities, written=written, dtype=request.dtype, trace=trace)
    write(*explained(spec.name, graph, request.dtype, name, found, every=trace), *output)
