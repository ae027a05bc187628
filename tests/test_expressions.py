"""Expressions: their values against Python's own, what is refused and where, and names with expressions in braces."""

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcalc.errors import SpecError
from archcalc.spec import expressions
from archcalc.spec.expressions import LONGEST_TEXT, ExpressionError, compile_expression, template
from archcalc.spec.whitelist import DEEPEST_NESTING, LARGEST_NUMBER, LONGEST_LIST, MOST_PARTS

NAMES: dict[str, object] = {
    "width": 64, "growth_rate": 32, "theta": 0.5, "in_channels": 257, "i": 2, "s": 1, "depths": [3, 4, 6, 3], "aux": True,
    "act": "relu", "nothing": None, "폭": 7, "ﬁ": 1, "huge": LARGEST_NUMBER, "endless": [[0] * 100] * 41,
}  # fmt: skip

# What SPEC-LANGUAGE allows, and the value that a person would give it.
VALUES = [
    ("4*width", 256), ("depths[0] - 1", 2), ("s if i == 0 else 1", 1), ("floor(theta*in_channels)", 128),
    ("62_378_344", 62_378_344), ("0x1f", 31), ("1e-4", 0.0001), (" \n i\t+ 1 ", 3), ("-i", -2), ("+i", 2), ("--i", 2),
    ("8/2", 4), ("-8/2", -4), ("7.0/2", 3.5), ("7/2.0", 3.5), ("7 // 2", 3), ("-7 // 2", -4), ("-7 % 3", 2), ("7.5 // 2", 3.0),
    ("floor(7/2)", 3), ("ceil(7/2)", 4), ("floor(-7/2)", -4), ("ceil(-7/2)", -3), ("floor(7/2.0)", 3), ("ceil(7.5/2)", 4),
    ("floor(2.7)", 2), ("ceil(2.2)", 3), ("floor(-2.5)", -3), ("ceil(5)", 5), ("floor(1000000000000001/2)", 500_000_000_000_000),
    ("min(i, 1, 3)", 1), ("max(depths)", 6), ("max(1, 2.5)", 2.5), ("len(depths)", 4), ("len([])", 0), ("depths[-1]", 3),
    ("[i, 2*i, [s]]", [2, 4, [1]]), ("depths + [1]", [3, 4, 6, 3, 1]), ("[]", []), ("depths", [3, 4, 6, 3]),
    ("true", True), ("False", False), ("not aux", False), ("aux and i > 1", True), ("i == 2 or missing", True),
    ("aux == false", False), ("aux != true", False), ("0 < s <= 1 < i", True), ("1 < 1 < missing", False),
    ("i in [0, 2]", True), ("i not in depths", True), ("depths == [3, 4, 6, 3]", True), ("depths != []", True),
    ("missing if i == 0 else 5", 5), ("1 if aux else missing", 1), ("0 or 3", 3), ("0 and missing", 0), ("2 and 3", 3),
    ("1if i else 3", 1), ("폭*2", 14), ("ﬁ + 1", 2), ("huge", LARGEST_NUMBER), ("huge * huge // huge", LARGEST_NUMBER),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_has_the_value_that_a_person_gives_it(text: str, value: object) -> None:
    found = compile_expression(text).evaluate(NAMES)
    assert (type(found), found) == (type(value), value)


# text, code, what the caret underlines, a part of the message, a part of the help
REFUSED = [
    ("", "E020", "", "empty", "number"), ("  ", "E020", " ", "empty", "number"),
    ("4*", "E020", "", "ends too early", ""), ("  (1 +", "E020", "(", "never closed", "quote"),
    ("1)", "E020", ")", "unmatched", ""),
    ("1 2", "E020", "2", "2 cannot stand here", ""), ("s && 1", "E020", "&", "", "and"), ("s || 1", "E020", "|", "", "or"),
    ("!s", "E020", "!", "", "not"), ("s ? 1 : 2", "E020", "?", "", "if condition else"), ("s = 1", "E020", None, "", "=="),
    ("$x", "E020", "$", "$x cannot", ""), ("010", "E020", None, "leading zeros", ""), ("i\0", "E020", "\0", "U+0000", ""),
    ("i + \ud800", "E020", "\ud800", "U+D800", ""), ("i # x", "E020", "#", "#", ""), ("i + \\\n 1", "E020", "\\", "\\", ""),
    ("growth_rat", "E021", "growth_rat", "unknown name growth_rat", "growth_rate?"), ("2*(폭 - 넓이)", "E021", "넓이", "넓이", ""),
    ("i + len", "E021", "len", "unknown name len", ""), ("fi", "E021", "fi", "unknown name fi", ""),
    ("1 + i.real", "E022", "i.real", "attribute", "floor"), ("2 + 3**2", "E022", "3**2", "power", "allowed"),
    ("'x'", "E022", "'", "text in quotes", "allowed"), ('f"{i}"', "E022", '"', "text in quotes", "allowed"),
    ("1 + flor(2)", "E022", "flor(2)", "calling flor", "did you mean floor?"),
    ("abs(1)", "E022", "abs(1)", "calling abs", "allowed"),
    ("__import__(i)", "E022", "__import__(i)", "calling __import__", "allowed"),
    ("depths.pop()", "E022", None, "calling", "allowed"),
    ("(max)(1, 2)(3)", "E022", None, "calling", "allowed"), ("max(i, key=s)", "E022", "max(i, key=s)", "named argument", "allowed"),
    ("max(*depths)", "E022", "*depths", "unpacking", "allowed"), ("lambda: 1", "E022", "lambda: 1", "lambda", "allowed"),
    ("[x for x in depths]", "E022", "[x for x in depths]", "comprehension", "allowed"),
    ("(s := 1)", "E022", "s := 1", ":=", "allowed"),
    ("max(x for x in depths)", "E022", None, "comprehension", "allowed"), ("{1: 2}", "E022", "{1: 2}", "mapping", "allowed"),
    ("{1}", "E022", "{1}", "set", "allowed"), ("1, 2", "E022", "1, 2", "without brackets", "allowed"),
    ("depths[1:2]", "E022", "1:2", "slice", "allowed"), ("None", "E022", "None", "None", "allowed"),
    ("...", "E022", "...", "", "allowed"),
    ("2j", "E022", "2j", "2j", "allowed"), ("~i", "E022", "~i", "~", "allowed"), ("i ^ s", "E022", "i ^ s", "^", "allowed"),
    ("i is s", "E022", "i is s", "is", "allowed"), ("(yield)", "E022", "yield", "this", "allowed"),
    ("1 + 7 / 2", "E023", "7 / 2", "7 / 2 does not divide exactly", "//"),
    ("in_channels/i", "E023", None, "257 / 2", "floor(a / b)"),
    ("floor(7/2 + 1)", "E023", "7/2", "7 / 2", "//"),
    ("1 + i/0", "E024", "i/0", "2 / 0 divides by zero", ""), ("i % 0", "E024", "i % 0", "2 % 0", ""),
    ("i//0", "E024", "i//0", "2 // 0", ""),
    ("1.5/0", "E024", "1.5/0", "1.5 / 0", ""), ("floor(1/0)", "E024", "1/0", "1 / 0", ""),
    ("ceil(1/0)", "E024", "1/0", "1 / 0", ""),
    ("true + 1", "E024", "true + 1", "not true and 1", ""), ("-aux", "E024", "-aux", "not true", ""),
    ("[1]*3", "E024", "[1]*3", "not [1] and 3", ""), ("depths - [1]", "E024", None, "not [3, 4, 6, 3] and [1]", ""),
    ("act + 1", "E024", "act + 1", "the text relu", ""), ("nothing*2", "E024", "nothing*2", "nothing", ""),
    ("act", "E024", "act", "a number, a boolean or a list", ""), ("[act]", "E024", "[act]", "the text relu", ""),
    ("depths[4]", "E024", "depths[4]", "4 items", ""), ("[1][1]", "E024", "[1][1]", "1 item,", ""),
    ("[][0]", "E024", "[][0]", "no items", ""),
    ("depths[true]", "E024", "depths[true]", "not true", ""), ("depths[1.0]", "E024", "depths[1.0]", "not 1.0", ""),
    ("i[0]", "E024", "i[0]", "not 2", ""), ("depths < [1]", "E024", "depths < [1]", "cannot compare", ""),
    ("aux > 0", "E024", "aux > 0", "true > 0", ""), ("act == 1", "E024", "act == 1", "the text relu", ""),
    ("1 in 2", "E024", "1 in 2", "1 in 2", ""), ("len(3)", "E024", "len(3)", "not 3", ""),
    ("len()", "E024", "len()", "not nothing", ""),
    ("max(3)", "E024", "max(3)", "two numbers", ""), ("min([])", "E024", "min([])", "two numbers", ""),
    ("min(aux, 1)", "E024", "min(aux, 1)", "not true, 1", ""), ("max([1], [2])", "E024", "max([1], [2])", "not [1], [2]", ""),
    ("floor(aux)", "E024", "floor(aux)", "not true", ""), ("ceil(1, 2)", "E024", "ceil(1, 2)", "not 1, 2", ""),
    ("huge + 1", "E025", "huge + 1", "too large", ""), ("-huge - 1", "E025", "-huge - 1", "too large", ""),
    ("1e300*1e300", "E025", "1e300*1e300", "too large", ""), ("1e300*1e300*0", "E025", "1e300*1e300*0", "too large", ""),
    ("floor(1e300*1e300)", "E025", "floor(1e300*1e300)", "too large", ""), ("9"*400 + "*1.0", "E025", None, "too large", ""),
    ("[huge*2]", "E025", "[huge*2]", "too large", ""), ("[endless]", "E025", "[endless]", "too large", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "underlined", "message", "help"), REFUSED)
def test_what_is_refused_says_where_and_why(text: str, code: str, underlined: str | None, message: str, help: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        compile_expression(text).evaluate(NAMES)
    error = raised.value
    assert error.code == code
    assert message in error.message
    assert help in (error.help or "")
    assert len(error.message) < 160
    offset, width = error.offset, error.width
    assert 0 <= offset <= len(text)
    if underlined is not None:
        assert text[offset : offset + width] == underlined


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("1" + " " * (LONGEST_TEXT - 1), True),
        ("1" + " " * LONGEST_TEXT, False),
        ("-" * (DEEPEST_NESTING - 1) + "1", True),
        ("-" * DEEPEST_NESTING + "1", False),
        ("(" * 150 + "1" + ")" * 150, True),  # parentheses alone nest nothing
        ("(" * 240 + "1" + ")" * 240, False),
        ("[" * 240 + "]" * 240, False),
        ("[" + "0," * (MOST_PARTS - 1) + "]", True),
        ("[" + "0," * MOST_PARTS + "]", False),
    ],
)
def test_a_text_ends_where_the_language_says(text: str, fits: bool) -> None:
    if fits:
        assert compile_expression(text).evaluate({}) is not None
        return
    with pytest.raises(SpecError) as raised:
        compile_expression(text)
    assert raised.value.code == "E025"


@pytest.mark.parametrize("exhausted", [MemoryError, RecursionError])
def test_a_parser_that_gives_up_is_an_error_of_the_text(exhausted: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(*_: object, **__: object) -> None:
        raise exhausted

    monkeypatch.setattr(expressions, "compile", compile, raising=False)
    with pytest.raises(SpecError) as raised:
        compile_expression("(((exhausting)))" + exhausted.__name__)
    assert raised.value.code == "E025"


def test_lists_do_not_multiply_by_their_names() -> None:
    names: dict[str, object] = {"x": [0] * LONGEST_LIST}
    assert compile_expression("x").evaluate(names) == names["x"]
    for text in ("[x]", "x + [0]", "x + x"):
        with pytest.raises(SpecError) as raised:
            compile_expression(text).evaluate(names)
        assert raised.value.code == "E025"
    nested: object = []
    for _ in range(DEEPEST_NESTING - 1):
        nested = compile_expression("[x]").evaluate({"x": nested})
    with pytest.raises(SpecError) as raised:
        compile_expression("[x]").evaluate({"x": nested})
    assert raised.value.code == "E025"


@pytest.mark.parametrize(
    ("text", "names"),
    [("4*width + i", {"width", "i"}), ("floor(3.5) + len([])", set()), ("true", set()), ("s if a or b else c[d]", set("sabcd"))],
)
def test_an_expression_knows_its_free_names(text: str, names: set[str]) -> None:
    assert compile_expression(text).names == names


def test_an_expression_is_compiled_once_and_frozen() -> None:
    expression = compile_expression("4*width")
    assert compile_expression("4*width") is expression
    assert expression.text == "4*width"
    with pytest.raises(AttributeError):
        expression.text = "5*width"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        expression.width = 5  # type: ignore[attr-defined]


def test_a_number_of_another_class_counts_as_a_number() -> None:
    class Traced(int):
        """An int that remembers where it came from, as explanations use them."""

    assert compile_expression("max(2*n, n) - 1 if n > 0 else 0").evaluate({"n": Traced(3)}) == 5


def value_or_error(run: Callable[[], object]) -> object:
    try:
        return run()
    except SpecError as error:
        return error


integers = st.recursive(
    st.integers(0, 50).map(str) | st.sampled_from(["a", "b", "c", "d[0]", "d[-1]", "d[b % 3]", "len(d)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"),
        st.tuples(inner, inner, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), inner, inner).map(
            lambda parts: f"({parts[0]} if {parts[1]} {parts[2]} {parts[3]} else {parts[4]})"
        ),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}][1 if a > 3 else 0]"),
    ),
    max_leaves=12,
)


@given(integers, st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9), st.lists(st.integers(0, 9), min_size=3, max_size=3))
def test_whole_numbers_come_out_as_python_computes_them(text: str, a: int, b: int, c: int, d: list[int]) -> None:
    names: dict[str, object] = {"a": a, "b": b, "c": c, "d": d}
    assume(len(text) <= LONGEST_TEXT)
    found = value_or_error(lambda: compile_expression(text).evaluate(names))
    try:
        right = eval(text, {}, names)
    except ZeroDivisionError:
        assert isinstance(found, SpecError)
        assert found.code == "E024"
        assert "divides by zero" in found.message
    else:
        if abs(right) > LARGEST_NUMBER:
            assert isinstance(found, SpecError)
            assert found.code == "E025"
        else:
            assert found == right


@given(st.integers(-(10**15), 10**15), st.integers(-(10**6), 10**6).filter(bool))
def test_division_is_exact_or_refused_and_rounds_only_where_asked(a: int, b: int) -> None:
    names = {"a": a, "b": b}
    assert compile_expression("floor(a / b)").evaluate(names) == a // b
    assert compile_expression("ceil(a / b)").evaluate(names) == -(-a // b)
    quotient = compile_expression("a / b")
    if a % b == 0:
        assert quotient.evaluate(names) == a // b
    else:
        with pytest.raises(SpecError) as raised:
            quotient.evaluate(names)
        assert raised.value.code == "E023"


WORDS = [
    "i",
    "depths",
    "1",
    "2.5",
    "true",
    "max",
    "len",
    "(",
    ")",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "<",
    "==",
    "=",
    "!",
    ".",
]
WORDS += [
    "and",
    "or",
    "not",
    "if",
    "else",
    "in",
    "is",
    "lambda",
    "for",
    ":",
    "{",
    "}",
    "~",
    "@",
    "'",
    "0x",
    "1e9",
    "missing",
    "가",
    " ",
]


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join)
    | st.lists(st.sampled_from(WORDS)).map("".join)
)
def test_random_text_gives_a_value_or_our_own_error(text: str) -> None:
    for run in (lambda: compile_expression(text).evaluate(NAMES), lambda: template(text).format(NAMES)):
        found = value_or_error(run)
        if isinstance(found, ExpressionError):
            assert re.fullmatch("E02[0-5]", found.code)
            assert 0 <= found.offset <= len(text)
        else:
            assert isinstance(found, int | float | bool | list | str)


@pytest.mark.parametrize(
    ("text", "formatted", "names", "literal"),
    [
        ("conv1", "conv1", set(), "conv1"), ("", "", set(), ""), ("denselayer{i + 1}", "denselayer3", {"i"}, None),
        ("{i}{s}", "21", {"i", "s"}, None),
        ("a{ i }b{depths[0]}c", "a2b3c", {"i", "depths"}, None), ("끝{i}", "끝2", {"i"}, None), ("{-i}", "-2", {"i"}, None),
    ],
)  # fmt: skip
def test_a_name_takes_whole_numbers_in_braces(text: str, formatted: str, names: set[str], literal: str | None) -> None:
    name = template(text)
    assert (name.format(NAMES), name.names, name.literal) == (formatted, names, literal)


@pytest.mark.parametrize(
    ("text", "code", "underlined"),
    [
        ("a{", "E020", "{"), ("a}", "E020", "}"), ("{i}}", "E020", "}"), ("{{i}}", "E020", "{"), ("a{i", "E020", "{"),
        ("a{}", "E020", "}"),
        ("a{i +}", "E020", "}"), ("{i}{i**2}", "E022", "i**2"), ("x{ missing }", "E021", "missing"), ("x{theta}", "E024", "theta"),
        ("{i}x{aux}", "E024", "aux"), ("x{depths}", "E024", "depths"), ("x{i/0}", "E024", "i/0"),
        ("x{i + huge}", "E025", "i + huge"),
    ],
)  # fmt: skip
def test_a_name_with_wrong_braces_points_at_them(text: str, code: str, underlined: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        template(text).format(NAMES)
    error = raised.value
    assert error.code == code
    offset, width = error.offset, error.width
    assert text[offset : offset + width] == underlined
