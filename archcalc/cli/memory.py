"""``archcalc memory MODEL``: the bytes of a run: parameters, gradients, optimizer state, what autograd keeps, and the peak."""

from typing import Any

import click

from archcalc.cli.options import Command, Output, Request, completed_by, idle, model_options, output_options
from archcalc.cli.plan import Running, plan_options
from archcalc.cli.sizes import Size


@click.command(
    "memory",
    cls=Command,
    help="""The bytes that a run takes: params, buffers, gradients, optimizer state, what autograd keeps, and the peak.

    Every tensor is followed from its allocation to its release; CUDA's caching allocator is then replayed on that.""",
    examples=(
        "archcalc memory resnet50 --batch 32",
        "archcalc memory resnet50 --batch 32 --train --optimizer adam --amp bf16",
        "archcalc memory alexnet --batch 128 --train --timeline",
        "archcalc memory densenet121 --batch 64 --train --checkpoint denseblock1 --format json",
    ),
)
@model_options
@plan_options(optimizers="momentum")
@click.option("--timeline", is_flag=True, help="A row for each moment: what lives in forward, backward and the optimizer's step.")
@click.option(
    "--gpu", metavar="NAME", shell_complete=completed_by("complete_devices"), help="The device, for the terms that depend on it."
)
@click.option("--context", "context_bytes", metavar="SIZE", type=Size(), help="What CUDA's context takes, if it was measured.")
@output_options
def command(request: Request, running: Running, timeline: bool, gpu: str | None, context_bytes: int | None, output: Output) -> None:
    """Load, simulate, render."""
    from archcalc.analysis.devices import find
    from archcalc.analysis.memory.report import usage
    from archcalc.render.memory import memory, write

    plan = running.plan(request.dtype, training=running.train)
    _check(running.rules, output.format, {"--gpu": gpu, "--context": context_bytes}, timeline)
    device = None if gpu is None else find(gpu).name
    spec, _, graph = request.load()
    found = usage(graph, plan, gpu=device, context_bytes=context_bytes)
    write(memory(spec.name, graph, found, timeline=timeline), *output)


def _check(rules: str, format: str, device: dict[str, Any], timeline: bool) -> None:
    """Refuse options that could change nothing."""
    for option in (option for option, value in device.items() if value is not None):
        if rules == "cpu":
            idle(option, "by the rules of the CPU there are no workspaces, and no context")
        if format in ("csv", "tsv", "jsonl"):
            idle(option, f"{format} has only the rows, and the terms stand under them", "--format json or md has them")
    if timeline and format == "json":
        idle("--timeline", "json has the layers and the moments")
