"""The arithmetic that a spec may write where it needs a number, a boolean or a list of them, and names with such in braces.

A text is parsed by Python's own parser, held against a whitelist, and turned once into nested closures; nothing of it is ever
executed. What would grow without end (powers, repeated lists, long texts) is not in the language.
"""

import ast
import re
import warnings
from functools import lru_cache
from typing import Any

import msgspec

from archcalc.spec.whitelist import (
    DEEPEST_NESTING,
    LARGEST_NUMBER,
    LONGEST_LIST,
    Compiler,
    ExpressionError,
    Names,
    Run,
    Span,
    clipped,
    mistyped,
    refused,
    shown,
    too_large,
    too_long,
)

__all__ = ["Expression", "ExpressionError", "Template", "Value", "compile_expression", "template"]

LONGEST_TEXT = 500

Value = int | float | bool | list["Value"]

# One character for one, so that offsets stay as they are.
_ONE_LINE = str.maketrans("\n\r\t", "   ")
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_SYNTAX_HELP = (
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("!", "write `not`"),
    ("?", "write `a if condition else b`"),
    ("=", "equality is ==; nothing can be assigned in an expression"),
)


class Expression(msgspec.Struct, frozen=True):
    """A text that has a value once its free names have theirs."""

    text: str
    names: frozenset[str]
    parts: int  # how many operations, names and numbers it is made of
    run: Run

    def evaluate(self, names: Names) -> Value:
        """Return the value under these names; those that the text does not use are ignored."""
        try:
            value = self.run(names)
            if type(value) is int and -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
                return value
            return _checked(value, Span(0, len(self.text)))
        except (OverflowError, ValueError):  # floor and ceil of what is infinite or not a number, a float of a huge integer
            raise too_large(Span(0, len(self.text))) from None


class Template(msgspec.Struct, frozen=True):
    """A name that may hold expressions in braces: ``denselayer{i + 1}``; ``literal`` is the name itself where it holds none."""

    text: str
    texts: tuple[str, ...]  # what stands before each pair of braces, and after the last
    expressions: tuple[tuple[int, Expression], ...]  # with the offset at which each starts
    names: frozenset[str]
    literal: str | None

    def format(self, names: Names) -> str:
        """Return the name with the whole number that each expression gives in place of its braces."""
        if self.literal is not None:
            return self.literal
        parts = [self.texts[0]]
        for (offset, expression), text in zip(self.expressions, self.texts[1:], strict=True):
            try:
                value = expression.evaluate(names)
            except ExpressionError as error:
                error.offset += offset
                raise
            if type(value) is not int:
                raise mistyped(f"a name takes a whole number in braces, not {shown(value)}", Span(offset, len(expression.text)))
            parts += (str(value), text)
        return "".join(parts)


@lru_cache(maxsize=1024)
def compile_expression(text: str) -> Expression:
    """Return the expression that the text is, or raise ExpressionError."""
    if len(text) > LONGEST_TEXT:
        raise too_long(f"longer than {LONGEST_TEXT} characters")
    line = text.translate(_ONE_LINE)
    compiler = Compiler(line.strip(), len(line) - len(line.lstrip()))
    run = compiler.build(_parsed(compiler.line, compiler.lead))
    return Expression(text, frozenset(compiler.names), compiler.parts, run)


@lru_cache(maxsize=1024)
def template(text: str) -> Template:
    """Return the name that the text is, its braces compiled, or raise ExpressionError."""
    if "{" not in text and "}" not in text:
        return Template(text, (text,), (), frozenset(), text)
    texts = []
    expressions = []
    offset = 0
    for index, piece in enumerate(_IN_BRACES.split(text)):
        if index % 2:
            try:
                expressions.append((offset + 1, compile_expression(piece)))
            except ExpressionError as error:
                error.offset += offset + 1
                raise
            offset += len(piece) + 2
        else:
            for place, character in enumerate(piece, offset):
                if character in "{}":
                    raise ExpressionError("E020", f"a {character} without its {'}' if character == '{' else '{'}", Span(place))
            texts.append(piece)
            offset += len(piece)
    names = frozenset[str]().union(*(expression.names for _, expression in expressions))
    return Template(text, tuple(texts), tuple(expressions), names, None)


def _parsed(line: str, lead: int) -> ast.expr:
    """Return Python's reading of the line; ``lead`` is how many characters of the text stand before it."""
    if not line:
        raise ExpressionError("E020", "the expression is empty", Span(0), help="write a number, or a name that stands for one")
    for offset, character in enumerate(line, lead):
        if character in "\"'":
            raise refused("text in quotes", Span(offset))
        if character in "#\\" or not character.isprintable():
            what = character if character.isprintable() else f"U+{ord(character):04X}"
            raise ExpressionError("E020", f"{what} means nothing in an expression", Span(offset))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 1if x else 2 is odd, but it reads as it should
            tree = compile(line, "<expression>", "eval", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        raise _syntax_error(error, line, lead) from None
    except (MemoryError, RecursionError):
        raise too_long(f"nested more than {DEEPEST_NESTING} deep") from None
    assert isinstance(tree, ast.Expression)
    return tree.body


def _syntax_error(error: SyntaxError, line: str, lead: int) -> ExpressionError:
    """Return the parser's complaint without the words of its grammar."""
    problem = error.msg
    if "too many nested" in problem:
        return too_long(f"nested more than {DEEPEST_NESTING} deep")
    index = min(error.offset - 1, len(line)) if error.offset else len(line)  # no offset means the end
    operators = line.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", "")
    help = next((help for token, help in _SYNTAX_HELP if token in operators), None)
    if "never closed" in problem:
        help = "close it; inside [ ] and { } of YAML, quote a text that holds a comma or brackets"
    elif problem.startswith("invalid syntax"):
        problem = f"{clipped(line[index:].split()[0])} cannot stand here" if line[index:].strip() else "it ends too early"
    return ExpressionError("E020", f"cannot read the expression {clipped(line)}: {problem}", Span(lead + index), help=help)


def _checked(value: object, span: Span) -> Value:
    """Return the value if it is one that a spec can hold, and not too large."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= LARGEST_NUMBER:  # not a number is not above it either
            raise too_large(span)
        return value
    if isinstance(value, list):
        _measure(value, 1, span)
        return value
    raise mistyped(f"the value must be a number, a boolean or a list of them, not {shown(value)}", span)


def _measure(items: list[Any], depth: int, span: Span) -> int:
    """Return how many values a list holds, those of its lists included: lists of lists by name would multiply."""
    if depth > DEEPEST_NESTING:
        raise too_large(span)
    count = len(items)
    for item in items:
        if type(item) is int and -LARGEST_NUMBER <= item <= LARGEST_NUMBER:
            continue  # the short way for what is nearly always there
        if isinstance(item, list):
            count += _measure(item, depth + 1, span)
        else:
            _checked(item, span)
    if count > LONGEST_LIST:
        raise too_large(span)
    return count
