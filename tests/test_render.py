"""How results are written: exact for machines, aligned for people, and never obeyed by whatever reads them."""

import csv
import io
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import archcalc
from archcalc.analysis import analyse
from archcalc.render import figures
from archcalc.render.formats import FORMATS, Result
from archcalc.render.markup import latex, markdown, separated
from archcalc.render.summary import COLUMNS, Summary, chosen_columns, summary
from archcalc.render.tables import ESSENTIAL, Column, Marked, Table, texts
from archcalc.render.terminal import PIPE, Screen, fitting, fold, lay_out, screen

EVIL = "=cmd|' /C calc'!A0 [red]x[/] <b>&\x1b[31m_*`|\\{}$%#^~"
EVIL_TABLE = Table(
    EVIL, (Column("name", "layer", "name", ESSENTIAL), Column("params", "params", "count")), ((EVIL, 7),), ("total", 7), (EVIL,)
)


def result(model: str, **options: object) -> Result:
    graph = archcalc.load(model)
    return summary(model, graph, analyse(graph), **options)


# Machines


def test_json_is_what_the_contract_says() -> None:
    told = json.loads(FORMATS["json"](result("lenet5_modern"), PIPE))
    assert list(told) == [
        "schema",
        "model",
        "variant",
        "title",
        "input",
        "dtype",
        "count",
        "layers",
        "totals",
        "unsupported",
        "slips",
    ]
    assert told["schema"] == "archcalc.summary/1"
    assert told["input"] == [1, 1, 28, 28]
    contract = """name op inputs input_shapes output_shape params buffers macs flops output_bytes saved_bytes receptive_field
        jump neurons connections""".split()
    for layer in told["layers"]:
        assert set(contract) <= set(layer)
    assert told["totals"]["counted"] == told["totals"]["macs"]
    for quantity, total in told["totals"].items():
        if quantity != "counted":
            assert sum(layer[quantity] for layer in told["layers"]) == total


@pytest.mark.parametrize("model", ["lenet5", "resnet50", "googlenet_aux", "densenet121"])
@pytest.mark.parametrize("depth", [None, 1])
def test_json_is_read_back_as_it_was_written(model: str, depth: int | None) -> None:
    document = result(model, depth=depth).document
    assert msgspec.json.decode(FORMATS["json"](result(model, depth=depth), PIPE), type=Summary) == document


def test_json_has_a_line_for_each_layer() -> None:
    text = FORMATS["json"](result("lenet5_modern"), PIPE)
    lines = [line.strip().rstrip(",") for line in text.splitlines() if line.strip().startswith('{"name"')]
    assert lines == FORMATS["jsonl"](result("lenet5_modern"), PIPE).splitlines()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((11, 11), 11),
        ((3, 7), [3, 7]),
        ((0.5, 0.5), 0.5),
        ((2.0, 2), 2),
        (None, None),
        ((None, None), None),
        ((None, 4), [None, 4]),
    ],
)
def test_a_value_along_the_axes_is_one_number_where_they_agree(values: object, told: object) -> None:
    from archcalc.render.summary import _per_axis

    assert _per_axis(values) == told  # type: ignore[arg-type]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_spreadsheets_get_exact_numbers_and_run_nothing(separator: str) -> None:
    starts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "fine", 'a"b', "a,b", "a\nb"]
    columns = (
        Column("name", "layer", "name"),
        Column("bytes", "size", "bytes"),
        Column("shape", "s", "shape"),
        Column("ok", "o", "flag"),
    )
    table = Table("", columns, tuple((text, Marked(1161600), (1, 96, 55, 55), True) for text in starts), ("total", 1, None, None))
    rows = list(csv.reader(io.StringIO(separated(table, separator)), delimiter=separator))
    assert rows[0] == ["name", "bytes", "shape", "ok"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", r"'\tx", r"'\rx", "fine", 'a"b', "a,b", r"a\nb"]
    assert {tuple(row[1:]) for row in rows[1:]} == {("1161600", "1x96x55x55", "true")}


def test_no_format_lets_a_name_be_obeyed() -> None:
    evil = Result(result("lenet5_modern").document, "layers", lambda: EVIL_TABLE)
    for name in ("table", "csv", "tsv", "md", "latex", "html", "svg"):
        assert "\x1b" not in FORMATS[name](evil, PIPE), name
    assert "[red]" in FORMATS["table"](evil, PIPE)
    assert r"\|' /C calc" in markdown(EVIL_TABLE)
    assert r"\<b\>" in markdown(EVIL_TABLE)
    assert r"\textbackslash{}x1b{[}31m\_*\textasciigrave{}\textbar{}\textbackslash{}\{\}\$\%\#" in latex(EVIL_TABLE)
    for name in ("html", "svg"):
        assert "<b>" not in FORMATS[name](evil, PIPE)


def test_json_is_exact_and_commands_no_terminal() -> None:
    title = "a\x9b31m \u202e\u2028 \U000e0001 합성곱"
    document = msgspec.structs.replace(result("lenet5_modern").document, title=title)
    for name in ("json", "jsonl"):
        assert FORMATS[name](Result(document, "layers", lambda: EVIL_TABLE), PIPE).replace("\n", "").isprintable()
    assert json.loads(FORMATS["json"](Result(document, "layers", lambda: EVIL_TABLE), PIPE))["title"] == title


def test_a_star_does_not_join_the_row_above_it() -> None:
    """In LaTeX a row may end in two backslashes and a star, which is then not shown."""
    assert latex(Table("", (Column("name", "layer", "name"),), (("*star",), ("2*3",)))).splitlines()[5:7] == [
        r"{*}star \\",
        r"2*3 \\",
    ]


def test_a_table_for_latex_is_booktabs_and_one_for_markdown_is_githubs() -> None:
    table = Table(
        "t", (Column("name", "layer", "name"), Column("p", "params %", "percent")), (("a_b", 60.55),), ("total", 100.0), ("n",)
    )
    assert latex(table).splitlines()[3:] == [
        r"\begin{tabular}{lr}", r"\toprule", r"layer & params \% \\", r"\midrule", r"a\_b & 60.5 \\", r"\midrule",
        r"\textbf{total} & \textbf{100.0} \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    assert markdown(table) == "**t**\n\n| layer | params % |\n| --- | ---: |\n| a_b | 60.5 |\n| **total** | **100.0** |\n\nn  \n"


# People


@given(st.text())
def test_what_is_shown_has_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = figures.plain(text)
    assert shown.isprintable()
    shown.encode()  # lone surrogates are spelt out too


@pytest.mark.parametrize(
    ("largest", "unit"), [(0, "KiB"), (10**7 * 1024 - 1, "KiB"), (10**7 * 1024, "MiB"), (10**7 * 1024**2, "GiB"), (10**40, "GiB")]
)
def test_bytes_of_a_column_share_a_unit(largest: int, unit: str) -> None:
    assert figures.byte_unit([0, largest]) == unit
    (heading,) = texts(Table("", (Column("b", "saved", "bytes"),), ((largest,),))).headings
    assert heading == f"saved ({unit})"


def widths(text: str) -> list[int]:
    return [cell_len(line) for line in text.splitlines()]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("model", ["alexnet", "resnet50_v1", "densenet121", "googlenet_aux", "tests/data/korean.yaml"])
def test_a_screen_is_never_too_narrow_for_its_table(model: str, width: int) -> None:
    text = lay_out(result(model, columns=chosen_columns("+receptive_field,saved_bytes")).table(), Screen(width))
    assert max(widths(text)) <= width


@pytest.mark.parametrize("width", [1, 8, 24, 40, 80])
def test_no_digit_is_cut_and_no_character_of_a_name_lost(width: int) -> None:
    report = analyse(archcalc.load("resnet50"))
    text = lay_out(result("resnet50").table(), Screen(width))
    body = text.split("left out")[0]
    for layer in report.layers:
        assert figures.count(layer.params) in body
    assert figures.count(report.totals.params) in body
    squeezed = "".join(line.split("  ")[0].strip() for line in body.splitlines())
    assert "layer4.2.bn3" in squeezed.replace(" ", "")


def test_the_least_important_columns_go_first() -> None:
    def kept(limit: int | None) -> tuple[int, ...]:
        return fitting({0: 10, 1: 10, 2: 10, 3: 10}, [ESSENTIAL, 50, 90, 50], limit)

    assert kept(None) == kept(46) == (0, 1, 2, 3)
    assert kept(45) == (0, 1, 2)  # of equals the later goes
    assert kept(33) == (0, 2)
    assert kept(1) == (0, 2)  # a name alone is no table
    assert fitting({0: 12, 1: 9, 2: 24}, [ESSENTIAL, ESSENTIAL, 80], 48) == (0, 1)  # though nothing else may go


def test_what_a_wide_column_leaves_is_filled_again() -> None:
    def kept(limit: int) -> tuple[int, ...]:
        return fitting({0: 10, 1: 3, 2: 30, 3: 3, 4: 3, 5: 3}, [ESSENTIAL, 40, 60, 50, 50, 70], limit)

    assert kept(32) == (0, 1, 3, 4, 5)
    assert kept(25) == (0, 3, 4, 5)
    assert kept(24) == (0, 1, 5)  # equals come back together or not at all: one model's ratio says little without the other's


def test_prose_folds_and_keeps_its_place() -> None:
    columns = (Column("name", "model", "name", ESSENTIAL), Column("n", "n", "count", 90), Column("title", "title", "prose", 85))
    table = Table("", columns, (("alexnet", 5, "AlexNet, two towers, the printed 224 rounded up"), ("zfnet", 6, "ZFNet")))
    assert lay_out(table, Screen(38)).splitlines() == [
        "model    n  title",
        "alexnet  5  AlexNet, two towers, the",
        "            printed 224 rounded up",
        "zfnet    6  ZFNet",
    ]
    assert len(lay_out(table, PIPE).splitlines()) == 3


@given(st.text(alphabet="ab .한\u0301", max_size=60), st.integers(2, 30))
def test_folded_text_is_the_text(text: str, width: int) -> None:
    lines = fold(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("64x56x56 (resnet.yaml:41)", 20, ["64x56x56", "(resnet.yaml:41)"]),
        ("layer1.0.conv1.relu", 12, ["layer1.0.", "conv1.relu"]),
        ("a layer1.0.conv1.relu", 12, ["a layer1.0.", "conv1.relu"]),  # the space is too near the start
        ("Konvolutionsschicht", 12, ["Konvolutions", "schicht"]),
        ("합성곱 합성곱", 8, ["합성곱", "합성곱"]),
        ("", 8, []),
    ],
)
def test_lines_are_broken_behind_a_space_else_behind_a_dot(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines


def test_names_of_a_large_network_are_folded_soon() -> None:
    """A name of n characters in lines of 40: each line looks at its own characters, not at all that follow."""
    seconds = {}
    for length in (20_000, 80_000):
        start = time.perf_counter()
        assert len(fold("합" * length, 40)) == length // 20
        seconds[length] = time.perf_counter() - start
    assert seconds[80_000] < 12 * seconds[20_000]


def test_columns_stand_under_each_other_whatever_the_script() -> None:
    table = result("tests/data/korean.yaml").table()
    for target in (PIPE, Screen(100, terminal=True)):
        lines = lay_out(table, target).splitlines()
        column = cell_len(next(line for line in lines if line.startswith("layer")).split("operator")[0])
        for line in lines:
            if "Conv2d" in line:
                assert cell_len(line.split("Conv2d")[0]) == column


def test_a_pipe_has_neither_box_nor_colour_nor_an_edge() -> None:
    text = lay_out(result("resnet50", columns=tuple(COLUMNS)).table(), PIPE)
    assert "\x1b" not in text
    assert "---" not in text
    assert "left out" not in text
    assert text.isascii()  # x and -> for people everywhere


def test_marks_do_not_move_digits() -> None:
    table = Table("", (Column("rf", "field", "axes"),), ((195,), (Marked(7),)))
    assert lay_out(table, PIPE).splitlines() == ["field", " 195", "   7*"]
    table = Table("", (Column("total", "total", "count"),), ((195,), (Marked(7, "+"),)), (202,))
    assert lay_out(table, PIPE).splitlines() == ["total", " 195", "   7+", " 202"]


class Terminal(io.StringIO):
    """A terminal without a size of its own."""

    def isatty(self) -> bool:
        return True


SCREENS = [  # stream, environment, --width -> width, colour
    (Terminal(), {"COLUMNS": "60"}, None, (60, True)),
    (Terminal(), {}, None, (80, True)),
    (Terminal(), {"COLUMNS": "none"}, None, (80, True)),
    (Terminal(), {"COLUMNS": "0"}, None, (80, True)),
    (Terminal(), {"COLUMNS": "9" * 5000}, None, (80, True)),  # Python reads no number so long
    (None, {}, None, (None, False)),  # closed
    (Terminal(), {"COLUMNS": "60"}, 50, (50, True)),
    (Terminal(), {"NO_COLOR": "1"}, None, (80, False)),
    (Terminal(), {"NO_COLOR": ""}, None, (80, True)),
    (Terminal(), {"TERM": "dumb"}, None, (80, False)),
    (Terminal(), {"TERM": "dumb", "FORCE_COLOR": "1"}, None, (80, True)),
    (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, (80, False)),
    (io.StringIO(), {"COLUMNS": "60"}, None, (None, False)),
    (io.StringIO(), {"FORCE_COLOR": "1"}, None, (None, True)),
    (io.StringIO(), {"FORCE_COLOR": "0"}, None, (None, False)),
    (io.StringIO(), {}, 50, (50, False)),
]


@pytest.mark.parametrize(("stream", "environ", "width", "expected"), SCREENS)
def test_the_environment_decides_the_screen(
    stream: io.StringIO | None, environ: dict[str, str], width: int | None, expected: tuple
) -> None:
    found = screen(stream, environ, width)
    assert (found.width, found.colour) == expected
