"""``archcalc build MODEL -o FILE``: the model in PyTorch, as source, an exported program, ONNX, or weights."""

import sys
from pathlib import PurePath

import click

from archcalc.cli.options import Command, FileName, Request, Whole, idle, model_options
from archcalc.errors import UsageError

SOURCE, WEIGHTS, PROGRAM, ONNX = ".py", ".safetensors", ".pt2", ".onnx"
SUFFIXES = (SOURCE, PROGRAM, ONNX, WEIGHTS)


@click.command(
    "build",
    cls=Command,
    help="""The model in PyTorch. The suffix of FILE decides what is written; without FILE the source is shown.

    \b
      .py           source that runs with torch alone, one line for a layer
      .pt2          an exported program, which torch.export.load reads
      .onnx         ONNX, opset 18
      .safetensors  the weights: as the paper begins, or those of --weights

    Exported programs take any number of images at once.""",
    examples=(
        "archcalc build resnet50",
        "archcalc build alexnet -o alexnet.py",
        "archcalc build resnet18 -o resnet18.onnx --weights resnet18.safetensors",
        "archcalc build googlenet_aux -o googlenet.pt2 --mode train --seed 1",
        "archcalc build lenet5 -o lenet5.safetensors",
    ),
)
@model_options
@click.option("-o", "file", metavar="FILE", type=FileName("write"), help="Write to FILE; its suffix decides what.")
@click.option("--weights", metavar="FILE", type=FileName(), help="Take the weights of this file: safetensors, or PyTorch's own.")
@click.option("--seed", metavar="N", type=Whole(least=0), show_default="0", help="Of the first weights, which are drawn.")
@click.option("--mode", type=click.Choice(("eval", "train")), show_default="eval", help="What a .pt2 file is for.")
def command(request: Request, file: str | None, weights: str | None, seed: int | None, mode: str | None) -> None:
    """Load, build, deliver; what was made is told on standard error."""
    from archcalc.render.build import note
    from archcalc.render.delivery import deliver, deliver_bytes, probe
    from archcalc.render.progress import waiting

    form = _form(file)
    _check(form, request, weights, seed, mode)
    graph = request.graph()
    if file is None or form == SOURCE:
        from archcalc.pytorch.source import source

        deliver(source(graph), file)
        return
    from archcalc.pytorch.export import EXPORTS, about, made, need

    probe(file)
    with waiting("building", sys.stderr):
        need(graph, request.dtype, form)
        found = made(graph, dtype=request.dtype, mode=mode or "eval", seed=seed or 0, weights=weights)
        deliver_bytes(EXPORTS[form](graph, found), file)
    click.echo(note(file, about(graph, found), found.match), err=True)


def _form(file: str | None) -> str:
    """Return the suffix that a file's name has, that of source without a file. Raises UsageError for one that says nothing."""
    if file is None or file == "-":
        return SOURCE
    suffix = PurePath(file).suffix.lower()
    if suffix not in SUFFIXES:
        what = f"the suffix {suffix} says" if suffix else "a name without a suffix says"
        raise UsageError("E223", f"{what} nothing that can be built: {file}", help=f"known here: {', '.join(SUFFIXES)}")
    return suffix


def _check(form: str, request: Request, weights: str | None, seed: int | None, mode: str | None) -> None:
    """Refuse options that could change nothing."""
    if request.batch > 1:
        idle("--batch", "what is built takes any number of images")
    if form == SOURCE:
        given = {"--weights": weights, "--seed": seed, "--dtype": None if request.dtype == "float32" else request.dtype}
        for option in (option for option, value in given.items() if value is not None):
            idle(option, "source holds no weights", help="a .safetensors, .pt2 or .onnx file does")
    if mode is not None and form != PROGRAM:
        idle("--mode", f"{form} files are the same for both" if form != ONNX else "ONNX files are for evaluation")
    if weights is not None and seed is not None:
        idle("--seed", "the weights are those of a file")
