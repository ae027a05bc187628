"""``archcalc weights MODEL FILE``: published weights held against a model, and loaded into it."""

import sys

import click

from archcalc.cli.options import Command, FileName, Output, Request, output_options, unsized_model_options


@click.command(
    "weights",
    cls=Command,
    help="""Hold a file of weights against a model, and load it: which tensors are missing, unexpected, or of other sizes.

    Takes safetensors and PyTorch's own files; nothing in them is executed. Prefixes (module.), wrappers (state_dict) and an old
    DenseNet's names are recognised. Exit 1 if a tensor that the model needs is missing or does not fit.""",
    examples=(
        "archcalc weights resnet50 resnet50-11ad3fa6.pth",
        "archcalc weights densenet121 model.safetensors --dry-run",
        "archcalc weights vgg16 checkpoint.pt --set classes=10 --format json",
    ),
)
@unsized_model_options
@click.argument("weights", metavar="FILE", type=FileName())
@click.option("--dry-run", is_flag=True, help="Compare names and sizes; of .safetensors and newer .pt files, read only the header.")
@output_options
@click.pass_context
def command(context: click.Context, request: Request, weights: str, dry_run: bool, output: Output) -> None:
    """Load, match, render."""
    from archcalc.pytorch.weights import compare
    from archcalc.render.weights import weights_result

    graph = request.graph()
    if dry_run:
        found = compare(graph, weights)
    else:
        from archcalc.pytorch.build import build
        from archcalc.pytorch.missing import need_torch
        from archcalc.pytorch.weights import attempt
        from archcalc.render.progress import waiting

        with waiting("loading", sys.stderr):
            need_torch("E310", "loading weights needs")
            found = attempt(build(graph), weights)
    output.write(weights_result(graph.name, weights, found, loaded=found.fits and not dry_run))
    if not found.fits:
        context.exit(1)
