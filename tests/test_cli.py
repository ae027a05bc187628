"""The command line as its users meet it: help, exit codes, errors, files; what it prints is in test_screens.py."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import archcalc.cli
from archcalc.analysis import DTYPE_BYTES
from archcalc.analysis.conventions import CONVENTIONS
from archcalc.cli import options
from archcalc.render.formats import FORMATS
from archcalc.render.progress import progress, waiting

KOREAN = str(Path(__file__).parent / "data" / "korean.yaml")


def commands() -> list[tuple[str, click.Command]]:
    group = archcalc.cli.group
    context = click.Context(group, info_name="archcalc")
    return [("archcalc", group), *((name, group.get_command(context, name)) for name in archcalc.cli.COMMANDS)]


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_option_has_a_line_of_help_and_every_command_examples(name: str, command: click.Command) -> None:
    context = click.Context(command, info_name=name)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.endswith("."), parameter.help
    assert command.help
    assert f"archcalc {name}" in command.get_help(context) or name == "archcalc"
    assert all(f"archcalc {name}" in example for example in getattr(command, "examples", ()))
    assert getattr(command, "examples", ("the group's are in its text",))


@pytest.mark.parametrize(("name", "command"), commands()[1:])
def test_defaults_stand_in_the_help(name: str, command: click.Command, run) -> None:
    text = " ".join(run(name, "--help").out.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option) and isinstance(parameter.default, (str, int)) and not parameter.is_flag:
            assert f"[default: {parameter.default}" in text, parameter.opts


def test_the_table_of_commands_names_them_as_they_name_themselves() -> None:
    for name, command in commands()[1:]:
        assert command.name == name
        assert archcalc.cli.COMMANDS[name][1].endswith(".")


def test_literal_choices_are_those_of_the_floors_below() -> None:
    assert set(options.DTYPES) == set(DTYPE_BYTES)
    assert tuple(FORMATS) == options.FORMATS
    assert set(options.SUFFIXES.values()) == set(FORMATS)
    assert set(options.COUNTS) == {*CONVENTIONS, "all"}


REFUSED = [  # arguments, what stands in the error, the way out
    (("sumary", "alexnet"), "error[E221]: there is no command sumary", "did you mean summary?"),
    (("resnet50",), "error[E221]: there is no command resnet50", "archcalc summary resnet50"),
    (("net.yaml",), "error[E221]: there is no command net.yaml", "archcalc summary net.yaml"),
    (("summary",), "error[E220]: archcalc summary needs MODEL", "see archcalc summary --help"),
    (("summary", "alexnet", "--formt", "json"), "error[E220]: archcalc summary has no option --formt", "did you mean --format?"),
    (("summary", "alexnet", "--format", "xml"), "error[E220]: invalid value for '--format': 'xml' is not one of", "see archcalc"),
    (("summary", "alexnet", "--batch", "0"), "error[E220]: invalid value for '--batch': a whole number from 1", "see archcalc"),
    (("summary", "alexnet", "--batch", "9" * 5000), "a whole number from 1 to 2,147,483,647 is needed", "see archcalc"),
    (("summary", "alexnet", "--depth", "x"), "error[E220]: invalid value for '--depth'", "see archcalc"),
    (("summary", "alxnet"), "error[E201]: there is no model alxnet", "did you mean alexnet?"),
    (("summary", "no.yaml"), "error[E200]: there is no file no.yaml", "archcalc list"),
    (("summary", "resnet", "--variant", "resnet51"), "error[E202]: resnet has no variant resnet51", "did you mean resnet"),
    (("summary", "alexnet", "--set", "clases=10"), "error[E203]: alexnet has no param clases", "did you mean classes?"),
    (("summary", "alexnet", "--set", "classes"), "error[E226]: --set needs name=value, not classes", "--set classes=10"),
    (("summary", "alexnet", "--set", "classes=[1"), "error[", "classes"),
    (("summary", "alexnet", "--input", "3by2"), "error[E225]: --input needs sizes such as 3x224x224, not 3by2", "channels x"),
    (("summary", "alexnet", "--input", "left=3x2x2"), "error[E204]: alexnet has no input left", ""),
    (
        ("summary", "alexnet", "--columns", "receptive"),
        "error[E224]: there is no column receptive",
        "did you mean receptive_field?",
    ),
    (("summary", "alexnet", "--columns", "activation"), "error[E224]: there is no column activation", "did you mean output_bytes?"),
    (("summary", "alexnet", "--columns", ","), "error[E224]: --columns names no column", "for example"),
    (("summary", "alexnet", "-o", "x.foo"), "error[E223]: the suffix .foo says no format: x.foo", ".csv"),
    (("summary", "alexnet", "-o", "x.cvs"), "error[E223]: the suffix .cvs says no format: x.cvs", "did you mean .csv?"),
    (("summary", "alexnet", "-o", "x.yaml"), "error[E223]: the suffix .yaml says no format: x.yaml", "archcalc show MODEL -o FILE"),
    (("summary", "mobilenet"), "error[E201]: there is no model mobilenet", "archcalc list shows the bundled models"),
    (("compare",), "error[E220]: archcalc compare needs MODEL MODEL...", "see archcalc compare --help"),
    (("completion",), "error[E220]: archcalc completion needs bash|zsh|fish", "one of bash, zsh, fish"),
    (("summary", "alexnet", "--columns", "params", "--format", "json"), "error[E232]: --columns has no effect here", "leave out"),
    (("summary", "alexnet", "--columns", "params", "--count", "all"), "error[E232]: --columns has no effect here", "leave out"),
    (("summary", "alexnet", "--depth", "1", "--count", "all"), "error[E232]: --depth has no effect here", "leave out"),
    (("compare", "alexnet", "zfnet", "--all", "--count", "all"), "error[E232]: --all has no effect here", "leave out"),
    (("compare", "alexnet", "zfnet", "--depth", "1", "--count", "all"), "error[E232]: --depth has no effect here", "leave out"),
    (("compare", "alexnet", "zfnet", "--count", "thop", "--format", "csv"), "error[E232]: --count has no effect here", "json"),
    (("summary", "alexnet", "-o", "x"), "error[E223]: a name without a suffix says no format: x", "--format"),
    (("summary", "alexnet", "-o", "no/such/folder.csv"), "error[E222]: cannot write no/such/folder.csv: No such file", "nothing"),
    (("list", "nothing of this name"), "error[E201]: no bundled model has nothing of this name", "archcalc list"),
]


@pytest.mark.parametrize(("arguments", "message", "help"), REFUSED, ids=[" ".join(case[0])[:60] for case in REFUSED])
def test_what_cannot_be_done_is_said_with_a_way_out(run, arguments: tuple[str, ...], message: str, help: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert help in outcome.err
    assert "Traceback" not in outcome.err


def test_no_arguments_show_the_help(run) -> None:
    outcome = run()
    assert outcome.code == 2
    assert "archcalc summary alexnet" in outcome.err


def test_settings_are_read_as_a_spec_reads_them(run) -> None:
    def total(*settings: str) -> int:
        arguments = [word for setting in settings for word in ("--set", setting)]
        return json.loads(run("summary", "resnet", *arguments, "--format", "json").out)["totals"]["params"]

    assert total() == total("depths=[3, 4, 6, 3]") == total("depths=[3,4,2*3,3]", "classes=1_000") == 25_557_032
    assert total("depths=[2,2,2,2]", "bottleneck=false") == 11_689_512
    assert total("classes=7", "classes=1000") == 25_557_032  # the last one counts


FAMILY = """\
input: [3, 8, 8]
params: {width: 4}
layers: [Conv2d: {out_channels: width, kernel_size: 1}]
variants: {wide: {set: {width: 8}, expect: {params: 32}}, wider: {set: {width: 16}, expect: {params: 999}}}
"""


def test_two_variants_of_a_file_stand_side_by_side(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(FAMILY)

    def totals(*models: str) -> list[int]:
        told = json.loads(run("compare", *models, "--format", "json").out)
        return next(total["values"] for total in told["totals"] if total["quantity"] == "params")

    assert totals("net.yaml:wide", "net.yaml:wider", "net.yaml") == [3 * 8 + 8, 3 * 16 + 16, 3 * 4 + 4]
    assert totals("net.yaml:wide", "./net.yaml", "--variant", "wide") == [32, 32]  # what is meant twice may be the same
    refused = run("compare", "net.yaml", "net.yaml", "--variant", "wide")
    assert (refused.code, refused.out) == (2, "")
    assert "error[E227]: net.yaml is named twice, and --variant wide holds for both" in refused.err
    way_out = refused.err.rpartition("= help: archcalc ")[2].split()
    assert totals(*way_out[1:]) == [16, 32]


def test_the_variant_behind_the_colon_is_the_one_of_the_option(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(FAMILY)
    for command in ("summary", "memory", "worksheet", "verify", "why net.yaml:wide 32"):
        name, *others = command.split()
        by_colon, by_option = (run(name, *(others or ["net.yaml:wide"])), run(name, "net.yaml", "--variant", "wide", *others[1:]))
        assert by_colon == by_option
        assert by_colon.code == 0, by_colon.err
    assert run("verify", "net.yaml:wider").code == run("verify", "net.yaml").code == 1
    run("worksheet", "net.yaml:wider", "-o", "page.md")
    assert run("verify", "page.md").code == run("verify", "page.md", "--model", "net.yaml:wider").code == 0
    refused = run("summary", "net.yaml:wide", "--variant", "wider")
    assert "error[E233]: net.yaml:wide is asked for as wide and as wider" in refused.err
    way_out = refused.err.rpartition("name one: ")[2].split()
    assert run("summary", *way_out) == run("summary", "net.yaml", "--variant", "wider")


def test_the_only_input_needs_no_name(run, tmp_path: Path) -> None:
    spec = tmp_path / "two.yaml"
    spec.write_text("input: {left: [3, 8, 8]}\nlayers: [Flatten]\n")
    told = json.loads(run("summary", str(spec), "--input", "3x4x4", "--batch", "2", "--format", "json").out)
    assert told["input"] == [2, 3, 4, 4]
    spec.write_text("input: {left: [3, 8, 8], right: [3, 8, 8]}\nlayers:\n  - Add: {from: [left, right]}\n")
    refused = run("summary", str(spec), "--input", "3x4x4")
    assert "the model has 2 inputs: left, right" in refused.err
    told = json.loads(run("summary", str(spec), "--input", "left=3x4x4", "--input", "right=3,4,4", "--format", "json").out)
    assert told["input"] == {"left": [1, 3, 4, 4], "right": [1, 3, 4, 4]}


@pytest.mark.parametrize("suffix", options.SUFFIXES)
def test_the_suffix_decides_the_format(run, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"out{suffix}"
    outcome = run("summary", KOREAN, "-o", str(file))
    assert outcome == (0, "", "")
    assert file.read_text("utf-8") == run("summary", KOREAN, "--format", options.SUFFIXES[suffix]).out
    assert list(tmp_path.iterdir()) == [file]


def test_the_option_overrules_the_suffix_and_a_dash_is_standard_output(run, tmp_path: Path) -> None:
    run("summary", KOREAN, "-o", str(tmp_path / "data.txt"), "--format", "json")
    assert json.loads((tmp_path / "data.txt").read_text("utf-8"))["variant"] == "한글망"
    assert run("summary", KOREAN, "-o", "-").out == run("summary", KOREAN).out


TO_STDOUT = [["summary", KOREAN], ["show", "alexnet"], ["--help"], ["summary", "--help"], ["--version"], ["completion", "bash"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("arguments", TO_STDOUT, ids=lambda arguments: arguments[0])
def test_a_full_disk_behind_standard_output_is_told(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "archcalc", *arguments]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, encoding="utf-8")
    assert ended.returncode == 2
    assert "cannot write to standard output: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def with_closed(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with some of its streams closed before it starts."""
    command = ["sh", "-c", f'exec "$0" -m archcalc "$@" {streams}', sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)


@pytest.mark.skipif(os.name == "nt", reason="closes streams by a POSIX shell")
@pytest.mark.parametrize("arguments", TO_STDOUT, ids=lambda arguments: arguments[0])
def test_a_closed_standard_output_is_told(arguments: list[str]) -> None:
    ended = with_closed(">&-", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "error[E222]: cannot write to standard output: Bad file descriptor" in ended.stderr


@pytest.mark.skipif(os.name == "nt", reason="closes streams by a POSIX shell")
def test_who_needs_no_stream_does_not_miss_it(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    assert with_closed(">&-", "summary", KOREAN, "-o", str(file)).returncode == 0
    assert json.loads(file.read_text("utf-8"))["variant"] == "한글망"
    assert with_closed("2>&-", "summary", "nope").returncode == 2
    assert with_closed("<&-", "summary", "-").returncode == 2


def test_a_spec_may_come_from_standard_input(run) -> None:
    spec = "input: [3, 8, 8]\nlayers: [Flatten]\n"
    told = json.loads(run("summary", "-", "--format", "json", input=spec).out)
    assert (told["variant"], told["layers"][0]["output_shape"]) == ("stdin", [1, 192])
    assert "--> stdin:2:10" in run("summary", "-", input=spec.replace("Flatten", "Flaten")).err


def test_standard_input_is_one_file_however_often_it_is_named(run, tmp_path: Path) -> None:
    spec = "input: [3, 8, 8]\nlayers: [Flatten, {Linear: {out_features: 10}}]\n"
    file = tmp_path / "net.yaml"
    file.write_text(spec)
    for line in ("compare MODEL MODEL", "bench MODEL --batch 1,4 --device cpu --dry-run"):
        from_file, from_stdin = (run(*line.replace("MODEL", model).split(), input=spec) for model in (str(file), "-"))
        assert from_stdin.code == 0, from_stdin.err
        words = from_file.out.replace(str(file), "-").split()  # columns are as wide as names
        assert from_stdin.out.replace("stdin", "net").split() == words


def test_a_file_that_lies_here_is_not_taken_for_a_misspelt_model(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "input: [3, 8, 8]\nlayers: [Flatten]\n"
    for name in ("alexnt.yaml", "spec", "UP.YAML"):
        Path(name).write_text(text)
    assert "did you mean alexnt.yaml?" in run("summary", "alexnt").err
    assert "for the file of this name write ./spec" in run("summary", "spec").err
    assert run("summary", "./spec").code == run("summary", "UP.YAML").code == 0


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-m", "archcalc", "summary", "resnet1202", "--format", "json"]  # more than a pipe holds
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == archcalc.cli.BROKEN_PIPE


def raising(error: BaseException):
    def raise_it(*arguments: object, **others: object) -> None:
        raise error

    return raise_it


def test_a_bug_keeps_its_traceback(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.Request, "load", raising(ZeroDivisionError("by surprise")))
    outcome = run("summary", "alexnet")
    assert outcome.code == 70
    assert "Traceback" in outcome.err
    assert "ZeroDivisionError: by surprise" in outcome.err
    assert "This is a bug in archcalc" in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_silent(run, monkeypatch: pytest.MonkeyPatch, stopped: BaseException) -> None:
    monkeypatch.setattr(options.Request, "load", raising(stopped))
    assert run("summary", "alexnet") == (130, "", "")


def test_something_missing_has_its_own_exit_code(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc.errors import MissingError

    monkeypatch.setattr(options.Request, "load", raising(MissingError("E300", "torch is not installed")))
    assert run("summary", "alexnet").code == 3


@pytest.mark.parametrize("wanted", [{"ARCHCALC_ERRORS": "short"}, "--errors short", "--errors=short"])
@pytest.mark.parametrize("before", [True, False])
def test_the_style_of_errors_counts_wherever_it_stands(run, wanted: object, before: bool) -> None:
    if isinstance(wanted, dict):
        outcome = run("summary", "alxnet", **wanted)
    else:
        words = str(wanted).split()
        outcome = run(*words, "summary", "alxnet") if before else run("summary", "alxnet", *words)
    assert outcome.err == "error[E201]: there is no model alxnet (did you mean alexnet?)\n"


def test_the_style_counts_for_what_cannot_even_be_parsed(run) -> None:
    told = json.loads(run("summary", "--errors", "json", "--nonsense").err)
    assert told["code"] == "E220"
    assert told["message"] == "archcalc summary has no option --nonsense"
    assert told["exit_code"] == 2


def test_a_list_is_searched_in_names_titles_and_sources(run) -> None:
    def names(text: str) -> set[str]:
        return {row["name"] for row in map(json.loads, run("list", text, "--format", "jsonl").out.splitlines())}

    assert {"vgg16", "vgg_d"} <= names("VGG")
    assert "resnet50" in names("1512.03385")
    assert "vgg16" not in names("1512.03385")
    assert names("caffenet") == {"alexnet_caffenet"}


def test_the_list_holds_every_bundled_variant(run) -> None:
    from archcalc.spec import index

    told = json.loads(run("list", "--format", "json").out)
    assert told["schema"] == "archcalc.list/1"
    assert [row["name"] for row in told["models"]] == list(index())
    alexnet = next(row for row in told["models"] if row["name"] == "alexnet")
    assert (alexnet["params"], alexnet["input"], alexnet["family"]) == (62_378_344, [3, 227, 227], "alexnet")


class Stream:
    """A stream that keeps what it is told."""

    def __init__(self, terminal: bool):
        self.terminal, self.text = terminal, ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("terminal", "seconds", "told"), [(True, 0.6, True), (True, 0.1, False), (False, 0.6, False)])
def test_progress_is_shown_on_a_terminal_after_a_second(terminal: bool, seconds: float, told: bool) -> None:
    ticks = iter(seconds * step for step in range(100))
    stream = Stream(terminal)
    assert list(progress("abcd", "reading", stream, clock=lambda: next(ticks))) == list("abcd")
    assert ("reading [" in stream.text) is told
    assert stream.text == "" or stream.text.endswith(" \r")  # nothing of it stays on the line


def test_progress_is_wiped_where_the_caller_stops_on_the_way() -> None:
    ticks = iter(range(100))
    stream = Stream(True)
    for item in progress("abcd", "reading", stream, clock=lambda: next(ticks)):
        if item == "c":
            break
    assert "reading [" in stream.text
    assert stream.text.endswith(" \r")


@pytest.mark.parametrize(("terminal", "seconds", "told"), [(True, 0.01, True), (True, 60.0, False), (False, 0.01, False)])
def test_waiting_is_told_on_a_terminal_and_wiped(terminal: bool, seconds: float, told: bool) -> None:
    stream = Stream(terminal)
    limit = time.monotonic() + (10 if told else 0.1)
    with waiting("building", stream, patience_seconds=seconds):
        while time.monotonic() < limit and "building 0 s" not in stream.text:
            time.sleep(0.01)
    assert ("building 0 s" in stream.text) is told
    assert stream.text == "" or stream.text.endswith(" \r")
