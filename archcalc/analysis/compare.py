"""Models side by side: their layers aligned, and what differs between those that stand in one row.

Layers are equal if they are the same operator with the same arguments on inputs of the same size, and read the same layers (see
``places``), hold or share their parameters alike, and train them, or not, from the same beginning.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from archcalc.analysis.alignment import Likeness, align
from archcalc.analysis.cost import analyse
from archcalc.analysis.fold import GROUP, fold, scope
from archcalc.analysis.places import Models, Places, having, matched
from archcalc.analysis.report import Layer, Report
from archcalc.graph import Graph, Node
from archcalc.ops.initial import Start


class Part(msgspec.Struct, frozen=True):
    """A layer of one model, or the ``layers`` of a folded scope: then ``op`` is ``group``, and there are no ``arguments``.

    Shapes have the batch first. ``frozen`` is how many of the ``params`` are not trained, ``shares`` the layer whose parameters it
    uses, if not its own. ``init`` has the parameters of which a spec may say how they begin, null where it leaves that to PyTorch.
    """

    name: str
    op: str
    arguments: dict[str, Any]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    layers: int
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    frozen: int
    shares: str | None
    init: dict[str, Start | None]


class End(msgspec.Struct, frozen=True):
    """What leaves a model: ``output``, or a side head; the ``layer`` that makes it, and what its loss counts in training."""

    name: str
    layer: str
    weight: float


T = TypeVar("T", Part, End)


class Row(msgspec.Struct, Generic[T], frozen=True):
    """What stands side by side: each model's part, None where it has none, and each differing quantity's value in every model.

    A difference is looked for among the models that have the part; names do not count as one. The layers that ``inputs`` and
    ``shares`` speak of go by their name in the first of these models.
    """

    parts: tuple[T | None, ...]
    differences: dict[str, tuple[Any, ...]]

    @property
    def equal(self) -> bool:
        """Whether every model has this part, and the same one."""
        return not self.differences and None not in self.parts


class Comparison(msgspec.Struct, frozen=True):
    """Two or more models, their reports, and their rows in order, of layers and of outputs; all are held against the first."""

    reports: tuple[Report, ...]
    rows: tuple[Row[Part], ...]
    outputs: tuple[Row[End], ...]


Column = tuple[Part | None, ...]


def compare(graphs: Sequence[Graph], *, dtype: str = "float32", depth: int | None = None) -> Comparison:
    """Return the models' layers aligned, each folded to paths of at most ``depth`` names beforehand."""
    reports = tuple(analyse(graph, dtype=dtype) for graph in graphs)
    models = [_parts(graph, report) for graph, report in zip(graphs, reports, strict=True)]
    columns = _aligned(models)
    places = Places([list(report.input) for report in reports], columns)
    rows = tuple(Row(column, _differences(column, places)) for column in columns)
    outputs = tuple(Row(ends, _end_differences(ends, places)) for ends in _ends(graphs, reports))
    if depth is not None:
        inside = _Inside(rows, depth)
        folded = _aligned([_folded(report, parts, depth) for report, parts in zip(reports, models, strict=True)])
        rows = tuple(Row(column, _differences(column, places) | inside.differences(column)) for column in folded)
    return Comparison(reports, rows, outputs)


def _parts(graph: Graph, report: Report) -> list[Part]:
    return [_part(graph, node, layer) for node, layer in zip(graph.layers, report.layers, strict=True)]


def _part(graph: Graph, node: Node, layer: Layer) -> Part:
    init: dict[str, Start | None] = {}
    if node.op.begins and node.shares is None:
        learned = {stored.name.rpartition(".")[2] for stored in node.op.state(graph.x(node)) if stored.learned}
        init = {name: None if node.init is None else getattr(node.init, name) for name in node.op.begins if name in learned}
    return _from(layer, 1, msgspec.structs.asdict(node.op), init)


def _folded(report: Report, parts: list[Part], depth: int) -> list[Part]:
    own = {part.name: part for part in parts}
    return [_from(row.layer, row.layers) if row.layer.op == GROUP else own[row.layer.name] for row in fold(report, depth)]


def _from(layer: Layer, layers: int, arguments: Mapping[str, Any] = {}, init: Mapping[str, Start | None] = {}) -> Part:
    return Part(
        layer.name,
        layer.op,
        dict(arguments),
        layer.output_shape,
        layer.params,
        layer.macs,
        layers,
        layer.inputs,
        layer.input_shapes,
        layer.params - layer.trainable,
        layer.shares,
        dict(init),
    )


def _aligned(models: Sequence[list[Part]]) -> list[Column]:
    columns: list[Column] = [(part,) for part in models[0]]
    for count, model in enumerate(models[1:], start=1):
        columns = list(_joined(columns, model, count))
    return columns


def _joined(columns: list[Column], model: list[Part], count: int) -> Iterator[Column]:
    """Yield the rows of ``count`` models with one more beside them; a row is known by the last model that has a part in it."""
    known = [_likeness(next(part for part in reversed(column) if part is not None)) for column in columns]
    pairs = align(known, [_likeness(part) for part in model])
    alone = (None,) * count
    i = j = 0
    for next_i, next_j in [*pairs, (len(columns), len(model))]:
        yield from ((*column, None) for column in columns[i:next_i])
        yield from ((*alone, part) for part in model[j:next_j])
        if next_i < len(columns):
            yield (*columns[next_i], model[next_j])
        i, j = next_i + 1, next_j + 1


def _likeness(part: Part) -> Likeness:
    # Two scopes are not alike for being scopes, as two convolutions are: it takes their name or their output.
    op = f"{GROUP} to {part.output_shape}" if part.op == GROUP else part.op
    return Likeness(part.name, op, part.output_shape, (*part.arguments.values(), part.params))


class _Inside:
    """How many of the layers in each folded scope are not equal: sums can be, where layers are not."""

    def __init__(self, rows: Sequence[Row[Part]], depth: int):
        self.rows = rows
        self.depth = depth
        self.known: dict[Models, dict[int, Counter[str]]] = {}

    def differences(self, column: Column) -> dict[str, tuple[Any, ...]]:
        """Return the numbers of a row's scopes as a difference, none where all layers within are equal."""
        models = having(column)
        if len(models) < 2 or all(part is None or part.op != GROUP for part in column):
            return {}
        found = self._of(models)
        numbers = tuple(None if part is None else found[model][part.name] for model, part in enumerate(column))
        return {"inside": numbers} if any(numbers) else {}

    def _of(self, models: Models) -> dict[int, Counter[str]]:
        if models not in self.known:
            self.known[models] = found = {model: Counter[str]() for model in models}
            for row in self.rows:
                own = tuple(row.parts[model] for model in models)
                if None in own or any(_vary([values[model] for model in models]) for values in row.differences.values()):
                    for model, part in zip(models, own, strict=True):
                        found[model].update([] if part is None else [scope(part.name, self.depth)])
        return self.known[models]


def _differences(column: Column, places: Places) -> dict[str, tuple[Any, ...]]:
    """Return the quantities that vary among the models that have the part; arguments by name, if the operator is one."""
    models = having(column)
    parts = [part for part in column if part is not None]
    if len(parts) < 2:
        return {}
    found: dict[str, Sequence[Any]] = {}
    if not _vary([part.op for part in parts]):
        for name in parts[0].arguments:
            found[name] = [part.arguments[name] for part in parts]
        for name in parts[0].init:
            if all(name in part.init for part in parts):
                found[f"{name}_init"] = [part.init[name] for part in parts]
    found |= {name: [getattr(part, name) for part in parts] for name in ("op", "layers")}
    if all(part.op != GROUP for part in parts):  # what a scope reads is read by a layer inside
        found["inputs"] = places.read(models, [part.inputs for part in parts])
        found["shares"] = places.held(models, [part.shares for part in parts])
    found |= {
        name: [getattr(part, name) for part in parts] for name in ("frozen", "input_shapes", "output_shape", "params", "macs")
    }
    return _varying(column, found)


def _ends(graphs: Sequence[Graph], reports: Sequence[Report]) -> Iterator[tuple[End | None, ...]]:
    """Yield what leaves the models, side by side: the main outputs, then side heads of one name, then the others in their order."""
    found = [
        {name: End(name, layer, graph.head_weights.get(name, 1.0)) for name, layer in report.outputs.items()}
        for graph, report in zip(graphs, reports, strict=True)
    ]
    for names in matched(found):
        yield tuple(None if name is None else own[name] for own, name in zip(found, names, strict=True))


def _end_differences(ends: tuple[End | None, ...], places: Places) -> dict[str, tuple[Any, ...]]:
    present = [end for end in ends if end is not None]
    if len(present) < 2:
        return {}
    layers = [name for (name,) in places.read(having(ends), [(end.layer,) for end in present])]
    return _varying(ends, {"layer": layers, "weight": [end.weight for end in present]})


def _varying(parts: Sequence[object], found: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """Return those of the quantities that vary, with a value for every model: None where it has no part."""
    varying = {}
    for name, values in found.items():
        if _vary(values):
            rest = iter(values)
            varying[name] = tuple(None if part is None else next(rest) for part in parts)
    return varying


def _vary(values: Sequence[Any]) -> bool:
    return len(set(values)) > 1
