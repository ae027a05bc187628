"""Files that hold no weights, damaged ones and hostile ones: archcalc's own error comes out of each, and nothing else happens."""

import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from archcalc.errors import ArchcalcError, MissingError
from archcalc.pytorch import files, weights
from tests.tiny_net import tiny, tiny_state


class Evil:
    """Pickled, it asks for a file to be written when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def safetensors(header: bytes | dict[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


BROKEN = {
    "empty": (b"", "E296"),
    "text": (b"hello world, this is no file of weights", "E296"),
    "a page": (b"<!DOCTYPE html><html>404</html>", "E296"),
    "a header longer than the file": (safetensors({"a": entry()}, bytes(8), 10**6), "E295"),
    "a header beyond all bounds": (safetensors({"a": entry()}, bytes(8), 2**64 - 1), "E295"),
    "a header that is no JSON": (safetensors(b"{'a': 1}"), "E295"),
    "a header of lists": (safetensors({"a": [1, 2]}), "E295"),  # type: ignore[dict-item]
    "a header without end": (safetensors(b"{" * 100_000), "E295"),
    "a header nested too deep": (safetensors(b'{"a": ' + b"[" * 50_000), "E295"),
    "a header that is not UTF-8": (safetensors(b'{"\xff": 1}'), "E295"),
    "an unknown type": (safetensors({"a": entry("F3")}, bytes(8)), "E295"),
    "sizes that do not fit": (safetensors({"a": entry(shape=[3])}, bytes(8)), "E295"),
    "negative sizes": (safetensors({"a": entry(shape=[-1, -2])}, bytes(8)), "E295"),
    "sizes beyond all bounds": (safetensors({"a": entry(shape=[2**62, 2**62])}, bytes(8)), "E295"),
    "half a number": (safetensors({"a": entry(shape=[1.5])}, bytes(8)), "E295"),
    "an end before the start": (safetensors({"a": entry(shape=[0], offsets=[8, 0])}, bytes(8)), "E295"),
    "tensors over each other": (safetensors({"a": entry(), "b": entry()}, bytes(8)), "E295"),
    "a hole": (safetensors({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20)), "E295"),
    "cut off": (safetensors({"a": entry()}, bytes(7)), "E295"),
    "something behind": (safetensors({"a": entry()}, bytes(9)), "E295"),
    "a pickle of a number": (pickle.dumps(3, protocol=2), "E295"),
    "the start of a pickle": (b"\x80\x02}q", "E295"),
    "the start of an archive": (b"PK\x03\x04" + bytes(100), "E295"),
}


@pytest.mark.parametrize("how", [files.contents, files.tensors], ids=["header", "whole"])
@pytest.mark.parametrize("what", BROKEN)
def test_damaged_files_are_refused(what: str, how: Callable[[str], Any], tmp_path: Path) -> None:
    content, code = BROKEN[what]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ArchcalcError) as raised:
        how(str(tmp_path / "file"))
    assert raised.value.code == code, raised.value
    assert raised.value.exit_code == 2


SAVED: dict[str, Callable[[Path], None]] = {
    "safetensors": lambda path: save_file(tiny_state(), path),
    "zip": lambda path: torch.save(tiny_state(), path),
    "legacy": lambda path: torch.save(tiny_state(), path, _use_new_zipfile_serialization=False),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("format", SAVED)
def test_changed_files_are_read_or_refused(format: str, data: st.DataObject, tmp_path: Path) -> None:
    SAVED[format](tmp_path / "file")
    content = bytearray((tmp_path / "file").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    (tmp_path / "file").write_bytes(content)
    for how in (files.contents, files.tensors):
        code = None
        try:
            how(str(tmp_path / "file"))
        except ArchcalcError as error:
            code = error.code
        assert code in (None, "E295", "E296", "E298")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_not_run(zipped: bool, tmp_path: Path) -> None:
    torch.save(
        {"state_dict": tiny_state(), "more": Evil(tmp_path / "ran")}, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped
    )
    for how in (files.contents, files.tensors):
        with pytest.raises(ArchcalcError, match="could run code") as raised:
            how(str(tmp_path / "file.pt"))
        assert raised.value.code == "E298"
    assert not (tmp_path / "ran").exists()


def test_a_program_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "file.pt"))
    with pytest.raises(ArchcalcError, match="TorchScript") as raised:
        files.contents(str(tmp_path / "file.pt"))
    assert raised.value.code == "E298"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_torch_files_that_were_cut_off(zipped: bool, kept: float, tmp_path: Path) -> None:
    torch.save(tiny_state(), tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "file.pt").read_bytes()
    (tmp_path / "file.pt").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ArchcalcError) as raised:
        weights.load(tiny(), str(tmp_path / "file.pt"))
    assert raised.value.code == "E295"


NO_WEIGHTS = [3, [torch.ones(2)], {}, {"epoch": 3}, {"state_dict": {}}, {"a": torch.eye(3).to_sparse()}]


@pytest.mark.parametrize("value", NO_WEIGHTS)
def test_files_of_other_things(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "file.pt")
    with pytest.raises(ArchcalcError) as raised:
        files.tensors(str(tmp_path / "file.pt"))
    assert raised.value.code == "E296"


def test_weights_under_an_unknown_name_are_pointed_at(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "student": tiny_state(), "teacher": tiny_state(), "options": {"lr": 0.1}}, tmp_path / "file.pt")
    with pytest.raises(ArchcalcError, match=r"no weights of its own, but there are some under student, teacher;") as raised:
        files.tensors(str(tmp_path / "file.pt"))
    assert raised.value.code == "E296"
    assert raised.value.help == "torch.save(checkpoint[NAME], FILE) saves one of these alone"


def test_an_archive_that_would_grow_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(10**7))
    with pytest.raises(ArchcalcError, match="10,000,000 bytes") as raised:
        files.contents(str(tmp_path / "bomb.pt"))
    assert raised.value.code == "E295"


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ArchcalcError) as raised:
        files.contents("no/such.pt")
    assert raised.value.code == "E200"


@pytest.mark.parametrize(("module", "code"), [("torch", "E310"), ("safetensors.torch", "E311")])
def test_what_is_not_installed_is_said(module: str, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save(tiny_state(), tmp_path / "file.pt")
    save_file({"a": torch.ones(2)}, tmp_path / "file.safetensors")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError) as raised:
        files.contents(str(tmp_path / "file.pt")) if code == "E310" else files.tensors(str(tmp_path / "file.safetensors"))
    assert raised.value.code == code
    assert files.contents(str(tmp_path / "file.safetensors")).tensors == {"a": files.Found((2,), "float32")}


@pytest.mark.filterwarnings("ignore::UserWarning")  # quantised tensors are on their way out of PyTorch
@pytest.mark.parametrize("made", [torch.Tensor.to_sparse, lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)])
def test_tensors_that_are_no_plain_numbers_are_said_to_be_so(made: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    torch.save({"conv.weight": made(torch.ones(2, 2))}, tmp_path / "file.pt")
    with pytest.raises(ArchcalcError, match="holds no weights but sparse or quantised tensors"):
        files.tensors(str(tmp_path / "file.pt"))
