"""Explanations: their numbers are those of the summary, their printed arithmetic is right, and every value has a source."""

import ast
import json
import math
import operator
import re
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given

from archcalc.analysis import analyse
from archcalc.analysis.derive import Tracer
from archcalc.analysis.explain import PEAK, QUANTITIES, SUMMED, USUAL, USUAL_TOTALS, Explainer, explain
from archcalc.analysis.explanation import Border
from archcalc.analysis.written import Written
from archcalc.cli import explain as cli_explain
from archcalc.formula.printed import named
from archcalc.formula.traced import Traced
from archcalc.graph import Builder
from archcalc.ops import OPS
from archcalc.render.borders import picture
from archcalc.render.explain import Explained, both
from archcalc.render.figures import count
from archcalc.spec import index, parse, read_spec
from archcalc.symbols import AXES, COUNTED, SYMBOLS
from tests.op_cases import CASES
from tests.strategies import specs

FUNCTIONS = {"floor": math.floor, "ceil": math.ceil, "min": min, "max": max, "gcd": math.gcd}
SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: lambda a, b: Fraction(a) / b}


def evaluated(text):
    """The value of printed arithmetic, worked out with nothing of archcalc's."""

    def value(node):
        if isinstance(node, ast.Constant):
            return Fraction(str(node.value))
        if isinstance(node, ast.BinOp):
            return SIGNS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        arguments = [value(argument) for argument in node.args]
        if node.func.id == "gcd":
            arguments = [int(argument) for argument in arguments]
        return FUNCTIONS[node.func.id](*arguments)

    return value(ast.parse(text, mode="eval").body)


def test_the_evaluator_itself():
    assert evaluated("min(floor((11 + 2*1 - 3)/4), 7) - (2 - 5)*gcd(4, 6) + ceil(1.5*3)") == 13


def every_derivation(found):
    waiting = [*found.derivations, *found.trail]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [value.derivation for value in one.values if value.derivation is not None]


def is_in_glossary(letter):
    stem, _, end = letter.rpartition("_")
    return letter in SYMBOLS or (stem in SYMBOLS and (f"_{end}" in AXES[3] or (stem in COUNTED and end.isdecimal())))


def check(found):
    """The printed arithmetic gives the printed result, and every value has a source and a letter that the glossary explains."""
    for one in every_derivation(found):
        assert evaluated(one.numbers) == Fraction(one.result), one
        assert one.meaning, one
        assert set(re.findall(r"[a-z]\w*", one.letters)) - set(FUNCTIONS) <= {value.letter for value in one.values}, one
        for value in one.values:
            assert is_in_glossary(value.letter), value
            assert value.meaning, value
            assert bool(value.source) != (value.derivation is not None), value


def explainer(graph, spec=None, variant=None):
    return Explainer(Tracer(graph, Written(graph, spec, variant)))


def expected(row, quantity):
    number = getattr(row, QUANTITIES[quantity][0])
    return tuple(number[1:]) if quantity == "output" else number


def case_graph(case):
    builder = Builder()
    inputs = tuple(builder.input(f"input{number}", tuple(shape)) for number, shape in enumerate(case.inputs))
    # A layer with weights first, so that gradients reach the operator.
    before = tuple(builder.add(f"before{i}", OPS["PReLU"](), (i,)) for i in inputs)
    builder.add("layer", case.op, before)
    return builder.graph("case", {"output": len(builder.nodes) - 1})


def anonymous(number):
    """Whether arithmetic was done outside a formula, here or in what went in."""
    if type(number) is Traced:
        return True
    values = dict(named(number.values)) if getattr(number, "formula", None) else {}
    return any(anonymous(value) for value in values.values())


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_operator_is_explained(case, quantity):
    graph = case_graph(case)
    here = explainer(graph)
    row = analyse(graph).layers[-1]
    parts, _ = here.answer(len(graph.nodes) - 1, quantity)
    assert not any(anonymous(number) for _, number in parts)
    assert quantity == "output" or not any(number for _, number in parts if type(number) is int)
    found = here.layer("layer", quantity, trace=True)
    assert found.result == expected(row, quantity)
    check(found)
    nothing = found.result in (0, None)
    assert nothing or found.derivations
    assert not nothing or found.derivations or found.notes


def layers_of(graph, quantity):
    """A layer of each kind and shape; for what depends on the layers before, some of all the others too."""
    kinds = {(node.op, str(graph.x(node)), node.shares is None): node for node in graph.layers}
    chosen = {node.name for node in kinds.values()}
    if quantity in ("saved", "receptive-field"):
        names = [node.name for node in graph.layers]
        chosen |= set(names[:: max(1, len(names) // 20)])
    return chosen


@pytest.mark.parametrize("name", index())
def test_every_bundled_network_is_explained_as_it_is_summed_up(name):
    spec, variant = read_spec(name)
    graph = spec.graph(variant)
    rows = {row.name: row for row in analyse(graph).layers}
    for quantity in QUANTITIES:
        here = explainer(graph, spec, variant)
        for layer in layers_of(graph, quantity):
            found = here.layer(layer, quantity)
            assert found.result == expected(rows[layer], quantity), (layer, quantity)
            check(found)


@pytest.mark.parametrize("name", index())
@pytest.mark.parametrize("quantity", SUMMED)
def test_every_total_is_the_sum_of_its_terms(name, quantity):
    spec, variant = read_spec(name)
    graph = spec.graph(variant)
    report = analyse(graph)
    (found,) = explain(graph, quantities=[quantity])
    assert found.result == getattr(report.totals, QUANTITIES[quantity][0]) == sum(term.result for term in found.terms)
    assert all(term.result for term in found.terms)
    known = {}
    for term in found.terms:
        assert known.setdefault(term.numbers, term.result) == term.result
    assert all(evaluated(numbers) == result for numbers, result in known.items())


@given(specs())
def test_random_networks_are_explained_as_they_are_summed_up(text):
    graph = parse(text, "random.yaml").graph()
    report = analyse(graph)
    here = explainer(graph)
    for row in report.layers:
        for quantity in QUANTITIES:
            found = here.layer(row.name, quantity)
            assert found.result == expected(row, quantity), (row.name, quantity)
            check(found)


def test_a_chain_is_followed_to_the_input():
    spec, variant = read_spec("alexnet")
    graph = spec.graph(variant)
    found = explainer(graph, spec, variant).layer("fc6", "params", trace=True)
    chain = [(one.layer, one.part, one.result) for one in found.trail]
    assert chain[0] == ("flatten1", "c_out", 9216)
    assert chain[-1] == ("conv1", "w_out", 55)
    assert [layer for layer, part, _ in chain if part == "h_out"] == "pool5 conv5 conv4 conv3 pool2 conv2 pool1 conv1".split()
    assert not found.more


def sources(name, layer, quantity):
    spec, variant = read_spec(name)
    graph = spec.graph(variant)
    found = explainer(graph, spec, variant).layer(layer, quantity)
    return {value.letter: value.source for one in every_derivation(found) for value in one.values}, spec.text.split("\n")


def test_sources_name_the_line_that_wrote_the_number():
    found, lines = sources("alexnet", "conv2", "params")
    expected = {"k_h": "kernel_size: 5", "c_out": "out_channels: 256", "g": "groups: towers", "c_in": "out_channels: 96"}
    for letter, written in expected.items():
        place = re.match(r"given: alexnet\.yaml:(\d+) ", found[letter])
        assert written in lines[int(place[1]) - 1], (letter, found[letter])
    assert found["c_in"].endswith("(conv1)")
    assert found["g"].endswith("groups: towers")
    assert found["bias"] == "PyTorch's default"


def test_sources_name_the_defaults_section_of_the_spec():
    found, lines = sources("resnet50", "layer1.0.conv2", "params")
    place = re.match(r"given: resnet\.yaml:(\d+) bias", found["bias"])
    assert "bias: false" in lines[int(place[1]) - 1]


def test_sizes_from_the_command_line_are_said_to_be():
    spec, variant = read_spec("alexnet")
    graph = spec.graph(variant, inputs={"input": (3, 224, 224)})
    (found,) = explain(graph, "conv1", ["output"], written=Written(graph, spec, variant, input_given=True))
    assert {value.source for one in found.derivations for value in one.values if value.letter == "i"} == {"given: --input"}


def test_what_an_earlier_layer_keeps_is_counted_once():
    spec, variant = read_spec("alexnet")
    graph = spec.graph(variant)
    found = explainer(graph, spec, variant).layer("conv4", "saved")
    assert found.result == 0
    assert found.notes == ("it needs its input, which relu3 keeps: counted there",)


SHARED = """
name: twins
input: {left: [3, 8, 8], right: [3, 8, 8]}
layers:
  - Conv2d: {name: one, out_channels: 4, kernel_size: 3, from: left}
  - Conv2d: {name: other, out_channels: 4, kernel_size: 3, from: right, share: one}
  - Conv2d: {name: still, out_channels: 4, kernel_size: 3, frozen: true}
"""


def test_shared_and_frozen_parameters_are_said_to_be():
    here = explainer(parse(SHARED, "twins.yaml").graph())
    assert here.layer("other", "params").notes == ("it uses the params of one, where they are counted",)
    assert here.layer("other", "params").result == 0
    assert here.layer("still", "params").notes == ("its parameters are frozen: stored, but not trained",)


def test_an_input_is_given():
    here = explainer(parse(SHARED, "twins.yaml").graph())
    assert here.layer("left", "params").notes == ("an input is given, not computed",)
    assert here.layer("left", "output").result == (3, 8, 8)
    assert here.layer("left", "receptive-field").result == (1, 1)


BORDERS = [
    (Border("height", 227, 11, 1, 4, 0, 0, 55), 0, "nothing is left over"),
    (Border("height", 224, 11, 1, 4, 0, 0, 54), 1, "1 left over at the far end, seen by no window"),
    (Border("height", 224, 7, 1, 2, 3, 3, 112), 1, "1 left over, all of it padding"),
    (Border("height", 10, 3, 1, 4, 0, 2, 3), 1, "1 left over, all of it padding"),
    (Border("height", 11, 3, 1, 5, 0, 1, 2), 4, "4 left over, 3 of the image"),
    (Border("height", 112, 3, 1, 2, 0, 0, 56), -1, "the last hangs 1 over the far end (ceil_mode)"),
]


@pytest.mark.parametrize(("border", "left_over", "words"), BORDERS)
def test_borders(border, left_over, words):
    assert border.left_over == left_over
    assert f"  {words}" in picture("height", border)


def brute_force(border):
    """The axis drawn one character a pixel, without the gap in the middle."""
    end = max(border.before + border.size + border.after, (border.windows - 1) * border.stride + border.span)
    seen = {n * border.stride + k * border.dilation for n in range(border.windows) for k in range(border.kernel)}
    inside = range(border.before, border.before + border.size)
    far = border.before + border.size + border.after
    return "".join("~" if at >= far else "+" if at not in inside else "o" if at in seen else "." for at in range(end))


@pytest.mark.parametrize("kernel", range(1, 5))
@pytest.mark.parametrize("stride", range(1, 6))
@pytest.mark.parametrize("dilation", range(1, 4))
@pytest.mark.parametrize("ends", [(0, 0), (1, 1), (0, 2)])
def test_drawings_show_every_pixel_at_both_ends(kernel, stride, dilation, ends):
    for size in range(dilation * (kernel - 1) + 1, 40):
        windows = (size + sum(ends) - dilation * (kernel - 1) - 1) // stride + 1
        border = Border("height", size, kernel, dilation, stride, *ends, windows)
        lines = picture("height", border)
        drawn = next(line for line in lines if re.fullmatch(r" +[o+.~]+( \.\.\. [o+.~]+)?", line)).strip()
        head, _, tail = drawn.partition(" ... ")
        assert brute_force(border).startswith(head)
        assert brute_force(border).endswith(tail)
        assert tail or head == brute_force(border)
        assert max(map(len, lines)) <= 76
        assert lines[-1].count("#") == kernel


def test_sentences_about_both_axes():
    assert both(["input: 3", "input: 4"]) == "input: 3 and 4"
    assert both(["a b", "c d"]) == "a b; c d"


SCREENS = [
    ("explain-alexnet-conv1.txt", ("alexnet", "conv1")),
    ("explain-alexnet-pool1.txt", ("alexnet", "pool1")),
    ("explain-alexnet-fc6.txt", ("alexnet", "fc6")),
    ("explain-resnet50-conv2-80.txt", ("resnet50", "layer1.0.conv2", "--width", "80")),
    ("explain-alexnet-totals.txt", ("alexnet",)),
    ("explain-resnet50-totals.txt", ("resnet50", "--quantity", "params")),
    ("explain-alexnet-trace.txt", ("alexnet", "fc8", "--quantity", "receptive-field", "--trace")),
    ("explain.md", ("alexnet", "pool1", "--format", "md")),
    ("explain.latex", ("alexnet", "pool1", "--format", "latex")),
    ("explain.json", ("alexnet", "fc8", "--quantity", "params", "--format", "json")),
    ("explain.csv", ("alexnet", "conv1", "--format", "csv")),
]


@pytest.mark.parametrize(("file", "arguments"), SCREENS, ids=[file for file, _ in SCREENS])
def test_screens(run, golden, file, arguments):
    outcome = run("explain", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    golden(outcome.out, file)


def test_the_printed_rows_of_a_total_add_up_to_it(run):
    out = run("explain", "resnet50", "--quantity", "macs").out
    total = int(re.search(r"MACs = ([\d,]+)", out)[1].replace(",", ""))
    rows = [int(found.replace(",", "")) for found in re.findall(r"^  \S+ +([\d,]+)  ", out, re.MULTILINE)]
    assert sum(rows) == total == analyse(read_spec("resnet50")[0].graph("resnet50")).totals.macs


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_screen_keeps_every_digit(run, width):
    wide, narrow = (run("explain", "alexnet", "conv2", "--width", str(columns)).out for columns in (200, width))
    assert re.findall(r"\d[\d,]*", narrow).count(count(614_656)) == re.findall(r"\d[\d,]*", wide).count(count(614_656)) > 0


def test_json_is_its_schema(run):
    out = run("explain", "alexnet", "conv2", "--format", "json")
    document = msgspec.json.decode(out.out, type=Explained)
    assert document.schema == "archcalc.explain/1"
    assert document.layer == "conv2"
    assert [one.quantity for one in document.quantities] == list(USUAL)
    assert json.loads(out.out)["quantities"][1]["result"] == 614_656


UPSAMPLED = """
name: up
input: [3, 9, 9]
layers:
  - Upsample: {scale_factor: 2, mode: bilinear}
  - Conv2d: {out_channels: 4, kernel_size: 3}
"""


def test_fractions_are_decimals_in_json(run, tmp_path):
    file = tmp_path / "up.yaml"
    file.write_text(UPSAMPLED)
    out = run("explain", str(file), "conv1", "--quantity", "receptive-field", "--format", "json").out
    parts = {one["part"]: one["result"] for one in json.loads(out)["quantities"][0]["derivations"]}
    assert parts["jump, height"] == 0.5


def test_totals_are_the_main_ones_unless_named(run):
    out = json.loads(run("explain", "alexnet", "--format", "json").out)
    assert [one["quantity"] for one in out["quantities"]] == list(USUAL_TOTALS)


def test_quantities_of_the_command_are_those_of_the_analysis():
    assert (*QUANTITIES, PEAK) == cli_explain.QUANTITIES


ERRORS = [
    (("alexnet", "conv9"), "E210", "did you mean conv"),
    (("resnet50", "conv2"), "E211", "give the whole path"),
    (("alexnet", "--quantity", "output"), "E231", "archcalc explain alexnet LAYER --quantity output"),
    (("alexnot",), "E201", "did you mean alexnet?"),
]


@pytest.mark.parametrize(("arguments", "code", "way_out"), ERRORS)
def test_errors(run, arguments, code, way_out):
    outcome = run("explain", *arguments)
    assert outcome.code == 2
    assert code in outcome.err
    assert way_out in outcome.err
