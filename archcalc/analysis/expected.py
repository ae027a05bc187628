"""Published numbers held against computed ones: a spec's ``expect`` section, claim by claim."""

from typing import Any

import msgspec

from archcalc.analysis.report import Layer, Report
from archcalc.errors import ArchcalcError, did_you_mean
from archcalc.graph import Graph
from archcalc.spec.expect import Expectation


class Finding(msgspec.Struct, frozen=True):
    """One published number beside the computed one. ``found`` is None where the network has no such layer."""

    expectation: Expectation
    found: "int | tuple[int, ...] | None"
    right: bool
    help: str | None = None


def judge(expectations: tuple[Expectation, ...], graph: Graph, report: Report) -> tuple[Finding, ...]:
    """Return a finding for each published number: right if the exact one rounds or truncates to it."""
    layers = {layer.name: layer for layer in report.layers}
    return tuple(_judged(expectation, graph, report, layers) for expectation in expectations)


def _judged(expectation: Expectation, graph: Graph, report: Report, layers: dict[str, Layer]) -> Finding:
    row: Any = report.totals
    if expectation.layer is not None:
        row = layers.get(expectation.layer)
        if row is None:
            try:
                row = layers[graph.find(expectation.layer).name]
            except ArchcalcError as error:
                return Finding(expectation, None, False, error.help or did_you_mean(expectation.layer, list(layers)))
    if expectation.sizes is not None:
        output = row.output_shape[1:]
        return Finding(expectation, tuple(output), tuple(output) == expectation.sizes)
    found = getattr(row, expectation.quantity)
    assert expectation.figure is not None
    return Finding(expectation, found, expectation.figure.matches(found))
