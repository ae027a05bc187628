"""``archcalc why MODEL NUMBER``: which variant, option or way of counting gives this number."""

import click

from archcalc.cli.options import Command, Output, Request, model_options, output_options, setting


@click.command(
    "why",
    cls=Command,
    help="""Which variant, option or counting convention gives this number, or the nearest ones and the difference.

    NUMBER is one that somebody printed: 60965224, 61,100,840, 60M, 8.2e9, 4.12G or, for bytes, 97.8MiB. The exit code is 1 if
    nothing fits.""",
    examples=(
        "archcalc why alexnet 60965224",
        "archcalc why resnet50 4.12G",
        "archcalc why resnet50 3.8e9 --format md",
        "archcalc why vgg16 528MiB",
    ),
)
@model_options
@click.argument("number", metavar="NUMBER")
@output_options
@click.pass_context
def command(context: click.Context, request: Request, number: str, output: Output) -> None:
    """Load, search, render."""
    from archcalc.analysis.why import why
    from archcalc.analysis.why.changes import Base
    from archcalc.render.why import explanation

    spec, variant, graph = request.load()
    settings = {name: setting(name, text) for name, text in request.settings}
    inputs = {node.name: node.output[1:] for node in graph.inputs} if request.inputs else {}
    answer = why(Base(spec, variant, settings, inputs, request.batch, request.dtype), number)
    output.write(explanation(answer))
    context.exit(0 if answer.answers else 1)
