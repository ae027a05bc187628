"""``archcalc worksheet MODEL``: a page of claims, worked out or to be filled in."""

import os

import click

from archcalc.cli.options import Command, FileName, Request, model_options, setting
from archcalc.errors import UsageError


@click.command(
    "worksheet",
    cls=Command,
    help="A page of hand calculations for a model, which verify reads: worked out, or left to be filled in.",
    examples=(
        "archcalc worksheet alexnet",
        "archcalc worksheet lenet5 --blank -o lenet5.md",
        "archcalc worksheet net.yaml --set classes=10 | archcalc verify -",
    ),
)
@model_options
@click.option("--blank", is_flag=True, help="Leave the answers out.")
@click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE.")
def command(request: Request, blank: bool, file: str | None) -> None:
    """Load, write, deliver."""
    from archcalc.render.delivery import deliver, goes_to_stdout
    from archcalc.spec.zoo import SUFFIXES, address
    from archcalc.worksheet.write import worksheet

    if request.batch > 1 or request.dtype != "float32":
        raise UsageError("E232", "a worksheet is about one image in float32", help="leave out --batch and --dtype")
    spec, variant, graph = request.load()
    at = address(request.model)
    settings = {name: setting(name, text) for name, text in request.settings}
    inputs = dict(zip([node.name for node in graph.inputs], [node.output[1:] for node in graph.inputs], strict=True))
    # A bundled variant has a name of its own; a spec is looked for beside the page, and a stream lies nowhere.
    file_name = os.path.basename(at.file)
    named = variant if at.bundled else file_name if file_name.lower().endswith(SUFFIXES) else None
    page = worksheet(
        graph,
        named,
        variant=None if at.bundled or variant == spec.name else variant,
        settings=settings,
        inputs=inputs if request.inputs else None,
        blank=blank,
    )
    deliver(page, file)
    folder = os.path.dirname(os.path.realpath("page" if file is None or goes_to_stdout(file) else file))
    if named is None:
        click.echo("the page names no model, and verify holds it against itself: name the file with --model FILE", err=True)
    elif not at.bundled and folder != os.path.dirname(os.path.realpath(at.file)):
        click.echo(f"verify looks for {named} beside the page: put it there, or name it with --model {request.model}", err=True)
