"""Layers folded into the scopes that their paths name: ``layer1.0.conv1`` into ``layer1.0`` or ``layer1``."""

import msgspec

from archcalc.analysis.report import Layer, Report, sums

GROUP = "group"  # the operator of a row that stands for several; the spec's own word for a scope


class Fold(msgspec.Struct, frozen=True):
    """One row: a layer by itself, or the sums of several with the output of the one where they end."""

    layer: Layer
    layers: int


def fold(report: Report, depth: int | None = None) -> tuple[Fold, ...]:
    """Return the layers folded to paths of at most ``depth`` names, in order; None leaves each by itself."""
    if depth is None:
        return tuple(Fold(layer, 1) for layer in report.layers)
    members: dict[str, list[Layer]] = {}
    ends = {report.outputs["output"]}  # what a side head makes is no scope's output, unless the scope is the head
    for layer in report.layers:
        name = scope(layer.name, depth)
        members.setdefault(name, []).append(layer)
        ends.update(source for source in layer.inputs if scope(source, depth) != name)
    return tuple(_folded(name, tuple(layers), depth, ends) for name, layers in members.items())


def scope(name: str, depth: int) -> str:
    """Return the first names of a path.

    >>> scope("layer1.0.conv1", 2)
    'layer1.0'
    """
    return ".".join(name.split(".", depth)[:depth])


def _folded(name: str, layers: tuple[Layer, ...], depth: int, ends: set[str]) -> Fold:
    """Return the row for a scope: what comes in from outside, what goes out at the end, and the sums of the rest."""
    first, last = layers[0], next((layer for layer in reversed(layers) if layer.name in ends), layers[-1])
    if len(layers) == 1 and first.name == name:
        return Fold(msgspec.structs.replace(first, inputs=tuple(scope(source, depth) for source in first.inputs)), 1)
    inputs = {
        source: shape
        for layer in layers
        for source, shape in zip(layer.inputs, layer.input_shapes, strict=True)
        if scope(source, depth) != name
    }
    outside: dict[str, tuple[int, ...]] = {}
    for source, shape in inputs.items():
        outside[scope(source, depth)] = shape  # a scope's own output is its last
    totals = msgspec.structs.asdict(sums(layers))
    named = {"name": name, "op": GROUP, "inputs": tuple(outside), "input_shapes": tuple(outside.values()), "shares": None}
    return Fold(msgspec.structs.replace(last, **named, **totals), len(layers))
