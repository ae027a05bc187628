"""What notebooks show: tables of HTML, escaped, that need nothing else."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import torch

import archcalc
from archcalc import analyse, load
from archcalc.render.html import fragment, table_html
from archcalc.render.tables import ESSENTIAL, Column, Table
from archcalc.spec import parse

EVIL = '<script>alert("x")</script>&'
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads rows as a browser would, and fails where a tag is not closed by its own."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def evil_table() -> Table:
    columns = (Column("name", EVIL, "name", ESSENTIAL), Column("params", "params", "count"), Column("text", "text"))
    return Table(EVIL, columns, ((EVIL, 1_000, "a"), ("합성곱", 0, EVIL)), ("total", 1_000, None), (EVIL,), frozenset({1}))


@pytest.mark.parametrize("write", [fragment, table_html])
def test_texts_are_escaped_and_whole(write: Any) -> None:
    text = write(evil_table())
    assert "<script" not in text
    read = Reader(text)
    assert "script" not in read.tags
    assert read.rows == [
        [EVIL, "params", "text"],
        [EVIL, "1,000", "a"],
        ["합성곱", "0", EVIL],
        ["total", "1,000", ""],
        [EVIL],
    ]


def test_a_page_says_what_it_is_and_loads_nothing() -> None:
    text = table_html(evil_table())
    assert text.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in text
    assert "<title>&lt;script&gt;" in text
    read = Reader(text)
    assert not read.tags & {"script", "link", "img", "iframe"}
    assert not read.attributes & {"src", "href", "onclick", "onload"}
    assert "url(" not in text


def test_an_empty_table_is_one() -> None:
    assert Reader(fragment(Table("", (Column("name", "layer", "name"),), ()))).rows == [["layer"]]


def test_a_report_shows_the_rows_and_totals_of_the_summary() -> None:
    report = analyse(load("alexnet"))
    rows = Reader(report._repr_html_()).rows
    conv1 = next(row for row in rows if row[0] == "conv1")
    assert "34,944" in conv1
    assert "96x55x55" in conv1
    total = next(row for row in rows if row[0] == "total")
    assert f"{report.totals.params:,}" in total
    assert f"{report.totals.macs:,}" in total
    assert len([row for row in rows if len(row) > 1]) == 1 + len(report.layers) + 1


def test_a_graph_shows_what_each_node_reads() -> None:
    rows = Reader(load("resnet18")._repr_html_()).rows
    assert ["layer1.0.add1", "Add", "", "layer1.0.bn2, maxpool", "64x56x56"] in rows


def test_a_graph_and_a_report_say_in_a_line_what_they_are() -> None:
    graph = load("resnet50")
    assert repr(graph) == "<Graph resnet50: 175 layers; input 3x224x224>"
    assert repr(analyse(graph)) == "<Report resnet50: 175 layers; 25,557,032 params, 4,089,184,256 MACs; float32>"
    evil = parse('name: "a\\eb"\ninput: [1]\nlayers: [ReLU]\n', "net.yaml").graph()
    assert repr(evil) == r"<Graph a\x1bb: 1 layers; input 1>"


def test_the_package_names_what_is_meant_for_use() -> None:
    assert set(dir(archcalc)) == {*archcalc.__all__, "__version__"}
    assert all(hasattr(archcalc, name) for name in dir(archcalc))


def test_a_name_is_no_graph() -> None:
    with pytest.raises(TypeError, match=r"analyse takes a Graph, not str: archcalc.analyse\(archcalc.load\("):
        analyse("resnet18")


@pytest.mark.parametrize("dtype", [None, 16, ["float16"], torch.float16], ids=str)
def test_a_dtype_is_asked_for_by_its_name(dtype: object) -> None:
    sentence = f"analyse takes a dtype by its name, not {type(dtype).__name__}: archcalc.analyse(graph, dtype='float16')"
    with pytest.raises(TypeError, match=re.escape(sentence)):
        analyse(load("lenet5"), dtype=dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [None, 18, ["resnet18"], load("lenet5")], ids=str)
def test_what_is_neither_a_name_nor_a_path_is_no_model(model: object) -> None:
    sentence = f"load takes a model's name or a path, not {type(model).__name__}: archcalc.load('resnet18')"
    with pytest.raises(TypeError, match=re.escape(sentence)):
        load(model)  # type: ignore[arg-type]


def test_an_error_says_where_and_the_way_out() -> None:
    with pytest.raises(archcalc.ArchcalcError) as raised:
        parse("input: [3, 8, 8]\nlayers: [Conv2d: {filters: 8}]\n", "net.yaml").graph()
    assert str(raised.value).startswith("net.yaml:2:19: E038: ")
    assert str(raised.value).endswith("; did you mean out_channels?")


def test_names_of_a_file_are_text() -> None:
    title = EVIL.replace('"', "'")
    graph = parse(f'title: "{title}"\ninput: [3, 8, 8]\nlayers: [ReLU: {{name: "<b>x</b>"}}]\n', "net.yaml").graph()
    for text in (graph._repr_html_(), analyse(graph)._repr_html_()):
        read = Reader(text)
        assert not {"script", "b"} & read.tags
        assert any(row[0] == "<b>x</b>" for row in read.rows)


def test_a_page_can_be_written(run: Any, tmp_path: Any) -> None:
    file = tmp_path / "both.html"
    assert run("compare", "alexnet", "alexnet_two_towers", "-o", str(file)).code == 0
    rows = Reader(file.read_text(encoding="utf-8")).rows
    assert any(row[0] == "conv4" and row[-1] == "groups 1 -> 2" for row in rows)
