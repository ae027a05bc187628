"""Numbers under explanation: they remember who wrote them down, or which formula gave them and from what."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from fractions import Fraction

Number: TypeAlias = "int | Fraction"  # a fraction only in the receptive fields of networks that upsample
Result = TypeVar("Result")  # int or Number; a bound would keep mypy from formulas that are generic


class Traced(int):
    """An integer under explanation: arithmetic with it stays under explanation."""


def _keep(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def kept(*operands: int) -> Any:
        result = plain(*operands)
        return Traced(result) if type(result) is int else result

    return kept


for _name in ("neg", "add", "radd", "sub", "rsub", "mul", "rmul", "floordiv", "rfloordiv"):  # those that formulas use
    setattr(Traced, f"__{_name}__", _keep(f"__{_name}__"))


class Given(Traced):
    """A number that was written down: ``source`` says where (``alexnet.yaml:12 kernel_size``)."""

    source: str

    def __new__(cls, value: int, source: str) -> "Given":
        number = super().__new__(cls, value)
        number.source = source
        return number


class Derived(Traced):
    """A number that a formula gave: the formula, and the values it was given by letter."""

    formula: Callable[..., Any]
    values: Mapping[str, Any]

    def __new__(cls, value: int, formula: Callable[..., Any], values: Mapping[str, Any]) -> "Derived":
        number = super().__new__(cls, value)
        number.formula = formula
        number.values = values
        return number


@cache
def traced_fraction() -> "type[Fraction]":
    """Return the class of fractions under explanation: they remember a ``source``, or a ``formula`` and its ``values``."""
    from fractions import Fraction

    class TracedFraction(Fraction):
        source: str | None = None
        formula: Callable[..., Any] | None = None
        values: Mapping[str, Any] = {}

    return TracedFraction


def _is_traced(number: Any) -> bool:
    return isinstance(number, Traced) or hasattr(number, "formula")  # as fractions under explanation have: none need be imported


def remembered(result: Result, formula: Callable[..., Result], values: Mapping[str, Any]) -> Result:
    """Return what a formula gave, a whole number as an integer; under explanation, if one of the values is."""
    number: Any = result
    if number.denominator == 1:
        number = int(number)
    if any(map(_is_traced, (result, *values.values()))):
        number = Derived(number, formula, values) if isinstance(number, int) else traced_fraction()(number)
        number.formula, number.values = formula, values
    return cast(Result, number)
