"""Layers folded into scopes: what stands in the one row for several."""

import archcalc
from archcalc.analysis.fold import Fold, fold
from archcalc.spec import parse

HEAD = "head: {name: aux, layers: [GlobalAvgPool2d, Flatten, Linear: {out_features: 3}]}"
STAGE = f"group: {{name: stage, layers: [Conv2d: {{out_channels: 4, kernel_size: 3}}, {HEAD}]}}"


def folded(layers: str, depth: int) -> list[Fold]:
    graph = parse(f"input: [3, 8, 8]\nlayers:\n{layers}", "net.yaml").graph()
    return list(fold(archcalc.analyse(graph), depth))


def test_a_scope_that_ends_in_a_head_has_the_output_that_others_read() -> None:
    stage, relu = folded(f"  - {STAGE}\n  - ReLU\n", 1)
    assert (stage.layer.output_shape, stage.layer.receptive_field, stage.layers) == ((1, 4, 6, 6), (3, 3), 4)
    assert relu.layer.input_shapes == (stage.layer.output_shape,)
    assert stage.layer.params == (3 * 3 * 3 + 1) * 4 + (4 + 1) * 3


def test_the_last_scope_has_the_output_of_the_main_path() -> None:
    (stage,) = folded(f"  - {STAGE}\n", 1)
    assert stage.layer.output_shape == (1, 4, 6, 6)


def test_a_head_by_itself_has_its_own_output() -> None:
    _, head, _ = folded(f"  - {STAGE}\n  - ReLU\n", 2)
    assert (head.layer.name, head.layer.output_shape) == ("stage.aux", (1, 3))


def test_of_several_outputs_that_others_read_the_last_is_shown() -> None:
    layers = """
  - group: {name: down, layers: [ReLU: {name: wide}, MaxPool2d: {kernel_size: 2}, head: {name: aux, layers: [Flatten]}]}
  - Upsample: {scale_factor: 2}
  - Concat: {from: [upsample1, down.wide]}
"""
    down, *_ = folded(layers, 1)
    assert down.layer.output_shape == (1, 3, 4, 4)
