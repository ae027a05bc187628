"""The language of specs, sentence by sentence: what is written, and the graph that comes of it."""

# ruff: noqa: E501 (a table reads by its rows, however long they are)

from typing import Any

import pytest

import archcalc
from archcalc.graph import Graph
from archcalc.spec import parse


def build(layers: str, *, input: str = "[4, 16, 16]", top: str = "", **options: Any) -> Graph:
    """The graph of these layers, under some other sections."""
    return parse(f"input: {input}\n{top}\nlayers:\n{layers}\n", "net.yaml").graph(**options)


def outline(graph: Graph) -> list[str]:
    """Each layer as ``name Op(changed) <- inputs -> shape``."""
    names = [node.name for node in graph.nodes]
    return [
        f"{node.name} {type(node.op).__name__} <- {' '.join(names[i] for i in node.inputs)} -> {node.output}"
        for node in graph.layers
    ]


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.layers]


BLOCKS = """\
blocks:
  unit(out, k=1, s=1):
    - Conv2d: {out_channels: out, kernel_size: k, stride: s, padding: k // 2}
    - ReLU
  plain:
    - ReLU
  conv3x3:
    - Tanh
"""

# A step is Op, Op: {arguments}, block, block: {arguments} or block: [arguments in the order of its header].
FORMS = [
    ("- ReLU", ["relu1 ReLU <- input -> 4x16x16"]),
    ("- ReLU: {}", ["relu1 ReLU <- input -> 4x16x16"]),
    ("- ReLU:", ["relu1 ReLU <- input -> 4x16x16"]),
    ("- plain", ["plain1.relu1 ReLU <- input -> 4x16x16"]),
    ("- plain: []", ["plain1.relu1 ReLU <- input -> 4x16x16"]),
    ("- unit: [8]", ["unit1.conv1 Conv2d <- input -> 8x16x16", "unit1.relu1 ReLU <- unit1.conv1 -> 8x16x16"]),
    ("- unit: [8, 3, 2]", ["unit1.conv1 Conv2d <- input -> 8x8x8", "unit1.relu1 ReLU <- unit1.conv1 -> 8x8x8"]),
    ("- unit: {out: 8, s: 2}", ["unit1.conv1 Conv2d <- input -> 8x8x8", "unit1.relu1 ReLU <- unit1.conv1 -> 8x8x8"]),
]


@pytest.mark.parametrize(("layers", "found"), FORMS)
def test_forms_of_a_step(layers: str, found: list[str]) -> None:
    assert outline(build(layers, top=BLOCKS)) == found


MERGES = [
    # branches start from the same input; [] is the identity
    ("- Add: {main: [ReLU], skip: []}", ["relu1 ReLU <- input -> 4x16x16", "add1 Add <- relu1 input -> 4x16x16"]),
    ("- Concat: {a: [], b: [ReLU, Tanh]}", ["relu1 ReLU <- input -> 4x16x16", "tanh1 Tanh <- relu1 -> 4x16x16", "concat1 Concat <- input tanh1 -> 8x16x16"]),
    ("- Multiply: {map: [], gate: [GlobalAvgPool2d]}", ["avgpool1 GlobalAvgPool2d <- input -> 4x1x1", "multiply1 Multiply <- input avgpool1 -> 4x16x16"]),
    # a merge of a merge adds nothing to the path
    ("- Add: {a: [Add: {b: [ReLU], c: []}], d: []}", ["relu1 ReLU <- input -> 4x16x16", "add2 Add <- relu1 input -> 4x16x16", "add1 Add <- add2 input -> 4x16x16"]),
    # for a merge, `from` may be a list; with one name, all branches start there
    ("- ReLU: {name: a}\n- Tanh: {name: b}\n- Add: {from: [a, b]}", ["a ReLU <- input -> 4x16x16", "b Tanh <- a -> 4x16x16", "add1 Add <- a b -> 4x16x16"]),
    ("- ReLU: {name: a}\n- Tanh\n- Add: {from: a, x: [], y: []}", ["a ReLU <- input -> 4x16x16", "tanh1 Tanh <- a -> 4x16x16", "add1 Add <- a a -> 4x16x16"]),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "found"), MERGES)
def test_merges(layers: str, found: list[str]) -> None:
    assert outline(build(layers)) == found


FROM = [
    ("- ReLU: {name: a}\n- Tanh\n- Sigmoid: {from: a}", "sigmoid1 Sigmoid <- a -> 4x16x16"),
    ("- ReLU\n- Tanh: {from: input}", "tanh1 Tanh <- input -> 4x16x16"),
    # a block's output, a step inside it, a group's, a head's
    ("- unit: [8]\n- Tanh\n- Sigmoid: {from: unit1}", "sigmoid1 Sigmoid <- unit1.relu1 -> 8x16x16"),
    ("- unit: [8]\n- Sigmoid: {from: unit1.conv1}", "sigmoid1 Sigmoid <- unit1.conv1 -> 8x16x16"),
    ("- group: {name: g, layers: [ReLU, Tanh]}\n- ReLU\n- Sigmoid: {from: g}", "sigmoid1 Sigmoid <- g.tanh1 -> 4x16x16"),
    ("- head: {name: h, layers: [ReLU]}\n- Sigmoid: {from: h}", "sigmoid1 Sigmoid <- h.relu1 -> 4x16x16"),
    # a repeated step as a whole, and one round of it
    ("- unit: {name: u, out: 8, repeat: 3}\n- Tanh\n- Sigmoid: {from: u}", "sigmoid1 Sigmoid <- u.2.relu1 -> 8x16x16"),
    ("- unit: {name: u, out: 8, repeat: 3}\n- Sigmoid: {from: u.0}", "sigmoid1 Sigmoid <- u.0.relu1 -> 8x16x16"),
    ("- ReLU: {name: r, repeat: 2}\n- Sigmoid: {from: r.0}", "sigmoid1 Sigmoid <- r.0 -> 4x16x16"),
    ("- head: {name: h, repeat: 2, layers: [ReLU]}\n- Sigmoid: {from: h}", "sigmoid1 Sigmoid <- h.1.relu1 -> 4x16x16"),
    # a step that does not run, by its repeat or by its condition, leaves the main path where it is
    ("- ReLU: {name: a}\n- unit: [8]\n- Tanh: {repeat: 0, from: a}\n- Sigmoid", "sigmoid1 Sigmoid <- unit1.relu1 -> 8x16x16"),
    ("- ReLU: {name: a}\n- unit: [8]\n- Tanh: {if: false, from: a}\n- Sigmoid", "sigmoid1 Sigmoid <- unit1.relu1 -> 8x16x16"),
    # with an expression
    ("- ReLU: {name: 'r{i}', repeat: 3}\n- Sigmoid: {from: 'r{3 - 2}'}", "sigmoid1 Sigmoid <- r1 -> 4x16x16"),
    # out of scopes: the nearest first, then further out
    ("- ReLU: {name: a}\n- group: {layers: [Tanh: {name: a}, ReLU, Sigmoid: {from: a}]}", "group1.sigmoid1 Sigmoid <- group1.a -> 4x16x16"),
    ("- ReLU: {name: a}\n- group: {layers: [Tanh, group: {layers: [Sigmoid: {from: a}]}]}", "group1.group1.sigmoid1 Sigmoid <- a -> 4x16x16"),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "last"), FROM)
def test_from(layers: str, last: str) -> None:
    assert outline(build(layers, top=BLOCKS))[-1] == last


def test_from_with_the_count_of_its_own_repeat() -> None:
    graph = build("- ReLU: {name: 'r{i}', repeat: 2}\n- Tanh: {name: 't{i}', from: 'r{1 - i}', repeat: 2}")
    assert outline(graph)[2:] == ["t0 Tanh <- r1 -> 4x16x16", "t1 Tanh <- r0 -> 4x16x16"]


NAMES = [
    # the op's short name and its count in that scope, named steps counted too
    ("- ReLU\n- Tanh\n- ReLU", ["relu1", "tanh1", "relu2"]),
    ("- ReLU: {name: first}\n- ReLU", ["first", "relu2"]),
    # clear of names that are written further down, also in a branch
    ("- ReLU\n- Tanh: {name: relu1}", ["relu2", "relu1"]),
    ("- ReLU\n- Add: {a: [Tanh: {name: relu1}], b: []}", ["relu2", "relu1", "add1"]),
    ("- ReLU: {name: relu2}\n- ReLU", ["relu2", "relu3"]),
    # a step that does not run does not count, nor does its name stand in the way
    ("- ReLU: {if: false}\n- ReLU", ["relu1"]),
    ("- ReLU: {name: a, if: false}\n- Tanh: {name: a}", ["a"]),
    # repeat: X stands as X.0, X.1, ... unless its name holds {i}
    ("- ReLU: {repeat: 2}", ["relu1.0", "relu1.1"]),
    ("- ReLU: {name: act, repeat: 2}\n- ReLU", ["act.0", "act.1", "relu2"]),
    ("- ReLU: {name: 'act{i + 1}', repeat: 2}", ["act1", "act2"]),
    ("- ReLU: {repeat: 0}\n- ReLU", ["relu1"]),
    # a short name that ends in a digit is kept apart from its count
    ("- ReLU6\n- ReLU6\n- conv3x3", ["relu6_1", "relu6_2", "conv3x3_1.tanh1"]),
    ("- plain: {repeat: 2}", ["plain1.0.relu1", "plain1.1.relu1"]),
    ("- group: {name: g, repeat: 2, layers: [ReLU: {name: 'r{i}'}]}", ["g.0.r0", "g.1.r1"]),
    ("- group: {repeat: 2, layers: [ReLU: {repeat: 2}]}", ["group1.0.relu1.0", "group1.0.relu1.1", "group1.1.relu1.0", "group1.1.relu1.1"]),
    ("- group: {repeat: 2, layers: [ReLU: {name: 'r{i}', repeat: i + 1}]}", ["group1.0.r0", "group1.1.r0", "group1.1.r1"]),
    # a repeat is a scope, so that names in a repeated merge's branches do not come twice
    ("- Add: {name: u, repeat: 2, a: [ReLU: {name: r}], b: []}", ["u.0.r", "u.0.add1", "u.1.r", "u.1.add1"]),
    ("- Add: {name: 'u{i}', repeat: 2, a: [ReLU: {name: 'r{i}'}], b: []}", ["r0", "u0", "r1", "u1"]),
    # groups give a scope; numbered ones call their nameless steps by position
    ("- group: {name: features, layers: [ReLU, ReLU]}", ["features.relu1", "features.relu2"]),
    # flat ones give none: their steps stand in the scope around them
    ("- group: {name: f, numbered: true, layers: [plain: {flat: true, repeat: 2}, ReLU]}", ["f.0", "f.1", "f.2"]),
    ("- ReLU\n- plain: {flat: true}\n- group: {flat: true, repeat: 2, layers: [ReLU]}", ["relu1", "relu2", "relu3", "relu4"]),
    ("- ReLU\n- group: {flat: true, layers: [Tanh: {name: relu1}]}", ["relu2", "relu1"]),
    ("- group: {name: f, numbered: true, layers: [ReLU, Tanh: {name: act}, plain, ReLU]}", ["f.0", "f.act", "f.2.relu1", "f.3"]),
    ("- group: {name: f, numbered: true, layers: [ReLU: {if: false}, Tanh, ReLU: {repeat: 2}]}", ["f.0", "f.1.0", "f.1.1"]),
    ("- head: {name: aux, layers: [ReLU]}\n- head: {layers: [ReLU]}\n- ReLU", ["aux.relu1", "head2.relu1", "relu1"]),
    # the same names in different scopes
    ("- group: {name: a, layers: [ReLU: {name: x}]}\n- group: {name: b, layers: [ReLU: {name: x}]}", ["a.x", "b.x"]),
    # names as people write them
    ("- ReLU: {name: 0}\n- Tanh: {name: C3-a}\n- ReLU: {name: 첫층}", ["0", "C3-a", "첫층"]),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "found"), NAMES)
def test_names(layers: str, found: list[str]) -> None:
    assert names(build(layers, top=BLOCKS)) == found


def conv(**arguments: Any) -> str:
    return (
        "- Conv2d: {"
        + ", ".join(f"{key}: {value}" for key, value in {"out_channels": 8, "kernel_size": 1, **arguments}.items())
        + "}"
    )


# Wherever a number, a boolean or a list of them is meant, a string is an expression.
EXPRESSIONS = [
    (conv(out_channels="4*width"), "8x16x16"),
    (conv(out_channels="'depths[0] - 1'"), "2x16x16"),
    (conv(out_channels="'depths[-1]'"), "5x16x16"),
    (conv(kernel_size="'[3, width + 1]'"), "8x14x14"),
    (conv(kernel_size="[width, 1]"), "8x15x16"),
    (conv(out_channels="7 // 2"), "3x16x16"),
    (conv(out_channels="7 % 4"), "3x16x16"),
    (conv(out_channels="8 / 2"), "4x16x16"),
    (conv(out_channels="floor(0.5*in_channels)"), "2x16x16"),
    (conv(out_channels="ceil(7 / 2)"), "4x16x16"),
    (conv(out_channels="'max(1, width)'"), "2x16x16"),
    (conv(out_channels="min(depths)"), "3x16x16"),
    (conv(out_channels="len(depths)"), "3x16x16"),
    (conv(out_channels="in_height + in_width"), "32x16x16"),
    (conv(out_channels="1 if flag and not 2 > 3 else 7"), "1x16x16"),
    (conv(out_channels="1 if 2 in depths or width != 2 else 7"), "7x16x16"),
    (conv(bias="width == 3"), "8x16x16"),
    # the other arguments of the same step, written, from defaults, or left at what PyTorch takes
    (conv(kernel_size=5, padding="kernel_size // 2"), "8x16x16"),
    (conv(kernel_size=5, padding="dilation*(kernel_size - 1) // 2", dilation=2), "8x16x16"),
    (conv(kernel_size="2*padding + 1", padding="stride + 1"), "8x16x16"),
    (conv(groups="in_channels", out_channels="2*groups"), "8x16x16"),
    # four sides, same, and PyTorch's ceil_mode
    (conv(kernel_size=3, padding="[1, 0, 2, 0]"), "8x15x16"),
    (conv(kernel_size=3, padding="[1, 0]"), "8x16x14"),
    (conv(kernel_size=4, stride=3, padding="same"), "8x6x6"),
    ("- MaxPool2d: {kernel_size: 3, stride: 2}", "4x7x7"),
    ("- MaxPool2d: {kernel_size: 3, stride: 2, ceil_mode: true}", "4x8x8"),
    ("- MaxPool2d: {kernel_size: 3, stride: 2, ceil_mode: flag}", "4x8x8"),
    # YAML 1.2: 010 is ten, quotes make a text and so an expression
    (conv(out_channels="010"), "10x16x16"),
    (conv(out_channels="0x10"), "16x16x16"),
    (conv(out_channels="'8'"), "8x16x16"),
    # repeat, if and name
    ("- MaxPool2d: {kernel_size: 2, repeat: width}", "4x4x4"),
    ("- MaxPool2d: {kernel_size: 2, repeat: 'len(depths) - 1', if: in_height == 16}", "4x4x4"),
    (conv(out_channels="10 + i", repeat=3), "12x16x16"),
]  # fmt: skip
PARAMS = "params: {width: 2, depths: [3, 4, 5], flag: width == 2, wide: '2*width'}"


@pytest.mark.parametrize(("layers", "shape"), EXPRESSIONS)
def test_expressions_stand_anywhere(layers: str, shape: str) -> None:
    assert str(build(layers, top=PARAMS).nodes[-1].output) == shape


@pytest.mark.parametrize(
    ("input", "layers", "channels"),
    [("[4, 20]", "- Conv1d: {out_channels: in_width, kernel_size: 1}", 20), ("[2, 3, 5, 7]", "- Conv3d: {out_channels: 10*in_height + in_width, kernel_size: 1}", 57),
     ("[6]", "- Linear: {out_features: 2*in_channels}", 12), ("sizes", "- ReLU", 9), ("[wide, 3, 3]", "- ReLU", 4)],
)  # fmt: skip
def test_in_channels_and_sizes_of_other_tensors(input: str, layers: str, channels: int) -> None:
    params = "params: {sizes: [9, 3, 3], width: 2, wide: 2*width}"
    assert build(layers, input=input, top=params).nodes[-1].output.c == channels


def test_what_blocks_see() -> None:
    top = """\
params: {width: 2, extra: 1}
blocks:
  inner(out, more=out + extra):
    - Conv2d: {out_channels: more, kernel_size: 1}
  outer(width, stride=1, before=in_channels):
    - inner: {out: width}
    - Conv2d: {out_channels: before + i, kernel_size: 1, stride: stride, repeat: 2}
    - Conv2d: {out_channels: width*(i + 1), kernel_size: 1}
"""
    graph = build("- outer: {width: 5, stride: 2, repeat: 2}", top=top)
    # inner: out + extra; then in_channels as they were before the block, counted by the inner i; then by the outer one
    assert [node.output.c for node in graph.layers] == [6, 4, 5, 5, 6, 5, 6, 10]
    assert str(graph.nodes[-1].output) == "10x1x1"


def test_blocks_may_be_defined_in_any_order() -> None:
    assert names(build("- a", top="blocks:\n  a: [b]\n  b: [ReLU]")) == ["a1.b1.relu1"]


def test_if_is_judged_once_and_before_repeat() -> None:
    graph = build("- Conv2d: {out_channels: 2*in_channels, kernel_size: 1, repeat: 3, if: in_channels < 5}")
    assert [node.output.c for node in graph.layers] == [8, 16, 32]
    graph = build("- group: {repeat: 3, layers: [ReLU: {if: i != 1}]}")
    assert names(graph) == ["group1.0.relu1", "group1.2.relu1"]


def test_conditions_see_the_tensor_that_from_names() -> None:
    graph = build("- Conv2d: {out_channels: 9, kernel_size: 1}\n- ReLU: {from: input, if: in_channels == 4}")
    assert names(graph) == ["conv1", "relu1"]


def test_heads_are_outputs_and_leave_the_main_path() -> None:
    top = "params: {aux: true}\nblocks:\n  side: [head: {name: deep, layers: [ReLU]}, Tanh]"
    graph = build("- head: {name: aux1, if: aux, layers: [Flatten, Linear: {out_features: 2}]}\n- side\n- Sigmoid", top=top)
    assert {name: graph.nodes[index].name for name, index in graph.outputs.items()} == {
        "output": "sigmoid1",
        "aux1": "aux1.linear1",
        "side1.deep": "side1.deep.relu1",
    }
    assert outline(graph)[-2:] == ["side1.tanh1 Tanh <- input -> 4x16x16", "sigmoid1 Sigmoid <- side1.tanh1 -> 4x16x16"]
    assert names(build("- head: {name: aux1, if: aux, layers: [ReLU]}\n- Tanh", top=top, settings={"aux": False})) == ["tanh1"]


DEFAULTS = """\
params: {flag: false}
defaults:
  Conv2d: {bias: flag, padding: kernel_size // 2}
  MaxPool2d: {kernel_size: 2}
"""


def test_defaults_are_per_operator_and_give_way() -> None:
    graph = build(
        "- Conv2d: {out_channels: 8, kernel_size: 5}\n- Conv2d: {out_channels: 8, kernel_size: 3, bias: true, padding: 0}\n- MaxPool2d",
        top=DEFAULTS,
    )
    first, second, pool = (node.op for node in graph.layers)
    assert (first.bias, first.padding, second.bias, second.padding, pool.kernel_size) == (False, (2, 2), True, (0, 0), (2, 2))
    assert str(graph.nodes[-1].output) == "8x7x7"


def test_defaults_see_params_but_not_a_blocks_arguments() -> None:
    top = "params: {s: 2}\ndefaults: {Conv2d: {stride: s}}\nblocks:\n  b(s): [Conv2d: {out_channels: s, kernel_size: 1}]"
    assert str(build("- b: [7]", top=top).nodes[-1].output) == "7x8x8"


TWO = "{left: [1, 8, 8], right: [2, 8, 8]}"


def test_several_inputs() -> None:
    graph = build("- ReLU: {from: left}\n- Concat: {from: [relu1, right]}", input=TWO, inputs={"right": (5, 8, 8)}, batch=3)
    assert outline(graph) == ["relu1 ReLU <- left -> 1x8x8", "concat1 Concat <- relu1 right -> 6x8x8"]
    assert [(node.name, tuple(node.output)) for node in graph.inputs] == [("left", (3, 1, 8, 8)), ("right", (3, 5, 8, 8))]


def test_one_input_may_have_a_name(tmp_path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("input: {image: [1, 8, 8]}\nlayers: [ReLU, Tanh: {from: image}]")
    assert outline(archcalc.load(file, input=(2, 4, 4)))[-1] == "tanh1 Tanh <- image -> 2x4x4"
    assert archcalc.load(str(file), input={"image": (3, 4, 4)}).nodes[0].output.c == 3


SHARED = [
    # layers, parameters in all, trained ones
    ("- Conv2d: {name: a, out_channels: 4, kernel_size: 1}\n- Conv2d: {share: a, out_channels: 4, kernel_size: 1}", 20, 20),
    ("- Conv2d: {name: a, out_channels: 4, kernel_size: 1}\n- Conv2d: {share: a, out_channels: 4, kernel_size: 1, stride: 2}", 20, 20),
    ("- Conv2d: {out_channels: 4, kernel_size: 1, frozen: true}\n- Conv2d: {out_channels: 4, kernel_size: 1}", 40, 20),
    ("- Conv2d: {name: a, out_channels: 4, kernel_size: 1, frozen: true}\n- Conv2d: {share: a, out_channels: 4, kernel_size: 1}", 20, 0),
    ("- unit: {out: 4, name: a}\n- unit: {out: 4, share: a}", 20, 20),
    ("- unit: {out: 4, name: a, repeat: 2}\n- unit: {out: 4, share: a.1}", 40, 40),
    ("- unit: {out: 4, frozen: true}\n- unit: [4]", 40, 20),
    ("- group: {frozen: true, layers: [unit: [4], Conv2d: {out_channels: 4, kernel_size: 1, frozen: false}]}", 40, 20),
    ("- Add: {frozen: true, a: [unit: [4]], b: []}\n- unit: [4]", 40, 20),
    ("- unit: {out: 4, frozen: 'in_channels == 4', repeat: 2}", 40, 0),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "params", "trainable"), SHARED)
def test_shared_and_frozen_parameters(layers: str, params: int, trainable: int) -> None:
    totals = archcalc.analyse(build(layers, top=BLOCKS)).totals
    assert (totals.params, totals.trainable) == (params, trainable)


def test_shared_parameters_are_held_by_the_first() -> None:
    graph = build("- unit: {out: 4, name: a}\n- unit: {out: 4, name: b, share: a}\n- unit: {out: 4, name: c, share: b}", top=BLOCKS)
    report = archcalc.analyse(graph)
    assert {layer.name: layer.shares for layer in report.layers if layer.op == "Conv2d"} == {
        "a.conv1": None,
        "b.conv1": "a.conv1",
        "c.conv1": "a.conv1",
    }


def test_the_name_of_a_spec_is_its_files_where_none_is_written() -> None:
    assert parse("input: [1]\nlayers: [ReLU]", "some/net.v2.yaml").graph().name == "net"


def test_the_page_s_example() -> None:
    spec = """\
name: alexnet
input: [3, 227, 227]
params: {towers: 1, classes: 1000}
layers:
  - Conv2d: {name: conv1, out_channels: 96, kernel_size: 11, stride: 4}
  - ReLU
  - LocalResponseNorm: {size: 5, alpha: 1e-4, beta: 0.75, k: 2}
  - MaxPool2d: {kernel_size: 3, stride: 2}
  - Conv2d: {name: conv2, out_channels: 256, kernel_size: 5, padding: 2, groups: towers}
expect: {params: 649_728, conv1: {output: [96, 55, 55], params: 34_944}}
"""
    for towers, conv2 in ((1, 614_656), (2, 307_456)):
        layers = archcalc.analyse(parse(spec, "alexnet.yaml").graph(settings={"towers": towers})).layers
        assert (layers[0].params, layers[-1].params, tuple(layers[-1].output_shape)) == (34_944, conv2, (1, 256, 27, 27))
