"""No command replaces a file that it reads, however the file is named, nor writes two results into one."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import archcalc.cli
from archcalc.cli.options import FileName
from archcalc.spec import zoo

NET = "input: [3, 8, 8]\nlayers: [Flatten]\n"
PAGE = "---\nmodel: net.yaml\n---\nconv1\n3 * 3 = 9\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a spec, links to it, a page about it and what other commands read; the bundled specs are a copy."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET)
    Path("soft.yaml").symlink_to("net.yaml")
    Path("hard.yaml").hardlink_to("net.yaml")
    Path("notes.md").write_text(PAGE)
    for other in ("weights.safetensors", "device.json", "times.json"):
        Path(other).write_text("precious")
    shutil.copytree(zoo.FOLDER, "bundled")
    monkeypatch.setattr(zoo, "FOLDER", str(tmp_path / "bundled"))
    return tmp_path


AS_JSON = ("--format", "json", "-o")
OVER = [  # a command, what it would write, and where it reads the same file
    ("worksheet net.yaml -o net.yaml", "-o net.yaml", "net.yaml"),
    ("worksheet net.yaml -o ./net.yaml", "-o ./net.yaml", "net.yaml"),
    ("worksheet soft.yaml -o net.yaml", "-o net.yaml", "soft.yaml"),
    ("worksheet net.yaml -o hard.yaml", "-o hard.yaml", "net.yaml"),
    ("show net.yaml --expanded -o soft.yaml", "-o soft.yaml", "net.yaml"),
    ("show lenet5 -o bundled/lenet5.yaml", "-o bundled/lenet5.yaml", "{folder}/bundled/lenet5.yaml"),
    ("summary net.yaml --format json -o net.yaml", "-o net.yaml", "net.yaml"),
    ("summary net.yaml:net --format json -o net.yaml", "-o net.yaml", "net.yaml"),
    ("compare lenet5 soft.yaml:soft --format json -o net.yaml", "-o net.yaml", "soft.yaml"),
    ("show lenet5:lenet5 -o bundled/lenet5.yaml", "-o bundled/lenet5.yaml", "{folder}/bundled/lenet5.yaml"),
    ("explain net.yaml --format json -o net.yaml", "-o net.yaml", "net.yaml"),
    ("compare lenet5 net.yaml --format json -o net.yaml", "-o net.yaml", "net.yaml"),
    ("verify notes.md -o notes.md", "-o notes.md", "notes.md"),
    ("verify notes.md --annotate notes.md", "--annotate notes.md", "notes.md"),
    ("verify notes.md -o net.yaml", "-o net.yaml", "net.yaml"),  # the page names it
    ("verify notes.md --model soft.yaml -o net.yaml", "-o net.yaml", "soft.yaml"),
    ("weights lenet5 weights.safetensors --format json -o weights.safetensors", "-o weights.safetensors", "weights.safetensors"),
    ("build lenet5 --weights weights.safetensors -o weights.safetensors", "-o weights.safetensors", "weights.safetensors"),
    ("roofline lenet5 --profile device.json -o device.json", "-o device.json", "device.json"),
    ("bench net.yaml --device cpu --json net.yaml", "--json net.yaml", "net.yaml"),
    ("bench lenet5 net.yaml --device cpu --dry-run --json net.yaml", "--json net.yaml", "net.yaml"),
    ("bench lenet5 --device cpu --profile device.json --json device.json", "--json device.json", "device.json"),
    ("bench lenet5 --device cpu --compare times.json --json times.json", "--json times.json", "times.json"),
    ("bench --report times.json -o times.json", "-o times.json", "times.json"),
]
TWICE = [  # and what it would write again
    ("verify notes.md --annotate new.md -o ./new.md", "-o ./new.md", "--annotate"),
    ("verify notes.md --annotate times.json -o times.json", "-o times.json", "--annotate"),
    ("bench lenet5 --device cpu --json new.json -o new.json", "-o new.json", "--json"),
]
REFUSED = [
    *((line, f"{written} would replace what the command reads from {source}") for line, written, source in OVER),
    *((line, f"{written} would replace what {option} writes") for line, written, option in TWICE),
]


@pytest.mark.parametrize(("line", "message"), REFUSED, ids=[case[0][:60] for case in REFUSED])
def test_what_is_read_is_not_written_over(run: Callable, folder: Path, line: str, message: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    outcome = run(*line.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert f"error[E222]: {message.format(folder=folder)}\n" in outcome.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_file_behind_standard_input_is_not_written_over(folder: Path) -> None:
    command = [sys.executable, "-m", "archcalc", "worksheet", "-", "-o", "net.yaml"]
    with open("net.yaml") as stdin:
        ended = subprocess.run(command, stdin=stdin, capture_output=True, encoding="utf-8")
    assert (ended.returncode, Path("net.yaml").read_text()) == (2, NET)
    assert "-o net.yaml would replace what the command reads from -" in ended.stderr


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="a path that leads to standard output")
def test_a_file_behind_standard_output_takes_one_result_after_another(run: Callable) -> None:
    command = [sys.executable, "-m", "archcalc", *"verify notes.md --annotate /dev/stdout -o /dev/stdout".split()]
    with open("both", "w") as stdout:
        assert subprocess.run(command, stdout=stdout).returncode == 0
    assert Path("both").read_text("utf-8") == run(*"verify notes.md --annotate - -o -".split()).out


WRITTEN = [  # names that look like a file that is read and are none
    "summary net.yaml --format json -o net",
    "summary lenet5 --format json -o lenet5.yaml",
    "show lenet5 -o lenet5.yaml",
    "verify notes.md --annotate new.md -o new.json",
    "verify notes.md --annotate /dev/null -o /dev/null",
    "verify notes.md --annotate - -o -",
]


@pytest.mark.parametrize("line", WRITTEN)
def test_other_files_are_written_and_written_again(run: Callable, folder: Path, line: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    first, second = run(*line.split()), run(*line.split())
    assert first == second
    assert first.code == 0, first.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_file_that_is_not_there_is_missed_before_it_is_written(run: Callable) -> None:
    outcome = run("summary", "nowhere.yaml", *AS_JSON, "nowhere.yaml")
    assert "error[E200]: there is no file nowhere.yaml" in outcome.err
    assert not Path("nowhere.yaml").exists()
    assert json.loads(run("summary", "net.yaml", *AS_JSON, "-").out)["variant"] == "net"


def test_every_parameter_that_names_a_file_says_what_becomes_of_it() -> None:
    context = click.Context(archcalc.cli.group, info_name="archcalc")
    for name in archcalc.cli.COMMANDS:
        command = archcalc.cli.group.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            metavar = parameter.metavar or ""
            files = isinstance(parameter.type, FileName)
            assert files == any(word in metavar for word in ("FILE", "MODEL", "PAGE")), (name, parameter.opts)
            if files:
                writes = str(getattr(parameter, "help", "")).startswith(("Write ", "Keep "))
                assert (parameter.type.use == "write") == writes, (name, parameter.opts)
                assert (parameter.type.use == "model") == (metavar != "FILE"), (name, parameter.opts)
