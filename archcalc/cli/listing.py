"""``archcalc list [TEXT]``: the bundled models and variants."""

import sys
from typing import TYPE_CHECKING

import click

from archcalc.cli.options import Command, Output, output_options
from archcalc.errors import UsageError

if TYPE_CHECKING:
    from archcalc.render.listing import ModelRow


@click.command(
    "list",
    cls=Command,
    help="The bundled models and variants: parameters, MACs and input, one line each. TEXT is sought in names, titles and sources.",
    examples=("archcalc list", "archcalc list resnet", "archcalc list 1409.1556 --format json"),
)
@click.argument("text", metavar="[TEXT]", default="")
@output_options
def command(text: str, output: Output) -> None:
    """Load, analyse, render."""
    from archcalc.render.listing import listing
    from archcalc.render.progress import progress
    from archcalc.spec import index

    found = [(name, path) for name, path in index().items() if _matches(name, text)]
    if not found:
        raise UsageError("E201", f"no bundled model has {text} in its name, title or source", help="archcalc list shows all")
    output.write(listing(tuple(_row(name) for name, _ in progress(found, "reading the models", sys.stderr))))


def _matches(name: str, text: str) -> bool:
    from archcalc.spec import read_spec

    spec, variant = read_spec(name)
    chosen = spec.variant(variant)
    return any(text.lower() in field.lower() for field in (name, chosen.title, chosen.source))


def _row(name: str) -> "ModelRow":
    from archcalc.analysis import analyse
    from archcalc.render.listing import model_row
    from archcalc.spec import read_spec

    spec, variant = read_spec(name)
    graph = spec.graph(variant)
    return model_row(name, spec.name, graph, analyse(graph))
