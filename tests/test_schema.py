"""The JSON Schemas: that of specs takes every good one and marks misspelt ones; those of the commands hold for what is printed."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archcalc import analyse, load
from archcalc.cli.schema import PRINTING_JSON
from archcalc.errors import ArchcalcError, SpecError
from archcalc.ops import OPS
from archcalc.ops.base import kinds
from archcalc.render.schemas import DOCUMENTS, schema_text
from archcalc.spec import index, parse
from archcalc.spec.schema import FILE, spec_schema
from archcalc.spec.source import Mapping, Scalar, Tree, read

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(spec_schema())


def data(tree: Tree) -> Any:
    """The values of a spec as an editor sees them: YAML 1.2."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Mapping):
        return {key.text: data(value) for key, value in tree.entries}
    return [data(item) for item in tree.items]


def marked(text: str) -> bool:
    return not VALIDATOR.is_valid(data(read(text, "net.yaml")))


def spec(steps: str, above: str = "") -> str:
    return f"input: [3, 32, 32]\n{above}layers:\n  - Conv2d: {{name: conv1, out_channels: 8, kernel_size: 3}}\n{steps}"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(spec_schema())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_bundled_specs_are_valid(path: Path) -> None:
    jsonschema.validate(data(read(path.read_bytes(), path.name)), spec_schema(), jsonschema.Draft202012Validator)


GOOD = {
    "an operator by its name": "  - ReLU\n",
    "nothing behind the colon": "  - ReLU:\n",
    "an expression for a number": "  - Conv2d: {out_channels: 4*in_channels, kernel_size: 1 if true else 3}\n",
    "an expression in a list": "  - Conv2d: {out_channels: 4, kernel_size: [1, in_height]}\n",
    "an expression for a flag": "  - Conv2d: {out_channels: 4, kernel_size: 1, bias: not false}\n",
    "a word": "  - Conv2d: {out_channels: 4, kernel_size: 3, padding: same, padding_mode: reflect}\n",
    "null": "  - LayerNorm: {normalized_shape: null}\n",
    "what any step may carry": "  - ReLU: {name: 'a{i + 1}', if: true, repeat: 2, frozen: true}\n",
    "an earlier step": "  - ReLU: {name: a, from: conv1}\n  - Add: {from: [conv1, a]}\n",
    "shared parameters": "  - Conv2d: {out_channels: 8, kernel_size: 3, from: input, share: conv1}\n",
    "branches": "  - Add: {name: sum, main: [ReLU], skip: []}\n",
    "a group": "  - group: {name: features, numbered: true, layers: [ReLU, ReLU: {}]}\n",
    "a head": "  - head: {name: aux, layers: [Flatten, Linear: {out_features: 10}]}\n  - ReLU\n",
}

MISSPELT = {
    "an operator": "  - Relu\n",
    "an operator with arguments": "  - Conv2D: {out_channels: 8, kernel_size: 3}\n",
    "an argument": "  - Conv2d: {filters: 8, kernel_size: 3}\n",
    "an argument that is inferred": "  - Conv2d: {in_channels: 8, out_channels: 8, kernel_size: 3}\n",
    "a word": "  - Conv2d: {out_channels: 8, kernel_size: 3, padding_mode: mirror}\n",
    "a negative size": "  - Conv2d: {out_channels: -8, kernel_size: 3}\n",
    "too many sizes": "  - Conv2d: {out_channels: 8, kernel_size: [3, 3, 3]}\n",
    "a flag that is a number": "  - Conv2d: {out_channels: 8, kernel_size: 3, bias: 0}\n",
    "a text that is no expression": "  - Conv2d: {out_channels: 'eight!?', kernel_size: 3}\n",
    "a probability above 1": "  - Dropout: {p: 1.5}\n",
    "two operators in one step": "  - {ReLU: {}, Flatten: {}}\n",
    "positional arguments": "  - Conv2d: [8, 3]\n",
    "a list for one input": "  - ReLU: {from: [conv1, conv1]}\n",
    "a branch that is no list": "  - Add: {main: ReLU, skip: []}\n",
    "a group without layers": "  - group: {name: features}\n",
    "a group's argument": "  - group: {name: features, number: true, layers: [ReLU]}\n",
    "a head that is numbered": "  - head: {name: aux, numbered: true, layers: [ReLU]}\n",
    "a name with a dot": "  - ReLU: {name: a.b}\n",
    "a name with a space": "  - ReLU: {name: a b}\n",
}

SECTIONS = {
    "a key": "layer: []\n",
    "an operator in defaults": "defaults: {Conv: {bias: false}}\n",
    "an argument in defaults": "defaults: {Conv2d: {biases: false}}\n",
    "a block's header": "blocks: {'conv bn(out': [ReLU]}\n",
    "a block that is no list": "blocks: {unit: ReLU}\n",
    "a param's name": "params: {'a-b': 1}\n",
    "a variant's key": "variants: {small: {sets: {}}}\n",
    "a total": "expect: {parameters: 10}\n",
    "a layer's quantity": "expect: {conv1: {weights: 10}}\n",
    "a figure": "expect: {params: many}\n",
}


@pytest.mark.parametrize("steps", GOOD.values(), ids=GOOD)
def test_good_steps_are_not_marked(steps: str) -> None:
    parse(spec(steps), "net.yaml").graph()  # the loader takes it too: the table holds no spec that only looks good
    assert not marked(spec(steps))


@pytest.mark.parametrize("steps", MISSPELT.values(), ids=MISSPELT)
def test_misspelt_steps_are_marked(steps: str) -> None:
    with pytest.raises(ArchcalcError):
        parse(spec(steps), "net.yaml").graph()
    assert marked(spec(steps))


@pytest.mark.parametrize("above", SECTIONS.values(), ids=SECTIONS)
def test_misspelt_sections_are_marked(above: str) -> None:
    with pytest.raises(SpecError):
        parse(spec("", above), "net.yaml")
    assert marked(spec("", above))


@pytest.mark.parametrize("section", ["input", "layers"])
def test_what_a_spec_needs(section: str) -> None:
    lines = [line for line in spec("").splitlines() if not line.startswith((section, "  " if section == "layers" else section))]
    assert marked("\n".join(lines))


def test_a_block_may_be_called_in_every_form() -> None:
    above = "blocks:\n  unit(w, s=1):\n    - Conv2d: {out_channels: w, kernel_size: 1, stride: s}\n  plain:\n    - ReLU\n"
    text = spec("  - unit: [4]\n  - unit: {w: 2*4, repeat: 2}\n  - plain\n  - plain:\n", above)
    parse(text, "net.yaml").graph()
    assert not marked(text)


@pytest.mark.parametrize("name", OPS)
def test_every_operator_and_argument_is_explained(name: str) -> None:
    definition = spec_schema()["$defs"][name]
    assert definition["description"]
    for argument in kinds(OPS[name]):
        assert definition["properties"][argument]["description"].endswith(".")


@pytest.mark.parametrize("name", OPS)
def test_defaults_in_the_schema_are_the_operators_own(name: str) -> None:
    op = OPS[name]
    defaults = dict(zip(reversed(op.__struct_fields__), reversed(op.__struct_defaults__), strict=False))
    for argument, kind in kinds(op).items():
        shown = spec_schema()["$defs"][name]["properties"][argument]
        assert ("default" in shown) == (argument in defaults)
        if argument in defaults:
            assert kind.read(shown["default"]) == defaults[argument]
            jsonschema.validate(shown["default"], {"$defs": spec_schema()["$defs"]} | shown, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("path", "name"),
    [(f"specs/{FILE}", None), *((f"docs/schema/{name}-1.schema.json", name) for name in DOCUMENTS)],
    ids=lambda value: str(value),
)
def test_published_files_are_up_to_date(path: str, name: str | None) -> None:
    command = " ".join(["archcalc schema", *([name] if name else []), "-o", path])
    assert (ROOT / path).read_text(encoding="utf-8") == schema_text(name), f"write it anew: {command}"


def test_every_command_that_has_a_schema_offers_it() -> None:
    assert tuple(DOCUMENTS) == PRINTING_JSON


def test_the_command_prints_the_schemas(run: Any) -> None:
    assert run("schema").out == schema_text()
    assert run("schema", "compare").out == schema_text("compare")
    wrong = run("schema", "sumary")
    assert wrong.code == 2
    assert "summary" in wrong.err


def valid(name: str, text: str) -> None:
    document = json.loads(text)
    assert document["schema"] == f"archcalc.{name}/1"
    jsonschema.validate(document, json.loads(schema_text(name)), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", index())
def test_summaries_hold_to_their_schema(name: str) -> None:
    from archcalc.render.formats import as_json
    from archcalc.render.summary import summary
    from archcalc.render.terminal import PIPE

    graph = load(name)
    valid("summary", as_json(summary(name, graph, analyse(graph)), PIPE))


@pytest.mark.parametrize(
    "arguments",
    [
        ("summary", "resnet18", "--depth", "1"),
        ("list", "alexnet"),
        ("show", "lenet5", "--format", "json"),
        ("compare", "lenet5", "lenet5_modern", "--format", "json"),
        ("compare", "resnet18", "resnet34", "vgg11", "--depth", "1"),
    ],
    ids=" ".join,
)
def test_what_commands_print_holds_to_their_schema(run: Any, arguments: tuple[str, ...]) -> None:
    form = () if "--format" in arguments else ("--format", "json")
    valid(arguments[0], run(*arguments, *form).out)


@pytest.mark.parametrize("arguments", [("summary", "alexnet"), ("compare", "alexnet", "lenet5")], ids=" ".join)
def test_every_count_holds_to_the_schema_of_counts(run: Any, arguments: tuple[str, ...]) -> None:
    valid("counts", run(*arguments, "--count", "all", "--format", "json").out)
    assert "--count all is called counts" in " ".join(run("schema", "--help").out.split())


def test_a_schema_marks_what_a_command_would_not_print() -> None:
    document = {"schema": "archcalc.list/1", "models": [{"name": "alexnet"}]}
    with pytest.raises(jsonschema.ValidationError, match="'family' is a required property"):
        valid("list", json.dumps(document))


@pytest.mark.parametrize("number", ["60965224", "60M", "12345"])
def test_an_answer_to_why_validates(run: Any, number: str) -> None:
    answer = json.loads(run("why", "alexnet", number, "--format", "json").out)
    jsonschema.validate(answer, json.loads(schema_text("why")))
