"""``archcalc roofline MODEL --gpu NAME``: what each layer is bound by on a device, how long it takes at least, and about."""

from typing import TYPE_CHECKING

import click

from archcalc.cli.options import Command, FileName, Output, Request, completed_by, idle, model_options, output_options
from archcalc.errors import UsageError

if TYPE_CHECKING:
    from archcalc.analysis.devices import Device
    from archcalc.analysis.roofline import Cases

# Held equal by a test to the tables of archcalc.analysis.roofline.
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "amp-fp16", "amp-bf16")
LAYOUTS = ("nchw", "nhwc")
MODES = ("infer", "fwd-bwd", "train")
BY_DTYPE = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
CHARTS = ("table", "svg")


@click.command(
    "roofline",
    cls=Command,
    help="""What each layer is bound by on a device (bytes, arithmetic, launches), how long it takes at least, and about.

    The device is one of the table, or one that archcalc calibrate has measured.""",
    examples=(
        "archcalc roofline resnet50 --gpu h100 --batch 64 --precision amp-bf16 --layout nhwc",
        "archcalc roofline vgg16 --gpu 'NVIDIA GeForce RTX 3090' --batch 256 --mode train",
        "archcalc roofline resnet50 --gpu a100 --batch 64 --chart -o resnet50.svg",
        "archcalc roofline resnet18 --profile cpu.json",
    ),
)
@model_options
@click.option("--gpu", metavar="NAME", shell_complete=completed_by("complete_devices"), help="A device, by any of its names.")
@click.option("--profile", metavar="FILE", type=FileName(), help="What archcalc calibrate wrote about a device.")
@click.option("--precision", type=click.Choice(PRECISIONS), show_default="that of --dtype", help="Of the arithmetic.")
@click.option("--layout", type=click.Choice(LAYOUTS), default="nchw", help="How maps lie in memory; nhwc is channels_last.")
@click.option("--mode", type=click.Choice(MODES), default="infer", help="Forward; and backward; and a step of SGD with momentum.")
@click.option("--chart", is_flag=True, help="The roofline as a picture: text, or SVG with -o FILE.svg.")
@output_options
def command(
    request: Request,
    gpu: str | None,
    profile: str | None,
    precision: str | None,
    layout: str,
    mode: str,
    chart: bool,
    output: Output,
) -> None:
    """Load, reckon, render."""
    from archcalc.analysis.roofline import roofline

    if chart and output.format not in CHARTS:
        idle("--chart", f"{output.format} has the numbers, and no picture", "--format table or svg")
    precision = _precision(request.dtype, precision)
    device, cases = _device(gpu, profile, precision, layout)
    spec, _, graph = request.load()
    found = roofline(graph, device, precision=precision, layout=layout, mode=mode, cases=cases)
    if chart:
        from archcalc.render.chart import write

        write(found, graph, *output)
        return
    from archcalc.render.roofline import rooflined

    output.write(rooflined(spec.name, graph, found))


def _precision(dtype: str, precision: str | None) -> str:
    """Return the precision that was asked for. Raises UsageError for a dtype that is none, or that says something else."""
    if precision is None:
        if dtype not in BY_DTYPE:
            way_out = f"--dtype {', '.join(BY_DTYPE)}, or --precision {', '.join(PRECISIONS)}"
            raise UsageError("E287", f"no device's peak in {dtype} is known here", help=way_out)
        return BY_DTYPE[dtype]
    if dtype != "float32":
        idle("--dtype", f"--precision {precision} says it already")
    return precision


def _device(gpu: str | None, profile: str | None, precision: str, layout: str) -> "tuple[Device, Cases | None]":
    """Return the device, and where it was measured how near it comes to its peaks. Raises UsageError unless one is named."""
    from archcalc.analysis.devices import find

    if gpu is not None and profile is None:
        return find(gpu), None
    if gpu is not None or profile is None:
        message = "--gpu and --profile both name a device" if gpu else "no device is named"
        raise UsageError("E289", message, help="--gpu NAME for one of the table, --profile FILE for one that was measured")
    from archcalc.analysis.roofline.precision import precision_named
    from archcalc.analysis.roofline.profile import read_profile

    measured = read_profile(profile)
    return measured.device, measured.cases(precision_named(precision).unit, layout)
