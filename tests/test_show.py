"""``show``: the spec to the last character; the expanded one is read back to the same network."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from archcalc import Graph, analyse, load
from archcalc.render.expanded import expanded
from archcalc.spec import index, parse, source


def content(graph: Graph) -> Any:
    """All of a graph but the lines and the file that it came from."""
    nodes = [(node.name, node.op, node.inputs, node.output, node.shares, node.frozen, node.init) for node in graph.nodes]
    return graph.name, graph.title, graph.source, dict(graph.outputs), dict(graph.head_weights), nodes


@pytest.fixture
def long_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the loader read what is longer than a spec may be: a thousand layers, a line each."""
    monkeypatch.setattr(source, "MOST_BYTES", 2**20)


@pytest.mark.usefixtures("long_specs")
@pytest.mark.parametrize("name", index())
def test_every_bundled_network_is_read_back(name: str) -> None:
    graph = load(name)
    again = parse(expanded(graph), "expanded.yaml").graph()
    assert content(again) == content(graph)
    assert analyse(again).totals == analyse(graph).totals


HEADER = "name: net\ninput: [3, 16, 16]\n"
CONV = "Conv2d: {out_channels: 3, kernel_size: 3, padding: 1}"
HARD = {
    "names that hide each other": f"""
blocks:
  unit:
    - Add:
        main: [{CONV}, ReLU, {CONV}]
        skip: [{CONV}]
    - ReLU
layers:
  - {CONV}
  - ReLU
  - unit: {{name: stage, repeat: 2}}
""",
    "an input that is hidden": f"""
layers:
  - group:
      name: stage
      layers:
        - Conv2d: {{name: input, out_channels: 3, kernel_size: 1}}
  - group:
      name: other
      layers:
        - Add:
            main: [Conv2d: {{name: input, out_channels: 3, kernel_size: 1}}]
            skip: [{CONV}]
        - Concat: {{main: [], skip: [ReLU]}}
  - ReLU: {{from: input}}
""",
    "words, digits and Korean for names": """
layers:
  - Conv2d: {name: "0", out_channels: 3, kernel_size: 1}
  - group:
      name: "on"
      layers: [ReLU: {name: "true"}, ReLU: {name: 합성곱}, ReLU: {name: "1e3"}, ReLU: {name: "a'b"}, ReLU: {name: "#"}]
  - Add: {from: ["0", "on.true", on.합성곱, on.1e3]}
""",
    "shared and frozen": f"""
layers:
  - Conv2d: {{name: a, out_channels: 3, kernel_size: 3, padding: 1, frozen: true}}
  - group:
      name: g
      frozen: true
      layers: [{CONV}, BatchNorm2d, Conv2d: {{name: b, out_channels: 3, kernel_size: 3, padding: 1, share: a}}]
  - group: {{name: h, share: g, layers: [{CONV}, BatchNorm2d, Conv2d: {{name: b, out_channels: 3, kernel_size: 3, padding: 1}}]}}
""",
    "heads": f"""
layers:
  - {CONV}
  - head: {{name: nothing, layers: []}}
  - group:
      name: body
      layers:
        - ReLU
        - head: {{name: aux, layers: [Flatten, Linear: {{name: fc, out_features: 10}}, head: {{name: inner, layers: [ReLU]}}]}}
        - head: {{name: empty, layers: []}}
        - Conv2d: {{out_channels: 8, kernel_size: 1}}
  - head: {{name: late, from: body.relu1, layers: [GlobalAvgPool2d]}}
""",
    "an end that is not the last step": """
layers:
  - Conv2d: {name: a, out_channels: 3, kernel_size: 1}
  - ReLU
  - group: {name: back, from: a, layers: []}
""",
    "all kinds of arguments": """
layers:
  - Conv2d: {out_channels: 6, kernel_size: [3, 5], stride: [2, 1], padding: [1, 1, 1, 1], bias: false, padding_mode: reflect}
  - Conv2d: {out_channels: 6, kernel_size: 3, padding: same}
  - BatchNorm2d: {eps: 1e-12, momentum: null, affine: false}
  - LeakyReLU: {negative_slope: 0.3}
  - ConnectedConv2d: {kernel_size: 3, table: [[0, 1, 2], [3], [4, 5]]}
  - LayerNorm
  - AdaptiveAvgPool2d: {output_size: [null, 2]}
  - Dropout: {p: 0.1}
""",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_hard_networks_are_read_back(text: str) -> None:
    graph = parse(HEADER + text, "net.yaml").graph()
    assert content(parse(expanded(graph), "expanded.yaml").graph()) == content(graph)


def test_several_inputs_are_read_back() -> None:
    text = """
name: "two: eyes"
title: "# is no comment"
input: {left: [3, 8, 8], right: [1, 8, 8]}
layers:
  - Concat: {name: both, from: [left, right]}
  - Conv2d: {name: right_eye, out_channels: 4, kernel_size: 1, from: right}
  - Add: {main: [Conv2d: {out_channels: 4, kernel_size: 1, from: both}], skip: []}
"""
    graph = parse(text, "net.yaml").graph()
    assert content(parse(expanded(graph), "expanded.yaml").graph()) == content(graph)


def test_arguments_are_as_brief_as_they_can_be() -> None:
    lines = expanded(load("resnet18")).splitlines()
    assert "  - BatchNorm2d: {name: bn1}" in {line.partition("#")[0].rstrip() for line in lines}
    assert "              - Add: {name: add1, from: [bn2, maxpool]}" in {line.partition("#")[0].rstrip() for line in lines}
    assert any("{name: conv1, out_channels: 64, kernel_size: 7, stride: 2, padding: 3, bias: false}" in line for line in lines)


def test_settings_and_sizes_are_worked_in() -> None:
    graph = load("alexnet", set={"classes": 10}, input=(3, 195, 195), batch=8)
    text = expanded(graph)
    assert "input: [3, 195, 195]" in text
    assert "- Linear: {name: fc8, out_features: 10, init: {bias: 0}}" in text
    again = parse(text, "expanded.yaml").graph(batch=8)
    assert content(again) == content(graph)


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "resnet18"])
def test_the_spec_is_shown_to_the_last_character(run: Any, name: str) -> None:
    outcome = run("show", name)
    assert outcome.code == 0
    assert outcome.out == Path(index()[name]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("alexnet",), ""),
        (
            ("alexnet_two_towers",),
            "note: alexnet_two_towers is this spec with towers: 2; a copy needs --variant alexnet_two_towers for it\n",
        ),
        (
            ("resnet18",),
            "note: resnet18 is this spec with depths: [2, 2, 2, 2], bottleneck: false; a copy needs --variant resnet18 for it\n",
        ),
        (
            ("alexnet_224_floor",),
            "note: alexnet_224_floor is this spec with input: [3, 224, 224], size: 224, pool_first: true; "
            "a copy needs --variant alexnet_224_floor for it\n",
        ),
        (("resnet50",), "note: resnet50 is this spec as it stands, by another name\n"),
        (
            ("alexnet", "--batch", "2"),
            "note: this is the text of the spec; --expanded writes out what comes of it under these settings\n",
        ),
    ],
    ids=" ".join,
)
def test_what_is_said_about_the_text_goes_to_standard_error(run: Any, arguments: tuple[str, ...], note: str) -> None:
    assert run("show", *arguments).err.replace("\n", " ").strip() == note.strip()


@pytest.mark.parametrize("name", index())
def test_what_the_note_says_of_a_copy_is_so(run: Any, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy.yaml"
    outcome = run("show", name, "-o", str(copy))
    variant = ("--variant", name) if f"a copy needs --variant {name} for it" in outcome.err else ()
    told, same = (json.loads(run("show", *model, "--format", "json").out) for model in ((str(copy), *variant), (name,)))
    assert told["nodes"] == same["nodes"]


def test_the_schema_that_a_copy_names_can_be_put_beside_it(run: Any, tmp_path: Path) -> None:
    copy, schema = str(tmp_path / "copy.yaml"), str(tmp_path / "spec-1.schema.json")
    assert f"archcalc schema -o {schema} writes" in run("show", "alexnet", "-o", copy).err
    run("schema", "-o", schema)
    assert run("show", "alexnet", "-o", copy).err == ""


def test_sharing_and_freezing_stand_in_the_table(run: Any, tmp_path: Path) -> None:
    siamese = Path(__file__).parent / "data" / "specs" / "siamese.yaml"
    rows = run("show", str(siamese), "--format", "csv").out.splitlines()
    assert any(row.startswith('second.conv1,Conv2d,"10x10, 64, shares first.conv1"') for row in rows)
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [3, 8, 8]\nlayers: [BatchNorm2d: {frozen: true}]\n")
    assert "bn1,BatchNorm2d,frozen,input," in run("show", str(spec), "--format", "csv").out


@pytest.mark.parametrize("title", ["a\x9b31m \u202e", 'quo"te \\ and \n', "\U000e0001", "합성곱: # [x]"])
def test_what_cannot_stand_in_a_spec_is_written_as_an_escape(title: str) -> None:
    graph = msgspec.structs.replace(load("lenet5"), title=title, name=title)
    again = parse(expanded(graph), "expanded.yaml")
    assert again.variant(None).title == " ".join(title.split())


def test_a_file_name_need_not_be_text(run: Any, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"bad\xff.yaml")
    file.write_text("input: [3, 8, 8]\nlayers: [Flatten]\n")
    for arguments in (("show", str(file), "--format", "json"), ("summary", str(file), "--format", "json")):
        assert json.loads(run(*arguments).out)["model"] == r"bad\udcff"
    assert parse(run("show", str(file), "--expanded").out, "again.yaml").name == r"bad\udcff"
    assert run("compare", str(file), "lenet5", "--format", "json").code == 0


def test_a_spec_that_does_not_fit_together_is_shown_all_the_same(run: Any, tmp_path: Any) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("input: [3, 8, 8]\nlayers: [Linear: {out_features: 10}, MaxPool2d: {kernel_size: 3}]\n", encoding="utf-8")
    assert run("show", str(file)).out == file.read_text(encoding="utf-8")
    assert run("show", str(file), "--expanded").code == 2


def test_the_expanded_screen(run: Any, golden: Any) -> None:
    golden(run("show", "lenet5_modern", "--expanded").out, "show-expanded.txt")


def test_too_long_to_be_read_back_says_so(run: Any) -> None:
    outcome = run("show", "resnet1202", "--expanded")
    assert outcome.code == 0
    assert f"note: {len(outcome.out.encode()):,} bytes, and a spec is read up to 65,536" in outcome.err


def test_the_graph_as_data(run: Any) -> None:
    document = json.loads(run("show", "alexnet_two_towers", "--format", "json").out)
    assert document["inputs"] == {"input": [1, 3, 227, 227]}
    assert document["outputs"] == {"output": "fc8"}
    conv2 = next(node for node in document["nodes"] if node["name"] == "conv2")
    assert conv2["inputs"] == ["pool1"]
    assert conv2["output_shape"] == [1, 256, 27, 27]
    assert conv2["arguments"]["groups"] == 2
    assert conv2["arguments"]["kernel_size"] == [5, 5]


@pytest.mark.parametrize(
    ("suffix", "start"), [(".yaml", "# lenet5"), (".json", "{"), (".csv", "name,op,arguments,inputs,output_shape")]
)
def test_the_suffix_of_a_file_decides(run: Any, tmp_path: Any, suffix: str, start: str) -> None:
    file = tmp_path / f"graph{suffix}"
    assert run("show", "lenet5", "--expanded", "-o", str(file)).out == ""
    assert file.read_text(encoding="utf-8").startswith(start)
