"""What the shell offers: commands, models, variants, params; and the scripts that make it ask."""

import os
import subprocess
import sys
from pathlib import Path
from shlex import quote
from shutil import which
from typing import Any

import click
import pytest

from archcalc.analysis.devices import DEVICES, find
from archcalc.cli.completion import SHELLS, complete_layers
from archcalc.spec import index

ROOT = Path(__file__).parents[1]


@pytest.fixture
def offered(run_process: Any) -> Any:
    """The values offered for the last word of a command line: ``offered("summary al")``."""

    def ask(line: str, cwd: Path | None = None) -> list[str]:
        words = f"archcalc {line}"
        variables = {"_ARCHCALC_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        outcome = run_process(cwd=cwd, PYTHONPATH=str(ROOT), **variables)
        assert outcome.err == ""
        assert outcome.code == 0
        return [item.partition(",")[2] if item.startswith("plain,") else item for item in outcome.out.split()]

    return ask


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("comp", ["compare", "completion"]),
        ("summary lenet5_", ["lenet5_modern"]),
        ("compare alexnet resnet18_", ["resnet18_a"]),
        ("summary alexnet --set to", ["towers="]),
        ("summary alexnet --set pool_first=", ["pool_first=true", "pool_first=false"]),
        ("summary alexnet --set pool_first=t", ["pool_first=true"]),
        ("summary lenet5 --set ", []),
        ("summary alexnet --variant alexnet_p", ["alexnet_pool_first"]),
        ("compare alexnet zfnet --set lrn_k", ["lrn_k="]),
        ("summary nothing --set to", []),
        ("summary --set to", []),
        ("schema su", ["summary"]),
        ("summary alexnet --columns rec", ["receptive_field"]),
        ("summary alexnet --columns params,ma", ["params,macs", "params,macs_percent"]),
        ("summary alexnet --columns +sa", ["+saved_bytes"]),
        ("summary alexnet --columns +params,para", ["+params,params_percent"]),
        ("completion ", list(SHELLS)),
        ("summary alexnet --dtype float", ["float32", "float16", "float64"]),
        ("roofline alexnet --gpu rtx", ["RTX-3090", "RTX-4090"]),
        ("memory alexnet --gpu H1", ["H100-SXM"]),
        ("fit alexnet --over si", ["size="]),
        ("bench alexnet --dtype fp32,b", ["fp32,bf16"]),
        ("bench alexnet --layout nhwc,", ["nhwc,nchw"]),
        ("bench alexnet --exec e", ["eager"]),
        ("verify page.md --model alexnet --variant alexnet_p", ["alexnet_pool_first"]),
        ("verify alexnet --variant alexnet_p", ["alexnet_pool_first"]),
    ],
)
def test_what_is_offered(offered: Any, line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_every_device_is_found_by_the_name_that_is_offered(offered: Any) -> None:
    assert tuple(map(find, offered("roofline alexnet --gpu "))) == DEVICES


@pytest.mark.skipif(not which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["summary", "alexnet", "--dtype", "="], ["float32", "float16", "bfloat16", "float64", "int8"]),
        (["summary", "alexnet", "--dtype", "=", "fl"], ["float32", "float16", "float64"]),
        (["summary", "alexnet", "--set", "pool_first", "="], ["true", "false"]),
        (["summary", "alexnet", "--set", "pool_first", "=", "t"], ["true"]),
        (["summary", "alexnet", "--set", "=", "pool_first", "=", "t"], ["true"]),
        (["summary", "alexnet", "--set", "size", "=", "64", "--set", "to"], ["towers="]),
        (["summary", "alexnet", "--set", "pool_first=t"], ["pool_first=true"]),  # COMP_WORDBREAKS without =
        (["fit", "alexnet", "--gpu", '"gtx 580 3'], ["GTX-580-3GB"]),
        (["fit", "alexnet", "--gpu", "=", "h1"], ["H100-SXM"]),
        (["summary", "./my"], [r"./my\ \$net,\ 2.yaml"]),
        (["summary", "'./my"], ["./my $net, 2.yaml"]),
        (["summary", r"./my\ \$net,\ 2.yaml", "--set", "wi"], ["wide="]),
    ],
    ids=" ".join,
)
def test_bash_gets_what_stands_on_its_line(words: list[str], expected: list[str], run: Any, tmp_path: Path) -> None:
    """The words are as bash parts them, and what it is to put in the place of the last one."""
    (tmp_path / "my $net, 2.yaml").write_text("input: [1]\nparams: {wide: true}\nlayers: [Flatten]\n", encoding="utf-8")
    command = tmp_path / "archcalc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archcalc\n', encoding="utf-8")
    command.chmod(0o755)
    line = " ".join(quote(word) for word in ("archcalc", *words))
    asked = f'COMP_WORDS=({line}); COMP_CWORD={len(words)}; _archcalc_completion ./archcalc; printf "%s\\n" "${{COMPREPLY[@]}}"'
    ended = subprocess.run(
        ["bash", "-c", f"{run('completion', 'bash').out}\n{asked}"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert ended.stdout.splitlines() == expected


def test_every_bundled_name_is_offered(offered: Any, tmp_path: Path) -> None:
    assert offered("show ", tmp_path) == list(index())


def test_spec_files_are_offered_and_other_files_left_to_the_shell(offered: Any, tmp_path: Path) -> None:
    for name in ("alex.yaml", "alex.txt", "nets/mine.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert offered("summary alexnet_k", tmp_path) == ["alexnet_keras"]
    assert "alex.yaml" in offered("summary al", tmp_path)
    assert "alex.txt" not in offered("summary al", tmp_path)
    assert offered("summary nets/", tmp_path) == ["nets/mine.yml"]
    assert offered("summary ./net", tmp_path) == ["file,./net"]
    assert offered("summary nowhere/net", tmp_path) == ["file,nowhere/net"]


def test_params_of_a_file_of_ones_own(offered: Any, tmp_path: Path) -> None:
    text = "input: [3, 8, 8]\nparams: {width: 8, wide: true}\nlayers: [Conv2d: {out_channels: width, kernel_size: 3}]\n"
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    assert offered("summary net.yaml --set w", tmp_path) == ["width=", "wide="]
    assert offered("summary net.yaml:net --set w", tmp_path) == ["width=", "wide="]
    (tmp_path / "net.yaml").write_text("layers: [", encoding="utf-8")
    assert offered("summary net.yaml --set w", tmp_path) == []


@pytest.mark.parametrize(
    ("params", "incomplete", "expected"),
    [
        ({"model": "alexnet"}, "conv", ["conv1", "conv2", "conv3", "conv4", "conv5"]),
        ({"model": "resnet.yaml"}, "", []),
        ({"model": "resnet18"}, "layer4.1.co", ["layer4.1.conv1", "layer4.1.conv2"]),
        ({"model": None}, "", []),
    ],
    ids=str,
)
def test_layers(params: dict[str, Any], incomplete: str, expected: list[str]) -> None:
    context = click.Context(click.Command("explain"))
    context.params = params
    found = complete_layers(context, click.Argument(["layer"]), incomplete)
    assert [item.value for item in found] == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_takes(run: Any, shell: str) -> None:
    outcome = run("completion", shell)
    assert outcome.code == 0
    assert "_ARCHCALC_COMPLETE" in outcome.out
    if which(shell):
        assert subprocess.run([shell, "-n"], input=outcome.out, encoding="utf-8", capture_output=True, check=False).stderr == ""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"COMP_CWORD": "1"},
        {"COMP_WORDS": "archcalc"},
        {"COMP_WORDS": "archcalc", "COMP_CWORD": "x"},
        {"COMP_WORDS": "a", "COMP_CWORD": "9" * 5000},
    ],
    ids=["nothing", "no words", "no place", "no number", "no such place"],
)
def test_completion_without_a_shell_is_refused(run: Any, variables: dict[str, str]) -> None:
    outcome = run(_ARCHCALC_COMPLETE="bash_complete", **variables)
    assert (outcome.code, outcome.out) == (2, "")
    assert "_ARCHCALC_COMPLETE is set, but not COMP_WORDS and COMP_CWORD" in outcome.err


def test_fish_gives_the_word_instead_of_its_place(run: Any) -> None:
    outcome = run(_ARCHCALC_COMPLETE="fish_complete", COMP_WORDS="archcalc su", COMP_CWORD="su")
    assert outcome.out.startswith("plain,summary")


def test_completing_a_command_imports_next_to_nothing() -> None:
    """Neither the specs' reader, nor what only tables need."""
    program = "import sys; from archcalc.cli import main\ntry: main([])\nfinally: print(*sorted(sys.modules), file=sys.stderr)"
    environment = {"_ARCHCALC_COMPLETE": "bash_complete", "COMP_WORDS": "archcalc co", "COMP_CWORD": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", check=False)
    assert ended.stdout.split() == ["plain,compare", "plain,completion"]
    assert not {"yaml", "rich", "torch", "msgspec", "archcalc.spec", "archcalc.ops"} & set(ended.stderr.split())
