"""YAML as trees with positions: what is read as YAML 1.2 reads it, what is refused, and where an error points."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archcalc.errors import SpecError
from archcalc.spec import source
from archcalc.spec.source import MOST_BYTES, MOST_LEVELS, Mapping, Scalar, Sequence, Source, Tree, read

SPEC = """\
# Krizhevsky, Sutskever, Hinton 2012
name: alexnet
input: [3, 227, 227]
params: {towers: 1, classes: 1000}
blocks:
  conv_relu(out, k, s=1):
    - Conv2d: {out_channels: out, kernel_size: k, stride: "s"}
    - ReLU
layers:
  - Conv2d: {name: conv1, out_channels: 96, kernel_size: 11, stride: 4}
  - Add:
      main: [conv_relu: [96, 1]]
      skip: []
  - group: {name: '끝', numbered: true, layers: [Flatten]}
expect: {params: 62_378_344, conv1: {output: [96, 55, 55]}}
"""


def python(tree: Tree) -> object:
    """The tree as dicts, lists and values."""
    if isinstance(tree, Mapping):
        return {key.text: python(value) for key, value in tree.entries}
    return [python(item) for item in tree.items] if isinstance(tree, Sequence) else tree.value


def texts(tree: Tree) -> object:
    """The tree as dicts, lists and the scalars' own text, which is what PyYAML's BaseLoader makes."""
    if isinstance(tree, Mapping):
        return {key.text: texts(value) for key, value in tree.entries}
    return [texts(item) for item in tree.items] if isinstance(tree, Sequence) else tree.text


def scalars(tree: Tree) -> list[Scalar]:
    """Every scalar in the order of the file, keys included."""
    if isinstance(tree, Scalar):
        return [tree]
    if isinstance(tree, Sequence):
        return [scalar for item in tree.items for scalar in scalars(item)]
    return [scalar for key, value in tree.entries for scalar in (key, *scalars(value))]


# YAML 1.2.2, section 10.3.2: the core schema, and beside it what YAML 1.1 would have made of the same text.
VALUES = [
    ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None), ("nULL", "nULL"),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("tRUE", "tRUE"),
    ("0", 0), ("-19", -19), ("+12", 12), ("010", 10), ("09", 9), ("0o17", 15), ("0x1F", 31), ("-0x1F", "-0x1F"), ("0o8", "0o8"),
    ("1.5", 1.5), ("-0.0", -0.0), (".5", 0.5), ("2.", 2.0), ("1e-4", 1e-4), ("1E3", 1000.0), ("+.5e1", 5.0), ("1e", "1e"),
    (".", "."),
    (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), (".iNf", ".iNf"), (".e1", ".e1"), ("+", "+"),
    ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("1:30", "1:30"), ("2012-12-03", "2012-12-03"),
    ("62_378_344", "62_378_344"), ("1_0.5", "1_0.5"), ("0b11", "0b11"), ("٣", "٣"), ("7.0M", "7.0M"), ("4*width", "4*width"),
    ("depths[0] - 1", "depths[0] - 1"), ('"5"', "5"), ("'true'", "true"), ('""', ""), ('"\\u00e9"', "é"), ("a  b", "a  b"),
    ("1" * 64, int("1" * 64)), ("1" * 65, "1" * 65), ("9" * 5000, "9" * 5000),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_plain_scalars_have_the_value_that_yaml_1_2_gives_them(text: str, value: object) -> None:
    tree = read(f"key: {text}", "net.yaml")
    assert isinstance(tree, Mapping)
    found = tree.get("key")
    assert isinstance(found, Scalar)
    assert (type(found.value), found.value) == (type(value), value)


def test_nan_is_read_as_a_number() -> None:
    found = read(".nan", "net.yaml")
    assert isinstance(found, Scalar)
    assert isinstance(found.value, float)
    assert math.isnan(found.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a: 1", "a mapping"), ("[]", "a list"), ("- 1", "a list"), ("3", "a number"), ("1e3", "a number"),
        ("true", "true or false"),
        ("same", "text"), ("'3'", "text"), ("null", "nothing"),
    ],
)  # fmt: skip
def test_a_tree_names_its_kind(text: str, kind: str) -> None:
    assert read(text, "net.yaml").kind == kind


def test_a_mapping_keeps_the_order_and_finds_its_keys() -> None:
    tree = read("b: 1\na: [2]\n1x1: {}\n", "net.yaml")
    assert isinstance(tree, Mapping)
    assert tree.keys() == ["b", "a", "1x1"]
    assert [key.text for key, _ in tree.entries] == tree.keys()
    found = tree.get("a")
    assert isinstance(found, Sequence)
    assert python(found) == [2]
    assert tree.get("c") is None
    assert Mapping(tree.entries, 1, 1, tree.source).get("a") is found
    assert repr(found) == "Sequence([Scalar('2', 2:5)])"
    assert repr(tree.get("1x1")) == "Mapping([])"


PLACES = [
    ("alexnet", "alexnet"),
    ("conv_relu(out, k, s=1)", "conv_relu(out, k, s=1)"),
    ("s", '"s"'),
    ("끝", "'끝'"),
    ("Flatten", "Flatten"),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("text", "underlined"), PLACES)
def test_a_scalar_stands_where_the_editor_shows_it(text: str, underlined: str, mark: str, ending: str) -> None:
    tree = read((mark + SPEC.replace("\n", ending)).encode(), "net.yaml")
    scalar = next(scalar for scalar in scalars(tree) if scalar.text == text)
    number, line = next((number, line) for number, line in enumerate(SPEC.splitlines(), 1) if underlined in line)
    assert scalar.place() == ("net.yaml", number, line.index(underlined) + 1, line, len(underlined))
    assert scalar.place(width=1).width == 1


@pytest.mark.parametrize(
    ("text", "offset", "column", "width"),
    [
        ("key: 4*widht", 2, 8, 5),
        ("key: '4*widht'", 2, 9, 5),
        ("[한, 4*widht]", 2, 7, 5),
        ("key: 'it''s 4*widht'", 7, 6, 14),  # an escape: the scalar as a whole
        ("key: 4 *\n  widht", 4, 6, 3),  # two lines: up to the end of the first
    ],
)
def test_a_caret_inside_a_scalar(text: str, offset: int, column: int, width: int) -> None:
    scalar = scalars(read(text, "net.yaml"))[-1]
    place = scalar.place_at(offset, 5)
    assert (place.line, place.column, place.width) == (1, column, width)


def test_collections_stand_at_their_first_character() -> None:
    tree = read("a:\n  - [1]\n  - {b: 2}\nc:\n  d: 3\n", "net.yaml")
    assert isinstance(tree, Mapping)
    a, c = tree.get("a"), tree.get("c")
    assert isinstance(a, Sequence)
    assert isinstance(c, Mapping)
    assert [(at.line, at.column) for at in (tree.place(), a.place(), *(item.place() for item in a.items), c.place())] == [
        (1, 1), (2, 3), (2, 5), (3, 5), (5, 3),
    ]  # fmt: skip


def test_a_place_outside_the_text_has_no_line() -> None:
    assert Source("net.yaml", "a: 1\n").place(9, 4, 3) == ("net.yaml", 9, 4, "", 1)


REFUSED = [  # text, code, line, column, a part of the message, a part of the help
    ("a: \x1b[31m", "E002", 1, 4, "U+001B", "copied"),
    ("a: 1\nb: x\u2028y", "E002", 2, 5, "U+2028", "copied"),
    ("a: 1\r\nb: \ufeff", "E002", 2, 4, "U+FEFF", "copied"),
    ("a: \ud800", "E002", 1, 4, "U+D800", "copied"),
    ("가: \x7f", "E002", 1, 4, "U+007F", "copied"),
    (b"a: 1\n\xea\xb0\x80: \xff", "E002", 2, 4, "0xff", "UTF-8"),
    (b"a: \xea\xb0", "E002", 1, 4, "0xea", "UTF-8"),
    ("a: 1".encode("utf-16"), "E002", 1, 1, "UTF-16", "UTF-8"),
    ("layers:\n\t- ReLU", "E003", 2, 1, "tab", "spaces"),
    ("a: 1\n\t\n", "E003", 2, 1, "tab", "spaces"),
    ("a: |\n\tx", "E003", 2, 1, "tab", "spaces"),
    ("a: {repeat: depths[0]}", "E003", 1, 19, "`,` or a `}` is missing", "quotes"),
    ("a: {name: layer{i}}", "E003", 1, 16, "`,` or a `}` is missing", "quotes"),
    ("a: [b: c: d]", "E003", 1, 9, "`,` or a `]` is missing", "line 1"),
    ("a: 1\nb: {c: 1\n", "E003", 2, 4, "`{` is never closed", "}"),
    ("a: 1\nb: [1, [2]\n\n", "E003", 2, 4, "`[` is never closed", "]"),
    ("a: 'x\n", "E003", 1, 4, "quote is not closed", "same line"),
    ("a: 'x\n--- y'", "E003", 1, 4, "quote is not closed", "same line"),
    ("a: b: c", "E003", 1, 5, "second `:`", "quote"),
    ("a: 1\n  b: 2", "E003", 2, 4, "second `:`", "per line"),
    ("a:\n  b: 1\n c: 2", "E003", 3, 2, "does not belong to the mapping", "line it up"),
    ("a: [1, 2]]", "E003", 1, 10, "does not belong to the mapping", "quote"),
    ("- a\nb: 1", "E003", 2, 1, "does not belong to the list", "dashes"),
    ("a: - b", "E003", 1, 4, "list cannot start here", "line of its own"),
    ("a: }", "E003", 1, 4, "value is missing", "quote"),
    ('a: "\\q"', "E003", 1, 4, "unknown escape", "single quotes"),
    ("a: @x", "E003", 1, 4, "cannot start with this character", "quote"),
    ("a: `x`", "E003", 1, 4, "cannot start with this character", "quote"),
    ("a: 1\nbcd\ne: 2", "E003", 2, 1, "`:` is missing", "key: value"),
    ("a: 1\n... x", "E003", 2, 5, "nothing may follow", "remove"),
    ("%YAML 3.0\n---\na: 1", "E003", 1, 1, "incompatible YAML document", ""),
    ("a: >5x\n b", "E003", 1, 6, "not YAML", "block scalar"),
    ("a: &x 1\nb: *x", "E004", 1, 4, "anchor &x", "param"),
    ("a: *x", "E004", 1, 4, "alias *x", "param"),
    ("a: &" + "x" * 500 + " [1]", "E004", 1, 4, "...", "param"),
    ("a: !!int 3", "E005", 1, 4, "tags", "quotes"),
    ("a: !!python/object:os.system [b]", "E005", 1, 4, "tags", "quotes"),
    ("--- !spec\na: 1", "E005", 1, 5, "tags", "quotes"),
    ("a: 1\n<<: {b: 1}", "E005", 2, 1, "merge keys", "entries"),
    ("a: 1\nb: 2\n'a': 3", "E006", 3, 1, "key a stands twice", "line 1"),
    ("x: {a: 1,\n b: {}, a: 1}", "E006", 2, 9, "key a stands twice", "line 1"),
    ("- " * 33 + "a", "E007", 1, 65, "32 levels", "block"),
    ("[" * 60_000, "E007", 1, 33, "32 levels", "block"),
    ("a: 1\n---\nb: 2", "E008", 2, 1, "second document", "file"),
    ("a: 1\n--- {b: 2}", "E008", 2, 1, "second document", "file"),
    ("", "E009", 1, 1, "empty", "layers"),
    ("# only a comment\n", "E009", 1, 1, "empty", "layers"),
    ("---\n...\n", "E009", 1, 1, "empty", "layers"),
    ("{a: 1}: 2", "E010", 1, 1, "not a mapping", "name: value"),
    ("? [a]\n: 1", "E010", 1, 3, "not a list", "name: value"),
    ("? \n: 1", "E010", 1, 2, "key is missing", "name: value"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "column", "message", "help"), REFUSED)
def test_what_is_refused_says_where_and_why(text: str | bytes, code: str, line: int, column: int, message: str, help: str) -> None:
    with pytest.raises(SpecError) as raised:
        read(text, "net.yaml")
    error = raised.value
    assert error.place is not None
    assert (error.code, error.place.file, error.place.line, error.place.column) == (code, "net.yaml", line, column)
    assert message in error.message
    assert help in (error.help or "")
    assert len(error.message) < 120


def test_without_libyaml_the_same_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_Parser", yaml.SafeLoader)
    assert python(read(SPEC, "net.yaml"))["name"] == "alexnet"  # type: ignore[index]
    for text, code, line, *_ in REFUSED:
        with pytest.raises(SpecError) as raised:
            read(text, "net.yaml")
        assert raised.value.place is not None
        assert (text, raised.value.code, raised.value.place.line) == (text, code, line)


def test_levels_end_where_the_language_says() -> None:
    deepest = read("[" * MOST_LEVELS + "]" * MOST_LEVELS, "net.yaml")
    for _ in range(MOST_LEVELS - 1):
        assert isinstance(deepest, Sequence)
        (deepest,) = deepest.items
    assert python(deepest) == []


@pytest.mark.parametrize("letter", ["a", "가", "𝔸"])
@pytest.mark.parametrize("encoded", [True, False])
def test_a_file_is_measured_in_bytes(letter: str, encoded: bool) -> None:
    room, rest = divmod(MOST_BYTES - 3, len(letter.encode()))
    fits = "k: " + letter * room + "#" * rest
    tree = read(fits.encode() if encoded else fits, "net.yaml")
    assert len(scalars(tree)[1].text) == room + rest
    larger = fits + "#"
    with pytest.raises(SpecError) as raised:
        read(larger.encode() if encoded else larger, "net.yaml")
    assert raised.value.code == "E001"
    assert "64 KiB" in raised.value.message


def test_a_spec_reads_as_pyyaml_reads_it() -> None:
    assert texts(read(SPEC, "net.yaml")) == yaml.load(SPEC, yaml.BaseLoader)


# No control characters, nor what JSON leaves alone and YAML must have escaped.
printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"))
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | printable,
    lambda inner: st.lists(inner) | st.dictionaries(printable, inner),
    max_leaves=30,
)


@given(documents)
def test_json_is_yaml_and_reads_as_python_reads_it(document: object) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=1)
    tree = read(text, "net.yaml")
    assert python(tree) == json.loads(text)
    for scalar in scalars(tree):
        place = scalar.place()
        written = place.text[place.column - 1 :]
        assert json.JSONDecoder().raw_decode(written)[0] == scalar.value


@given(st.dictionaries(st.text("abc가 :#-{}[]'\"", max_size=6), st.lists(st.text("ab 1.:#,-{}[]*&!|>%@`\\'\"\n\t", max_size=8))))
def test_what_pyyaml_writes_is_read_back(document: dict[str, list[str]]) -> None:
    assert texts(read(yaml.safe_dump(document, allow_unicode=True), "net.yaml")) == document


def only_a_tree_or_a_spec_error(text: str | bytes) -> None:
    try:
        places = [scalar.place() for scalar in scalars(read(text, "net.yaml")) if scalar.kind]
    except SpecError as error:
        places = [error.place] if error.place is not None else []
    for place in places:
        assert min(place.line, place.column, place.width) >= 1
        assert place.column + place.width <= len(place.text) + 2  # a caret may stand just behind the line
    assert places or not scalars(read(text, "net.yaml")), "an error without a place"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_random_bytes_and_text_give_a_tree_or_our_own_error(text: str | bytes) -> None:
    only_a_tree_or_a_spec_error(text)


@given(st.text(" \n\t-:,[]{}'\"&*!|>?%#<ab1.~가\r", max_size=80))
def test_random_yaml_gives_a_tree_or_our_own_error(text: str) -> None:
    only_a_tree_or_a_spec_error(text)


@given(st.data())
def test_a_spec_with_random_edits_gives_a_tree_or_our_own_error(data: st.DataObject) -> None:
    text = SPEC
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.text(" \n\t-:,[]{}'\"&*!|>?%#a1", max_size=4)) + text[end:]
    only_a_tree_or_a_spec_error(text)
