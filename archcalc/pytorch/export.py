"""A graph's module as a file that runs without archcalc: torch.export's program, and ONNX."""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import BytesIO, StringIO
from math import prod
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archcalc import __version__
from archcalc.analysis.cost import DTYPE_BYTES
from archcalc.errors import MissingError, UsageError
from archcalc.graph import Graph
from archcalc.pytorch.build import build
from archcalc.pytorch.liveness import plan
from archcalc.pytorch.names import check_exported
from archcalc.pytorch.room import free_bytes
from archcalc.pytorch.source import steps
from archcalc.pytorch.state import state

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from archcalc.pytorch.weights import Match

FLOATS: Final = ("float64", "float32", "float16", "bfloat16")  # what a module's parameters can be
EVAL, TRAIN = "eval", "train"
BATCH: Final = "N"  # the name of the free dimension
SOME_IMAGES: Final = 2  # in the example that is traced: 1 would be taken for a size that stays
OPSET: Final = 18  # what torch's exporter is written in; every onnxruntime since 1.14 reads it
MOST_ONNX: Final = 2**31 - 1  # bytes of one protobuf message, which an ONNX file is
METADATA: Final = "archcalc.json"  # within a .pt2 file
PT2, ONNX, SAFETENSORS = ".pt2", ".onnx", ".safetensors"
# How often the weights are there at once while a file is made: in the module, in the file, and on the way. A test measures it.
COPIES: Final = {PT2: 3, ONNX: 4, SAFETENSORS: 4}


class Made(NamedTuple):
    """A module with its weights: as a paper begins (``seed``), or from a file (``match`` says what fitted)."""

    module: "nn.Module"
    dtype: str
    mode: str
    seed: int
    weights: str | None = None
    match: "Match | None" = None


def made(graph: Graph, *, dtype: str = "float32", mode: str = EVAL, seed: int = 0, weights: str | None = None) -> Made:
    """Return the graph's module with its weights, in a floating-point type and in training or evaluation mode.

    Raises MissingError without PyTorch, and UsageError for a type without fractions, or weights that do not fit.
    """
    if dtype not in FLOATS:
        message = f"parameters have fractions, and {dtype} has none"
        raise UsageError("E252", message, help=f"one of {', '.join(FLOATS)}")
    module = build(graph)
    import torch

    from archcalc.pytorch.initial import initialise
    from archcalc.pytorch.weights import load

    wanted = getattr(torch, dtype)
    match = None
    if weights is None:
        initialise(module, graph, seed)
        module.to(wanted)
    else:
        match = load(module.to(wanted), weights)  # converted once, so that float64 stays float64
    _check_range(module, dtype)
    return Made(module.train(mode == TRAIN), dtype, mode, seed, weights, match)


def need(graph: Graph, dtype: str, form: str) -> None:
    """Raise what keeps a file of this form from being made: what ``as_onnx`` raises, and MissingError where memory is short."""
    if form == ONNX:
        need_onnx()
        _check_onnx(graph, dtype)
    weights, free = _weight_bytes(graph, dtype), free_bytes()
    wanted = COPIES[form] * weights
    if wanted > free:
        message = f"the weights take {weights:,} bytes, and making a {form} file of them {wanted:,}; {free:,} are free"
        raise MissingError("E323", message, help="without -o the source is shown, which holds no weights")


def _weight_bytes(graph: Graph, dtype: str) -> int:
    return DTYPE_BYTES[dtype] * sum(prod(entry.sizes) for entry in state(graph).values())


def _check_range(module: "nn.Module", dtype: str) -> None:
    """Raise UsageError where a number became infinite in a type of a smaller range."""
    for name, tensor in module.state_dict().items():
        if not tensor.isfinite().all():
            way_out = "--dtype float32, or bfloat16, which has its range" if dtype == "float16" else "--dtype float64"
            raise UsageError("E299", f"{name} holds numbers beyond the range of {dtype}", help=way_out)


def about(graph: Graph, made: Made) -> dict[str, str]:
    """Return what a file says of itself: the model and its source, the spec, and how it was made."""
    inputs = ", ".join(f"{node.name}: {'x'.join(map(str, (BATCH, *node.output[1:])))}" for node in graph.inputs)
    return {
        "model": graph.name,
        "title": graph.title,
        "source": graph.source,
        "spec": PurePath(graph.file).name,
        "archcalc": __version__,
        "inputs": inputs,
        "dtype": made.dtype,
        "mode": made.mode,
        "weights": f"seed {made.seed}" if made.weights is None else PurePath(made.weights).name,
    }


def as_pt2(graph: Graph, made: Made) -> bytes:
    """Return the file of an exported program, with any number of images: ``torch.export.load`` reads it."""
    import msgspec
    import torch

    stream = BytesIO()
    with quiet():
        torch.export.save(_program(graph, made), stream, extra_files={METADATA: msgspec.json.encode(about(graph, made)).decode()})
    return stream.getvalue()


def as_onnx(graph: Graph, made: Made) -> bytes:
    """Return the graph as an ONNX model with any number of images, its outputs named as the graph names them.

    Raises MissingError without the ONNX packages or where ONNX lacks an operator, UsageError if no file can be so large.
    """
    need_onnx()
    import torch

    _check_onnx(graph, made.dtype)
    with quiet():
        program = _program(graph, made)
        _without_divisors(program)
        try:
            found = torch.onnx.export(
                program,
                dynamo=True,
                dynamic_shapes=_free_batch(graph),  # for its name alone: it is free in the program already
                opset_version=OPSET,
                input_names=list(plan(graph).inputs),
                output_names=["output"],
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            message = f"PyTorch's ONNX exporter stops at {_reason(error)}"
            raise MissingError("E322", message, help="a .pt2 file takes it") from None
    assert found is not None
    found.model.producer_name, found.model.producer_version = "archcalc", __version__
    found.model.graph.name = graph.name
    found.model.metadata_props.update(about(graph, made))
    content: bytes = found.model_proto.SerializeToString()
    return content


def as_safetensors(graph: Graph, made: Made) -> bytes:
    """Return the weights alone. Raises MissingError without the library."""
    from archcalc.pytorch.files import packed

    return packed(made.module.state_dict())


def _check_onnx(graph: Graph, dtype: str) -> None:
    """Raise what ``as_onnx`` says of the type and of the size."""
    if dtype == "bfloat16":  # opset 22 has it, and few read that
        raise MissingError("E322", f"ONNX has no convolution of bfloat16 in opset {OPSET}", help="--dtype float16, or a .pt2 file")
    size = _weight_bytes(graph, dtype)
    if size > MOST_ONNX:
        message = f"an ONNX file holds at most {MOST_ONNX:,} bytes, and the weights take {size:,}"
        raise UsageError("E222", message, help="--dtype float16, or a .pt2 file")


def _program(graph: Graph, made: Made) -> "ExportedProgram":
    """Return the module as an exported program, the batch left free."""
    import torch

    check_exported(step.path for step in steps(graph))
    dtype = getattr(torch, made.dtype)
    example = tuple(torch.zeros(SOME_IMAGES, *node.output[1:], dtype=dtype) for node in graph.inputs)
    return torch.export.export(made.module, example, dynamic_shapes=_free_batch(graph))


def _free_batch(graph: Graph) -> tuple[Any, ...]:
    """Return which dimensions are free: the first of each input, which is the same in all."""
    from torch.export import Dim

    batch = Dim(BATCH)
    return tuple({0: batch} for _ in graph.inputs)


def _without_divisors(program: "ExportedProgram") -> None:
    """Write a mean with a divisor of its own as a plain one, scaled: the ONNX exporter overlooks the divisor (torch 2.13)."""
    import torch

    aten, graph = torch.ops.aten, program.graph
    for node in list(graph.nodes):
        if node.target is not aten.avg_pool2d.default or len(node.args) < 7 or node.args[6] is None:
            continue
        x, kernel, stride, *_, divisor = node.args
        top, bottom, left, right = _zeros_around(node)
        if top + bottom + left + right:
            with graph.inserting_before(node):
                padded = graph.call_function(aten.constant_pad_nd.default, (x, [left, right, top, bottom]))
            n, c, h, w = x.meta["val"].shape
            padded.meta = x.meta | {"val": x.meta["val"].new_empty((n, c, top + h + bottom, left + w + right))}
            x = padded
        with graph.inserting_after(node):
            scaled = graph.call_function(aten.mul.Tensor, (node, prod(kernel) / divisor))
        scaled.meta = dict(node.meta)
        node.replace_all_uses_with(scaled, delete_user_cb=lambda user, scaled=scaled: user is not scaled)
        node.args = (x, kernel, stride)


def _zeros_around(pool: Any) -> list[int]:
    """Return how far a pool's windows reach beyond its input on the four sides: nothing to a sum, but some means count it."""
    x, kernel, stride, padding, *_ = pool.args
    axes = zip(x.meta["val"].shape[2:], pool.meta["val"].shape[2:], kernel, stride or kernel, padding, strict=True)
    return [end for i, o, k, s, p in axes for end in (p, max(0, (o - 1) * s + k - i - p))]


def _reason(error: BaseException) -> str:
    """Return the operator that the exporter stopped at, or the innermost of what it says."""
    while error.__cause__ is not None:
        error = error.__cause__
    operator = re.search(r"aten[.:]+\w+", str(error))
    return operator[0] if operator else str(error).strip().partition("\n")[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' talk off the screen: their warnings are for those who work on them."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def need_onnx() -> None:
    """Raise MissingError where one of the packages that write ONNX is not installed."""
    for name in ("torch", "onnx", "onnxscript"):  # torch's exporter is written in the last
        try:
            import_module(name)
        except ImportError as error:
            message = f"an ONNX file is written with {error.name}, which is not installed"
            raise MissingError("E321", message, help="pip install 'archcalc[onnx]'") from None


EXPORTS: Mapping[str, Callable[[Graph, Made], bytes]] = {PT2: as_pt2, ONNX: as_onnx, SAFETENSORS: as_safetensors}
