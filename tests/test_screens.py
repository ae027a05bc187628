"""Golden screens: what people see at 40, 80 and 200 columns and in a pipe; the printed rows add up to the printed total."""

import re
from pathlib import Path

import pytest

from archcalc.render.formats import FORMATS

KOREAN = str(Path(__file__).parent / "data" / "korean.yaml")
MODELS = {"alexnet": "alexnet", "korean": KOREAN}


@pytest.mark.parametrize("columns", [40, 80, 200, None], ids=["40", "80", "200", "pipe"])
@pytest.mark.parametrize("model", MODELS)
def test_summary(run_process, golden, model: str, columns: int | None) -> None:
    outcome = run_process("summary", MODELS[model], columns=columns, NO_COLOR="1")
    assert (outcome.code, outcome.err) == (0, "")
    golden(outcome.out, f"summary-{model}-{columns or 'pipe'}.txt")


@pytest.mark.parametrize("columns", [40, 80, None], ids=["40", "80", "pipe"])
def test_list(run_process, golden, columns: int | None) -> None:
    golden(run_process("list", "alexnet", columns=columns, NO_COLOR="1").out, f"list-{columns or 'pipe'}.txt")


def test_folded(run, golden) -> None:
    golden(run("summary", "resnet50", "--depth", "2", "--columns", "+receptive_field").out, "summary-folded.txt")


def test_everything(run, golden) -> None:
    golden(run("summary", KOREAN, "--columns", "all").out, "summary-all.txt")


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("table", "html")])
def test_formats(run, golden, form: str) -> None:
    golden(run("summary", KOREAN, "--format", form).out, f"summary.{form}")


def test_colours_of_a_terminal(run_process, golden) -> None:
    golden(run_process("summary", KOREAN, columns=80).out, "summary-colour.txt")


@pytest.mark.parametrize("command", ["", "summary", "list"])
def test_help(run, golden, command: str) -> None:
    golden(run(*command.split(), "--help", COLUMNS="80").out, f"help-{command or 'archcalc'}.txt")


def test_error(run, golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "input: [3, 32, 32]\nlayers:\n  - Conv2d: {name: 합성곱, filters: 8}\n"
    Path("net.yaml").write_text(spec, "utf-8")
    golden(run("summary", "net.yaml").err, "error.txt")


COUNT = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})*")


@pytest.mark.parametrize("arguments", [["alexnet"], ["resnet50", "--depth", "1"], ["googlenet_aux", "--batch", "3"], [KOREAN]])
def test_the_printed_rows_add_up_to_the_printed_total(run, arguments: list[str]) -> None:
    """Read the table as a person does: by the columns that stand under the headings."""
    out = run("summary", *arguments, "--columns", "params,trainable,buffers,macs,flops,output_bytes,neurons,connections").out
    lines = out.splitlines()[2:]
    heading, *rows = lines[: lines.index("")]
    ends = [match.end() - len(heading) or None for match in re.finditer(r"\S+(?: \S+)*", heading)][1:]  # names may be wide
    assert rows[-1].startswith("total ")
    for number, end in enumerate(ends):
        figures = [row[:end].rsplit(" ", 1)[-1].replace(",", "") for row in rows]
        *parts, total = figures
        if heading[:end].endswith("(KiB)"):
            found = sum(float(part.removeprefix("<")) for part in parts)
            assert found == pytest.approx(float(total), abs=0.1 * len(rows)), number  # each row is rounded by itself
        else:
            assert sum(map(int, parts)) == int(total), number
            assert COUNT.fullmatch(rows[-1][:end].rsplit(" ", 1)[-1])
