"""Comparisons: layers aligned as a reader would, what differs named, and totals that are the rows' own."""

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import load
from archcalc.analysis.alignment import MOST_CELLS, Likeness, align
from archcalc.analysis.compare import Comparison, compare
from archcalc.render.compare import ratio
from archcalc.spec import parse


def comparison(*models: str, **options: Any) -> Comparison:
    return compare([load(model) for model in models], **options)


def names(found: Comparison) -> list[tuple[str | None, ...]]:
    return [tuple(part and part.name for part in row.parts) for row in found.rows]


def test_two_towers_differ_from_one_in_three_layers() -> None:
    rows = [row for row in comparison("alexnet", "alexnet_two_towers").rows if not row.equal]
    assert [row.parts[0].name for row in rows if row.parts[0]] == ["conv2", "conv4", "conv5"]
    for row in rows:
        assert set(row.differences) == {"groups", "params", "macs"}
        assert row.differences["groups"] == (1, 2)
        one, two = row.differences["macs"]
        assert one == 2 * two
        one, two = row.parts
        assert one is not None
        assert two is not None
        bias = one.output_shape[1]
        assert one.params - bias == 2 * (two.params - bias)


@pytest.mark.parametrize(
    ("models", "differing"),
    [
        (("resnet50", "resnet50"), 0),
        (("resnet34", "resnet34_b"), 0),  # two names of one network
        (("resnet50", "resnet50_v1"), 12),  # where three stages begin: conv1, bn1, relu1, and conv2's stride
        (("vgg11", "vgg11_bn"), 8),  # the BatchNorms
        (("alexnet", "alexnet_pool_first"), 4),  # norm and pool change places, twice: each once alone and once smaller
    ],
    ids=str,
)
def test_how_many_rows_differ(models: tuple[str, str], differing: int) -> None:
    assert sum(not row.equal for row in comparison(*models).rows) == differing


def test_a_deeper_network_has_its_further_layers_where_they_are() -> None:
    """VGG-16 against VGG-11: a convolution and its ReLU more in each of five stages; their numbers in the file all differ."""
    found = names(comparison("vgg11", "vgg16"))
    alone = [pair for pair in found if None in pair]
    assert alone == [(None, f"features.{n}") for n in (2, 3, 7, 8, 14, 15, 21, 22, 28, 29)]
    assert ("features.pool5", "features.pool5") in found
    assert ("features.11", "features.17") in found


def test_three_models() -> None:
    found = comparison("resnet18", "resnet34", "resnet50")
    assert all(len(row.parts) == 3 for row in found.rows)
    shared = [row for row in found.rows if None not in row.parts]
    assert [part.name for part in shared[0].parts if part] == ["conv1"] * 3
    fc = next(row for row in shared if row.parts[0] and row.parts[0].name == "fc")
    assert fc.differences["params"] == (513_000, 513_000, 2_049_000)


def test_folded_scopes_pair_by_name_or_output() -> None:
    found = comparison("resnet18", "resnet50", "vgg11", depth=1)
    rows = {pair[0]: pair for pair in names(found)}
    assert rows["layer1"] == ("layer1", "layer1", None)
    assert rows["fc"] == ("fc", "fc", None)
    sizes = {row.parts[0].name: row.differences.get("layers") for row in found.rows if row.parts[0]}
    assert sizes["layer1"] == (14, 32, None)


@pytest.mark.parametrize(
    "models", [("resnet18", "vgg16", "lenet5"), ("densenet121", "resnet50"), ("googlenet", "googlenet_torchvision")]
)
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_every_layer_stands_in_one_row_and_in_order(models: tuple[str, ...], depth: int | None) -> None:
    found = comparison(*models, depth=depth)
    for index, report in enumerate(found.reports):
        parts = [part for row in found.rows if (part := row.parts[index])]
        whole = [layer.name for layer in report.layers]
        assert [part.name for part in parts] == list(dict.fromkeys(".".join(name.split(".")[:depth]) for name in whole))
        assert sum(part.layers for part in parts) == len(whole)
        assert sum(part.params for part in parts) == report.totals.params
        assert sum(part.macs for part in parts) == report.totals.macs


def test_an_operator_that_was_exchanged_stands_beside_the_old_one() -> None:
    text = "input: [3, 8, 8]\nlayers:\n  - Conv2d: {out_channels: 4, kernel_size: 1}\n  - %s: {name: act}\n"
    graphs = [parse(text % op, f"{op}.yaml").graph() for op in ("ReLU", "GELU")]
    (same, changed) = compare(graphs).rows
    assert same.equal
    assert changed.differences == {"op": ("ReLU", "GELU")}


LAYERS = st.lists(
    st.builds(Likeness, st.sampled_from("abcdefgh"), st.sampled_from(["conv", "relu"]), st.sampled_from([1, 2]), st.just(())),
    max_size=12,
    unique_by=lambda layer: layer.path,
)


@given(LAYERS, LAYERS)
def test_pairs_rise_on_both_sides(a: list[Likeness], b: list[Likeness]) -> None:
    pairs = align(a, b)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))
    assert all(a[i].op == b[j].op or a[i].path == b[j].path for i, j in pairs)


@given(LAYERS)
def test_a_list_is_aligned_with_itself(layers: list[Likeness]) -> None:
    assert align(layers, layers) == [(i, i) for i in range(len(layers))]


@given(LAYERS, st.sets(st.integers(0, 11)))
def test_layers_left_out_are_the_ones_that_stand_alone(layers: list[Likeness], left_out: set[int]) -> None:
    kept = [i for i in range(len(layers)) if i not in left_out]
    assert align(layers, [layers[i] for i in kept]) == [(i, j) for j, i in enumerate(kept)]


def test_large_gaps_are_cut_and_not_given_up() -> None:
    """Two networks without one equal path or shape in the middle: more cells than a table may have, and still all of it pairs."""
    count = 2 * int(MOST_CELLS**0.5)
    a = [Likeness(f"a{i}", "conv", i % 7, ()) for i in range(count)]
    b = [Likeness(f"b{i}", "conv", i % 7, ()) for i in range(count)]
    assert align(a, b) == [(i, i) for i in range(count)]


def test_thousands_of_layers_take_a_moment() -> None:
    graphs = [load("resnet1202"), load("preact_resnet1001")]
    start = time.process_time()
    compare(graphs)
    assert time.process_time() - start < 20  # 0.15 s on the machine it was written on


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50"), (0.5002, "0.50"), (1.0001, "1.0001"), (0.99999, "0.99999"), (0.0004, "0.0004"), (68.184, "68.18")],
)
def test_ratios_are_never_rounded_to_equal_or_nothing(value: float, text: str) -> None:
    assert ratio(value) == text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_screen(run: Any, golden: Any, width: int) -> None:
    golden(run("compare", "alexnet", "alexnet_two_towers", "--width", str(width)).out, f"compare-{width}.txt")


def test_the_screen_of_three(run: Any, golden: Any) -> None:
    golden(run("compare", "resnet50", "resnet101", "vgg16", "--depth", "1", "--width", "100").out, "compare-three.txt")


def test_csv_and_json_have_the_equal_rows_too(run: Any) -> None:
    rows = run("compare", "alexnet", "alexnet_two_towers", "--format", "csv").out.splitlines()
    document = json.loads(run("compare", "alexnet", "alexnet_two_towers", "--format", "json").out)
    assert len(rows) - 1 == len(document["rows"]) == 23
    assert sum(not row["equal"] for row in document["rows"]) == 3
    params = next(total for total in document["totals"] if total["quantity"] == "params")
    assert params == {
        "quantity": "params",
        "values": [62_378_344, 60_965_224],
        "differences": [0, -1_413_120],
        "ratios": [1.0, 60_965_224 / 62_378_344],
    }


def test_all_shows_every_row(run: Any) -> None:
    folded, every = (run("compare", "alexnet", "alexnet_two_towers", *more).out for more in ((), ("--all",)))
    assert "equal layers)" in folded
    assert "equal layers)" not in every
    assert len(every.splitlines()) - len(folded.splitlines()) == 23 - 7


def test_models_of_one_name_are_told_apart_by_their_files(run: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    run("show", "lenet5", "--expanded", "-o", str(copy))
    title, *_ = run("compare", "lenet5", str(copy)).out.splitlines()
    assert title == f"A lenet5, B lenet5 ({copy})"
    assert run("compare", "lenet5", "lenet5_modern").out.startswith("A lenet5, B lenet5_modern\n")


def test_several_inputs_have_their_names(run: Any) -> None:
    siamese = str(Path(__file__).parent / "data" / "specs" / "siamese.yaml")
    assert "input left 1x105x105, right 1x105x105" in run("compare", siamese, "alexnet", "--depth", "1").out


def test_equal_models_say_so(run: Any) -> None:
    out = run("compare", "resnet34", "resnet34_b", "--width", "80").out
    assert "(125 equal layers)" in out
    assert "B - A: equal params, buffers, MACs, activation bytes, saved bytes" in out


@pytest.mark.parametrize(("arguments", "help"), [((), "alexnet"), (("nope",), "did you mean")], ids=["one", "unknown"])
def test_refused(run: Any, arguments: tuple[str, ...], help: str) -> None:
    outcome = run("compare", "alexnet", *arguments)
    assert outcome.code == 2
    assert outcome.out == ""
