"""``init`` and the weight of a head: what the language takes and refuses, what the graph holds, and what the papers say."""

# ruff: noqa: E501 (a table reads by its rows, however long they are)

import json
from math import prod, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archcalc
from archcalc.errors import ArchcalcError
from archcalc.graph import Graph
from archcalc.ops import OPS
from archcalc.ops.base import Fans
from archcalc.ops.initial import DISTRIBUTIONS, Draw, Init, Start, draw
from archcalc.render.expanded import expanded
from archcalc.spec import index, parse
from archcalc.spec.synonyms import DISTRIBUTION_WORDS
from tests.op_cases import CASES
from tests.torch_modules import module

HEAD = "input: [4, 16, 16]\nparams: {s: 0.02, inner: 3}\n"


def build(steps: str, head: str = HEAD) -> Graph:
    return parse(f"{head}layers:\n{steps}\n", "net.yaml").graph()


def start(written: str, op: str = "Conv2d: {out_channels: 6, kernel_size: 3") -> Any:
    """The weight's beginning, as written behind ``weight:``."""
    init = build(f"  - {op}, init: {{weight: {written}}}}}").nodes[-1].init
    return None if init is None else init.weight


OPERATORS = [
    "Conv2d: {out_channels: 3, kernel_size: 2, ",
    "ConvTranspose2d: {out_channels: 3, kernel_size: 2, bias: false, ",
    "BatchNorm2d: {",
    "LayerNorm: {bias: false, ",
    "TrainableSubsample2d: {kernel_size: 2, ",
    "ConnectedConv2d: {kernel_size: 1, table: [[0], [1, 2]], ",
    "PReLU: {",
    "ReLU: {",
]
FORMS = [
    # as written, and as the graph has it (the convolution sees 4*3*3 inputs, and 6*3*3 outputs see one of them)
    ("0.5", Start("constant", (("value", 0.5),))),
    ("-1", Start("constant", (("value", -1),))),
    ("2*s", Start("constant", (("value", 0.04),))),
    ("[0, 1, 2, 3, 4, 5]", Start("constant", (("value", (0, 1, 2, 3, 4, 5)),))),
    ("{normal: 0.01}", Start("normal", (("std", 0.01),))),
    ("{normal: s}", Start("normal", (("std", 0.02),))),
    ("{normal: {mean: -1, std: 2}}", Start("normal", (("std", 2), ("mean", -1)))),
    ("{normal: {variance: 2/fan_out}}", Start("normal", (("variance", 2 / 54),))),
    ("{trunc_normal: {std: 1, bound: 1.5}}", Start("trunc_normal", (("std", 1), ("bound", 1.5)))),
    ("{uniform: 2.4/fan_in}", Start("uniform", (("bound", 2.4 / 36),))),
    ("kaiming_normal", Start("kaiming_normal")),
    ("{kaiming_normal: }", Start("kaiming_normal")),
    ("{kaiming_normal: fan_out}", Start("kaiming_normal", (("mode", "fan_out"),))),
    ("{kaiming_uniform: {mode: fan_in, gain: 1}}", Start("kaiming_uniform", (("mode", "fan_in"), ("gain", 1)))),
    ("xavier_uniform", Start("xavier_uniform")),
    ("{xavier_normal: 2}", Start("xavier_normal", (("gain", 2),))),
]


@pytest.mark.parametrize(("written", "meant"), FORMS)
def test_forms(written: str, meant: Start) -> None:
    assert start(written) == meant


def test_a_step_wins_over_the_defaults_part_by_part() -> None:
    defaults = HEAD + "defaults: {Conv2d: {init: {weight: {normal: 0.01}, bias: 0}}}\n"
    graph = build(
        "  - Conv2d: {out_channels: 2, kernel_size: 1}\n"
        "  - Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: 1}}\n"
        "  - Conv2d: {out_channels: 2, kernel_size: 1, bias: false}\n"
        "  - Linear: {out_features: 2, from: flat}\n".replace("  - Linear", "  - Flatten: {name: flat}\n  - Linear"),
        defaults,
    )
    weight, zero, one = Start("normal", (("std", 0.01),)), Start("constant", (("value", 0),)), Start("constant", (("value", 1),))
    found = [node.init for node in graph.nodes[1:]]
    assert found == [Init(weight, zero), Init(weight, one), Init(weight, None), None, None]


def test_expressions_see_params_blocks_and_the_input() -> None:
    blocks = "blocks:\n  unit(k, b):\n    - Conv2d: {out_channels: 2, kernel_size: k, init: {weight: {normal: 1/fan_in}, bias: b*i + in_channels}}\n"
    graph = build("  - unit: {name: u, repeat: 2, k: 3, b: 10}", HEAD + blocks)
    biases = [node.init.bias for node in graph.nodes[1:] if node.init]
    assert [bias["value"] for bias in biases if bias] == [4, 12]
    weights = [node.init.weight for node in graph.nodes[1:] if node.init]
    assert [weight["std"] for weight in weights if weight] == [1 / 36, 1 / 18]


def test_a_table_has_a_fan_for_each_output() -> None:
    graph = build(
        "  - ConnectedConv2d: {table: [[0], [1, 2], [0, 1, 2, 3]], kernel_size: 5, init: {weight: {uniform: 2.4/fan_in}}}"
    )
    init = graph.nodes[-1].init
    assert init is not None
    assert init.weight == Start("uniform", (("bound", (2.4 / 25, 2.4 / 50, 2.4 / 100)),))


def test_shared_parameters_begin_as_their_holder_says() -> None:
    graph = build(
        "  - Conv2d: {name: a, out_channels: 4, kernel_size: 1}\n  - Conv2d: {out_channels: 4, kernel_size: 1, share: a}",
        HEAD + "defaults: {Conv2d: {init: {bias: 0}}}\n",
    )
    assert [node.init is not None for node in graph.nodes] == [False, True, False]


def test_prelu_keeps_the_argument_of_its_own() -> None:
    node = build("  - PReLU: {init: 0.1}").nodes[-1]
    assert (node.op, node.init) == (OPS["PReLU"](init=0.1), None)  # type: ignore[call-arg]


# fmt: off
REFUSED = [
    # step, code, what is underlined, words of the message, words of the way out
    ("ReLU: {init: {weight: 1}}", "E062", "init", "ReLU has no parameters", "leave it out"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {gamma: 1}}", "E062", "gamma", "no parameter gamma", "did you mean weight?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, bias: false, init: {bias: 1}}", "E062", "1", "Conv2d has no bias here", "leave bias out"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: 0.1}", "E063", "0.1", "a number does not", "init: {weight: {normal: 0.01}, bias: 1}"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: }}", "E063", "", "the init of weight is empty", "leave it out"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {gaussian: 1}}}", "E063", "gaussian", "no distribution gaussian", "did you mean normal?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {norml: 1}}}", "E063", "norml", "no distribution norml", "did you mean normal?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {quux: 1}}}", "E063", "quux", "no distribution quux", "one of constant, normal"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: glorot_uniform}}", "E063", "glorot_uniform", "no distribution", "did you mean xavier_uniform?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: zeros}}", "E063", "zeros", "no distribution zeros", "did you mean 0?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: kaiming_norma}}", "E021", "kaiming_norma", "unknown name", "did you mean kaiming_normal?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: normal}}", "E063", "normal", "normal needs a std", "{normal: 0.01}"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: {mean: 1}}}}", "E063", "normal", "normal needs a std", "{normal: 0.01}"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: 1, uniform: 1}}}", "E063", "", "one distribution, not normal, uniform", "init:"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: {stddev: 1}}}}", "E063", "stddev", "normal has no argument stddev", "did you mean std?"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: {std: 1, variance: 1}}}}", "E063", "normal", "not both", "leave one"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: -1}}}", "E064", "-1", "std of normal must be a number of at least 0, not -1", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {normal: .inf}}}", "E064", ".inf", "a number within 1e+30, not inf", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: .nan}}", "E064", ".nan", "a number within 1e+30, not nan", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: -1e39}}", "E064", "-1e39", "a number within 1e+30, not -1e+39", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: true}}", "E064", "true", "value of constant must be a number, not true", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: [1, 2, 3]}}", "E064", "[", "each of the 2 entries along the first axis, not 3", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {kaiming_normal: fan_avg}}}", "E064", "fan_avg", "fan_in or fan_out", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {bias: kaiming_normal}}", "E064", "kaiming_normal", "which the bias of Conv2d is not", "or normal"),
    ("BatchNorm2d: {init: {weight: {uniform: 1/fan_in}}}", "E064", "1/fan_in", "which a scale is not", "write a number"),
    ("Conv2d: {out_channels: 2, kernel_size: 1, init: {weight: {uniform: 1/inner}}}", "E023", "1/inner", "does not divide", None),
    ("Conv2d: {out_channels: fan_in, kernel_size: 1}", "E021", "fan_in", "unknown name fan_in", "inside init"),
    ("Conv2d: {name: a, out_channels: 4, kernel_size: 1}\n  - Conv2d: {out_channels: 4, kernel_size: 1, share: a, init: {bias: 1}}", "E065", "Conv2d", "begin as their holder says", "at the step"),
    ("group: {init: {bias: 1}, layers: []}", "E038", "init", "group has no argument init", "under defaults:"),
    ("unit: {init: {bias: 1}}", "E038", "init", "unit() has no argument init", "under defaults:"),
    ("head: {weight: -0.3, layers: [ReLU]}", "E066", "-0.3", "at least 0, not -0.3", "weight: 0.3"),
    ("head: {weight: .nan, layers: [ReLU]}", "E066", ".nan", "at least 0, not nan", "weight: 0.3"),
    ("head: {weight: 1e400, layers: [ReLU]}", "E066", "1e400", "at least 0, not inf", "weight: 0.3"),
    ("head: {weight: true, layers: [ReLU]}", "E066", "true", "must be a number", "weight: 0.3"),
    ("group: {weight: 0.3, layers: [ReLU]}", "E038", "weight", "group has no argument weight", None),
    ("Conv2d: {out_channels: 2, kernel_size: 1, kernel_initializer: he}", "E038", "kernel_initializer", "no argument", "init: {weight"),
]
# fmt: on


@pytest.mark.parametrize(("step", "code", "underlined", "message", "help"), REFUSED)
def test_refused(step: str, code: str, underlined: str, message: str, help: str | None) -> None:
    with pytest.raises(ArchcalcError) as raised:
        build(f"  - {step}", HEAD + "blocks: {unit: [ReLU]}\n")
    error = raised.value
    assert error.code == code
    assert message in error.message
    assert (help or "") in (error.help or "")
    place = error.place
    assert place is not None
    assert place.text[place.column - 1 :].startswith(underlined)


words = st.sampled_from(
    [*DISTRIBUTIONS, *DISTRIBUTION_WORDS, "fan_in", "fan_out", "1/fan_in", "s", "s/inner", "in_channels", "true", "std", "mean"]
)
leaves = words | st.none() | st.booleans() | st.integers(-3, 10**16) | st.floats(allow_nan=False, allow_infinity=False)
written_inits = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2), max_leaves=6
)


@given(st.dictionaries(st.sampled_from(["weight", "bias", "gamma"]), written_inits, max_size=2), st.sampled_from(OPERATORS))
def test_whatever_is_written_is_understood_or_refused(init: Any, op: str) -> None:
    try:
        graph = build(f"  - {op}init: {json.dumps(init)}}}")
    except ArchcalcError as error:
        place = error.place
    else:
        assert_drawable(graph)
        return
    assert place is not None


def assert_drawable(graph: Graph) -> None:
    """The expanded spec says the same, and every distribution has its numbers."""
    again = parse(expanded(graph), "expanded.yaml").graph()
    assert [node.init for node in again.nodes] == [node.init for node in graph.nodes]
    for node in graph.nodes:
        if node.init is not None:
            for begun in filter(None, (node.init.weight, node.init.bias)):
                assert draw(begun, node.op.fans(graph.x(node))).shape in ("normal", "uniform")


def test_defaults_are_read_like_steps() -> None:
    for inside, code in (("MaxPool2d: {init: {weight: 1}}", "E062"), ("Conv2d: {init: {weight: msra}}", "E063")):
        with pytest.raises(ArchcalcError) as raised:
            build("  - ReLU", HEAD + f"defaults: {{{inside}}}\n")
        assert raised.value.code == code


@pytest.mark.parametrize("case", CASES, ids=str)
def test_state_is_that_of_the_module(case: Any) -> None:
    """Names, sizes and order; LeNet-5's layers, which torch lacks, are held against the counts alone."""
    state = case.op.state(case.x)
    assert sum(prod(stored.sizes) for stored in state if stored.learned) == case.op.params(case.x)
    assert sum(prod(stored.sizes) for stored in state if not stored.learned) == case.op.buffers(case.x)
    assert {stored.name.rpartition(".")[2] for stored in state if stored.learned} <= {*case.op.begins, "weight"}
    if not type(case.op).__module__.endswith("lenet"):
        found = {name.removeprefix("rest."): tuple(tensor.shape) for name, tensor in module(case.op, case.x).state_dict().items()}
        assert [(stored.name, stored.sizes) for stored in state] == list(found.items())


@pytest.mark.parametrize("name", [name for name in OPS if "weight" in OPS[name].begins or name == "PReLU"])
def test_what_begins_is_what_is_learned(name: str) -> None:
    learned = {
        stored.name.rpartition(".")[2]
        for case in CASES
        if type(case.op) is OPS[name]
        for stored in case.op.state(case.x)
        if stored.learned
    }
    assert learned == ({"weight"} if name == "PReLU" else set(OPS[name].begins))


DRAWN = [
    # distribution, fans, and its mean and standard deviation or half width, by the papers' formulas
    (Start("normal", (("variance", 0.04),)), Draw("normal", 0, 0.2)),
    (Start("trunc_normal", (("std", 0.01),)), Draw("normal", 0, 0.01, 2)),
    (Start("kaiming_normal"), Draw("normal", 0, sqrt(2 / 50))),
    (Start("kaiming_uniform", (("mode", "fan_out"),)), Draw("uniform", 0, sqrt(6 / 100))),
    (Start("xavier_normal"), Draw("normal", 0, sqrt(2 / 150))),
    (Start("xavier_uniform", (("gain", 2),)), Draw("uniform", 0, 2 * sqrt(6 / 150))),
    (Start("constant", (("value", 3),)), Draw("uniform", 3, 0)),
]


@pytest.mark.parametrize(("begins", "drawn"), DRAWN)
def test_draws(begins: Start, drawn: Draw) -> None:
    found = draw(begins, (Fans(50, 100),))
    assert found._replace(spread=0) == drawn._replace(spread=0)
    assert found.spread == pytest.approx(drawn.spread, rel=1e-12)


def test_every_distribution_is_one_of_torch() -> None:
    from torch.nn import init

    assert all(hasattr(init, f"{name}_") for name in DISTRIBUTIONS)
    assert set(DISTRIBUTION_WORDS.values()) - {"0", "1"} <= set(DISTRIBUTIONS)


def test_heads_count_one_unless_they_say_otherwise() -> None:
    steps = "  - head: {name: a, layers: [ReLU]}\n  - head: {name: b, weight: 10*s, layers: [ReLU]}\n  - ReLU"
    assert build(steps).head_weights == {"a": 1.0, "b": 0.2}
    assert build("  - head: {name: b, repeat: 2, weight: i, layers: [ReLU]}\n  - ReLU").head_weights == {"b.0": 0.0, "b.1": 1.0}


ROUND_TRIPS = [
    "  - head: {name: b, weight: 0.3, layers: [ReLU]}\n  - head: {name: c, weight: 2, layers: []}\n  - ReLU",
    "  - Conv2d: {out_channels: 6, kernel_size: 3, init: {weight: {normal: 0.1}, bias: 1}}\n  - Conv2d: {out_channels: 6, kernel_size: 3, init: {weight: {normal: 0.1}}}",
    "  - Conv2d: {out_channels: 6, kernel_size: 3, init: {bias: 1}}\n  - Conv2d: {out_channels: 6, kernel_size: 3, bias: false}",
    "  - Conv2d: {out_channels: 6, kernel_size: 3, init: {weight: {kaiming_normal: {mode: fan_out, gain: 1}}, bias: [1, 2, 3, 4, 5, 6]}}",
    "  - Conv2d: {name: a, out_channels: 4, kernel_size: 1, init: {bias: 0}}\n  - Conv2d: {out_channels: 4, kernel_size: 1, share: a}\n  - Conv2d: {out_channels: 4, kernel_size: 1, init: {bias: 0}}",
    "  - BatchNorm2d: {init: {weight: 0.5}}\n  - BatchNorm2d: {affine: false}\n  - BatchNorm2d: {init: {weight: 0.5}}",
    *(f"  - Conv2d: {{out_channels: 6, kernel_size: 3, init: {{weight: {written}}}}}" for written, _ in FORMS),
]


@pytest.mark.parametrize("steps", ROUND_TRIPS)
def test_expanded_specs_say_the_same(steps: str) -> None:
    graph = build(steps)
    again = parse(expanded(graph), "expanded.yaml").graph()
    assert [node.init for node in again.nodes] == [node.init for node in graph.nodes]
    assert again.head_weights == graph.head_weights


def begins(name: str, model: str) -> tuple[object, object]:
    """The spread of a layer's initial weights and the value of its biases."""
    graph = archcalc.load(model)
    node = graph.find(name)
    assert node.init is not None
    fans = node.op.fans(graph.x(node))
    weight = None if node.init.weight is None else draw(node.init.weight, fans).spread
    return weight, None if node.init.bias is None else draw(node.init.bias, fans).centre


PAPERS = [
    # model, layer, deviation or half width of its weights, biases
    ("alexnet", "conv1", 0.01, 0),  # Krizhevsky et al. 2012, section 5
    ("alexnet", "conv2", 0.01, 1),
    ("alexnet", "conv3", 0.01, 0),
    ("alexnet", "conv4", 0.01, 1),
    ("alexnet", "conv5", 0.01, 1),
    ("alexnet", "fc6", 0.01, 1),
    ("alexnet", "fc7", 0.01, 1),
    ("alexnet", "fc8", 0.01, 0),
    ("zfnet", "conv3", 0.01, 0),  # Zeiler and Fergus 2014, section 3.1
    ("zfnet", "fc8", 0.01, 0),
    ("vgg_a", "features.0", 0.1, 0),  # Simonyan and Zisserman 2015, section 3.1: a variance of 0.01
    ("vgg_a", "classifier.0", 0.1, 0),
    ("vgg11", "features.3", sqrt(2 / (128 * 9)), 0),  # torchvision's
    ("vgg11", "classifier.6", 0.01, 0),
    ("resnet50", "layer1.0.conv2", sqrt(2 / (64 * 9)), None),
    ("resnet20", "layer3.0.conv1", sqrt(2 / (64 * 9)), None),
    ("densenet121", "features.denseblock1.denselayer1.conv2", sqrt(2 / (128 * 9)), None),
    ("densenet121", "classifier", None, 0),
    ("densenet_40_12", "conv0", sqrt(2 / (16 * 9)), None),
    ("preact_resnet164", "layer1.0.conv1", sqrt(2 / 16), None),
    ("googlenet_torchvision", "inception3a.branch1.conv", 0.01, None),
    ("lenet5", "C1", 2.4 / 25, 0),  # LeCun et al. 1998, appendix A
    ("lenet5", "S2", 2.4 / 4, 0),
    ("lenet5", "C5", 2.4 / 400, 0),
    ("lenet5", "F6", 2.4 / 120, 0),
    ("alexnet_keras", "conv3", sqrt(6 / (9 * (256 + 384))), 0),  # Glorot and Bengio 2010
]


@pytest.mark.parametrize(("model", "layer", "spread", "bias"), PAPERS)
def test_what_the_papers_say(model: str, layer: str, spread: float | None, bias: float | None) -> None:
    weight, centre = begins(layer, model)
    assert weight == (None if spread is None else pytest.approx(spread, rel=1e-12))
    assert centre == bias


def test_what_the_papers_leave_open_is_left_open() -> None:
    for model in ("googlenet", "alexnet_torchvision", "lenet5_modern"):
        assert {node.init for node in archcalc.load(model).nodes} == {None}


@pytest.mark.parametrize("model", ["googlenet_aux", "googlenet_torchvision_aux"])
def test_googlenets_heads_count_three_tenths(model: str) -> None:
    assert archcalc.load(model).head_weights == {"aux1": 0.3, "aux2": 0.3}


@pytest.mark.parametrize("name", index())
def test_only_parameters_that_are_there_begin(name: str) -> None:
    graph = archcalc.load(name)
    for node in graph.layers:
        if node.init is not None:
            there = {stored.name.rpartition(".")[2] for stored in node.op.state(graph.x(node)) if stored.learned}
            assert {part for part in node.init.__struct_fields__ if getattr(node.init, part) is not None} <= there
