"""The catalogue of error codes: each is raised somewhere, means one thing, and is tested."""

import copy
import pickle
import re
from pathlib import Path

import pytest

import archcalc
from archcalc.errors import CODES, ArchcalcError, ArgumentError, Place, nearest
from archcalc.spec.whitelist import ExpressionError, Span

SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parents[1] / "archcalc").rglob("*.py"))}
RAISED = re.compile(r'"(E[0-9]{3})"(?!:)')  # in the catalogue itself a colon follows


def test_the_catalogue_holds_every_code_that_is_raised_and_no_other() -> None:
    raised = {code for text in SOURCES.values() for code in RAISED.findall(text)}
    assert raised == set(CODES)


def test_no_two_codes_mean_the_same() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert list(CODES) == sorted(CODES)
    for meaning in CODES.values():
        assert nearest(meaning, [other for other in CODES.values() if other != meaning]) is None or len(meaning) < 60


def test_every_code_has_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in CODES if code not in tests] == []


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("filters", ["out_channels", "padding"], "out_channels"),
        ("kernel_szie", ["kernel_size"], "kernel_size"),
        ("xyz", ["padding"], None),
        ("mobilenet", ["lenet5"], None),
        ("net", ["zfnet"], None),
        ("lexnet", ["alexnet"], "alexnet"),
    ],
)
def test_the_nearest_name(word: str, known: list[str], meant: str | None) -> None:
    assert nearest(word, known, {"filters": "out_channels"}) == meant


def test_the_nearest_of_very_many_names_is_found_soon() -> None:
    known = [f"layer{number}" for number in range(100_000)]
    assert nearest("layre77777", known) is not None
    assert nearest("q" * 60_000, known) is None


def test_errors_cross_from_one_process_into_another() -> None:
    try:
        archcalc.load("nope")
    except ArchcalcError as error:
        loaded = error
    placed = ArgumentError("E120", "stride must be a whole number", argument="stride", help="stride: 2")
    placed.layer, placed.place = "conv1", Place("net.yaml", 3, 7, "stride: x")
    for error in (loaded, placed, ExpressionError("E021", "unknown name n", Span(2))):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is type(error)
            assert (str(again), vars(again), again.args) == (str(error), vars(error), error.args)
