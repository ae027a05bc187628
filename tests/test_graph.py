"""Graphs: built node by node, checked while they grow, looked up by name."""

# ruff: noqa: E501 (cases read by the row)

import time
import tracemalloc

import pytest

import archcalc
from archcalc import graph as graphs
from archcalc.errors import ArchcalcError
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS, Input
from archcalc.spec import parse

Conv2d, Linear, ReLU, Add, Flatten = (OPS[name] for name in ("Conv2d", "Linear", "ReLU", "Add", "Flatten"))


def small() -> Graph:
    builder = Builder()
    image = builder.input("image", (2, 3, 8, 8))
    first = builder.add("stem.conv", Conv2d(4, 3, padding=1), (image,), line=7)
    second = builder.add("body.conv", Conv2d(4, 3, padding=1), (first,), frozen=True)
    end = builder.add("sum", Add(), (first, second))
    return builder.graph("small", {"output": end}, "a title", "a source", "small.yaml")


def test_a_graph_holds_its_nodes_in_order() -> None:
    graph = small()
    assert [node.name for node in graph.nodes] == ["image", "stem.conv", "body.conv", "sum"]
    assert [node.inputs for node in graph.nodes] == [(), (0,), (1,), (1, 2)]
    assert [str(node.output) for node in graph.nodes] == ["3x8x8", "4x8x8", "4x8x8", "4x8x8"]
    assert [node.name for node in graph.inputs] == ["image"]
    assert isinstance(graph.inputs[0].op, Input)
    assert [node.name for node in graph.layers] == ["stem.conv", "body.conv", "sum"]
    assert (graph.nodes[1].line, graph.nodes[2].line) == (7, None)
    assert (graph.name, graph.title, graph.source, graph.file) == ("small", "a title", "a source", "small.yaml")
    assert graph.x(graph.nodes[1]) == (2, 3, 8, 8)
    assert graph.x(graph.nodes[3]) == ((2, 4, 8, 8), (2, 4, 8, 8))


def test_nothing_in_a_graph_can_be_changed() -> None:
    graph = small()
    for thing, name in ((graph, "name"), (graph.nodes[1], "output"), (graph.nodes[1].op, "out_channels")):
        with pytest.raises(AttributeError):
            setattr(thing, name, None)


FOUND = [
    # what is asked for, the layer that is meant, or the code, words of the message and of the way out
    ("stem.conv", "stem.conv"),
    ("sum", "sum"),
    ("conv", ("E211", "2 layers of small end in conv", "stem.conv, body.conv")),
    ("steem.conv", ("E210", "small has no layer steem.conv", "did you mean stem.conv?")),
    ("tem.conv", ("E210", "small has no layer tem.conv", "did you mean stem.conv?")),
    ("zzz", ("E210", "small has no layer zzz", "known here: body.conv, stem.conv, sum")),
    ("", ("E210", "small has no layer ", "known here")),
]


@pytest.mark.parametrize(("name", "found"), FOUND)
def test_layers_are_found_by_name_or_by_the_end_of_their_path(name: str, found: str | tuple[str, str, str]) -> None:
    if isinstance(found, str):
        assert small().find(name).name == found
        return
    with pytest.raises(ArchcalcError) as raised:
        small().find(name)
    code, message, way_out = found
    assert raised.value.code == code
    assert message in raised.value.message
    assert way_out in (raised.value.help or "")


def test_an_exact_name_wins_over_an_ending() -> None:
    graph = parse(
        "input: [3]\nlayers:\n- ReLU: {name: a}\n- group: {name: g, layers: [Tanh: {name: a}, Tanh: {name: b}]}", "net.yaml"
    ).graph()
    assert (graph.find("a").name, graph.find("g.a").name, graph.find("b").name) == ("a", "g.a", "g.b")


def refused(add) -> ArchcalcError:
    with pytest.raises(ArchcalcError) as raised:
        add()
    return raised.value


def test_a_builder_refuses_what_does_not_fit() -> None:
    builder = Builder()
    image = builder.input("image", (1, 3, 8, 8))
    builder.add("a", Conv2d(4, 3), (image,))
    error = refused(lambda: builder.add("a", ReLU(), (image,)))
    assert (error.code, error.layer) == ("E212", "a")
    error = refused(lambda: builder.add("b", Linear(4), (image,)))
    assert (error.code, error.layer) == ("E101", "b")
    error = refused(lambda: builder.add("c", Conv2d(5, 3), (image,), shares=1))
    assert (error.code, error.layer) == ("E214", "c")
    assert refused(lambda: Builder().input("image", (1, 2**31, 2**31, 2**31))).code == "E108"


def test_a_tensor_may_have_as_many_elements_as_pytorch_can_count() -> None:
    builder = Builder()
    most = builder.input("a", (1, 2**31 - 1, 2**31 - 1, 2))
    assert builder.shape(most).elements < graphs.MOST_ELEMENTS
    flat = builder.add("flat", Flatten(), (most,))
    assert builder.shape(flat) == (1, (2**31 - 1) ** 2 * 2)
    assert refused(lambda: builder.input("b", (1, 2**31 - 1, 2**31 - 1, 3))).code == "E108"


@pytest.mark.parametrize("nodes", [graphs.MOST_NODES, graphs.MOST_NODES + 1])
def test_a_graph_ends_at_so_many_nodes(nodes: int) -> None:
    builder = Builder()
    builder.input("image", (1, 3))
    relu = ReLU()
    for number in range(1, min(nodes, graphs.MOST_NODES)):
        builder.add(f"r{number}", relu, (number - 1,))
    assert len(builder.nodes) == graphs.MOST_NODES
    if nodes > graphs.MOST_NODES:
        assert refused(lambda: builder.add("last", relu, (0,))).code == "E213"


def test_who_shares_with_one_who_shares_holds_the_first_ones_parameters() -> None:
    builder = Builder()
    image = builder.input("image", (1, 4, 8, 8))
    first = builder.add("a", Conv2d(4, 1), (image,))
    second = builder.add("b", Conv2d(4, 1, stride=2), (first,), shares=first)
    third = builder.add("c", Conv2d(4, 1), (second,), shares=second)
    assert [builder.nodes[index].shares for index in (first, second, third)] == [None, first, first]


SHARING = [
    # what the second step is, how the first is written, and words of the error, None if they share
    ("Conv2d: {out_channels: 4, kernel_size: 1, stride: 2, share: a}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1}", None),
    ("ReLU: {share: input}", "Tanh", "input is an input, without parameters to share"),
    ("ReLU: {share: a}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1}", "the parameters of a: that is Conv2d, this ReLU"),
    ("Conv2d: {out_channels: 3, kernel_size: 1, bias: false, share: a}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1}",
     "the parameters of a: its out_channels is 4, here 3; its bias is true, here false"),
    ("Conv2d: {out_channels: 5, kernel_size: 1, share: a}", "Conv2d: {name: a, out_channels: 5, kernel_size: 1}", "its input is 4x8x8, here 5x8x8"),
    ("Conv2d: {out_channels: 4, kernel_size: 1, share: a, frozen: true}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1}", "the parameters of a are trained"),
    ("group: {frozen: true, layers: [Conv2d: {out_channels: 4, kernel_size: 1, share: a}]}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1}", "are trained"),
    ("Conv2d: {out_channels: 4, kernel_size: 1, share: a, frozen: true}", "Conv2d: {name: a, out_channels: 4, kernel_size: 1, frozen: true}", None),
    # what has no parameters may differ between a block and the one that shares its parameters
    ("neck: {share: a, k: 3}", "neck: {name: a, k: 1}", None),
]  # fmt: skip


@pytest.mark.parametrize(("second", "first", "message"), SHARING)
def test_who_can_share_with_whom(second: str, first: str, message: str | None) -> None:
    blocks = "blocks:\n  neck(k): [Conv2d: {out_channels: 4, kernel_size: 1}, MaxPool2d: {kernel_size: k, stride: 1}]\n"
    spec = parse(f"input: [4, 8, 8]\n{blocks}layers: [{first}, {second}]", "net.yaml")
    if message is None:
        graph = spec.graph()
        assert [node.shares for node in graph.nodes if node.op.params(graph.x(node) if node.inputs else node.output)][1:] == [1]
        return
    error = refused(spec.graph)
    assert error.code == "E214"
    assert message in error.message
    assert error.place is not None


def test_a_step_that_shares_is_as_frozen_as_the_one_that_holds() -> None:
    first = "Conv2d: {name: a, out_channels: 4, kernel_size: 1, frozen: true}"
    graph = parse(f"input: [4, 8, 8]\nlayers: [{first}, Conv2d: {{out_channels: 4, kernel_size: 1, share: a}}]", "net.yaml").graph()
    assert [node.frozen for node in graph.nodes] == [False, True, True]


KEPT = [
    # layers, bytes that autograd keeps for one image of 4x8x8 (1024 bytes a map): nothing before the first parameter that is trained
    ("[ReLU, MaxPool2d: {kernel_size: 1}, Sigmoid]", 0),
    ("[MaxPool2d: {kernel_size: 1}, Conv2d: {out_channels: 4, kernel_size: 1}]", 1024),
    ("[Conv2d: {out_channels: 4, kernel_size: 1, frozen: true}, ReLU, Conv2d: {out_channels: 4, kernel_size: 1}]", 1024),
    ("[Conv2d: {out_channels: 4, kernel_size: 1}, ReLU, Conv2d: {out_channels: 4, kernel_size: 1, frozen: true}, ReLU]", 3 * 1024),
    ("[Multiply: {a: [], b: [Conv2d: {out_channels: 4, kernel_size: 1}]}]", 1024),
    ("[Multiply: {a: [ReLU], b: [Conv2d: {out_channels: 4, kernel_size: 1}]}]", 2048),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "saved_bytes"), KEPT)
def test_what_autograd_keeps_begins_with_the_first_trained_parameter(layers: str, saved_bytes: int) -> None:
    report = archcalc.analyse(parse(f"input: [4, 8, 8]\nlayers: {layers}", "net.yaml").graph())
    assert report.totals.saved_bytes == saved_bytes
    assert report.totals.saved_bytes == sum(layer.saved_bytes for layer in report.layers)


CHAIN = """\
input: [16, 8, 8]
blocks:
  unit:
    - Add:
        main: [Conv2d: {{out_channels: in_channels, kernel_size: 3, padding: kernel_size // 2}}, BatchNorm2d, ReLU]
        skip: []
layers:
  - unit: {{repeat: {units}}}
"""


def seconds_per_node(units: int) -> float:
    text = CHAIN.format(units=units)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        graph = parse(text, "chain.yaml").graph()
        archcalc.analyse(graph)
        best = min(best, (time.perf_counter() - started) / len(graph.nodes))
    return best


def test_time_grows_with_the_nodes_and_no_faster() -> None:
    # benchmarks/scale.py holds the absolute figures; a quadratic walk would be tenfold here.
    assert seconds_per_node(10_000) < 4 * seconds_per_node(1_000)


def test_a_large_graph_takes_little_memory() -> None:
    tracemalloc.start()
    graph = parse(CHAIN.format(units=2_500), "chain.yaml").graph()
    report = archcalc.analyse(graph)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(report.layers) == 10_000
    assert peak_bytes / len(report.layers) < 6_000  # 600 MB at 100,000 nodes
