"""What an expression may hold: each of Python's syntax nodes that is let in, with the closure that gives its value.

Whatever has no row in the tables at the end is refused by name. Values are checked where they meet, so that an error has the
numbers in it and the place of the operation.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from archcalc.errors import SpecError, did_you_mean, nearest

MOST_PARTS = 200
DEEPEST_NESTING = 50
LARGEST_NUMBER = 10**15
LONGEST_LIST = 4096

Names = Mapping[str, object]
Run = Callable[[Names], object]

ALLOWED = "allowed: + - * / // %, comparisons, and or not, a if b else c, x[i], [a, b], len min max floor ceil"
POWERS = f'write x*x for x**2, and for 2**i "[1, 2, 4, 8][i]", quoted; {ALLOWED}'


class Span(msgspec.Struct, frozen=True):
    """The characters of the text that an error is about: how many stand before them, and how many they are."""

    offset: int
    width: int = 1


class ExpressionError(SpecError):
    """A text that is no expression, or one without a value; ``offset`` counts the characters before the ``width`` at fault."""

    def __init__(self, code: str, message: str, span: Span, *, help: str | None = None):
        super().__init__(code, message, help=help)
        self.offset, self.width = span.offset, span.width


class Compiler:
    """Turns the nodes of one line into closures; counts them and notes their free names on the way.

    ``lead`` is how many characters of the text stand before the line.
    """

    def __init__(self, line: str, lead: int) -> None:
        self.line = line
        self.lead = lead
        self.names: set[str] = set()
        self.parts = 0

    def build(self, node: ast.expr, depth: int = 1) -> Run:
        """Return the closure that gives the node's value."""
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise too_long(f"of more than {MOST_PARTS} parts")
        if depth > DEEPEST_NESTING:
            raise too_long(f"nested more than {DEEPEST_NESTING} deep")
        build = _BUILDERS.get(type(node))
        if build is None:
            raise refused(_REFUSED.get(type(node), "this"), self.span(node))
        return build(self, node, depth + 1)

    def span(self, node: ast.expr) -> Span:
        """Return which characters of the text the node is; Python's parser counts them in bytes."""
        start, end = node.col_offset, node.end_col_offset or node.col_offset + 1
        if not self.line.isascii():
            data = self.line.encode()
            start, end = len(data[:start].decode()), len(data[:end].decode())
        return Span(self.lead + start, end - start)

    def written(self, node: ast.expr) -> str:
        """Return the node's own characters: the parser normalises names (NFKC), and a spec's names are as written."""
        start = self.span(node).offset - self.lead
        return self.line[start : start + self.span(node).width]


def _constant(compiler: Compiler, node: ast.Constant, depth: int) -> Run:
    value = node.value
    if not isinstance(value, int | float):
        raise refused(clipped(compiler.written(node)), compiler.span(node))
    return lambda names: value


def _name(compiler: Compiler, node: ast.Name, depth: int) -> Run:
    name = compiler.written(node)
    if name in _CONSTANTS:
        constant = _CONSTANTS[name]
        return lambda names: constant
    compiler.names.add(name)
    span = compiler.span(node)

    def run(names: Names) -> object:
        try:
            return names[name]
        except KeyError:
            raise ExpressionError("E021", f"unknown name {name}", span, help=did_you_mean(name, set(names))) from None

    return run


def _arithmetic(compiler: Compiler, node: ast.BinOp, depth: int) -> Run:
    if type(node.op) not in _ARITHMETIC:
        raise refused(_REFUSED.get(type(node.op), "this"), compiler.span(node), help=_INSTEAD.get(type(node.op), ALLOWED))
    symbol, apply = _ARITHMETIC[type(node.op)]
    return _applied(symbol, apply, compiler.build(node.left, depth), compiler.build(node.right, depth), compiler.span(node))


def _applied(symbol: str, apply: Callable[[Any, Any], object], left: Run, right: Run, span: Span) -> Run:
    """Return the closure that applies an operator to two closures' values, once they are known to be fit for it."""

    def run(names: Names) -> object:
        a = left(names)
        b = right(names)
        if type(a) in _NUMBERS and type(b) in _NUMBERS:
            pass  # the short way for what is nearly always there
        elif symbol == "+" and isinstance(a, list) and isinstance(b, list):
            if len(a) + len(b) > LONGEST_LIST:
                raise too_large(span)
        elif not (_is_number(a) and _is_number(b)):
            raise mistyped(f"{symbol} takes two numbers, not {shown(a)} and {shown(b)}", span)
        try:
            return apply(a, b)
        except ZeroDivisionError:
            raise mistyped(f"{shown(a)} {symbol} {shown(b)} divides by zero", span) from None
        except _InexactError:
            help = "// rounds down, and so does floor(a / b); ceil(a / b) rounds up"
            raise ExpressionError("E023", f"{shown(a)} / {shown(b)} does not divide exactly", span, help=help) from None

    return run


class _InexactError(Exception):
    """Two whole numbers whose quotient is not one."""


def _quotient(a: int | float, b: int | float) -> int | float:
    """Return a / b, which stays a whole number where both are."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    quotient, rest = divmod(a, b)
    if rest:
        raise _InexactError
    return quotient


def _unary(compiler: Compiler, node: ast.UnaryOp, depth: int) -> Run:
    operand = compiler.build(node.operand, depth)
    if isinstance(node.op, ast.Not):
        return lambda names: not operand(names)
    span = compiler.span(node)
    if type(node.op) not in _SIGNS:
        raise refused(_REFUSED.get(type(node.op), "this"), span)
    symbol, apply = _SIGNS[type(node.op)]

    def run(names: Names) -> object:
        value = operand(names)
        if not _is_number(value):
            raise mistyped(f"{symbol} takes a number, not {shown(value)}", span)
        return apply(value)

    return run


def _logic(compiler: Compiler, node: ast.BoolOp, depth: int) -> Run:
    *firsts, last = [compiler.build(value, depth) for value in node.values]
    ends_on = isinstance(node.op, ast.Or)

    def run(names: Names) -> object:
        for operand in firsts:
            value = operand(names)
            if bool(value) is ends_on:
                return value
        return last(names)

    return run


def _comparison(compiler: Compiler, node: ast.Compare, depth: int) -> Run:
    span = compiler.span(node)
    first = compiler.build(node.left, depth)
    steps = []
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        if type(op) not in _COMPARISONS:
            raise refused(_REFUSED.get(type(op), "this"), span)
        steps.append((*_COMPARISONS[type(op)], compiler.build(comparator, depth)))

    def run(names: Names) -> object:
        left = first(names)
        for symbol, fits, apply, operand in steps:
            right = operand(names)
            if not fits(left, right):
                raise mistyped(f"cannot compare {shown(left)} {symbol} {shown(right)}", span)
            if not apply(left, right):
                return False
            left = right
        return True

    return run


def _choice(compiler: Compiler, node: ast.IfExp, depth: int) -> Run:
    condition, yes, no = (compiler.build(part, depth) for part in (node.test, node.body, node.orelse))
    return lambda names: yes(names) if condition(names) else no(names)


def _display(compiler: Compiler, node: ast.List, depth: int) -> Run:
    items = [compiler.build(item, depth) for item in node.elts]
    return lambda names: [item(names) for item in items]


def _index(compiler: Compiler, node: ast.Subscript, depth: int) -> Run:
    span = compiler.span(node)
    collection = compiler.build(node.value, depth)
    listed = compiler.written(node.value) if isinstance(node.value, ast.Name) else "the list"
    index = compiler.build(node.slice, depth)

    def run(names: Names) -> object:
        items = collection(names)
        position = index(names)
        if not isinstance(items, list):
            raise mistyped(f"only a list takes an index, not {shown(items)}", span)
        if not isinstance(position, int) or isinstance(position, bool):
            raise mistyped(f"an index is a whole number, not {shown(position)}", span)
        try:
            return items[position]
        except IndexError:
            count = f"{len(items)} item{'' if len(items) == 1 else 's'}, counted from 0" if items else "no items"
            help = f"{listed} needs at least {position + 1} items here" if 0 <= position < LONGEST_LIST else None
            raise mistyped(f"index {shown(position)} is out of range: {listed} has {count}", span, help=help) from None

    return run


def _call(compiler: Compiler, node: ast.Call, depth: int) -> Run:
    span = compiler.span(node)
    name = compiler.written(node.func)
    if name not in _FUNCTIONS:
        meant = nearest(name, set(_FUNCTIONS))
        help = f"did you mean {meant}? {ALLOWED}" if meant else ALLOWED
        raise refused(f"calling {clipped(name)}", span, help=help)
    if node.keywords:
        raise refused("a named argument (x=y)", span)
    rounded = node.args[0] if len(node.args) == 1 else None
    if name in _ROUNDED_QUOTIENTS and isinstance(rounded, ast.BinOp) and isinstance(rounded.op, ast.Div):
        # floor(7 / 2): the whole point is that it need not divide exactly
        left, right = (compiler.build(side, depth + 1) for side in (rounded.left, rounded.right))
        return _applied("/", _ROUNDED_QUOTIENTS[name], left, right, compiler.span(rounded))
    arguments = [compiler.build(argument, depth) for argument in node.args]
    takes, fits, apply = _FUNCTIONS[name]

    def run(names: Names) -> object:
        values = [argument(names) for argument in arguments]
        if not fits(values):
            raise mistyped(f"{name} takes {takes}, not {', '.join(map(shown, values[:8])) or 'nothing'}", span)
        return apply(*values)

    return run


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_one_number(values: list[object]) -> bool:
    return len(values) == 1 and _is_number(values[0])


def _is_one_list(values: list[object]) -> bool:
    return len(values) == 1 and isinstance(values[0], list)


def _are_numbers(values: list[object]) -> bool:
    """Whether min and max have something to choose from: two numbers or more, or one list with numbers in it."""
    if len(values) == 1:
        return isinstance(values[0], list) and bool(values[0]) and all(map(_is_number, values[0]))
    return len(values) > 1 and all(map(_is_number, values))


def _are_comparable(left: object, right: object) -> bool:
    return isinstance(left, int | float | list) and isinstance(right, int | float | list)


def _are_ordered(left: object, right: object) -> bool:
    return _is_number(left) and _is_number(right)


def _is_in_list(left: object, right: object) -> bool:
    return isinstance(left, int | float | list) and isinstance(right, list)


def shown(value: object) -> str:
    """Return the value as a spec writes it, short enough for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number beyond 10**15" if isinstance(value, int) and abs(value) > LARGEST_NUMBER else str(value)
    if isinstance(value, list):
        return clipped(f"[{', '.join(map(shown, value[:12]))}{', ...' if len(value) > 12 else ''}]")
    if isinstance(value, str):
        return f"the text {clipped(value)}"
    return "nothing" if value is None else f"a {type(value).__name__}"


def clipped(text: str) -> str:
    """Return the text, or its beginning where it is too long for a message."""
    return text if len(text) <= 40 else f"{text[:37]}..."


def refused(what: str, span: Span, *, help: str = ALLOWED) -> ExpressionError:
    """Return the error for something that is not in the language."""
    return ExpressionError("E022", f"{what} is not allowed in an expression", span, help=help)


def mistyped(message: str, span: Span, *, help: str | None = None) -> ExpressionError:
    """Return the error for values that an operation cannot take."""
    return ExpressionError("E024", message, span, help=help)


def too_long(how: str) -> ExpressionError:
    """Return the error for a text that is more than a formula."""
    return ExpressionError("E025", f"an expression {how}", Span(0), help="split it: a param may be an expression of others")


def too_large(span: Span) -> ExpressionError:
    """Return the error for a value beyond all sizes."""
    return ExpressionError("E025", f"the value is too large: numbers end at 10**15, lists at {LONGEST_LIST} values", span)


_NUMBERS = frozenset((int, float))
_CONSTANTS = {"true": True, "false": False}  # as YAML writes them

_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Any, Any], object]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", _quotient),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
_SIGNS: dict[type[ast.unaryop], tuple[str, Callable[[Any], object]]] = {
    ast.USub: ("-", operator.neg),
    ast.UAdd: ("+", operator.pos),
}
_ROUNDED_QUOTIENTS: dict[str, Callable[[Any, Any], object]] = {
    "floor": lambda a, b: math.floor(a // b),
    "ceil": lambda a, b: -math.floor(-a // b),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[object, object], bool], Callable[[Any, Any], bool]]] = {
    ast.Eq: ("==", _are_comparable, operator.eq),
    ast.NotEq: ("!=", _are_comparable, operator.ne),
    ast.Lt: ("<", _are_ordered, operator.lt),
    ast.LtE: ("<=", _are_ordered, operator.le),
    ast.Gt: (">", _are_ordered, operator.gt),
    ast.GtE: (">=", _are_ordered, operator.ge),
    ast.In: ("in", _is_in_list, lambda left, right: left in right),
    ast.NotIn: ("not in", _is_in_list, lambda left, right: left not in right),
}
_FUNCTIONS: dict[str, tuple[str, Callable[[list[object]], bool], Callable[..., object]]] = {
    "len": ("a list", _is_one_list, len),
    "min": ("two numbers or more, or a list of them", _are_numbers, min),
    "max": ("two numbers or more, or a list of them", _are_numbers, max),
    "floor": ("a number", _is_one_number, math.floor),
    "ceil": ("a number", _is_one_number, math.ceil),
}
_BUILDERS: dict[type[ast.expr], Callable[[Compiler, Any, int], Run]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _arithmetic,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logic,
    ast.Compare: _comparison,
    ast.IfExp: _choice,
    ast.List: _display,
    ast.Subscript: _index,
    ast.Call: _call,
}
_INSTEAD: dict[type[ast.AST], str] = {ast.Pow: POWERS, ast.LShift: POWERS, ast.BitXor: POWERS}
# What is refused by its name; the rest, which nobody writes by accident, is "this".
_REFUSED: dict[type[ast.AST], str] = {
    ast.Pow: "a power (**)",
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.Invert: "~",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Attribute: "an attribute (x.y)",
    ast.Slice: "a slice (x[a:b])",
    ast.Tuple: "a list without brackets",
    ast.Dict: "a mapping",
    ast.Set: "a set",
    ast.Lambda: "lambda",
    ast.Starred: "unpacking (*x)",
    ast.NamedExpr: "an assignment (:=)",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
}
