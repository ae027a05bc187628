"""Variants, families and settings: one file for several networks, as the page about the language says."""

import os
from pathlib import Path
from typing import Any

import pytest

import archcalc
from archcalc.spec import parse
from tests.test_language import names

FAMILY = """\
name: small
title: the small one
source: https://example.org/
input: [3, size, size]
params: {size: 8, width: 2, deep: false, depths: [1, 2]}
layers:
  - Conv2d: {out_channels: width, kernel_size: 1, repeat: "depths[1]"}
  - ReLU: {if: deep}
expect: {params: 14}
variants:
  large: {title: the large one, set: {width: 2*size, size: 16, deep: true}}
  tiny: {input: [1, 4, 4], set: {depths: [1, 1]}, expect: {params: 4, conv1.0: {output: [2, 4, 4]}}}
  same:
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the family in two files."""
    monkeypatch.chdir(tmp_path)
    for name in ("net.yaml", "without_suffix"):
        Path(name).write_text(FAMILY)
    return tmp_path


@pytest.mark.parametrize("name", ["net.yaml", "./net.yaml", "{folder}/net.yaml", "./without_suffix"])
def test_a_variant_stands_behind_a_colon(folder: Path, name: str) -> None:
    name = name.format(folder=folder)
    large = archcalc.load(name, variant="large")
    assert archcalc.load(f"{name}:large") == archcalc.load(f"{name}:large", variant="large") == large
    assert archcalc.load(f"{name}:small") == archcalc.load(f"{name}:") == archcalc.load(name) != large


def test_a_bundled_variant_may_be_named_with_its_family() -> None:
    resnet18 = archcalc.load("resnet18")
    assert archcalc.load("resnet:resnet18") == archcalc.load("ResNet:resnet18") == archcalc.load("resnet18:resnet18") == resnet18
    assert archcalc.load("resnet:resnet") == archcalc.load("resnet") != resnet18


@pytest.mark.skipif(os.name == "nt", reason="names with a colon")
def test_a_colon_may_be_part_of_a_files_own_name(folder: Path) -> None:
    for name in ("with:colon.yaml", "net.yaml:large"):
        Path(name).write_text(FAMILY.replace("small", "own"))
    assert archcalc.load("with:colon.yaml").name == archcalc.load("./net.yaml:large").name == "own"
    assert archcalc.load("with:colon.yaml:large").name == archcalc.load("./net.yaml:large:large").name == "large"


def test_variants_make_one_file_a_family() -> None:
    spec = parse(FAMILY, "family.yaml")
    assert list(spec.variants) == ["small", "large", "tiny", "same"]
    small, large, tiny, same = (spec.graph(name) for name in spec.variants)
    assert (small.name, small.title, small.source) == ("small", "the small one", "https://example.org/")
    assert [str(graph.nodes[0].output) for graph in (small, large, tiny, same)] == ["3x8x8", "3x16x16", "1x4x4", "3x8x8"]
    # a variant's expression sees the params before its own, as this variant has them
    assert names(large) == ["conv1.0", "conv1.1", "relu1"]
    assert large.nodes[1].output.c == 32
    assert (large.title, tiny.title, names(tiny)) == ("the large one", "the small one", ["conv1.0"])
    assert names(same) == names(small)
    assert spec.settings("tiny") == {"size": 8, "width": 2, "deep": False, "depths": [1, 1]}


@pytest.mark.parametrize(
    ("settings", "channels", "layers"),
    [({}, 2, 2), ({"width": 5}, 5, 2), ({"deep": True}, 2, 3), ({"depths": [0, 4]}, 2, 4), ({"size": 4, "width": 1}, 1, 2)],
)
def test_settings_of_every_kind(settings: dict[str, Any], channels: int, layers: int) -> None:
    graph = parse(FAMILY, "family.yaml").graph(settings=settings)
    assert (graph.nodes[1].output.c, len(names(graph))) == (channels, layers)


def test_a_setting_moves_the_params_that_are_made_of_it() -> None:
    spec = parse("input: [3, 4, 4]\nparams: {w: 2, list: [w, 2*w], flag: w > 2}\nlayers: [ReLU: {if: flag}, ReLU]", "net.yaml")
    assert spec.settings() == {"w": 2, "list": [2, 4], "flag": False}
    assert names(spec.graph(settings={"w": 3})) == ["relu1", "relu2"]
