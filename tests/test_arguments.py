"""The limits of what operators take: their arguments, which the JSON Schema limits alike, and the dimensions of their inputs."""

import math
from typing import Any

import jsonschema
import pytest
import torch

from archcalc.errors import ArgumentError, ShapeError
from archcalc.ops import fields
from archcalc.ops.base import shown
from archcalc.ops.fields import LARGEST, Kind
from archcalc.shape import Shape
from tests.op_cases import Case, ops
from tests.torch_modules import module

MAP, VOLUME = Shape((2, 6, 9, 7)), Shape((2, 6, 3, 4, 5))


def kind_of(name: str) -> Kind:
    """The kind that an annotation of a field stands for."""
    (kind,) = getattr(fields, name).__metadata__
    assert isinstance(kind, Kind)
    return kind


# The annotation, and what is taken with it: (as a spec writes it, as the operator holds it).
TAKEN: dict[str, list[tuple[Any, Any]]] = {
    "Count": [(1, 1), (LARGEST, LARGEST)],
    "OptionalCount": [(None, None), (1, 1), (LARGEST, LARGEST)],
    "Index": [(-4, -4), (0, 0), (3, 3)],
    "Flag": [(True, True), (False, False)],
    "OptionalFlag": [(None, None), (False, False)],
    "Real": [(0, 0), (-1.5, -1.5), (10**15, 10**15)],
    "OptionalReal": [(None, None), (0.1, 0.1)],
    "Positive": [(0, 0), (1e-5, 1e-5)],
    "Ratio": [(0, 0), (1, 1), (0.5, 0.5)],
    "Single": [(1, (1,)), ([3], (3,)), (LARGEST, (LARGEST,))],
    "Pair": [(1, (1, 1)), ([3, 1], (3, 1)), ([1, LARGEST], (1, LARGEST))],
    "Triple": [(3, (3, 3, 3)), ([1, 2, 3], (1, 2, 3))],
    "OptionalPair": [(None, None), (1, (1, 1)), ([1, 2], (1, 2))],
    "WholePair": [(0, (0, 0)), ([0, 1], (0, 1)), ([LARGEST, 0], (LARGEST, 0))],
    "SinglePadding": [("same", "same"), (0, (0,)), ([2], (2,)), ([0, 2], (0, 2))],
    "PairPadding": [("same", "same"), (0, (0, 0)), ([0, 2], (0, 2)), ([0, 1, 2, LARGEST], (0, 1, 2, LARGEST))],
    "TriplePadding": [("same", "same"), (1, (1, 1, 1)), ([0, 1, 2], (0, 1, 2)), ([0, 1, 2, 3, 4, 5], (0, 1, 2, 3, 4, 5))],
    "PairSides": [(0, (0, 0)), ([1, 0], (1, 0)), ([0, 0, 0, 1], (0, 0, 0, 1)), (LARGEST, (LARGEST, LARGEST))],
    "OutputSizes": [(None, (None, None)), (1, (1, 1)), ([None, 7], (None, 7)), ([LARGEST, None], (LARGEST, None))],
    "OptionalTail": [(None, None), (7, (7,)), ([7], (7,)), ([1, 2, 3, LARGEST], (1, 2, 3, LARGEST))],
    "OptionalFactors": [(None, None), (0.5, (0.5, 0.5)), ([1.5, 3], (1.5, 3)), ([1, LARGEST], (1, LARGEST))],
    "Table": [([[0]], ((0,),)), ([[0, 2], [1]], ((0, 2), (1,))), ([[LARGEST, 0]], ((LARGEST, 0),))],
    "PaddingMode": [(word, word) for word in ("zeros", "reflect", "replicate", "circular")],
    "Interpolation": [(word, word) for word in ("nearest", "bilinear", "bicubic")],
    "Approximation": [("none", "none"), ("tanh", "tanh")],
}

# What is refused. A list with one good item and one bad is as bad as the bad one, wherever that stands.
NO_SIZES = ["x", True, 1.5, [3, "x"], ["x", 3], [3, True], [3, 1.5], [3, [3]]]
NO_PADDING = [*NO_SIZES, None, -1, [0, -1], [-1, 0], [0, None], []]
REFUSED: dict[str, list[Any]] = {
    "Count": [None, 0, -1, True, 1.5, "1", [1]],
    "OptionalCount": [0, -1, True, 1.5, "null", []],
    "Index": [None, -5, True, 0.5, "x", [1]],
    "Flag": [None, 0, 1, "true", []],
    "OptionalFlag": [0, 1, "null"],
    "Real": [None, True, "1", [1]],
    "OptionalReal": [True, "null"],
    "Positive": [None, -1e-9, -1, True, "0"],
    "Ratio": [None, -1e-9, 1.000001, 2, True, "0"],
    "Single": [*NO_SIZES, None, 0, [0], [], [3, 3]],
    "Pair": [*NO_SIZES, None, 0, [3, 0], [0, 3], [3, None], [], [3], [3, 3, 3]],
    "Triple": [*NO_SIZES, None, 0, [3, 3, 0], [0, 3, 3], [], [3], [3, 3], [3, 3, 3, 3]],
    "OptionalPair": [*NO_SIZES, 0, [3, 0], [3, None], [3], [3, 3, 3]],
    "WholePair": [*NO_PADDING, "same", [0], [0, 0, 0], [0, 0, 0, 0]],
    "SinglePadding": [*NO_PADDING, "valid", ["same"], [0, 0, 0]],
    "PairPadding": [*NO_PADDING, "valid", [0, "same"], [0], [0, 0, 0], [0, 0, 0, -1], [0] * 5],
    "TriplePadding": [*NO_PADDING, [0, 0, -1], [0], [0, 0], [0] * 4, [0] * 5, [0] * 7],
    "PairSides": [*NO_PADDING, "same", [0], [0, 0, 0], [0, 0, 0, "x"], [0] * 5],
    "OutputSizes": [*NO_SIZES, 0, [1, 0], [0, None], [None, "x"], [], [None], [1, 1, 1]],
    "OptionalTail": [*NO_SIZES, 0, [1, 0], [0, 1], [1, None], [], [1] * 5],
    "OptionalFactors": ["x", True, 0, -1, [2, 0], [0, 2], [2, -0.5], [2, "x"], ["x", 2], [2, True], [2, None], [], [2], [2] * 3],
    "Table": [None, 0, "x", [], [0], [[]], [[0], []], [[0], 1], [[0, 0]], [[0, -1]], [[0, "x"]], [[0, 1.5]], [[0], [1, None]]],
    "PaddingMode": [None, "mirror", "", 0],
    "Interpolation": [None, "linear", 0],
    "Approximation": [None, "erf", True],
}

# Beyond what can be meant; the JSON Schema has no such bounds.
TOO_LARGE: dict[str, list[Any]] = {
    "Count": [LARGEST + 1],
    "Real": [math.inf, -math.inf, math.nan],
    "Ratio": [math.nan],
    "Pair": [LARGEST + 1, [1, LARGEST + 1], [LARGEST + 1, 1]],
    "PairPadding": [LARGEST + 1, [0, LARGEST + 1], [0, 0, 0, LARGEST + 1]],
    "OutputSizes": [LARGEST + 1, [None, LARGEST + 1]],
    "OptionalTail": [LARGEST + 1, [1, LARGEST + 1]],
    "OptionalFactors": [LARGEST + 1, [1, LARGEST + 1], [1, math.nan], math.inf],
    "Table": [[[0, LARGEST + 1]]],
}


def rows(table: dict[str, list[Any]]) -> Any:
    return pytest.mark.parametrize(("name", "row"), [(name, row) for name, found in table.items() for row in found])


def test_every_kind_has_its_rows() -> None:
    names = {name for name, found in vars(fields).items() if hasattr(found, "__metadata__")}
    assert set(TAKEN) == set(REFUSED) == names


@rows(TAKEN)
def test_what_is_taken(name: str, row: tuple[Any, Any]) -> None:
    written, held = row
    found = kind_of(name).read(written)
    assert (found, type(found)) == (held, type(held))
    assert kind_of(name).read(held) == held  # as callers in Python may give it
    jsonschema.validate(written, kind_of(name).schema, jsonschema.Draft202012Validator)


@rows(REFUSED)
def test_what_is_refused(name: str, row: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        kind_of(name).read(row)
    assert str(caught.value) == kind_of(name).expected
    assert not jsonschema.Draft202012Validator(kind_of(name).schema).is_valid(row)


@rows(TOO_LARGE)
def test_what_is_too_large(name: str, row: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        kind_of(name).read(row)
    assert str(caught.value) == kind_of(name).expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Count", "a whole number of at least 1"),
        ("OptionalCount", "null, or a whole number of at least 1"),
        ("Index", "a whole number of at least -4"),
        ("Real", "a number"),
        ("Positive", "a number of at least 0"),
        ("Ratio", "a number of at least 0 and of at most 1"),
        ("Single", "a whole number of at least 1"),
        ("Pair", "a whole number of at least 1, or a list of 2 of them"),
        ("Triple", "a whole number of at least 1, or a list of 3 of them"),
        ("WholePair", "a whole number of at least 0, or a list of 2 of them"),
        ("SinglePadding", "a whole number of at least 0, or [start, end], or same"),
        ("PairPadding", "a whole number of at least 0, [height, width] or [top, bottom, left, right], or same"),
        (
            "TriplePadding",
            "a whole number of at least 0, [depth, height, width] or [front, back, top, bottom, left, right], or same",
        ),
    ],
)
def test_what_is_expected_is_said(name: str, words: str) -> None:
    assert kind_of(name).expected == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a" * 40, "a" * 40),
        ("a" * 41, "a" * 37 + "..."),
        ((3,) * 13, "[" + "3, " * 12 + "3]"),
        ((3,) * 14, "[" + "3, " * 12 + "..."),
        (True, "true"),
        (None, "null"),
        ([None, [3, True]], "[null, [3, true]]"),
    ],
)
def test_a_message_shows_forty_letters_of_a_value(value: Any, text: str) -> None:
    assert shown(value) == text
    with pytest.raises(ArgumentError) as caught:
        ops.Conv2d(value, 3)
    assert caught.value.message == f"out_channels of Conv2d must be a whole number of at least 1, not {text}"


@pytest.mark.parametrize("dim", range(-4, 4))
def test_every_dimension_may_be_named_from_either_end(dim: int) -> None:
    normalised = ops.Softmax(dim)
    assert normalised.output(MAP) == MAP
    # For each element an exponential, a difference and a quotient; for each row a sum and a maximum of all but one.
    assert normalised.elementwise(MAP, MAP) == 3 * MAP.elements + 2 * (MAP.elements - MAP.elements // MAP[dim])


@pytest.mark.parametrize("dim", [-3, 2])
def test_a_dimension_past_either_end_is_refused(dim: int) -> None:
    with pytest.raises(ShapeError, match=rf"dim {dim} of Softmax is no dimension of an input of 10") as caught:
        ops.Softmax(dim).output(Shape((1, 10)))
    assert caught.value.code == "E107"
    assert "dim from -2 to 1" in str(caught.value.help)


OTHER_RANKS = [
    Case(ops.Flatten(1, 2), MAP),
    Case(ops.Flatten(2, -2), VOLUME),
    Case(ops.Flatten(2, 2), MAP),
    Case(ops.ChannelShuffle(3), VOLUME),
    Case(ops.ChannelShuffle(2), Shape((2, 6, 9))),
    Case(ops.LocalResponseNorm(3), VOLUME),
]


@pytest.mark.parametrize("case", OTHER_RANKS, ids=str)
def test_ranks_and_dimensions_that_pictures_do_not_have(case: Case) -> None:
    torch.manual_seed(1)
    x = torch.randn(tuple(case.x))
    assert tuple(module(case.op, case.x)(x).shape) == case.y


@pytest.mark.parametrize(
    ("padding", "words"),
    [
        (0, "an input of 9: floor((9 + 0 + 0 - 12)/1) + 1 = -2 is below 1"),
        ([0, 1, 0, 0], "an input of 9 padded to 10: floor((9 + 0 + 1 - 12)/1) + 1 = -1 is below 1"),
        ([1, 0, 0, 0], "an input of 9 padded to 10: floor((9 + 1 + 0 - 12)/1) + 1 = -1 is below 1"),
    ],
)
def test_padding_of_one_end_is_told(padding: Any, words: str) -> None:
    with pytest.raises(ShapeError) as caught:
        ops.Conv2d(4, 12, padding=padding).output(MAP)
    assert caught.value.message == f"a kernel that spans 12 does not fit {words}"


# Mirrored and wrapped pixels must be there: the padding of each side is limited by itself. The last that fits, and one more.
MIRRORED = [
    (mode, [most if at == side else 0 for at in range(4)], [most + 1 if at == side else 0 for at in range(4)])
    for mode, limits in (("reflect", (8, 8, 6, 6)), ("circular", (9, 9, 7, 7)))
    for side, most in enumerate(limits)
]


@pytest.mark.parametrize(("mode", "most", "more"), MIRRORED)
def test_each_side_is_padded_with_no_more_pixels_than_there_are(mode: str, most: list[int], more: list[int]) -> None:
    def padded(sides: list[int]) -> tuple[int, ...]:
        top, bottom, left, right = sides
        return tuple(torch.nn.functional.pad(torch.zeros(tuple(MAP)), (left, right, top, bottom), mode).shape)

    assert ops.Conv2d(6, 1, padding=most, padding_mode=mode).output(MAP) == padded(most)
    with pytest.raises(ShapeError, match=f"{mode} padding of {max(more)} needs") as caught:
        ops.Conv2d(6, 1, padding=more, padding_mode=mode).output(MAP)
    assert caught.value.code == "E105"
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        padded(more)
