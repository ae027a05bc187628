"""``archcalc fit MODEL --gpu NAME``: the largest batch that a device has room for, and what one image more would need."""

import click

from archcalc.cli.options import DTYPES, Command, Output, Request, Whole, completed_by, idle, output_options, unsized_model_options
from archcalc.cli.over import Axis, combinations, read_axes
from archcalc.cli.plan import OPTIMIZERS, Running, plan_options
from archcalc.cli.sizes import Size
from archcalc.errors import UsageError


@click.command(
    "fit",
    cls=Command,
    help="""The largest batch that fits on a device, for inference and for training with each optimizer, in 32 and in 16 bit.

    With --batch, whether that batch fits, and what is missing; the exit code is then 1 if one of the rows does not. Where --train,
    --optimizer, --amp or --dtype say how the network is run, only that is asked about.""",
    examples=(
        'archcalc fit resnet50 --gpu "RTX 3090"',
        'archcalc fit alexnet --gpu "GTX 580" --train --batch 128',
        'archcalc fit alexnet_two_towers --gpu "GTX 580" --train --batch 128 --towers 2',
        "archcalc fit densenet121 --memory 24GiB --train --amp bf16 --over input=3x224x224,3x384x384 --over growth_rate=16,32",
    ),
)
@unsized_model_options
@click.option("--batch", metavar="N", type=Whole(), show_default="the largest that fits", help="Ask about this batch.")
@click.option("--dtype", type=click.Choice(DTYPES), show_default="float32, and 16 bit", help="Ask about this type alone.")
@click.option(
    "--gpu", metavar="NAME", shell_complete=completed_by("complete_devices"), help="The device, by the name that its driver prints."
)
@click.option("--memory", "size", metavar="SIZE", type=Size(), help="Bytes that the device has, such as 24GiB, in place of --gpu.")
@click.option(
    "--context", "context_bytes", metavar="SIZE", type=Size(), show_default="512MiB", help="What CUDA's context takes of them."
)
@click.option("--towers", metavar="N", type=Whole(64), default=1, help="Divide every layer's channels among N such devices.")
@click.option(
    "--over",
    "axes",
    metavar="NAME=A,B,...",
    multiple=True,
    callback=read_axes,
    shell_complete=completed_by("complete_settings"),
    help="A row for each value of a param, or of the input's sizes: input=3x128x128,3x256x256; A..B counts; repeatable.",
)
@plan_options(optimizers="each of them")
@output_options
@click.pass_context
def command(
    context: click.Context, request: Request, batch: int | None, dtype: str | None, gpu: str | None, size: int | None,
    context_bytes: int | None, towers: int, axes: tuple[Axis, ...], running: Running, output: Output,
) -> None:  # fmt: skip
    """Load, search, render."""
    from archcalc.analysis.memory.fit import Card, plans, rooms
    from archcalc.render.fit import Asked, fit

    _check(gpu, size, context_bytes, running.rules)
    card = Card.named(gpu, context_bytes) if gpu is not None else Card("", size or 0, context_bytes)
    modes = _modes(running, dtype)
    asked = plans(
        running.plan(dtype or "float32", training=True in modes),
        modes=modes,
        optimizers=(running.optimizer,) if running.optimizer else OPTIMIZERS,
        every_type=running.amp is None and dtype is None,
        half=card.half,
    )
    found = []
    for values, one in combinations(request, axes):
        loaded = one.load()
        found.append(Asked(loaded.spec.name, values, loaded.graph, rooms(loaded.graph, asked, card, batch=batch, towers=towers)))
    output.write(fit(found, card, batch, towers))
    if batch is not None and not all(room.fits for one in found for room in one.rooms):
        context.exit(1)


def _check(gpu: str | None, size: int | None, context_bytes: int | None, rules: str) -> None:
    """Refuse a device that is named in no way or in two, and what the CPU's rules do not know."""
    if (gpu is None) == (size is None):
        message = "fit needs the bytes of a device" if gpu is None else "--gpu and --memory exclude each other"
        raise UsageError("E268", message, help='--gpu "RTX 3090", or --memory 24GiB')
    if rules == "cpu" and gpu is not None:
        raise UsageError("E268", "--rules cpu, and --gpu names a device of CUDA's", help="--memory 24GiB, or leave out --rules cpu")
    if rules == "cpu" and context_bytes is not None:
        idle("--context", "by the rules of the CPU there is none")


def _modes(running: Running, dtype: str | None) -> tuple[bool, ...]:
    """Return whether training is asked about, or inference, or both; int8 is never trained."""
    if running.train or running.optimizer:
        return (True,)
    return (False,) if dtype == "int8" else (False, True)
