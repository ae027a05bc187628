"""The roofline of a network on a device: per layer what it moves, what it multiplies, and how long that takes."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from archcalc.analysis.devices import Device
from archcalc.analysis.roofline.limits import BOUND, ESTIMATE, HIGH, LOW, Limits, Shares, intensity
from archcalc.analysis.roofline.precision import Precision, precision_named
from archcalc.analysis.roofline.traffic import STEP_PASSES, Layer, Work, moved_bytes, summed
from archcalc.errors import UsageError, did_you_mean
from archcalc.graph import Graph, needed_by, only_in_training
from archcalc.ops import Input

LAYOUTS: Final = ("nchw", "nhwc")
MODES: Final = ("infer", "fwd-bwd", "train")
STEP: Final = "SGD with momentum"


class Row(msgspec.Struct, frozen=True):
    """One layer, forward and where the mode asks for it backward: bytes moved by so many kernels, multiply-accumulates, seconds.

    ``intensity`` is in floating-point operations per byte, two for each multiply-accumulate. ``bound`` says what most of the
    estimate is spent on: ``bytes``, ``arithmetic`` or ``launch``; None for a view, which takes no time.
    """

    name: str
    op: str
    kernels: int
    macs: int
    moved_bytes: int
    intensity: float
    bound: str | None
    least_seconds: float
    estimate_seconds: float


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """A network's rows and totals. ``step`` is that of the optimizer, None unless the mode is train.

    All times are of eager mode, where the CPU starts every kernel: no run in it can beat ``bound_seconds``; ``estimate_seconds`` is
    the sum of the rows, or ``dispatch_seconds`` where the CPU takes longer than the device; most runs should lie from
    ``low_seconds`` to ``high_seconds``.
    """

    model: str
    device: Device
    precision: str
    layout: str
    mode: str
    rows: tuple[Row, ...]
    step: Row | None
    kernels: int
    macs: int
    moved_bytes: int
    bound_seconds: float
    dispatch_seconds: float
    estimate_seconds: float
    low_seconds: float
    high_seconds: float


class Cases(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of a device's promises under which a network is reckoned."""

    bound: Shares = BOUND
    estimate: Shares = ESTIMATE
    low: Shares = LOW
    high: Shares = HIGH


def roofline(
    graph: Graph,
    device: Device,
    *,
    precision: str = "fp32",
    layout: str = "nchw",
    mode: str = "infer",
    cases: Cases | None = None,
) -> Roofline:
    """Return how long a network takes on a device, at least and about.

    Raises UsageError for a precision, layout or mode that is not known, and for a precision that the device does not have.
    """
    kind = precision_named(precision)
    for what, word, words in (("layout", layout, LAYOUTS), ("mode", mode, MODES)):
        if word not in words:
            raise UsageError("E287", f"there is no {what} {word}", help=did_you_mean(word, list(words)))
    device.peak(kind.unit)
    cases = cases or Cases()
    limits = [Limits(device, kind, layout, shares) for shares in (cases.bound, cases.estimate, cases.low, cases.high)]
    works = dict(network(graph, kind, mode))
    layers = {node.name: type(node.op).__name__ for node in graph.layers}
    rows = tuple(_row(name, layers[name], work, limits) for name, work in works.items())
    step = _step(graph, kind) if mode == "train" else ()
    every = [kernel for work in (*works.values(), step) for kernel in work]
    bound, _, low, high = (sum(limit.spent(kernel).seconds for kernel in every) for limit in limits)
    last = _row("optimizer", STEP, step, limits) if step else None
    summed = (*rows, last) if last else rows
    estimate = sum(row.estimate_seconds for row in summed)
    return Roofline(
        model=graph.name, device=device, precision=precision, layout=layout, mode=mode, rows=rows, step=last,
        kernels=len(every), macs=sum(row.macs for row in summed), moved_bytes=sum(row.moved_bytes for row in summed),
        bound_seconds=bound,
        dispatch_seconds=len(every) * cases.estimate.dispatch_seconds,
        estimate_seconds=max(estimate, len(every) * cases.estimate.dispatch_seconds),
        low_seconds=max(bound, low, len(every) * cases.low.dispatch_seconds),
        high_seconds=max(high, len(every) * cases.high.dispatch_seconds),
    )  # fmt: skip


def _row(name: str, op: str, works: tuple[Work, ...], limits: list[Limits]) -> Row:
    bound, estimate = limits[:2]
    spent = [estimate.spent(work) for work in works]
    by_limit: dict[str, float] = {}
    for part in spent:
        by_limit[part.bound] = by_limit.get(part.bound, 0.0) + part.seconds
    macs = sum(work.product.macs for work in works if work.product is not None)
    moved = sum(work.moved for work in works)
    return Row(
        name=name,
        op=op,
        kernels=len(works),
        macs=macs,
        moved_bytes=moved,
        intensity=float(intensity(macs=macs, moved=moved)) if moved else 0.0,
        bound=max(by_limit, key=lambda limit: by_limit[limit]) if by_limit else None,
        least_seconds=sum(bound.spent(work).seconds for work in works),
        estimate_seconds=sum(part.seconds for part in spent),
    )


def network(graph: Graph, precision: Precision, mode: str) -> Iterator[tuple[str, tuple[Work, ...]]]:
    """Yield for each layer that runs the kernels of its passes; side heads run in training alone."""
    training = mode != "infer"
    runs = [training or not only for only in only_in_training(graph)]
    layers: dict[int, Layer] = {}
    widths: list[int] = []
    for index, node in enumerate(graph.nodes):
        if isinstance(node.op, Input):
            widths.append(precision.item_bytes)
            continue
        layer = layers[index] = Layer(graph, node, tuple(widths[i] for i in node.inputs), precision, training)
        widths.append(layer.width)
    reached = _reached(graph) if training else [False] * len(graph.nodes)
    begins, ends, uses = _first(graph, runs), _first(graph, reached), _uses(graph, reached)
    for index, layer in layers.items():
        if not runs[index]:
            continue
        works = list(layer.forward(begins[index]))
        if reached[index]:
            works += layer.backward(_wanted(graph, index, reached), ends[index])
            works += [summed(graph.nodes[index].output.elements, widths[index])] * (uses[index] - 1)
        yield graph.nodes[index].name, tuple(works)


def _step(graph: Graph, precision: Precision) -> tuple[Work, ...]:
    """Return the kernel of the optimizer's step, over the parameters that have a gradient."""
    reached = _reached(graph)
    nodes = zip(graph.nodes, reached, _first(graph, reached), strict=True)
    params = sum(node.op.params(graph.x(node)) for node, learns, first in nodes if learns and first and not node.frozen)
    return (Work("step", STEP_PASSES * moved_bytes(e=params, w=precision.item_bytes)),) if params else ()


def _reached(graph: Graph) -> list[bool]:
    """Return for each node whether autograd comes to it: it depends on a parameter that is trained, and an output on it."""
    learning: list[bool] = []
    for node in graph.nodes:
        trained = bool(node.inputs) and node.op.params(graph.x(node)) > 0 and not node.frozen
        learning.append(trained or any(learning[i] for i in node.inputs))
    needed = needed_by(graph, list(graph.outputs.values()))
    return [learns and needs for learns, needs in zip(learning, needed, strict=True)]


def _first(graph: Graph, among: list[bool]) -> list[bool]:
    """Return for each node whether none among these uses its parameters before it does."""
    used: set[int] = set()
    first: list[bool] = []
    for index, node in enumerate(graph.nodes):
        holder = index if node.shares is None else node.shares
        first.append(holder not in used)
        if among[index]:
            used.add(holder)
    return first


def _wanted(graph: Graph, index: int, reached: list[bool]) -> Mapping[str, bool]:
    """Return of which of a node's tensors a gradient is wanted; of those that are not named it is."""
    node = graph.nodes[index]
    wanted = {f"input {place}": reached[before] for place, before in enumerate(node.inputs)}
    frozen = {stored.name: False for stored in node.op.state(graph.x(node)) if node.frozen}
    return {**wanted, "input": reached[node.inputs[0]], **frozen}


def _uses(graph: Graph, reached: list[bool]) -> list[int]:
    """Return for each node how many gradients it gets: one for each time that it is read where autograd comes, or is an output."""
    uses = [0] * len(graph.nodes)
    for node, hands_back in zip(graph.nodes, reached, strict=True):
        for before in node.inputs:
            uses[before] += hands_back
    for index in graph.outputs.values():
        uses[index] += 1
    return uses
