"""``archcalc.build``: a module as its graph says, under the spec's names, letting go of what nobody reads any more."""

import copy
import sys
import traceback
import weakref

import pytest
import torch
from torch import nn

import archcalc
from archcalc.errors import MissingError, UsageError
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS
from archcalc.pytorch.liveness import plan
from archcalc.pytorch.names import TAKEN
from archcalc.pytorch.observe import stepwise
from archcalc.pytorch.source import class_name
from archcalc.spec import parse

CONV = "Conv2d: {out_channels: 3, kernel_size: 3, padding: 1}"


def build(layers: str, shape: str = "3, 8, 8", blocks: str = "") -> nn.Module:
    torch.manual_seed(0)
    return archcalc.build(graph_of(layers, shape, blocks))


def graph_of(layers: str, shape: str = "3, 8, 8", blocks: str = "") -> Graph:
    return parse(f"name: net\ninput: [{shape}]\n{blocks}layers:\n{layers}", "net.yaml").graph()


def image(*sizes: int) -> torch.Tensor:
    return torch.randn(sizes or (2, 3, 8, 8), generator=torch.Generator().manual_seed(1))


# Names, sharing, freezing, heads, several inputs.


def test_taken_names_are_those_that_torch_has() -> None:
    """A layer that bore one of these would hide it, or could not be registered."""
    own = {*dir(nn.Module()), *vars(nn.Module()), *dir(nn.ModuleDict())}
    assert {name for name in own if not name.startswith("_")} | {"head_weights"} == TAKEN


@pytest.mark.parametrize("name", ["forward", "train", "keys", "half", "_modules", "head_weights"])
def test_a_name_that_pytorch_keeps_is_refused(name: str) -> None:
    for layers in (f"- ReLU: {{name: {name}}}", f"- group: {{name: {name}, layers: [ReLU]}}"):
        with pytest.raises(UsageError, match=f"E250: PyTorch keeps the name {name} for itself") as raised:
            build(layers)
        assert raised.value.layer in (name, f"{name}.relu1")


def test_what_has_no_module_may_bear_any_name() -> None:
    module = build("- ReLU: {name: a}\n- Add: {name: train, from: [a, input]}")
    assert torch.equal(module(image()), image().relu() + image())


def test_a_layer_cannot_hold_layers() -> None:
    builder = Builder()
    outer = builder.add("a", OPS["ReLU"](), (builder.input("input", (1, 3, 8, 8)),))
    graph = builder.graph("net", {"output": builder.add("a.b", OPS["ReLU"](), (outer,))})
    with pytest.raises(UsageError, match=r"E251: a is a layer, and cannot hold others \(layer a\.b\)"):
        archcalc.build(graph)


NAMES = [
    "합성곱", "1x1", "3", "reduce-3x3", "5'", "½", "𐄇", "lambda", "x", "x1", "y", "self", "torch", "F", "tie", "getattr",
    "super", "ﬁ", "my_x", "print", "ScaledTanh", "#", "%s", "a" * 120, "ㅎ" * 60,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(name: str) -> None:
    """As a layer, as a scope, and as a scope within one; with LeNet-5's own layers around, whose names stand in the same file."""
    quoted = "'" + name.replace("'", "''") + "'"
    inner = f"{{group: {{name: {quoted}, layers: [{{{CONV}}}, ScaledTanh]}}}}"
    twice = f"group: {{layers: [{inner}, {inner.replace(quoted, 'other')}]}}"
    scoped = build(f"- group: {{name: {quoted}, layers: [{{ReLU: {{name: {quoted}}}}}, {{{twice}}}]}}")
    alone = build(f"- Conv2d: {{name: {quoted}, out_channels: 3, kernel_size: 3, padding: 1}}\n- ScaledTanh")
    assert [key.rpartition(".")[0] for key in alone.state_dict()] == [name] * 2
    paths = [f"{name}.group1.{leaf}.conv1.{tensor}" for leaf in (name, "other") for tensor in ("weight", "bias")]
    assert list(scoped.state_dict()) == paths
    assert alone(image()).shape == scoped(image()).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("name", ['5"', "back\\slash", '"+str(exec("raise")))+"'])
def test_a_name_that_would_run_in_code_that_pytorch_writes(name: str) -> None:
    """torch.fx has the name of a layer stand in quotes as it is, and runs what it wrote: a spec could say anything there."""
    for layers in (f"- ReLU: {{name: '{name}'}}", f"- group: {{name: '{name}', layers: [ReLU]}}"):
        with pytest.raises(UsageError, match="E253: PyTorch writes the names of layers between quotes") as raised:
            build(layers)
        assert raised.value.help == 'a name without " and \\'


def test_what_is_built_is_a_graph() -> None:
    with pytest.raises(TypeError, match=r"build takes a Graph, not str: build\(archcalc.load\('resnet18'\)\)"):
        archcalc.build("resnet18")


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = archcalc.load("lenet5")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingError, match="E320: building a model needs PyTorch, which is not installed") as raised:
        archcalc.build(graph)
    assert raised.value.help == "pip install 'archcalc[torch]'; its source needs none"


def test_names_that_python_would_make_one_stay_two() -> None:
    module = build("- Conv2d: {name: fi, out_channels: 3, kernel_size: 1}\n- Conv2d: {name: ﬁ, out_channels: 4, kernel_size: 1}")
    assert list(module.state_dict()) == ["fi.weight", "fi.bias", "ﬁ.weight", "ﬁ.bias"]


TWINS = """blocks:
  near: [{group: {name: inner, layers: [{Conv2d: {name: conv, out_channels: 3, kernel_size: 3, padding: 1}}]}}]
  far: [{group: {name: inner, layers: [{Conv2d: {name: conv, out_channels: 3, kernel_size: 3, padding: 2, dilation: 2}}]}}]
"""


def test_shared_parameters_are_one_parameter() -> None:
    """The twins' scopes have one name: what is tied must still be the other one's."""
    module = build("- near: {name: first}\n- far: {name: second, share: first}\n- near: {name: third, share: first}", blocks=TWINS)
    assert module.second.inner.conv.weight is module.first.inner.conv.weight
    assert [name for name, _ in module.named_parameters()] == ["first.inner.conv.weight", "first.inner.conv.bias"]
    assert "third" not in dict(module.named_children())  # the same layer called again
    weight, bias, x = module.first.inner.conv.weight, module.first.inner.conv.bias, image()
    expected = nn.functional.conv2d(x, weight, bias, padding=1)
    expected = nn.functional.conv2d(expected, weight, bias, padding=2, dilation=2)
    assert torch.equal(module(x), nn.functional.conv2d(expected, weight, bias, padding=1))
    module(x).sum().backward()
    moved = copy.deepcopy(module).to(torch.float64)
    assert moved.second.inner.conv.weight is moved.first.inner.conv.weight


def test_frozen_parameters_are_not_trained() -> None:
    module = build(f"- group: {{name: old, frozen: true, layers: [{{{CONV}}}, BatchNorm2d]}}\n- {CONV}")
    assert {name: p.requires_grad for name, p in module.named_parameters()} == {
        "old.conv1.weight": False, "old.conv1.bias": False, "old.bn1.weight": False, "old.bn1.bias": False,
        "conv1.weight": True, "conv1.bias": True,
    }  # fmt: skip
    module(image()).sum().backward()
    assert [p.grad is None for p in module.parameters()] == [True] * 4 + [False] * 2


def test_heads_are_extra_outputs_in_training() -> None:
    layers = f"- {CONV}\n- head: {{name: side, weight: 0.5, layers: [Flatten, {{Linear: {{out_features: 4}}}}]}}\n- ReLU\n"
    module = build(layers)
    main, side = module.train()(image())
    assert (main.shape, side.shape) == ((2, 3, 8, 8), (2, 4))
    assert module.eval()(image()).shape == (2, 3, 8, 8)
    assert module.head_weights == {"side": 0.5}
    assert torch.equal(side, module.side["linear1"](module.conv1(image()).flatten(1)))


def graph_with_a_late_head() -> Graph:
    """A head that reads the input and a tensor of the main path when this has gone on."""
    builder = Builder()
    start = builder.input("input", (2, 3, 8, 8))
    relu = builder.add("relu", OPS["ReLU"](), (start,))
    tanh = builder.add("tanh", OPS["Tanh"](), (relu,))
    side = builder.add("side", OPS["Add"](), (start, relu))
    return builder.graph("late", {"output": builder.add("sigmoid", OPS["Sigmoid"](), (tanh,)), "side": side})


def test_a_head_may_read_what_the_main_path_has_let_go() -> None:
    module, x = archcalc.build(graph_with_a_late_head()), image()
    main, side = module(x)
    assert torch.equal(main, x.relu().tanh().sigmoid())
    assert torch.equal(side, x + x.relu())
    assert torch.equal(module.eval()(x), main)


def test_an_output_may_be_a_head_too() -> None:
    builder = Builder()
    relu = builder.add("relu", OPS["ReLU"](), (builder.input("input", (2, 3, 8, 8)),))
    module = archcalc.build(builder.graph("net", {"output": relu, "same": relu}))
    main, same = module(image())
    assert main is same


def test_several_inputs_come_in_their_order() -> None:
    text = "input: {left-eye: [3, 8, 8], left_eye: [3, 8, 8]}\nlayers:\n- Concat: {from: [left_eye, left-eye]}\n"
    module = archcalc.build(parse(text, "net.yaml").graph())
    assert torch.equal(module(image(), -image()), torch.cat([-image(), image()], dim=1))


def test_a_head_may_read_one_of_several_inputs() -> None:
    builder = Builder()
    left, right = builder.input("left", (2, 3, 8, 8)), builder.input("right", (2, 3, 8, 8))
    joined = builder.add("add", OPS["Add"](), (left, right))
    side = builder.add("side", OPS["Tanh"](), (left,))
    module = archcalc.build(builder.graph("net", {"output": joined, "side": side}))
    main, tanh = module(image(), -image())
    assert torch.equal(main, torch.zeros(2, 3, 8, 8))
    assert torch.equal(tanh, image().tanh())


# Letting go.


def last_reads(graph: Graph) -> list[int]:
    """For each node the last one that reads it in evaluation: a walk of its own, over what leads to the main output."""
    needed, waiting = set(), [graph.outputs["output"]]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting += graph.nodes[index].inputs
    last = list(range(len(graph.nodes)))
    for index in sorted(needed):
        for source_index in graph.nodes[index].inputs:
            last[source_index] = index
    last[graph.outputs["output"]] = len(graph.nodes)
    for index, node in reversed(list(enumerate(graph.nodes))):
        if node.inputs and node.op.aliases(training=False):  # a view holds on to what it views, and dropout hands on what came in
            last[node.inputs[0]] = max(last[node.inputs[0]], last[index])
    return last


BRANCHED = """- Conv2d: {name: stem, out_channels: 4, kernel_size: 3, padding: 1}
- Concat: {a: [ReLU, Sigmoid], b: [{Add: {c: [Tanh], d: [Sigmoid, Tanh]}}], e: []}
- head: {name: side, layers: [Sigmoid]}
- Sigmoid
- Multiply: {from: [stem, stem]}
"""


@pytest.mark.parametrize("variant", [None, "googlenet_aux", "densenet_40_12", "resnet20"])
def test_nothing_outlives_its_last_reader_in_evaluation(variant: str | None) -> None:
    graph = graph_of(BRANCHED) if variant is None else archcalc.load(variant)
    module, last = archcalc.build(graph).eval(), last_reads(graph)
    alive: dict[int, weakref.ref[torch.Tensor]] = {}
    before = -1
    with torch.no_grad():
        for index, tensor in stepwise(module, graph)(torch.zeros(graph.nodes[0].output)):
            kept = {one for one, reference in alive.items() if reference() is not None}
            # What this statement was the last to read is overwritten, or deleted right behind it.
            assert {one for one in alive if last[one] > index} <= kept, graph.nodes[index].name
            assert kept <= {one for one in alive if last[one] >= index}, graph.nodes[index].name
            assert before < index
            alive[index], before = weakref.ref(tensor), index
            del tensor


def test_a_variable_is_used_again() -> None:
    """GoogLeNet's nine inceptions need four variables, since no more tensors live at once."""
    written = plan(archcalc.load("googlenet"))
    assert {line.target for line in written.lines} == {"x", "x1", "x2", "x3"}
    assert {line.target for line in plan(archcalc.load("densenet121")).lines} == {"x", "x1"}


def test_what_nobody_reads_is_let_go_at_once() -> None:
    builder = Builder()
    start = builder.input("input", (2, 3, 8, 8))
    builder.add("idle", OPS["Tanh"](), (start,))
    graph = builder.graph("net", {"output": builder.add("relu", OPS["ReLU"](), (start,))})
    assert [line.released for line in plan(graph).lines] == [("x1",), ()]
    assert torch.equal(archcalc.build(graph)(image()), image().relu())


# The module as PyTorch's own tools meet it.


def test_the_stepwise_forward_is_the_forward() -> None:
    graph = archcalc.load("googlenet_aux")
    module = archcalc.build(graph)
    x = image(1, 3, 224, 224)
    for training, tensors in ((True, len(graph.nodes) - 1), (False, len(graph.nodes) - 1 - 16)):
        module.train(training)
        torch.manual_seed(0)
        with torch.no_grad():
            seen = dict(stepwise(module, graph)(x))
            torch.manual_seed(0)
            returned = module(x)
        assert len(seen) == tensors
        for name, y in zip(graph.outputs, returned if training else (returned,), strict=training):
            assert torch.equal(seen[graph.outputs[name]], y)


def test_tracebacks_show_the_line() -> None:
    module = build("- Conv2d: {name: stem, out_channels: 4, kernel_size: 3}")
    try:
        module(image(2, 5, 8, 8))
    except RuntimeError as error:
        shown = "".join(traceback.format_exception(error))
    assert "x = self.stem(x)  # 4x6x6" in shown
    assert "<archcalc build Net" in shown


def test_building_twice_gives_two_modules_and_one_source() -> None:
    graph = archcalc.load("lenet5")
    first_one, second = archcalc.build(graph), archcalc.build(graph)
    assert type(first_one) is not type(second)  # or torch.compile would guess the second's batch from the first's
    assert type(first_one).forward.__code__.co_filename == type(second).forward.__code__.co_filename
    second.load_state_dict(first_one.state_dict())
    x = image(1, 1, 32, 32)
    assert torch.equal(first_one(x), copy.deepcopy(second)(x))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("ResNet-50 v1.5", "ResNet50V15"),
        ("1998", "Net1998"),
        ("합성곱", "Net"),  # and the name that stands for it is "net"
        ("true", "NetTrue"),
        ("f", "NetF"),
        ("Tensor", "NetTensor"),
        ("scaled tanh", "NetScaledTanh"),  # one of our own layers
        ("pair", "NetPair"),  # a type of theirs
        ("a" * 80, "A" + "a" * 59),
    ],
)
def test_class_names(title: str, name: str) -> None:
    graph = parse(f"name: net\ntitle: {title!r}\ninput: [4]\nlayers: [ReLU, ScaledTanh]\n", "net.yaml").graph()
    assert class_name(graph) == name
    assert archcalc.build(graph)(torch.ones(2, 4)).shape == (2, 4)
