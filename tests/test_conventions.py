"""The counting conventions: complete, and right to the last digit against printed totals and against the tools themselves."""

import json
import operator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import archcalc
from archcalc.analysis.conventions import BIAS, CONVENTIONS, KINDS, Count, count, layer_counts, ledger
from archcalc.analysis.conventions.terms import TERMS, parse
from archcalc.errors import UsageError
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS
from archcalc.spec.zoo import index
from tests import oracle
from tests.counting_tools import TOOLS, Whole, total
from tests.op_cases import CASES, Case, ops
from tests.torch_modules import Function, in_turn, module

DATA = Path(__file__).parent / "data"
TOTALS = json.loads((DATA / "tool_totals.json").read_text(encoding="utf-8"))["totals"]
each_convention = pytest.mark.parametrize("name", CONVENTIONS)


def load(model: str):
    return archcalc.load(Path(__file__).parent.parent / model if model.endswith(".yaml") else model)


def graph_of(case: Case):
    """A network of the case's operator alone."""
    builder = Builder()
    inputs = tuple(builder.input(f"input{number}", tuple(shape)) for number, shape in enumerate(case.inputs))
    node = builder.add("layer", case.op, inputs)
    return builder.graph("one", {"output": node})


def chain(*layers, x=(2, 6, 8, 8)):
    """A network of operators one behind the other."""
    builder = Builder()
    last = builder.input("input", x)
    for number, op in enumerate(layers):
        last = builder.add(f"layer{number}", op, (last,))
    return builder.graph("chain", {"output": last})


@each_convention
def test_every_operator_has_one_rule(name):
    operators = [operator for group in CONVENTIONS[name].rules for operator in group.split()]
    assert sorted(operators) == sorted(OPS)


def test_every_operator_is_of_one_kind():
    assert sorted(operator for group in KINDS.values() for operator in group.split()) == sorted(OPS)


@each_convention
def test_a_slip_names_operators_that_the_tool_is_asked_about(name):
    for slip in CONVENTIONS[name].slips:
        assert set(slip.operators.split()) <= set(OPS)
        assert not slip.sentence.endswith(".")


def test_every_term_is_used_and_says_what_it_is():
    rules = [one for convention in CONVENTIONS.values() for rule in convention.rules.values() for one in spread(rule)]
    assert {summand.term for rule in rules if isinstance(rule, str) for summand in parse(rule)} == set(TERMS)
    assert all(term.__doc__ for term in TERMS.values())


def spread(rule):
    return rule.values() if isinstance(rule, dict) else [rule]


def test_a_rule_with_an_unknown_term_is_refused():
    with pytest.raises(KeyError, match="no term mac in"):
        parse("2*mac + bias")


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in TOTALS for name in TOTALS[model] if name != "params"])
def test_totals_are_those_that_the_tool_printed(model, name):
    assert count(load(model), name).total == TOTALS[model][name]


@pytest.mark.parametrize("model", TOTALS)
def test_deepspeed_counts_what_calflops_does_where_nothing_is_transposed_or_resized(model):
    assert count(load(model), "deepspeed").total == TOTALS[model]["calflops"]


@pytest.mark.parametrize("model", TOTALS)
def test_the_networks_of_the_totals_are_the_same(model):
    assert archcalc.analyse(load(model)).totals.params == TOTALS[model]["params"]


@pytest.mark.parametrize("model", sorted(index()))
def test_macs_and_full_are_the_reports_own_totals(model):
    graph = archcalc.load(model)
    totals = archcalc.analyse(graph).totals
    assert count(graph, "macs").total == totals.macs
    assert count(graph, "full").total == totals.flops
    assert not count(graph, "full").unsupported


@each_convention
@pytest.mark.parametrize("model", ["lenet5", "alexnet", "resnet50", "densenet121"])
def test_a_total_is_the_sum_of_its_kinds_and_of_its_layers(model, name):
    graph = archcalc.load(model)
    found = count(graph, name)
    layers = layer_counts(graph, name)
    assert found.total == sum(found.by_kind.values()) == sum(layer or 0 for layer in layers)
    assert sum(found.unsupported.values()) == layers.count(None)


@pytest.mark.parametrize("first", CONVENTIONS)
@pytest.mark.parametrize("second", CONVENTIONS)
def test_a_ledger_takes_one_total_to_the_other(first, second):
    found = ledger(load("tests/data/lenet5_full_c3.yaml"), first, second)
    assert found.first.total + sum(line.amount for line in found.differences) == found.second.total


def test_a_ledger_names_what_differs():
    found = ledger(archcalc.load("resnet50"), "macs", "fvcore")
    assert [(line.kind, line.amount) for line in found.differences] == [("BatchNorm", 22_227_968), ("pooling", 100_352)]
    # Three poolings of torchvision's AlexNet and its adaptive one are no part of torch's count; the biases are.
    found = ledger(archcalc.load("vgg16"), "macs", "torchinfo")
    assert [line.kind for line in found.differences] == ["convolution" + BIAS, "linear" + BIAS]


UNSUPPORTED = [
    # model, convention, operators that the tool's own report lists as not counted
    ("resnet50", "fvcore", {"MaxPool2d": 1, "Add": 16}),
    ("resnet50", "macs", {}),
    ("alexnet", "fvcore", {"LocalResponseNorm": 2, "MaxPool2d": 3}),
    ("tests/data/lenet5_full_c3.yaml", "ptflops", {"Tanh": 4}),
    ("lenet5", "netscope", {"ScaledTanh": 6, "TrainableSubsample2d": 2, "ConnectedConv2d": 1, "RBF": 1}),
]


@pytest.mark.parametrize(("model", "name", "operators"), UNSUPPORTED)
def test_a_total_says_what_the_tool_does_not_know(model, name, operators):
    assert count(load(model), name).unsupported == operators


SLIPS = [
    ("resnet50", "ptflops", "count twice"),
    ("resnet50", "thop", "BatchNorm counts 4"),
    ("resnet50", "torchinfo", "once for each image"),
    ("tests/data/lenet5_full_c3.yaml", "calflops", "a linear layer's does not"),
    ("tests/data/lenet5_full_c3.yaml", "calflops", "Tanh count nothing"),
]


@pytest.mark.parametrize(("model", "name", "words"), SLIPS)
def test_a_slip_is_marked_where_it_counts(model, name, words):
    assert any(words in sentence for sentence in count(load(model), name).slips)


def test_a_slip_is_not_marked_where_it_does_not_count():
    assert count(archcalc.load("vgg16"), "thop").slips == ()
    groups = "the output channels are divided by the groups twice"
    assert groups not in count(chain(ops.ConvTranspose2d(4, 2)), "calflops").slips
    assert groups in count(chain(ops.ConvTranspose2d(4, 2, groups=2)), "calflops").slips


BATCH = [("fvcore", 2), ("ptflops-aten", 2), ("thop", 2), ("torchinfo", 2), ("full", 2)]


@pytest.mark.parametrize(("name", "times"), BATCH)
def test_two_images_count_twice(name, times):
    one, two = (chain(ops.Conv2d(4, 3), ops.BatchNorm2d(), ops.ReLU(), x=(n, 6, 8, 8)) for n in (1, 2))
    assert count(two, name).total == times * count(one, name).total


def test_ptflops_divides_modules_by_the_batch_but_not_functions():
    conv, relu = chain(ops.Conv2d(4, 3)), chain(ops.ReLU())
    assert count(conv, "ptflops").total == 6 * 6 * 4 * (9 * 6 + 1)
    assert count(relu, "ptflops").total == (1 + 2) * 6 * 8 * 8


def test_onnx_tool_sees_a_batchnorm_only_where_no_convolution_takes_it_in():
    conv, norm = ops.Conv2d(4, 3, bias=False), ops.BatchNorm2d()
    macs, outputs = 2 * 36 * 4 * 54, 2 * 36 * 4
    assert count(chain(conv, norm), "onnx-tool").total == macs + outputs  # the convolution has a bias now
    assert count(chain(conv, ops.Dropout(), norm), "onnx-tool").total == macs + outputs
    assert count(chain(conv, ops.ReLU(), norm), "onnx-tool").total == macs + outputs + 31 * outputs
    builder = Builder()
    x = builder.input("input", (2, 6, 8, 8))
    c = builder.add("conv", conv, (x,))
    both = builder.add("add", ops.Add(), (c, builder.add("norm", norm, (c,))))
    assert count(builder.graph("read twice", {"output": both}), "onnx-tool").total == macs + 31 * outputs + outputs


def test_an_unknown_convention_is_an_error_with_a_way_out():
    with pytest.raises(UsageError, match="no counting convention fvcor") as caught:
        count(chain(ops.ReLU()), "fvcor")
    assert "fvcore" in caught.value.help


def test_every_count_on_a_screen(run, golden):
    golden(run("summary", "resnet50", "--count", "all").out, "count-all.txt")
    golden(run("compare", "alexnet", "lenet5", "--count", "all").out, "count-all-of-two.txt")
    for width in ("40", "60", "80"):
        assert max(map(len, run("summary", "lenet5", "--count", "all", "--width", width).out.splitlines())) <= int(width)


def test_a_summary_under_a_convention_has_its_total_and_says_what_is_not_in_it(run):
    told = json.loads(run("summary", "resnet50", "--count", "thop", "--format", "json").out)
    assert told["count"] == "thop"
    assert told["totals"]["counted"] == TOTALS["resnet50"]["thop"]
    assert told["unsupported"] == {"Add": 16}
    text = run("summary", "resnet50", "--count", "thop").out
    assert "counted as thop (thop 0.1.1.post2209072238, 2026-11): 4,133,742,592" in text
    assert "thop does not know 16 Add: not in its total" in text
    assert "slip of thop, counted as it does: BatchNorm counts 4" in text


def test_a_comparison_under_a_convention_has_its_totals_and_says_what_is_not_in_them(run):
    told = json.loads(run("compare", "alexnet", "vgg16", "--count", "fvcore", "--format", "json").out)
    (counted,) = (total for total in told["totals"] if total["quantity"] == "counted")
    assert told["count"] == "fvcore"
    assert counted["values"] == [TOTALS["alexnet"]["fvcore"], TOTALS["vgg16"]["fvcore"]]
    assert told["unsupported"] == [{"LocalResponseNorm": 2, "MaxPool2d": 3}, {"MaxPool2d": 5}]
    text = " ".join(run("compare", "alexnet", "vgg16", "--count", "fvcore").out.split())
    assert "A 1,135,256,096, B 15,470,289,408" in text
    assert "A: 2 LocalResponseNorm, 3 MaxPool2d; B: 5 MaxPool2d" in text


def test_all_conventions_stand_in_the_json_with_their_ledgers(run):
    rows = json.loads(run("summary", "vgg16", "--count", "all", "--format", "json").out)["counts"]
    totals = {row["convention"]: row["total"] for row in rows}
    assert list(totals) == list(CONVENTIONS)
    for row in rows:
        assert totals[row["against"]] + sum(line["amount"] for line in row["differences"]) == row["total"]


CONVENTIONS_HEAD = """\
# Counting conventions

`--count NAME` counts a network as a tool does, to the tool's last digit, and says which layers the tool does not know and what it
miscounts; `--count all` shows every convention with what takes its total from `macs` or `torch`. Networks are counted in evaluation
mode, where side heads do not run, their activations and poolings modules of torch.nn, their residual additions written `x + y`.
archcalc's own two, `macs` and `full`, are sums over all layers, and what side heads have of them is a line of its own.

A rule is a sum of terms; `/n` is for one image of the batch. A dash stands for operators that the tool passes over or warns about.
`pytest -m slow tests/test_conventions.py` asks every tool that is installed, operator by operator and network by network.

## Terms

"""


def conventions_page() -> str:
    """docs/conventions.md as the data has it."""
    lines = [f"- `{name}`: {term.__doc__}" for name, term in TERMS.items()]
    for name, convention in CONVENTIONS.items():
        tool = " ".join(filter(None, (convention.tool, convention.version)))
        lines += [
            "",
            f"## {name}",
            "",
            f"{tool}, checked {convention.checked}: {convention.sentence}.",
            "",
            "| operators | rule |",
            "|---|---|",
        ]
        lines += [f"| {operators.replace(' ', ', ')} | {shown(rule)} |" for operators, rule in convention.rules.items()]
        lines += ["", *(f"- slip: {sentence}" for sentence in dict.fromkeys(slip.sentence for slip in convention.slips))]
    return CONVENTIONS_HEAD + "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def shown(rule) -> str:
    if isinstance(rule, dict):
        return ", ".join(f"{mode} {shown(one)}" for mode, one in rule.items())
    return "-" if rule is None else f"`{rule}`" if isinstance(rule, str) else str(rule)


def test_the_page_of_conventions_is_what_the_data_says():
    told = (DATA.parents[1] / "docs" / "conventions.md").read_text(encoding="utf-8")
    assert told == conventions_page(), "docs/conventions.md is written by: python -m tests.test_conventions"


# From here on the tools are asked. They are no dependencies: what is not installed is skipped.
WRITTEN_OTHERWISE = {
    # The tool's total depends on how these are written in torch, and the modules of the tests write them as torch does itself.
    "fvcore": lambda op: getattr(op, "padding", None) == "same" and hasattr(op, "groups") and set(op.stride) == {1},
    "torchprofile": lambda op: getattr(op, "padding", None) == "same" and hasattr(op, "groups") and set(op.stride) == {1},
    "calflops": lambda op: getattr(op, "padding", None) == "same" and 4 in getattr(op, "kernel_size", ()),
    "deepspeed": lambda op: getattr(op, "padding", None) == "same" and 4 in getattr(op, "kernel_size", ()),
    # Cannot be exported, or the tool stops at what is.
    "onnx-tool": lambda op: isinstance(op, (ops.ChannelShuffle, ops.LocalResponseNorm)),
}
# No layers of any tool: its count of these depends on how they are written.
NO_TOOLS_LAYERS = (ops.ScaledTanh, ops.TrainableSubsample2d, ops.ConnectedConv2d, ops.RBF)
AS_OPERATORS = {ops.Add: operator.add, ops.Multiply: operator.mul}


def installed(name: str) -> None:
    reason = f"{CONVENTIONS[name].tool} {CONVENTIONS[name].version} is not installed"
    for needed in TOOLS[name][0]:
        pytest.importorskip(needed, reason=reason, exc_type=ImportError)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_counts_what_the_installed_tool_says(case, name):
    if isinstance(case.op, NO_TOOLS_LAYERS) or WRITTEN_OTHERWISE.get(name, lambda op: False)(case.op):
        pytest.skip("its count depends on how it is written")
    (expected,) = layer_counts(graph_of(case), name)
    if name == "onnx-tool" and expected is None:
        pytest.skip("cannot be exported")
    installed(name)
    torch.manual_seed(0)
    first, *others = (torch.rand(tuple(shape)) for shape in case.inputs)
    function = AS_OPERATORS.get(type(case.op))
    layer = in_turn(function)(case.op, case.x) if function else module(case.op, case.x)
    assert total(name, Whole(layer, others), first) == (expected or 0), CONVENTIONS[name].version


def interpolated(x: torch.Tensor, **arguments) -> torch.Tensor:
    return nn.functional.interpolate(
        x, **arguments
    )  # looked up when it is called: some tools put a function of their own in its place


def written_out(network: nn.Module) -> nn.Module:
    """The network in torch's own classes, which some tools know by name alone, its paddings in numbers, as a spec has them."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, oracle.PaddedConv2d):
                plain = nn.Conv2d(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding, child.dilation,
                    child.groups, child.bias is not None,
                )  # fmt: skip
                setattr(parent, name, nn.Sequential(nn.ZeroPad2d(child.border), plain))
            elif getattr(child, "padding", None) == "same":
                child.padding = tuple(k // 2 for k in child.kernel_size)
            elif isinstance(child, nn.Upsample) and child.size:  # the specs say Resize, which is torch's function
                setattr(parent, name, Function(partial(interpolated, size=(child.size,) * 2, mode=child.mode)))
    return network


def cannot_be_exported(found: Count, graph: Graph) -> bool:
    """Whether torch.onnx or onnx-tool stops at one of the layers, so that there is no total to compare."""
    return bool(found.unsupported) or any(isinstance(node.op, ops.LocalResponseNorm) for node in graph.layers)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("model", sorted(set(index()) & set(oracle.models())))
def test_a_network_counts_what_the_installed_tool_says(model, name):
    graph = archcalc.load(model)
    if any(isinstance(node.op, NO_TOOLS_LAYERS) for node in graph.layers):
        pytest.skip("its count depends on how it is written")
    found = count(graph, name)
    if name == "onnx-tool" and cannot_be_exported(found, graph):
        pytest.skip("cannot be exported")
    installed(name)
    build, shape = oracle.models()[model.removesuffix("_aux")]  # the oracle's heads run in evaluation too
    assert total(name, written_out(build()), torch.rand(1, *shape)) == found.total, CONVENTIONS[name].version


@pytest.mark.parametrize("name", ["torch", "torchinfo"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [case for case in CASES if type(case.op).__name__ in ("Conv2d", "Linear", "BatchNorm2d")], ids=str)
def test_the_tools_that_the_suite_has_agree_operator_by_operator(case, name):
    test_an_operator_counts_what_the_installed_tool_says(case, name)


if __name__ == "__main__":
    (DATA.parents[1] / "docs" / "conventions.md").write_text(conventions_page(), encoding="utf-8")
