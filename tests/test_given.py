"""What callers in Python and on the command line give beside a spec: numbers of other libraries, and what is no name or number."""

from typing import Any

import pytest

import archcalc
from archcalc.errors import ArchcalcError
from archcalc.spec import parse
from archcalc.spec.given import read_setting

SPEC = "input: [3, 8, 8]\nparams: {w: 2, depths: [1, 2]}\nlayers: [Conv2d: {out_channels: w, kernel_size: 1, repeat: 'depths[1]'}]"

REFUSED = [
    # options of Spec.graph, code, words of the message
    ({"variant": ["a"]}, "E202", "net has no variant ['a']"),
    ({"settings": {1: 2}}, "E203", "net has no param 1"),
    ({"settings": [("w", 3)]}, "E203", "each param is given by its name"),
    ({"settings": {"w": float("nan")}}, "E205", "w must be a number up to 10**15, like its default 2, not nan"),
    ({"settings": {"w": 10**16}}, "E205", "w must be a number up to 10**15"),
    ({"settings": {"w": "3"}}, "E205", "w must be a number, like its default 2"),
    ({"inputs": {1: (3, 8, 8)}}, "E204", "net has no input 1"),
    ({"inputs": {"input": (3.0, 8, 8)}}, "E204", "a whole number from 1 to 2,147,483,647, not 3.0 as in [3.0, 8, 8]"),
    ({"inputs": {"input": (3, 9999999999, 8)}}, "E204", "not 9999999999 as in [3, 9999999999, 8]"),
    ({"inputs": {"input": (0, 8, 8)}}, "E204", "not 0 as in [0, 8, 8]"),
    ({"inputs": {"input": 8}}, "E204", "a list of one to four whole numbers, not 8"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "code", "message"), REFUSED)
def test_what_is_given_wrongly(options: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(ArchcalcError) as raised:
        parse(SPEC, "net.yaml").graph(**options)
    assert raised.value.code == code
    assert message in raised.value.message


def test_numbers_of_numpy_and_pytorch_are_numbers() -> None:
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    settings = {"w": numpy.int64(5), "depths": numpy.array([1, 3])}
    graph = parse(SPEC, "net.yaml").graph(None, settings, {"input": torch.Size([4, 6, 6])}, torch.tensor(2))
    assert [tuple(node.output) for node in graph.nodes] == [(2, 4, 6, 6), *[(2, 5, 6, 6)] * 3]
    assert all(type(size) is int for node in graph.nodes for size in node.output)


def test_a_model_may_be_named_in_bytes_as_paths_may() -> None:
    assert archcalc.load(b"lenet5_modern").name == "lenet5_modern"


def test_a_layer_that_is_asked_for_by_no_name_is_not_found() -> None:
    with pytest.raises(ArchcalcError) as raised:
        archcalc.load("lenet5_modern").find(None)  # type: ignore[arg-type]
    assert raised.value.code == "E210"


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("[1, 2*2]", [1, 4]), ("true", True), ("7 // 2", 3)])
def test_settings_are_read_as_a_spec_would(text: str, value: Any) -> None:
    assert read_setting("w", text) == value


@pytest.mark.parametrize("text", ["", "  ", "---", "# nothing"])
def test_a_setting_without_a_value(text: str) -> None:
    with pytest.raises(ArchcalcError) as raised:
        read_setting("w", text)
    assert (raised.value.code, raised.value.message) == ("E226", "--set w has no value")
