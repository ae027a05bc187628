"""A formula is a function whose displayed text is its own source.

A formula is a docstring and one ``return``. Called with plain integers it is plain arithmetic. Called with numbers that remember
where they came from (``Given``, ``Derived``) it returns a ``Derived``: the result, the formula, and the numbers that went in.
``text`` prints the ``return`` itself, with letters or with numbers, so what is shown cannot drift from what is computed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from archcalc.symbols import AXES, COUNTED, SYMBOLS, TENSOR_AXES

if TYPE_CHECKING:
    import ast
    from fractions import Fraction

prod = math.prod


def exact(a: int, b: int) -> int:
    """Return ``a / b`` for a division that the caller has checked to leave nothing over."""
    return a // b


def ceil_div(a: int, b: int) -> int:
    """Return ``a / b`` rounded up."""
    return -(-a // b)


def gcd(a: int, b: int) -> int:
    """Return the greatest common divisor."""
    return math.gcd(a, b)


def scaled(i: int, u: float) -> int:
    """Return ``i * u`` rounded down; the product is a double, as in PyTorch."""
    product = i * u
    if isinstance(product, int):
        return product
    return Traced(math.floor(product)) if isinstance(i, Traced) else math.floor(product)


def ratio(a: "int | Fraction", b: int) -> "int | Fraction":
    """Return ``a / b``, a fraction only where it has to be one."""
    if not isinstance(a, int):
        return a / b
    if a % b == 0:
        return a // b
    from fractions import Fraction  # deferred: it is slow to import, and few networks stand between pixels

    return Fraction(a) / b


class Traced(int):
    """An integer under explanation: arithmetic with it stays under explanation."""


def _keep(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def kept(*operands: int) -> Any:
        result = plain(*operands)
        return Traced(result) if type(result) is int else result

    return kept


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "floordiv", "rfloordiv", "mod", "rmod"):
    setattr(Traced, f"__{_name}__", _keep(f"__{_name}__"))
Traced.__neg__ = _keep("__neg__")  # type: ignore[method-assign]


class Given(Traced):
    """A number that was written down: ``source`` says where (``alexnet.yaml:12 kernel_size``)."""

    source: str

    def __new__(cls, value: int, source: str) -> "Given":
        number = super().__new__(cls, value)
        number.source = source
        return number


class Derived(Traced):
    """A number that a formula gave: the formula, and the values it was given by letter."""

    formula: Callable[..., int]
    values: Mapping[str, Any]

    def __new__(cls, value: int, formula: Callable[..., int], values: Mapping[str, Any]) -> "Derived":
        number = super().__new__(cls, value)
        number.formula = formula
        number.values = values
        return number


@cache
def traced_fraction() -> "type[Fraction]":
    """Return the class of fractions that remember where they came from, by ``source`` or by ``formula`` and ``values``."""
    from fractions import Fraction

    class TracedFraction(Fraction):
        source: str | None = None
        formula: Callable[..., Any] | None = None
        values: Mapping[str, Any] = {}

    return TracedFraction


def is_traced(number: Any) -> bool:
    """Whether the number is under explanation."""
    return isinstance(number, Traced) or (hasattr(number, "denominator") and hasattr(number, "formula"))


def formula(function: Callable[..., int]) -> Callable[..., int]:
    """Make a one-``return`` function a formula. Its letters must be in the glossary (NameError at import otherwise)."""
    letters = function.__code__.co_varnames[: function.__code__.co_argcount]
    unknown = [letter for letter in letters if letter not in SYMBOLS]
    if unknown:
        raise NameError(f"formula {function.__name__} uses letters that symbols.py does not explain: {', '.join(unknown)}")

    @wraps(function)
    def call(*args: Any, **values: Any) -> int:
        result = function(*args, **values)
        if type(result) is int:
            return result
        if isinstance(result, Traced):
            return Derived(int(result), call, dict(zip(letters, args, strict=False)) | values)
        return _between(result, call, dict(zip(letters, args, strict=False)) | values)

    return call


def _between(result: Any, formula: Callable[..., Any], values: Mapping[str, Any]) -> int:
    """Return a result that was reckoned with fractions: a whole one as an int, one under explanation with its formula."""
    number: Any = result
    if any(is_traced(value) for value in values.values()):
        if result.denominator == 1:
            return Derived(int(result), formula, values)
        number = traced_fraction()(result)
        number.formula, number.values = formula, values
    elif result.denominator == 1:
        number = int(result)
    whole: int = number  # or a fraction, which only the receptive field's formulas give
    return whole


def text(formula: Callable[..., int], values: Mapping[str, Any] | None = None) -> str:
    """Return the formula's ``return`` as text, with its letters or with ``values`` in their place.

    >>> from archcalc.ops.window import window_count
    >>> text(window_count)
    'floor((i + 2*p - k)/s) + 1'
    >>> text(window_count, dict(i=227, k=11, s=4, p=0))
    'floor((227 + 2*0 - 11)/4) + 1'
    """
    printer = _Letters({}) if values is None else _Numbers(values)
    return printer.show(_returned(formula), 0)


def letters(formula: Callable[..., int], values: Mapping[str, Any]) -> str:
    """Return the formula's ``return`` with its letters, and as many axes as ``values`` have.

    >>> from archcalc.ops.conv import conv_params
    >>> letters(conv_params, dict(k=(3, 3, 3), c_in=1, c_out=8, g=1, bias=1))
    '(k_d*k_h*k_w*c_in/g + bias)*c_out'
    """
    return _Letters(values).show(_returned(formula), 0)


def named(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values under the letters that ``letters`` prints: one for each axis, branch or tensor.

    >>> dict(named(dict(k=(11, 11), c_in=3)))
    {'k_h': 11, 'k_w': 11, 'c_in': 3}
    """
    printer = _Letters(values)
    for letter, value in values.items():
        if isinstance(value, tuple):
            yield from zip(printer.sizes(letter), value, strict=True)
        else:
            yield letter, value


@cache
def _returned(formula: Callable[..., int]) -> "ast.expr":
    """Return the expression after ``return`` in the formula's own source."""
    import ast
    import linecache
    import textwrap

    function: Any = getattr(formula, "__wrapped__", formula)
    code = function.__code__
    # The lines from the definition to the end of its last instruction: inspect would find them too, but takes longer to import.
    last = max(end for _, end, _, _ in code.co_positions() if end)
    lines = linecache.getlines(code.co_filename, function.__globals__)[code.co_firstlineno - 1 : last]
    definition = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    last = definition.body[-1]
    assert isinstance(last, ast.Return) and last.value is not None, f"{function.__name__} must end in one return"
    return last.value


class _Printer:
    """Prints the few kinds of expression that formulas are made of, with as few parentheses as are needed."""

    signs = {"Add": (" + ", 1), "Sub": (" - ", 1), "Mult": ("*", 2)}  # text and binding strength

    def __init__(self, values: Mapping[str, Any]):
        self.values = values

    def name(self, letter: str, strength: int) -> str:
        """Return what is shown for one number."""
        raise NotImplementedError

    def sizes(self, letter: str) -> list[str]:
        """Return what is shown for each of several numbers."""
        raise NotImplementedError

    def is_one(self, node: Any) -> bool:
        """Whether a divisor is not worth showing."""
        raise NotImplementedError

    def show(self, node: Any, strength: int) -> str:
        """Return the text of an expression; ``strength`` is that of the operator around it."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise TypeError(f"a formula may not contain {type(node).__name__}")
        shown: str = method(node, strength)
        return shown

    def _constant(self, node: Any, strength: int) -> str:
        return str(node.value)

    def _name(self, node: Any, strength: int) -> str:
        return self.name(node.id, strength)

    def _binop(self, node: Any, strength: int) -> str:
        if type(node.op).__name__ == "FloorDiv":
            return f"floor({self._fraction(node.left, node.right)})"
        sign, own = self.signs[type(node.op).__name__]
        # The right side of a minus needs parentheses around a sum: a - (b + c).
        shown = self.show(node.left, own) + sign + self.show(node.right, own + (sign == " - "))
        return f"({shown})" if own < strength else shown

    def _call(self, node: Any, strength: int) -> str:
        name = node.func.id
        if name in ("prod", "sum"):
            sign, own = self.signs["Mult" if name == "prod" else "Add"]
            sizes = self.sizes(node.args[0].id) or ["1" if name == "prod" else "0"]
            return f"({sign.join(sizes)})" if own < strength and len(sizes) > 1 else sign.join(sizes)
        if name in ("exact", "ratio"):
            return self.show(node.args[0], strength) if self.is_one(node.args[1]) else self._fraction(*node.args)
        if name == "ceil_div":
            return f"ceil({self._fraction(*node.args)})"
        if name == "scaled":
            return f"floor({self.show(node.args[0], 2)}*{self.show(node.args[1], 2)})"
        return f"{name}({', '.join(self.show(argument, 0) for argument in node.args)})"

    def _fraction(self, above: Any, below: Any) -> str:
        return f"{self.show(above, 2)}/{self.show(below, 3)}"


class _Letters(_Printer):
    """Prints letters; the values only tell how many axes there are."""

    def name(self, letter: str, strength: int) -> str:
        return letter

    def sizes(self, letter: str) -> list[str]:
        count = len(self.values[letter]) if letter in self.values else None
        if letter in TENSOR_AXES:
            known = TENSOR_AXES[letter]
            return known[next(iter(known)) if count is None else count].split("*")
        if letter in COUNTED:
            numbers = ("1", "...", "b") if count is None else range(1, count + 1)
            return [number if number == "..." else f"{letter}_{number}" for number in map(str, numbers)]
        return [letter + axis for axis in AXES[count or 2]]

    def is_one(self, node: Any) -> bool:
        return False


class _Numbers(_Printer):
    """Prints the values."""

    def name(self, letter: str, strength: int) -> str:
        value = self.values[letter]
        number = str(int(value)) if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
        return f"({number})" if strength and (number.startswith("-") or "/" in number) else number

    def sizes(self, letter: str) -> list[str]:
        return [str(int(size)) for size in self.values[letter]]

    def is_one(self, node: Any) -> bool:
        return self.show(node, 0) == "1"
