"""``archcalc verify PAGE.md|SPEC.yaml``: judges the claims of a page, or the published numbers of a spec."""

import os

import click

from archcalc.cli.options import Command, FileName, completed_by, keep_files

FORMATS = ("table", "json", "junit", "github", "md")  # held equal by a test to archcalc.render.verify.FORMATS
SUFFIXES = {".json": "json", ".md": "md", ".xml": "junit"}


@click.command(
    "verify",
    cls=Command,
    help="""Judge every claim of a page of hand calculations, or the numbers that a spec says are published.

    A wrong claim is shown with the right arithmetic and with the smallest change that would make it right. A line with digits that
    is no claim is shown as ?. Exit 1 if anything is wrong.""",
    examples=(
        "archcalc verify notes.md",
        "archcalc verify notes.md --model alexnet --annotate marked.md",
        "archcalc verify resnet.yaml",
        "archcalc verify homework.md --hide-answers --strict",
    ),
)
@click.argument("page", metavar="PAGE.md|SPEC.yaml", type=FileName("model"), shell_complete=completed_by("complete_models"))
@click.option(
    "--model",
    metavar="MODEL",
    type=FileName("model"),
    shell_complete=completed_by("complete_models"),
    help="Hold the page against this model.",
)
@click.option(
    "--variant",
    metavar="NAME",
    shell_complete=completed_by("complete_variants"),
    help="The variant of the model, or the only one of the spec to check.",
)
@click.option("--strict", is_flag=True, help="Fail on lines that were not read and answers that are empty, too.")
@click.option("--hide-answers", is_flag=True, help="Say where something is wrong, and not what.")
@click.option(
    "--annotate", metavar="FILE", type=FileName("write"), help="Write a copy of the page with the remarks beside its lines."
)
@click.option("--format", type=click.Choice(FORMATS), show_default="table, or what FILE ends in", help="Form of the output.")
@click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE; its suffix decides the format.")
@click.pass_context
def command(
    context: click.Context,
    page: str,
    model: str | None,
    variant: str | None,
    strict: bool,
    hide_answers: bool,
    annotate: str | None,
    format: str | None,
    file: str | None,
) -> None:
    """Read, judge, render."""
    from archcalc.render import verify
    from archcalc.render.delivery import deliver
    from archcalc.spec.zoo import address
    from archcalc.worksheet.files import check

    checked = check(page, model, variant)
    if checked.model is not None:  # which the page itself may have named: a spec beside it
        keep_files(context, checked.model)
    at = address(page)
    verified = verify.Verified(page if at.bundled else at.file, checked.judgement, strict, hide_answers, checked.model)
    if annotate is not None:
        deliver(verify.annotated(checked.text, verified, checked.page), annotate)
    verify.deliver_to(format or SUFFIXES.get(os.path.splitext(file or "")[1].lower(), "table"), verified, file)
    if not verified.passes:
        context.exit(1)
