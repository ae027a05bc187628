"""``archcalc calibrate``: measures a device, so that later estimates need no datasheet."""

import sys

import click

from archcalc.cli.options import Command, FileName, Number

DEVICES = ("cuda", "cpu")


@click.command(
    "calibrate",
    cls=Command,
    help="""Measures this machine's device in about two minutes: copies, matrix products, convolutions, and what a launch costs.

    archcalc roofline --profile FILE reckons with what was found. The machine should have nothing else to do meanwhile.""",
    examples=("archcalc calibrate -o gpu.json", "archcalc calibrate --device cpu -o cpu.json"),
)
@click.option("--device", type=click.Choice(DEVICES), default="cuda", help="What is measured.")
@click.option("--seconds", metavar="S", type=Number(0.001, 60), default=0.5, help="Time for each of the measurements.")
@click.option(
    "-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE: the profile, which roofline and bench read."
)
def command(device: str, seconds: float, file: str | None) -> None:
    """Measure, deliver."""
    from archcalc.pytorch.missing import need_torch
    from archcalc.render.delivery import deliver, probe
    from archcalc.render.progress import progress
    from archcalc.render.roofline import profile_text

    need_torch("E330", "measuring a device needs")
    from archcalc.pytorch.calibrate import calibrate

    probe(file)
    found = calibrate(device, seconds=seconds, over=lambda tasks: progress(tasks, "measuring", sys.stderr))
    deliver(profile_text(found), file)
