"""The build command: what it writes, what it says of it, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import load_file

import archcalc
from archcalc.pytorch import export
from archcalc.pytorch.source import source
from archcalc.render import delivery

ABOUT = {
    "model": "lenet5",
    "title": "LeNet-5",
    "source": "https://doi.org/10.1109/5.726791",
    "spec": "lenet5.yaml",
    "archcalc": archcalc.__version__,
    "inputs": "input: Nx1x32x32",
    "dtype": "float32",
    "mode": "eval",
    "weights": "seed 0",
}


@pytest.mark.parametrize("arguments", [(), ("-o", "-"), ("-o", "net.py")], ids=str)
def test_source(arguments: tuple[str, ...], run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("build", "lenet5", *arguments)
    shown = Path("net.py").read_text() if "net.py" in arguments else result.out
    assert shown == source(archcalc.load("lenet5"))
    assert (result.code, result.err) == (0, "")


def test_source_follows_the_settings(run) -> None:
    assert "nn.Linear(512, 7)" in run("build", "resnet18", "--set", "classes=7").out
    assert "(N, 1, 64, 48)" in run("build", "lenet5_modern", "--input", "1x64x48").out


def test_an_exported_program(run, tmp_path) -> None:
    file = tmp_path / "net.pt2"
    result = run("build", "lenet5", "-o", str(file))
    assert result == (0, "", f"{file}: lenet5, exported program for eval, float32, input: Nx1x32x32\nweights: drawn with seed 0\n")
    extra = {"archcalc.json": ""}
    torch.export.load(file, extra_files=extra)
    assert json.loads(extra["archcalc.json"]) == ABOUT


def test_an_onnx_file(run, tmp_path) -> None:
    file = tmp_path / "net.onnx"
    result = run("build", "lenet5", "-o", str(file))
    assert result == (0, "", f"{file}: lenet5, ONNX opset 18 for eval, float32, input: Nx1x32x32\nweights: drawn with seed 0\n")
    model = onnx.load(file)
    assert {entry.key: entry.value for entry in model.metadata_props} == ABOUT
    assert (model.producer_name, model.producer_version) == ("archcalc", archcalc.__version__)


@pytest.mark.parametrize("suffix", ["pt2", "onnx"])
def test_exporters_do_not_spill(suffix: str, run_process, tmp_path) -> None:
    result = run_process("build", "lenet5", "-o", f"net.{suffix}", cwd=tmp_path)
    assert (result.code, result.out) == (0, "")
    assert len(result.err.splitlines()) == 2, result.err
    assert [path.name for path in tmp_path.iterdir()] == [f"net.{suffix}"]


def test_weights_are_drawn_by_the_seed_and_taken_up_again(run, tmp_path) -> None:
    files = [tmp_path / name for name in ("first.safetensors", "again.safetensors", "other.safetensors")]
    for file, seed in zip(files, "778", strict=True):
        assert run("build", "lenet5", "-o", str(file), "--seed", seed).code == 0
    first, again, other = (load_file(file) for file in files)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["C1.weight"], other["C1.weight"])
    program = tmp_path / "net.pt2"
    result = run("build", "lenet5", "-o", str(program), "--weights", str(files[0]))
    assert result.err.endswith(f"weights: {len(first)} tensors of first.safetensors\n")
    state = torch.export.load(program).state_dict
    assert all(torch.equal(first[name], state[name]) for name in state)


def test_weights_in_half_precision(run, tmp_path) -> None:
    file = tmp_path / "half.safetensors"
    assert run("build", "lenet5", "-o", str(file), "--dtype", "float16").code == 0
    assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}


def test_a_program_for_training(run, tmp_path) -> None:
    file = tmp_path / "net.pt2"
    assert "for train" in run("build", "resnet20", "--input", "3x16x16", "-o", str(file), "--mode", "train").err
    program = torch.export.load(file).module()
    before = program.get_buffer("bn1.running_mean").clone()
    program(torch.rand(3, 3, 16, 16))
    assert not torch.equal(program.get_buffer("bn1.running_mean"), before)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-o", "net.pt"), "E223", "the suffix .pt says nothing that can be built"),
        (("-o", "net"), "E223", "known here: .py, .pt2, .onnx, .safetensors"),
        (("-o", "net.onnx", "--mode", "eval"), "E232", "ONNX files are for evaluation"),
        (("-o", "net.safetensors", "--mode", "train"), "E232", "--mode has no effect"),
        (("--mode", "train"), "E232", ".py files are the same for both"),
        (("--seed", "1"), "E232", "source holds no weights"),
        (("--weights", "net.safetensors"), "E232", "--weights has no effect"),
        (("--dtype", "float16"), "E232", "--dtype has no effect"),
        (("-o", "net.pt2", "--batch", "2"), "E232", "takes any number of images"),
        (("-o", "net.pt2", "--seed", "1", "--weights", "net.pt"), "E232", "--seed has no effect"),
        (("-o", "net.pt2", "--seed", "-1"), "E220", "from 0 to 2,147,483,647"),
        (("-o", "net.pt2", "--dtype", "int8"), "E252", "int8 has none"),
        (("-o", "net.pt2", "--weights", "none.safetensors"), "E200", "none.safetensors"),
        (("-o", "nowhere/net.onnx"), "E222", "cannot write nowhere/net.onnx"),
        (("-o", "nowhere/net.safetensors"), "E222", "cannot write nowhere/net.safetensors"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_refused(arguments: tuple[str, ...], code: str, said: str, run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("build", "lenet5", *arguments)
    assert result.code == 2
    assert code in result.err
    assert said in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "suffix", "code", "way_out"),
    [
        ("torch", "pt2", "E320", "pip install 'archcalc[torch]'"),
        ("torch", "safetensors", "E320", "pip install 'archcalc[torch]'"),
        ("torch", "onnx", "E321", "pip install 'archcalc[onnx]'"),
        ("onnx", "onnx", "E321", "pip install 'archcalc[onnx]'"),
        ("onnxscript", "onnx", "E321", "pip install 'archcalc[onnx]'"),
    ],
)
def test_what_is_not_installed(missing: str, suffix: str, code: str, way_out: str, run, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = run("build", "lenet5", "-o", str(tmp_path / f"net.{suffix}"))
    assert result.code == 3
    assert code in result.err
    assert missing in result.err.lower().replace("pytorch", "torch")
    assert way_out in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", export.COPIES)
def test_nothing_is_built_that_memory_cannot_hold(form: str, run, tmp_path, monkeypatch) -> None:
    """With a byte less than what it takes it is refused before anything is allocated; with that byte it is written."""
    file = tmp_path / f"net{form}"
    weights = 4 * sum(tensor.numel() for tensor in archcalc.build(archcalc.load("lenet5")).state_dict().values())
    wanted = export.COPIES[form] * weights
    monkeypatch.setattr(export, "free_bytes", lambda: wanted - 1)
    with monkeypatch.context() as patched:
        patched.setattr(export, "build", lambda graph: pytest.fail("it was built"))
        result = run("build", "lenet5", "-o", str(file))
    assert (result.code, list(tmp_path.iterdir())) == (3, [])
    said = f"E323]: the weights take {weights:,} bytes, and making a {form} file of them {wanted:,}; {wanted - 1:,} are free"
    assert said in result.err
    monkeypatch.setattr(export, "free_bytes", lambda: wanted)
    assert run("build", "lenet5", "-o", str(file)).code == 0


def test_what_onnx_cannot_hold_is_not_built(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(export, "MOST_ONNX", 60_000)
    monkeypatch.setattr(export, "build", lambda graph: pytest.fail("it was built"))
    result = run("build", "lenet5", "-o", str(tmp_path / "net.onnx"))
    assert (result.code, "E222]: an ONNX file holds at most 60,000 bytes" in result.err) == (2, True)
    result = run("build", "lenet5", "-o", str(tmp_path / "net.onnx"), "--dtype", "bfloat16")
    assert (result.code, "E322]: ONNX has no convolution of bfloat16" in result.err) == (3, True)


PEAKS = """
import contextlib, resource, sys
from archcalc.cli import main
dtype, *files = sys.argv[1:]
peaks = []
for spec, file in zip(files[::2], files[1::2]):
    with contextlib.suppress(SystemExit):
        main(["build", spec, "-o", file, "--dtype", dtype])
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(peaks[1] - peaks[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel counts in other units")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("form", export.COPIES)
def test_the_copies_of_the_weights_are_counted(form: str, dtype: str, tmp_path) -> None:
    """The kernel's own account of a process that writes a file of some hundred megabytes."""
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [1]\nlayers: [{Linear: {out_features: 50000000}}]\n")
    files = "lenet5", str(tmp_path / f"small{form}"), str(spec), str(tmp_path / f"large{form}")
    ended = subprocess.run([sys.executable, "-c", PEAKS, dtype, *files], capture_output=True, encoding="utf-8", check=True)
    weights = 100_000_000 * (4 if dtype == "float32" else 2)
    assert round(int(ended.stdout) / weights) == export.COPIES[form]


def test_source_needs_no_torch(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run("build", "lenet5").code == 0


def test_a_file_is_replaced_whole_or_not_at_all(run, tmp_path, monkeypatch) -> None:
    file = tmp_path / "net.pt2"
    file.write_bytes(b"before")
    monkeypatch.setattr(delivery.os, "replace", lambda old, new: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "No space left" in run("build", "lenet5", "-o", str(file)).err
    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2"]
    monkeypatch.undo()
    assert run("build", "lenet5", "-o", str(file)).code == 0
    assert file.read_bytes() != b"before"
