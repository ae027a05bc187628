"""``archcalc check MODEL``: the graph's numbers against PyTorch's own, layer by layer."""

import sys
from functools import partial

import click

from archcalc.cli.options import Command, Output, Request, Whole, model_options, output_options


@click.command(
    "check",
    cls=Command,
    help="""Build the model in PyTorch and hold each layer's numbers against what it finds there.

    Shapes, params, buffers and MACs are those of the module on the meta device; saved bytes are what autograd keeps in training on
    the CPU, at the batch and the next. Exit 1 if any of it differs.""",
    examples=(
        "archcalc check lenet5",
        "archcalc check resnet50 --depth 1",
        "archcalc check net.yaml --input 3x64x64 --format json",
    ),
)
@model_options
@click.option("--depth", metavar="N", type=Whole(), help="Fold layers into scopes, to paths of at most N names.")
@output_options
@click.pass_context
def command(context: click.Context, request: Request, depth: int | None, output: Output) -> None:
    """Load, check, render."""
    from archcalc.pytorch.missing import need_torch
    from archcalc.render.check import check_result
    from archcalc.render.progress import progress, waiting

    spec, _, graph = request.load()
    with waiting("loading PyTorch", sys.stderr):
        need_torch("E340", "checking a model needs")
        from archcalc.pytorch.check import check

    checked = check(graph, dtype=request.dtype, track=partial(progress, stream=sys.stderr))
    output.write(check_result(spec.name, checked, depth=depth))
    if not checked.agrees:
        context.exit(1)
