"""Formulas as text: the source of their ``return``, with letters or with numbers."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from archcalc.formula.traced import Number
from archcalc.symbols import AXES, COUNTED, TENSOR_AXES

Formula = Callable[..., Number]


def letters(formula: Formula, values: Mapping[str, Any] | None = None) -> str:
    """Return the formula's ``return`` with its letters, for as many axes as ``values`` have, or else for a picture's.

    >>> from archcalc.ops.window import window_count
    >>> letters(window_count)
    'floor((i + 2*p - k)/s) + 1'
    >>> from archcalc.ops.conv import conv_params
    >>> letters(conv_params, dict(k=(3, 3, 3), c_in=1, c_out=8, g=1, bias=1))
    '(k_d*k_h*k_w*c_in/g + bias)*c_out'
    """
    return _Letters(values or {}).text(_returned(formula))


def text(formula: Formula, values: Mapping[str, Any]) -> str:
    """Return the formula's ``return`` with ``values`` in place of its letters.

    >>> from archcalc.ops.window import window_count
    >>> text(window_count, dict(i=227, k=11, s=4, p=0))
    'floor((227 + 2*0 - 11)/4) + 1'
    """
    return _Numbers(values).text(_returned(formula))


def named(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values under the letters that ``letters`` prints: one for each axis, branch or tensor.

    >>> dict(named(dict(k=(11, 11), c_in=3)))
    {'k_h': 11, 'k_w': 11, 'c_in': 3}
    """
    printer = _Letters(values)
    for letter, value in values.items():
        if isinstance(value, tuple):
            yield from zip(printer.several(letter), value, strict=True)
        else:
            yield letter, value


@cache
def _returned(formula: Formula) -> ast.expr:
    """Return the expression after ``return`` in the formula's own source."""
    match ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(formula)))).body:
        case [ast.FunctionDef(body=[ast.Expr(ast.Constant(str())), ast.Return(ast.expr() as returned)])]:
            return returned
    raise TypeError(f"formula {formula.__name__} must be a docstring and one return")


# How strongly an expression binds. One that binds less than its place asks for stands in parentheses.
LOOSE, SUM, PRODUCT, ATOM = range(4)
_SIGNS: dict[type[ast.operator], tuple[str, int, int]] = {  # text, own strength, what the right side must have: a - (b + c)
    ast.Add: (" + ", SUM, SUM),
    ast.Sub: (" - ", SUM, PRODUCT),
    ast.Mult: ("*", PRODUCT, PRODUCT),
}


class _Printer:
    """Prints the few kinds of expression that formulas are made of, with as few parentheses as are needed."""

    def __init__(self, values: Mapping[str, Any]):
        self.values = values

    def one(self, letter: str) -> str:
        """Return what stands for a letter."""
        raise NotImplementedError

    def several(self, letter: str) -> list[str]:
        """Return what stands for a letter that means several numbers."""
        raise NotImplementedError

    def text(self, node: ast.expr, place: int = LOOSE) -> str:
        """Return the text of an expression where a strength is asked for. Raises TypeError for what no formula may contain."""
        shown, strength = self._bound(node)
        return f"({shown})" if strength < place else shown

    def _bound(self, node: ast.expr) -> tuple[str, int]:
        """Return the text of an expression and how strongly it binds."""
        match node:
            case ast.Constant(value):
                return str(value), ATOM
            case ast.Name(letter):
                shown = self.one(letter)
                return shown, LOOSE if shown.startswith("-") or "/" in shown else ATOM
            case ast.BinOp(above, ast.FloorDiv(), below):
                return f"floor({self._fraction(above, below)})", ATOM
            case ast.BinOp(left, operator, right) if type(operator) in _SIGNS:
                sign, own, asked = _SIGNS[type(operator)]
                return f"{self.text(left, own)}{sign}{self.text(right, asked)}", own
            case ast.Call(ast.Name(function), arguments):
                return self._called(function, arguments)
        refused = node.op if isinstance(node, ast.BinOp) else node
        raise TypeError(f"a formula may not contain {type(refused).__name__}: {ast.unparse(node)}")

    def _called(self, function: str, arguments: list[ast.expr]) -> tuple[str, int]:
        """Return a call as the papers write it."""
        match function, arguments:
            case "prod" | "sum", [ast.Name(letter)]:
                sign, own, nothing = ("*", PRODUCT, "1") if function == "prod" else (" + ", SUM, "0")
                numbers = self.several(letter) or [nothing]
                return sign.join(numbers), own if len(numbers) > 1 else ATOM
            case "exact" | "ratio", [above, below]:
                whole = self.text(below) == "1"
                return self._bound(above) if whole else (self._fraction(above, below), PRODUCT)
            case "ceil_div", [above, below]:
                return f"ceil({self._fraction(above, below)})", ATOM
            case "scaled", [number, factor]:
                return f"floor({self.text(number, PRODUCT)}*{self.text(factor, PRODUCT)})", ATOM
            case "min" | "max" | "gcd", _:
                return f"{function}({', '.join(map(self.text, arguments))})", ATOM
        raise TypeError(f"a formula may not call {function}")

    def _fraction(self, above: ast.expr, below: ast.expr) -> str:
        return f"{self.text(above, PRODUCT)}/{self.text(below, ATOM)}"


class _Letters(_Printer):
    """Prints letters; the values only tell how many axes there are."""

    def one(self, letter: str) -> str:
        return letter

    def several(self, letter: str) -> list[str]:
        count = len(self.values[letter]) if letter in self.values else None
        if letter in TENSOR_AXES:
            known = TENSOR_AXES[letter]
            return known[next(iter(known)) if count is None else count].split("*")
        if letter in COUNTED:
            numbers = ("1", "...", "b") if count is None else range(1, count + 1)
            return [number if number == "..." else f"{letter}_{number}" for number in map(str, numbers)]
        return [letter + axis for axis in AXES[count or 2]]


class _Numbers(_Printer):
    """Prints the values."""

    def one(self, letter: str) -> str:
        value = self.values[letter]
        return str(int(value)) if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)

    def several(self, letter: str) -> list[str]:
        return [str(int(size)) for size in self.values[letter]]
