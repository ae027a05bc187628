"""What a comparison calls different: a change to a network is told where it was made, with its reason, and nowhere else."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from archcalc import load
from archcalc.analysis.compare import compare
from archcalc.analysis.cost import analyse
from archcalc.graph import Graph, Node
from archcalc.ops import Identity
from archcalc.render.compare import comparison, ratio
from archcalc.spec import parse
from tests.strategies import specs

NETWORK = """
input: [8, 16, 16]
layers:
  - Conv2d: {name: stem, out_channels: 12, kernel_size: 3, padding: 1}
  - GroupNorm: {name: norm, num_groups: 3}
  - Conv2d: {name: first, out_channels: 12, kernel_size: 3, padding: 1}
  - ReLU: {name: relu}
  - Add: {name: add, from: [stem, relu]}
  - Conv2d: {name: second, out_channels: 12, kernel_size: 3, padding: 1, share: first}
  - head: {name: aux, weight: 0.4, layers: [GlobalAvgPool2d, Flatten, Linear: {out_features: 5}]}
  - Concat: {name: concat, from: [second, stem, norm, relu]}
  - GlobalAvgPool2d: {name: pool}
  - Flatten: {name: flat}
  - Linear: {name: fc, out_features: 10}
"""

CHANGES = [
    ("num_groups: 3", "num_groups: 3, frozen: true", {"norm": "frozen params 0 -> 24"}),
    ("name: first, ", "name: first, frozen: true, ", {"first": "frozen params 0 -> 1,308"}),  # which second only uses
    ("name: relu", "name: relu, frozen: true", {}),  # it has nothing to train
    ("[stem, relu]", "[norm, relu]", {"add": "inputs stem, relu -> norm, relu"}),
    ("[stem, relu]", "[relu, stem]", {"add": "inputs stem, relu -> relu, stem"}),
    ("[second, stem, norm, relu]", "[second, stem, norm, add]", {"concat": "inputs ..., relu -> ..., add"}),
    (
        "[second, stem, norm, relu]",
        "[second, stem, norm]",
        {"concat": "inputs ..., relu -> ...", "pool": "output", "flat": "output", "fc": "input 48 -> 36"},
    ),
    (", share: first", "", {"second": "shares first -> nothing"}),
    ("name: stem, ", "name: stem, init: {weight: {normal: 0.01}}, ", {"stem": "weight init PyTorch's -> {normal: 0.01}"}),
    ("num_groups: 3", "num_groups: 3, init: {bias: 1}", {"norm": "bias init PyTorch's -> 1"}),
    ("weight: 0.4, ", "", {"aux": "weight 0.4 -> 1"}),
    ("- Concat: {name: concat", "- ReLU: {name: more}\n  - Concat: {name: concat", {"more": "only in B"}),
    ("name: relu}\n", "name: relu}\n  - BatchNorm2d: {name: more}\n", {"more": "only in B"}),
    ("norm, relu]}\n", "norm, relu]}\n  - Dropout: {name: more}\n", {"more": "only in B"}),
    ("name: fc, out_features: 10}\n", "name: fc, out_features: 10}\n  - Softmax: {name: more}\n", {"more": "only in B"}),
    ("share: first}\n", "share: first}\n  - head: {name: side, layers: []}\n", {"side": "only in B"}),
]


def table(graphs: list[Graph], **options: Any) -> dict[str, str]:
    """What the column `differs` says, by the row's name."""
    rows = comparison(compare(graphs, **options), every_row=True).table().rows
    return {str(row[0]): str(row[-1]) for row in rows if row[-1]}


@pytest.mark.parametrize(("old", "new", "told"), CHANGES, ids=lambda value: value.strip() if isinstance(value, str) else None)
def test_a_change_is_told_where_it_was_made_and_nowhere_else(old: str, new: str, told: dict[str, str]) -> None:
    assert NETWORK.count(old) == 1
    graphs = [parse(text, "network.yaml").graph() for text in (NETWORK, NETWORK.replace(old, new))]
    assert table(graphs) == told


def renamed(graph: Graph) -> Graph:
    return replace(graph, nodes=tuple(replace(node, name=f"other_{index}") for index, node in enumerate(graph.nodes)))


def exchanged(graph: Graph, index: int, node: Node) -> Graph:
    return replace(graph, nodes=(*graph.nodes[:index], node, *graph.nodes[index + 1 :]))


def unequal(*graphs: Graph) -> dict[str, dict[str, tuple[Any, ...]]]:
    """What differs, by the name of the row, in rows of layers and of outputs."""
    found = compare(graphs)
    rows = (*found.rows, *found.outputs)
    return {next(part.name for part in row.parts if part is not None): row.differences for row in rows if not row.equal}


@given(specs())
def test_names_are_no_difference(text: str) -> None:
    graph = parse(text, "random.yaml").graph()
    assert not unequal(graph, renamed(graph))


@given(specs(), st.data())
def test_a_layer_that_reads_another_one_is_told(text: str, data: st.DataObject) -> None:
    graph = parse(text, "random.yaml").graph()
    others = [
        (index, place, other)
        for index, node in enumerate(graph.nodes)
        for place, i in enumerate(node.inputs)
        for other in range(index)
        if other != i and graph.nodes[other].output == graph.nodes[i].output
    ]
    assume(others)
    index, place, other = data.draw(st.sampled_from(others))
    node = graph.nodes[index]
    inputs = (*node.inputs[:place], other, *node.inputs[place + 1 :])
    told = unequal(graph, exchanged(graph, index, replace(node, inputs=inputs)))
    before, after = (tuple(graph.nodes[i].name for i in indices) for indices in (node.inputs, inputs))
    assert told == {node.name: {"inputs": (before, after)}}


@given(specs(), st.data())
def test_parameters_that_are_not_trained_are_told(text: str, data: st.DataObject) -> None:
    graph = parse(text, "random.yaml").graph()
    trained = [layer.name for layer in analyse(graph).layers if layer.trainable]
    assume(trained)
    name = data.draw(st.sampled_from(trained))
    index = next(index for index, node in enumerate(graph.nodes) if node.name == name)
    frozen = exchanged(graph, index, replace(graph.nodes[index], frozen=True))
    assert unequal(graph, frozen) == {name: {"frozen": (0, analyse(graph).totals.trainable - analyse(frozen).totals.trainable)}}


@given(specs(), st.data())
def test_a_further_layer_makes_none_behind_it_different(text: str, data: st.DataObject) -> None:
    graph = parse(text, "random.yaml").graph()
    index = data.draw(st.integers(0, len(graph.nodes) - 1))
    shift = [i + (i > index) for i in range(len(graph.nodes))]
    behind = [
        replace(
            node,
            inputs=tuple(index + 1 if i == index else shift[i] for i in node.inputs),
            shares=node.shares and shift[node.shares],
        )
        for node in graph.nodes[index + 1 :]
    ]
    more = Node("further", Identity(), (index,), graph.nodes[index].output)
    outputs = {name: index + 1 if end == index else shift[end] for name, end in graph.outputs.items()}
    longer = replace(graph, nodes=(*graph.nodes[: index + 1], more, *behind), outputs=outputs)
    assert unequal(graph, longer) == {"further": {}}
    assert unequal(longer, graph, longer) == {"further": {}}


@given(specs(), specs(), st.sampled_from([None, 1, 2]))
def test_every_row_that_is_not_equal_says_why(text: str, other: str, depth: int | None) -> None:
    graphs = [parse(each, "random.yaml").graph() for each in (text, other)]
    for row in comparison(compare(graphs, depth=depth)).table().rows:
        assert row[-1] or "equal layer" in str(row[0])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("relu, from: x", "relu, from: start", "1 layer inside"),
        (
            "Conv2d: {name: b, out_channels: 8, kernel_size: 3, padding: 1",
            "Conv2d: {name: b, out_channels: 8, kernel_size: 3, padding: 2, dilation: 2",
            "1 layer inside",
        ),
        ("relu, from: x", "relu, from: x, inplace: true", "1 layer inside"),
    ],
    ids=["wiring", "dilation", "in place"],
)
def test_a_scope_with_equal_sums_says_that_layers_inside_differ(old: str, new: str, told: str) -> None:
    text = """
input: [8, 16, 16]
layers:
  - Identity: {name: start}
  - group:
      name: stage
      layers:
        - Identity: {name: x}
        - Conv2d: {name: b, out_channels: 8, kernel_size: 3, padding: 1}
        - ReLU: {name: relu, from: x}
        - Add: {name: add, from: [b, relu]}
"""
    graphs = [parse(each, "scope.yaml").graph() for each in (text, text.replace(old, new))]
    assert table(graphs, depth=1) == {"stage": told}


PAIRS = [
    ("resnet50", "resnet101"),
    ("resnet50", "resnet50_v1"),
    ("vgg16", "vgg16_bn"),
    ("alexnet", "alexnet_torchvision"),
    ("alexnet", "alexnet_pool_first"),
    ("googlenet", "googlenet_aux"),
    ("googlenet", "googlenet_torchvision"),
    ("resnet34", "resnet34_a"),  # other shortcuts
    ("densenet121", "densenet169"),
]


@pytest.mark.parametrize("models", PAIRS, ids=str)
def test_published_networks_differ_in_layers_and_not_in_wiring(models: tuple[str, str]) -> None:
    for differences in unequal(*map(load, models)).values():
        assert not {"inputs", "layer"} & set(differences)


def test_outputs_are_told_by_machines_words_too(run: Any) -> None:
    document = json.loads(run("compare", "googlenet", "googlenet_aux", "--format", "json").out)
    first, *heads = document["outputs"]
    assert first["equal"]
    assert [end["layer"] for end in first["ends"]] == ["linear", "linear"]
    assert [head["ends"] for head in heads] == [
        [None, {"name": name, "layer": f"{name}.fc2", "weight": 0.3}] for name in ("aux1", "aux2")
    ]


def test_trained_parameters_stand_with_the_totals_where_some_are_frozen(run: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "one.yaml", tmp_path / "other.yaml"]
    for path, frozen in zip(paths, ("", "frozen: true, "), strict=True):
        path.write_text(NETWORK.replace("name: first, ", f"name: first, {frozen}"))
    one, other = map(str, paths)
    totals = [analyse(load(path)).totals for path in paths]
    share = totals[1].trainable / totals[0].trainable
    assert f"B - A: trainable params -1,308 (x{ratio(share)})" in run("compare", one, other, "--width", "200").out
    assert "trainable" not in run("compare", one, one).out


def test_the_time_is_linear() -> None:
    """A BatchNorm more in each block of a deep network; four times the blocks."""
    block = "Conv2d: {out_channels: 8, kernel_size: 1}, %sReLU, Add: {x: [ReLU], y: []}"
    text = f"input: [8, 8, 8]\nlayers:\n  - group: {{repeat: %d, layers: [{block}]}}\n"

    def seconds(repeat: int) -> float:
        graphs = [parse(text % (repeat, more), "deep.yaml").graph() for more in ("", "BatchNorm2d, ")]
        start = time.process_time()
        assert sum(not row.equal for row in compare(graphs).rows) == repeat
        return time.process_time() - start

    assert seconds(6_000) < 12 * seconds(1_500)
