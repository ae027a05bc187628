"""Formulas: what they print is what they compute, and their numbers remember where they came from."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from fractions import Fraction
from math import gcd, prod
from types import FunctionType

import pytest

import archcalc.analysis
import archcalc.ops
from archcalc.analysis.receptive import resampled_jump
from archcalc.formula import ceil_div, exact, formula, scaled
from archcalc.formula.printed import letters, named, text
from archcalc.formula.traced import Derived, Given, traced_fraction
from archcalc.ops import OPS
from archcalc.ops.activation import softmax_work
from archcalc.ops.conv import (
    conv_connections,
    conv_macs,
    conv_params,
    transposed,
    transposed_connections,
    transposed_count,
    transposed_macs,
    transposed_taps,
)
from archcalc.ops.merge import joined_channels, product_work, products_work
from archcalc.ops.norm import row_count, row_params
from archcalc.ops.pool import adaptive_factor, adaptive_kernel, adaptive_mean_work, adaptive_stride, max_work
from archcalc.ops.resize import scaled_size
from archcalc.ops.window import ceil_window_count, dilated, dilated_kernel, same_padding, uneven_window_count, window_count
from archcalc.shape import Shape
from archcalc.symbols import AXES, COUNTED, SYMBOLS, TENSOR_AXES

Y = (1, 96, 55, 55)

# formula, values, with letters, with numbers, the number
PRINTED = [
    (window_count, {"i": 227, "k": 11, "s": 4, "p": 0}, "floor((i + 2*p - k)/s) + 1", "floor((227 + 2*0 - 11)/4) + 1", 55),
    (
        uneven_window_count,
        {"i": 224, "k": 11, "s": 4, "p_start": 0, "p_end": 3},
        "floor((i + p_start + p_end - k)/s) + 1",
        "floor((224 + 0 + 3 - 11)/4) + 1",
        55,
    ),
    (
        ceil_window_count,
        {"i": 112, "k": 3, "s": 2, "p_start": 0, "p_end": 0},
        "min(ceil((i + p_start + p_end - k)/s) + 1, ceil((i + p_start)/s))",
        "min(ceil((112 + 0 + 0 - 3)/2) + 1, ceil((112 + 0)/2))",
        56,
    ),
    (same_padding, {"i": 5, "k": 3, "s": 2, "o": 3}, "max((o - 1)*s + k - i, 0)", "max((3 - 1)*2 + 3 - 5, 0)", 2),
    (
        conv_params,
        {"k": (11, 11), "c_in": 3, "c_out": 96, "g": 1, "bias": True},
        "(k_h*k_w*c_in/g + bias)*c_out",
        "(11*11*3 + 1)*96",
        34_944,
    ),
    (
        conv_params,
        {"k": (5,), "c_in": 96, "c_out": 256, "g": 2, "bias": False},
        "(k*c_in/g + bias)*c_out",
        "(5*96/2 + 0)*256",
        61_440,
    ),
    (
        conv_macs,
        {"y": Y, "k": (11, 11), "c_in": 3, "g": 1},
        "n*c_out*h_out*w_out*k_h*k_w*c_in/g",
        "1*96*55*55*11*11*3",
        105_415_200,
    ),
    (
        conv_connections,
        {"y_image": (6, 28, 28), "k": (5, 5), "c_in": 1, "g": 1, "bias": 1},
        "c_out*h_out*w_out*(k_h*k_w*c_in/g + bias)",
        "6*28*28*(5*5*1 + 1)",
        122_304,
    ),
    (
        transposed_count,
        {"i": 4, "k": 3, "s": 2, "p": 1, "p_out": 1},
        "(i - 1)*s + k - 2*p + p_out",
        "(4 - 1)*2 + 3 - 2*1 + 1",
        8,
    ),
    (
        transposed_macs,
        {"x": (1, 8, 4, 4), "k": (2, 2), "c_out": 6, "g": 2},
        "n*c_in*h_in*w_in*k_h*k_w*c_out/g",
        "1*8*4*4*2*2*6/2",
        1_536,
    ),
    (
        transposed_connections,
        {"x_image": (8, 4, 4), "y_image": (6, 8, 8), "k": (2, 2), "c_out": 6, "g": 1, "bias": 1},
        "c_in*h_in*w_in*k_h*k_w*c_out/g + c_out*h_out*w_out*bias",
        "8*4*4*2*2*6 + 6*8*8*1",
        3_456,
    ),
    (max_work, {"y": (1, 96, 27, 27), "k": (3, 3)}, "n*c_out*h_out*w_out*(k_h*k_w - 1)", "1*96*27*27*(3*3 - 1)", 559_872),
    (adaptive_kernel, {"i": 7, "o": 3}, "ceil((i + o - gcd(i, o))/o)", "ceil((7 + 3 - gcd(7, 3))/3)", 3),
    (adaptive_stride, {"i": 6, "o": 4}, "i/gcd(i, o)", "6/gcd(6, 4)", 3),
    (adaptive_factor, {"i": 6, "o": 4}, "o/gcd(i, o)", "4/gcd(6, 4)", 2),
    (adaptive_mean_work, {"n": 1, "c": 2, "t": (9, 6)}, "n*c*t_h*t_w", "1*2*9*6", 108),
    (softmax_work, {"y": (2, 10), "c": 10}, "5*n*c_out - 2*n*c_out/c", "5*2*10 - 2*2*10/10", 96),
    (row_params, {"row": (6, 9, 7), "affine": 1, "bias": 1}, "c_in*h_in*w_in*(affine + bias)", "6*9*7*(1 + 1)", 756),
    (row_count, {"y": (2, 6, 9, 7), "row": (9, 7)}, "n*c_out*h_out*w_out/(c_in*l_in)", "2*6*9*7/(9*7)", 12),
    (row_count, {"y": (2, 6), "row": (6,)}, "n*c_out/c_in", "2*6/6", 2),
    (joined_channels, {"c": (64, 128, 32)}, "c_1 + c_2 + c_3", "64 + 128 + 32", 224),
    (scaled_size, {"i": 9, "u": 1.5}, "floor(i*u)", "floor(9*1.5)", 13),
]


@pytest.mark.parametrize(("function", "values", "in_letters", "in_numbers", "number"), PRINTED, ids=[row[3] for row in PRINTED])
def test_printed(function, values, in_letters, in_numbers, number):
    assert function(**values) == number
    assert letters(function, values) == in_letters
    assert text(function, values) == in_numbers


def test_letters_without_values_are_those_of_a_picture():
    assert letters(conv_macs) == "n*c_out*h_out*w_out*k_h*k_w*c_in/g"
    assert letters(joined_channels) == "c_1 + ... + c_b"


def test_values_are_named_by_the_letters_that_are_printed():
    values = {"x": (1, 3, 8), "k": (5, 3), "c": (64, 32), "g": 2, "u": 1.5}
    several = {"n": 1, "c_in": 3, "l_in": 8, "k_h": 5, "k_w": 3, "c_1": 64, "c_2": 32}
    assert dict(named(values)) == several | {"g": 2, "u": 1.5}


def every_formula():
    for package in (archcalc.ops, archcalc.analysis):
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for name, value in vars(module).items():
                if isinstance(value, FunctionType) and hasattr(value, "__wrapped__") and value.__module__ == module.__name__:
                    yield name, value


FORMULAS = dict(every_formula())


@pytest.mark.parametrize("function", FORMULAS.values(), ids=FORMULAS)
def test_every_formula_is_a_docstring_and_one_return(function):
    (definition,) = ast.parse(inspect.getsource(function)).body
    assert list(map(type, definition.body)) == [ast.Expr, ast.Return]
    assert function.__doc__.endswith(".")


@pytest.mark.parametrize("function", FORMULAS.values(), ids=FORMULAS)
def test_every_formula_is_explained(function):
    words = set(re.findall(r"[a-z]\w*", letters(function)))
    counted = {f"{letter}_{end}" for letter in COUNTED for end in "1b"}
    letters_per_axis = {letter + axis for letter in SYMBOLS for axis in AXES[2]}
    assert words <= set(SYMBOLS) | letters_per_axis | {"floor", "ceil", "min", "max", "gcd"} | counted


def test_every_printed_size_is_explained():
    assert {word for shapes in TENSOR_AXES.values() for names in shapes.values() for word in names.split("*")} <= set(SYMBOLS)


def test_plain_numbers_stay_plain():
    assert type(window_count(227, 11, 4, 0)) is int


def test_a_derived_number_remembers_its_formula_and_its_values():
    i = Given(227, "alexnet.yaml:4 input")
    o = window_count(i, 11, s=4, p=0)
    assert isinstance(o, Derived)
    assert (o, o.formula, dict(o.values)) == (55, window_count, {"i": 227, "k": 11, "s": 4, "p": 0})
    assert o.values["i"].source == "alexnet.yaml:4 input"
    again = window_count(i=o, k=3, s=2, p=0)
    assert (again, again.values["i"].values["i"]) == (27, i)


@pytest.mark.parametrize(
    "reckon",
    [
        lambda number: number + 1,
        lambda number: 1 + number,
        lambda number: number - 1,
        lambda number: 1 - number,
        lambda number: number * 2,
        lambda number: 2 * number,
        lambda number: number // 2,
        lambda number: 2 // number,
        lambda number: -number,
        lambda number: prod((2, number)),
        lambda number: sum((2, number)),
        lambda number: exact(number, 1),
        lambda number: ceil_div(number, 2),
        lambda number: number - gcd(number, 3),
        lambda number: min(number, 8),
        lambda number: scaled(number, 2),
        lambda number: scaled(number, 1.5),
    ],
)
def test_arithmetic_keeps_the_explanation(reckon):
    number = Given(7, "here")
    assert reckon(number) == reckon(7)
    assert type(reckon(7)) is int
    assert isinstance(number + 0, type(number).__mro__[1])
    assert isinstance(reckon(number), type(number).__mro__[1])


def test_a_product_of_two_is_explained_by_itself():
    shapes = tuple(Shape(Given(size, "here") for size in sizes) for sizes in ((1, 4, 3, 3), (1, 4, 1, 1), (1, 1, 3, 3)))
    two, three = (OPS["Multiply"]().elementwise(shapes[:count], OPS["Multiply"]().output(shapes[:count])) for count in (2, 3))
    assert (two, two.formula) == (36, product_work)
    assert (three, three.formula, [step.formula for step in three.values["e"]]) == (72, products_work, [product_work] * 2)


def test_an_undilated_kernel_spans_what_was_written():
    k, d = Given(3, "here"), Given(2, "there")
    once, twice = dilated((k, k), (1, d))
    assert once is k
    assert (twice, twice.formula, dict(twice.values)) == (5, dilated_kernel, {"k": k, "d": d})


def test_the_widest_of_a_transposed_convolution_is_explained():
    k, s = Given(5, "here"), Given(2, "there")
    widest = transposed(k, s, 0, 1).k
    assert (widest, widest.formula, dict(widest.values)) == (3, transposed_taps, {"k": k, "s": s})


def test_arithmetic_with_fractions_gives_them_their_turn():
    assert Given(3, "here") * 0.5 == 1.5
    assert Given(3, "here") != "3"


def test_a_fraction_remembers_its_formula_too():
    assert resampled_jump(3, 2, 4) == Fraction(3, 2)
    assert type(resampled_jump(3, 2, 4)) is Fraction
    j = Given(3, "here")
    half = resampled_jump(j, 2, u=4)
    assert isinstance(half, traced_fraction())
    assert (half, half.formula, dict(half.values)) == (Fraction(3, 2), resampled_jump, {"j": j, "s": 2, "u": 4})
    assert text(half.formula, half.values) == "3*2/4"
    whole = resampled_jump(half, 2, 3)
    assert isinstance(whole, Derived)
    assert (whole, whole.values["j"]) == (1, half)
    assert text(whole.formula, whole.values) == "(3/2)*2/3"
    assert type(resampled_jump(Fraction(3, 2), 2, 1)) is int


def unknown_letter(q: int) -> int:
    """What no glossary explains."""
    return q * q


def two_steps(i: int) -> int:
    """A number with a name of its own."""
    o = i + 1
    return o * o


def several_letters(*i: int) -> int:
    """However many."""
    return sum(i)


def named_letter(i: int, *, o: int) -> int:
    """A letter that cannot be given by its place."""
    return i + o


def letter_with_default(i: int, o: int = 1) -> int:
    """A value that nobody gave."""
    return i + o


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (unknown_letter, r"NameError: formula unknown_letter uses letters that symbols.py does not explain: q"),
        (two_steps, "TypeError: formula two_steps must hold its letters alone"),
        (several_letters, "TypeError: formula several_letters must hold its letters alone"),
        (named_letter, "TypeError: formula named_letter must hold its letters alone"),
        (letter_with_default, "TypeError: formula letter_with_default must hold its letters alone, without defaults"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_no_formula_fails_at_import(function, error):
    with pytest.raises((NameError, TypeError)) as raised:
        formula(function)
    assert f"{raised.typename}: {raised.value}".startswith(error)


def powered(i: int, o: int) -> int:
    """An operator that has no place in formulas."""
    return i**o


def remainder(i: int, o: int) -> int:
    """Another."""
    return i % o


def chosen(i: int, o: int) -> int:
    """One of two numbers."""
    return i if o else o


def called(i: int) -> int:
    """What another function gives."""
    return abs(i)


def unequal(k: tuple[int, ...]) -> int:
    """The product of what is not a letter."""
    return prod(k[1:])


def undescribed(i: int) -> int:
    return i


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (powered, "a formula may not contain Pow: i ** o"),
        (remainder, "a formula may not contain Mod: i % o"),
        (chosen, "a formula may not contain IfExp: i if o else o"),
        (called, "a formula may not call abs"),
        (unequal, "a formula may not call prod"),
        (undescribed, "formula undescribed must be a docstring and one return"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_formula_is_arithmetic_only(function, error):
    made = formula(function)
    with pytest.raises(TypeError, match=f"^{re.escape(error)}$"):
        letters(made)


def test_a_minus_keeps_its_parentheses():
    @formula
    def rest(i: int, o: int, p: int) -> int:
        """i - (o - p)."""
        return i - (o - p)

    assert letters(rest) == "i - (o - p)"
    assert text(rest, {"i": 5, "o": 2, "p": -1}) == "5 - (2 - (-1))"


def test_a_divisor_keeps_its_parentheses():
    @formula
    def parts(i: int, o: int, p: int) -> int:
        """i over a product and over a quotient."""
        return exact(i, o * p) + exact(i, exact(o, p)) + exact(i + o, p)

    assert letters(parts) == "i/(o*p) + i/(o/p) + (i + o)/p"
    assert text(parts, {"i": 12, "o": 6, "p": 2}) == "12/(6*2) + 12/(6/2) + (12 + 6)/2"
    assert text(parts, {"i": 12, "o": 6, "p": 1}) == "12/(6*1) + 12/6 + 12 + 6"  # what is divided by 1 is shown by itself


def test_numbers_are_reckoned_without_what_prints_them():
    code = "import archcalc.analysis, sys; sys.exit('archcalc.formula.printed' in sys.modules or 'fractions' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
