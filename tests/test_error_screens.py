"""Errors as they are shown: the caret under the word, one line for editors, and nothing that a name could forge."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from archcalc.errors import ArchcalcError, Place, UsageError
from archcalc.render.errors import render_error, underlined
from archcalc.render.formats import FORMATS
from archcalc.render.terminal import PIPE, Screen


def error(text: str, column: int, width: int = 1, **others: str) -> ArchcalcError:
    return UsageError("E021", "unknown name growth_rat", place=Place("densenet.yaml", 5, column, text, width), **others)


def test_an_error_points_at_its_place() -> None:
    line = "  - Conv2d: {out_channels: growth_rat}"
    told = render_error(error(line, 28, 10, help="did you mean growth_rate?", layer="layer1.0.conv1"), "full", Screen(80))
    assert told.splitlines() == [
        "error[E021]: unknown name growth_rat",
        " --> densenet.yaml:5:28",
        "  |",
        "5 |   - Conv2d: {out_channels: growth_rat}",
        "  |                            ^^^^^^^^^^",
        "  = help: did you mean growth_rate?",
        "  = layer: layer1.0.conv1",
    ]


CARETS = [  # line, column, width, room -> the line and the caret as shown
    ("a: bad", 4, 3, 80, ("a: bad", "   ^^^")),
    ("\ta: bad", 5, 3, 80, ("    a: bad", "       ^^^")),
    ("합성곱: bad", 6, 3, 80, ("합성곱: bad", "        ^^^")),
    ("x: 합성곱", 4, 3, 80, ("x: 합성곱", "   ^^^^^^")),
    ("a: b", 9, 1, 80, ("a: b", "    ^")),
    ("a: b", 2, 99, 80, ("a: b", " ^^^")),
    ("a\x1b[31m: bad", 9, 3, 80, (r"a\x1b[31m: bad", "           ^^^")),
]


@pytest.mark.parametrize(("line", "column", "width", "room", "expected"), CARETS)
def test_the_caret_stands_under_the_word(line: str, column: int, width: int, room: int, expected: tuple[str, str]) -> None:
    assert underlined(Place("f", 1, column, line, width), room) == expected


@given(st.text(alphabet="ab 한\t", min_size=1, max_size=300), st.integers(1, 310), st.integers(1, 40), st.integers(24, 90))
def test_a_long_line_is_cropped_around_the_caret(line: str, column: int, width: int, room: int) -> None:
    shown, caret = underlined(Place("f", 1, column, line, width), room)
    assert cell_len(shown) <= room
    assert len(caret) <= room + 1
    stripped = line.rstrip()
    if column <= len(stripped) and stripped[column - 1] not in " \t":
        under = len(caret) - len(caret.lstrip())
        position = next(index for index in range(len(shown) + 1) if cell_len(shown[:index]) >= under)
        assert shown[position] == stripped[column - 1]


@pytest.mark.parametrize(
    ("style", "told"),
    [
        ("short", "densenet.yaml:5:4: error[E021]: unknown name growth_rat (layer conv) (try, this: one)"),
        (
            "github",
            "::error file=densenet.yaml,line=5,col=4,endColumn=7,title=E021::unknown name growth_rat (layer conv); try, this: one",
        ),
    ],
)
def test_errors_in_one_line(style: str, told: str) -> None:
    assert render_error(error("a: bad", 4, 3, help="try, this: one", layer="conv"), style, PIPE) == told


def test_errors_for_editors_are_json() -> None:
    told = json.loads(render_error(error("a: bad", 4, 3), "json", PIPE))
    assert told == {
        "severity": "error", "code": "E021", "message": "unknown name growth_rat", "help": None, "layer": None,
        "file": "densenet.yaml", "line": 5, "column": 4, "width": 3, "exit_code": 2,
    }  # fmt: skip
    assert json.loads(render_error(UsageError("E1", "m"), "json", PIPE))["file"] is None


@pytest.mark.parametrize("style", ["full", "short", "json", "github"])
def test_an_error_cannot_forge_lines_or_colours(style: str) -> None:
    evil = UsageError("E1", "a\n::warning::b\x1b[31m", help="c\rd", layer="e\nf", place=Place("g\n,h:i.yaml", 1, 1, "j\x1b[31m"))
    told = render_error(evil, style, PIPE)
    assert "\x1b" not in told
    assert "\r" not in told
    assert not any(line.startswith("::") for line in told.splitlines()[1:])
    if style != "full":
        assert told.count("\n") == 0


def test_a_file_name_cannot_forge_a_screen(run, tmp_path: Path) -> None:
    spec = tmp_path / "net\x1b[31m\u202e.yaml"
    spec.write_text("input: [3, 8, 8]\nlayers: [Flatten]\n")
    for form in FORMATS:
        assert not {"\x1b", "\u202e"} & set(run("summary", str(spec), "--format", form).out), form
    spec.write_text("input: [3, 8, 8]\nlayers: [Flaten]\n")
    assert not {"\x1b", "\u202e"} & set(run("summary", str(spec)).err)
