"""``archcalc schema``: the JSON Schema of specs, and of what the commands print."""

import click

from archcalc.cli.options import Command, FileName

# Held equal by a test to archcalc.render.schemas.DOCUMENTS.
PRINTING_JSON = (
    "list", "show", "summary", "compare", "counts", "verify", "explain", "why", "check", "memory", "fit", "roofline", "weights",
    "bench", "bench-plan",
)  # fmt: skip


@click.command(
    "schema",
    cls=Command,
    help="""The JSON Schema of specs, or of what COMMAND prints with --format json; that of --count all is called counts.

    With the schema beside it, a spec that begins with this line is completed, explained and marked by editors that have a YAML
    language server:

    \b
      # yaml-language-server: $schema=spec-1.schema.json""",
    examples=("archcalc schema -o spec-1.schema.json", "archcalc schema summary", "archcalc schema counts"),
)
@click.argument("name", metavar="[COMMAND]", required=False, type=click.Choice(PRINTING_JSON))
@click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE.")
def command(name: str | None, file: str | None) -> None:
    """Render and deliver."""
    from archcalc.render.delivery import deliver
    from archcalc.render.schemas import schema_text

    deliver(schema_text(name), file)
