"""A formula is a function whose displayed text is its own source: a docstring and one ``return``.

Called with plain integers it is plain arithmetic. Called with numbers that remember where they came from (``formula.traced``) it
returns one that remembers the formula and what went in. ``formula.printed`` prints the ``return`` itself, with letters or with
numbers: what is shown cannot drift from what is computed.
"""

from collections.abc import Callable
from functools import wraps
from math import floor
from typing import ParamSpec

from archcalc.formula.traced import Number, Result, remembered
from archcalc.symbols import SYMBOLS

Letters = ParamSpec("Letters")


def formula(function: Callable[Letters, Result]) -> Callable[Letters, Result]:
    """Make a function a formula. It fails at import if it takes letters that the glossary lacks, or holds anything besides them."""
    code = function.__code__
    letters = code.co_varnames[: code.co_argcount]
    unknown = [letter for letter in letters if letter not in SYMBOLS]
    if unknown:
        raise NameError(f"formula {function.__name__} uses letters that symbols.py does not explain: {', '.join(unknown)}")
    if code.co_nlocals > code.co_argcount or function.__defaults__:  # nlocals counts what * sets apart and what is assigned too
        raise TypeError(f"formula {function.__name__} must hold its letters alone, without defaults, and none that must be named")

    @wraps(function)
    def call(*args: Letters.args, **values: Letters.kwargs) -> Result:
        result = function(*args, **values)
        if type(result) is int:
            return result
        return remembered(result, call, dict(zip(letters, args, strict=False)) | values)

    return call


# What formulas may use besides the operators + - * //, and sum, min, max, math.prod and math.gcd.


def exact(a: int, b: int) -> int:
    """Return ``a / b`` for a division that the caller has checked to leave nothing over."""
    return a // b


def ceil_div(a: int, b: int) -> int:
    """Return ``a / b`` rounded up."""
    return -(-a // b)


def scaled(i: int, u: float) -> int:
    """Return ``i * u`` rounded down; the product is a double, as in PyTorch."""
    product = i * u
    return product if isinstance(product, int) else floor(product) + 0 * i  # 0 * i: a double does not remember where i came from


def ratio(a: Number, b: int) -> Number:
    """Return ``a / b``, a fraction only where it has to be one."""
    if not isinstance(a, int):
        return a / b
    if a % b == 0:
        return a // b
    from fractions import Fraction  # deferred: it is slow to import, and few networks stand between pixels

    return Fraction(a) / b
