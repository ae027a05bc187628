"""The graph's numbers against PyTorch's own: the module is built and run, and every layer's numbers are compared."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import prod
from typing import NamedTuple

import msgspec
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from archcalc.analysis import Report, analyse
from archcalc.analysis.cost import DTYPE_BYTES
from archcalc.analysis.memory.batches import rebatched
from archcalc.analysis.report import Layer, sums
from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.ops import OPS
from archcalc.pytorch import observe
from archcalc.pytorch.build import build
from archcalc.pytorch.observe import Refused, Track, Walk
from archcalc.pytorch.room import free_bytes

# With more than this, or than is free, tensors without numbers in them are run instead: the same operators keep the same storages.
MOST_BYTES = 4 * 2**30
MOST_MACS = 10**11  # about a second for each ten thousand million on one core

SIZES, HELD = "output_shape", ("params", "trainable", "buffers")
BATCH_NORMS = (OPS["BatchNorm1d"], OPS["BatchNorm2d"])


class Pass(NamedTuple):
    """One run of the module: on which device, at which batch, the quantities that were looked at, as predicted and as found.

    ``device`` is ``meta``, ``cpu``, or ``fake cpu`` where the CPU's operators ran on tensors without numbers. Behind a layer that
    PyTorch refused, ``found`` holds nothing.
    """

    device: str
    batch: int
    quantities: tuple[str, ...]
    predicted: Report
    found: Report
    refused: Refused | None


class Difference(NamedTuple):
    """A number in which graph and PyTorch differ: of a layer, or of the whole where no layer's own differs (``layer`` is None).

    ``found`` is None where PyTorch refused the layer: ``because`` then has its words.
    """

    layer: str | None
    quantity: str
    device: str
    batch: int
    predicted: tuple[int, ...] | int | None
    found: tuple[int, ...] | int | None
    because: str = ""


class Checked(NamedTuple):
    """A graph held against PyTorch. ``left_out`` says which batches were not run, and why."""

    passes: tuple[Pass, ...]
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    torch_version: str

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def check(graph: Graph, *, dtype: str = "float32", track: Track = lambda nodes, heading: nodes) -> Checked:
    """Return how the graph's numbers compare with those of the module that ``build`` makes of it.

    On the meta device, at the graph's batch: shapes, parameters, buffers and MACs. On the CPU, in training, at that batch and the
    next: shapes, and the bytes that autograd keeps. The caller's random state, default dtype and threads are left as they are.
    Raises UsageError for a dtype of which PyTorch has no layers, and as ``build`` does.
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"check takes a Graph, not {type(graph).__name__}: check(archcalc.load('resnet18'))")
    if not getattr(torch, dtype).is_floating_point:
        message = f"PyTorch has no layers that compute in {dtype}"
        raise UsageError("E252", message, help="float32, float64, bfloat16 or float16")
    with _set_up(getattr(torch, dtype)):
        passes = [_on_meta(graph, dtype, track)]
        batches, left_out = _batches(graph)
        graphs = [rebatched(graph, batch) for batch in batches]
        passes += _in_training(graph, graphs, dtype, track)
    differences = tuple(difference for one in passes for difference in _differences(one))
    return Checked(tuple(passes), differences, left_out, str(torch.__version__))


@contextmanager
def _set_up(dtype: torch.dtype) -> Iterator[None]:
    """Let modules and tensors be of this type, and nothing random that happens here be felt elsewhere."""
    default = torch.get_default_dtype()
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a padding is a copy, say: what it takes is among the numbers
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(default)


def _on_meta(graph: Graph, dtype: str, track: Track) -> Pass:
    with torch.device("meta"):
        module = build(graph)
        walk = observe.macs(module, graph, _inputs(graph), track)
    report = analyse(graph, dtype=dtype, rules="cpu")
    own = observe.held(module, graph)
    rows = {index: {SIZES: one.sizes, "macs": one.amount, **own[index]._asdict()} for index, one in walk.made.items()}
    in_all = (
        {} if walk.refused else {**observe.held_in_all(module)._asdict(), "macs": sum(one.amount for one in walk.made.values())}
    )
    found = _found(graph, report, rows, in_all)
    return Pass("meta", graph.inputs[0].output.n, (SIZES, *HELD, "macs"), report, found, walk.refused)


def _in_training(graph: Graph, graphs: list[Graph], dtype: str, track: Track) -> list[Pass]:
    """Return a pass for each batch, with real tensors, or if they would take too much with tensors that hold nothing."""
    reports = [analyse(one, dtype=dtype, rules="cpu") for one in graphs]
    fake = _needed_bytes(reports[-1]) > min(MOST_BYTES, free_bytes()) or reports[-1].totals.macs > MOST_MACS
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode() if fake else torch.device("cpu"))
        module = build(graph)
        walks = [observe.saved_bytes(module, one, _inputs(one), track) for one in graphs]
    device = "fake cpu" if fake else "cpu"
    return [_training_pass(device, *one) for one in zip(graphs, reports, walks, strict=True)]


def _needed_bytes(report: Report) -> int:
    """Return the bytes of everything that one pass allocates: more than are there at once, for not every output is kept."""
    totals, inputs = report.totals, sum(prod(shape) for shape in report.input.values())
    return (totals.params + totals.buffers + inputs) * DTYPE_BYTES[report.dtype] + totals.output_bytes + totals.saved_bytes


def _training_pass(device: str, graph: Graph, report: Report, walk: Walk) -> Pass:
    rows = {index: {SIZES: one.sizes, "saved_bytes": one.amount} for index, one in walk.made.items()}
    found = _found(graph, report, rows, {})
    return Pass(device, graph.inputs[0].output.n, (SIZES, "saved_bytes"), report, found, walk.refused)


def _inputs(graph: Graph) -> list[torch.Tensor]:
    return [torch.zeros(tuple(node.output)) for node in graph.inputs]


def _batches(graph: Graph) -> tuple[list[int], tuple[str, ...]]:
    """Return the batches to train with, and why the first is not among them where that is so."""
    batch = int(graph.inputs[0].output.n)
    for node in graph.layers:
        if isinstance(node.op, BATCH_NORMS) and prod(node.output) == node.output.c:
            because = f"in training PyTorch refuses a batch of {batch}, of which {node.name} gets one number for each channel"
            return [batch + 1], (because,)
    return [batch, batch + 1], ()


def _found(graph: Graph, report: Report, rows: dict[int, dict[str, object]], in_all: dict[str, int]) -> Report:
    """Return the report with what was found in the place of what was predicted; layers that were not run are not there."""
    indexes = [index for index, node in enumerate(graph.nodes) if node.inputs]
    layers = dict(zip(indexes, report.layers, strict=True))
    found: tuple[Layer, ...] = tuple([msgspec.structs.replace(layers[index], **row) for index, row in sorted(rows.items())])
    return msgspec.structs.replace(report, layers=found, totals=msgspec.structs.replace(sums(found), **in_all))


def _differences(one: Pass) -> Iterator[Difference]:
    """Yield what differs in one pass, layer by layer, and in all where the layers do not explain it."""
    make = partial(Difference, device=one.device, batch=one.batch)
    alike = True
    for predicted, found in zip(one.predicted.layers, one.found.layers, strict=False):
        for quantity in one.quantities:
            ours, theirs = getattr(predicted, quantity), getattr(found, quantity)
            if tuple(ours) != theirs if quantity == SIZES else ours != theirs:
                alike = False
                yield make(predicted.name, quantity, predicted=ours, found=theirs)
    if one.refused is not None:
        layer = one.predicted.layers[len(one.found.layers)].name
        yield make(
            layer,
            SIZES,
            predicted=tuple(one.predicted.layers[len(one.found.layers)].output_shape),
            found=None,
            because=one.refused.message,
        )
    elif alike:
        for quantity in one.quantities[1:]:
            ours, theirs = getattr(one.predicted.totals, quantity), getattr(one.found.totals, quantity)
            if ours != theirs:
                yield make(None, quantity, predicted=ours, found=theirs)
