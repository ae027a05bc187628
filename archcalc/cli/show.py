"""``archcalc show MODEL``: the spec itself, or the flat graph that comes of it."""

from pathlib import PurePath

import click

from archcalc.cli.options import FORMATS, SUFFIXES, Command, FileName, Request, model_options


@click.command(
    "show",
    cls=Command,
    help="The spec itself; with --expanded the flat graph that comes of it, again as a spec.",
    examples=(
        "archcalc show resnet50",
        "archcalc show alexnet -o mine.yaml",
        "archcalc show resnet50 --expanded --input 3x128x128",
        "archcalc show resnet50 --format json",
    ),
)
@model_options
@click.option("--expanded", is_flag=True, help="Write out blocks, repeats, conditions and expressions: a line for each layer.")
@click.option(
    "--format",
    type=click.Choice(("yaml", *FORMATS)),
    show_default="yaml, or what FILE ends in",
    help="A spec, or the expanded graph in another form.",
)
@click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE; its suffix decides the format.")
def command(request: Request, expanded: bool, format: str | None, file: str | None) -> None:
    """Load, render; what is to be said about the text goes to standard error."""
    from archcalc.render import show
    from archcalc.render.delivery import deliver
    from archcalc.render.expanded import expanded as written_out
    from archcalc.render.formats import write
    from archcalc.spec import read_spec

    form = format or SUFFIXES.get(PurePath(file or "").suffix.lower(), "yaml")
    if form != "yaml":
        write(show.graph_result(request.graph()), form, file)
        return
    if expanded:
        text = written_out(request.graph())
        notes = show.expanded_notes(text)
    else:
        spec, chosen = read_spec(request.model, request.variant)  # no graph: a spec that does not fit together can be read
        text = spec.text
        notes = show.spec_notes(spec, chosen, bool(request.settings or request.inputs or request.batch > 1))
    deliver(text, file)
    for note in (*notes, *show.schema_notes(text, file)):
        click.echo(note, err=True)
