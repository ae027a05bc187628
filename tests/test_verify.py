"""``archcalc verify`` and ``archcalc worksheet`` as commands: screens, formats, exit codes, and pages that mean harm."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archcalc import worksheet
from archcalc.cli.verify import FORMATS as OFFERED
from archcalc.render.schemas import schema_text
from archcalc.render.verify import FORMATS
from archcalc.spec import index, read_spec
from archcalc.worksheet.files import check_spec
from archcalc.worksheet.slips import SLIPS

ALEXNET = Path(__file__).parents[1] / "specs" / "alexnet.yaml"
WRONG = """\
# Two convolutions
input: 224x224x3
Conv1
96 kernels of size 11x11, stride=4, padding=0
output: (224-11)/4+1=55 >> 55x55x96
parameter = 11 x 11 x 3 x 96 = 34,848
pool
3x3 kernels, stride=2
output: 27x27x96
In 2012 this won by 10.9 points.
"""
HOSTILE = (
    "[bold red]Conv1[/bold red]: 3x3, 8 filters, stride 1\n"
    "3*3 = 10 \x1b[31m\x1b]8;;http://example.org\x07 ]]> <!-- & \" ' \x00\n"
    "::error file=x::3*3 = 10\n"
    "=cmd|' /C calc'!A0 3*3 = 10\n"
    "parameter = 99999999999999999999999999999 x 9999999999999999999999999999 = 1\n"
    "2^99999999 = 3\n" + "(" * 5000 + "1 = 1\n" + "1/0 = 7\n"
)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a page into the current folder, a new one."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "page.md") -> str:
        Path(name).write_bytes(text.encode())
        return name

    return write


def test_screen(run: Any, golden: Any, page: Any) -> None:
    outcome = run("verify", page(WRONG))
    assert (outcome.code, outcome.err) == (1, "")
    golden(outcome.out, "verify.txt")


def test_narrow_screen(run_process: Any, golden: Any, page: Any) -> None:
    outcome = run_process("verify", page(WRONG), columns=60, NO_COLOR="1")
    assert outcome.code == 1
    golden(outcome.out, "verify-60.txt")


def test_answers_can_be_hidden(run: Any, page: Any) -> None:
    name = page(WRONG)
    for form in FORMATS:
        out = run("verify", name, "--hide-answers", "--format", form).out
        assert form == "json" or "look at this again" in out
        assert not re.search(r"34,944|34944|54\.25|227|bias", out), form
    run("verify", name, "--hide-answers", "--annotate", "marked.md")
    assert not re.search(r"34,944|54\.25|227|bias", Path("marked.md").read_text())


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "table"])
def test_formats(run: Any, golden: Any, page: Any, form: str) -> None:
    outcome = run("verify", page(WRONG), "--format", form)
    assert outcome.code == 1
    golden(outcome.out, f"verify.{form}")


@pytest.mark.parametrize(("file", "start"), [("a.json", "{"), ("a.xml", "<?xml"), ("a.md", "**page.md"), ("a.txt", "10 ?")])
def test_the_suffix_of_the_file_decides_the_format(run: Any, page: Any, file: str, start: str) -> None:
    outcome = run("verify", page(WRONG), "-o", file)
    assert (outcome.code, outcome.out) == (1, "")
    assert Path(file).read_text("utf-8").startswith(start)


def test_the_formats_are_offered() -> None:
    assert tuple(FORMATS) == OFFERED


def test_an_annotated_copy(run: Any, golden: Any, page: Any) -> None:
    rows = "\n| layer | output | parameters |\n|---|---|---|\n| Conv2 5x5, n=256, s=1, padding=2 | 27x27x256 | 614,566 |\n"
    run("verify", page(WRONG + rows), "--annotate", "marked.md")
    marked = Path("marked.md").read_text("utf-8")
    golden(marked, "verify-annotated.md")
    assert len(marked.splitlines()) == len((WRONG + rows).splitlines())


def test_a_convention_of_the_whole_page_is_said_once(run: Any, page: Any) -> None:
    name = page("input: 784\nfc1 100\nparameter = 784*100 = 78,400\nfc2 10\nparameter = 100*10 = 1,000\n")
    told = run("verify", name, "--annotate", "marked.md")
    assert (told.code, told.out.count("biases")) == (0, 1)
    assert Path("marked.md").read_text("utf-8").count("biases") == 1
    assert len(json.loads(run("verify", name, "--format", "json").out)["conventions"]) == 1


def test_a_right_page_passes(run: Any, page: Any) -> None:
    outcome = run("verify", page(WRONG.replace("224", "227").replace("11 x 11 x 3 x 96 = 34,848", "(11*11*3 + 1)*96 = 34,944")))
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "10 ?  In 2012 this won by 10.9 points.",
        "page.md: 4 claims: 4 right, 0 wrong, 1 line with digits not read (?)",
    ]


def test_what_was_not_read_fails_only_when_strict(run: Any, page: Any) -> None:
    name = page("input: 784\nfc1 10\nparameter = (784 + 1)*10 = 7,850\nIn 2012 this was new.\n")
    assert run("verify", name).code == 0
    strict = run("verify", name, "--strict")
    assert strict.code == 1
    assert "4 ?  In 2012 this was new." in strict.out
    for form in ("junit", "github"):
        assert "In 2012" in run("verify", name, "--strict", "--format", form).out
    assert run("verify", page("nothing but words\n"), "--strict").code == 0


def test_a_page_from_standard_input(run_process: Any) -> None:
    outcome = run_process("verify", "-", input="3*3 = 10\n")
    assert outcome.code == 1
    assert "3*3 = 9, not 10" in outcome.out


@pytest.mark.parametrize("form", FORMATS)
def test_a_page_is_text_and_never_markup_or_a_command(run: Any, page: Any, form: str) -> None:
    outcome = run("verify", page(HOSTILE), "--strict", "--format", form, FORCE_COLOR="")
    assert outcome.code == 1
    told = outcome.out
    assert not set(told) & {"\x1b", "\x07", "\x00"}
    if form == "json":
        jsonschema.validate(json.loads(told), json.loads(schema_text("verify")), jsonschema.Draft202012Validator)
    if form == "junit":
        assert len(list(ElementTree.fromstring(told).iter("testcase"))) == len(HOSTILE.splitlines())
    if form == "github":
        assert all(line.startswith("::error file=page.md,line=") for line in told.splitlines())
    if form == "md":
        assert "<!--" not in told.replace("\\<!", "")
    if form == "table":
        assert "[bold red]" in told


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)), b"1" * 5_000_000])
def test_what_is_no_page_is_an_error_with_a_way_out(run: Any, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "page.md"
    file.write_bytes(content)
    outcome = run("verify", str(file))
    assert outcome.code == 2
    assert "help:" in outcome.err


@pytest.mark.parametrize("asked", ["../secret.yaml", "/etc/passwd", "sub/net.yaml", "nomodel", "net.yaml"])
def test_a_page_may_not_choose_a_file_elsewhere(run: Any, page: Any, tmp_path: Path, asked: str) -> None:
    (tmp_path.parent / "secret.yaml").write_text("input: [3, 8, 8]\nlayers: [ReLU]\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "net.yaml").write_text("input: [3, 8, 8]\nlayers: [ReLU]\n")
    outcome = run("verify", page(f"---\nmodel: {asked}\n---\n3*3 = 9\n"))
    assert outcome.code == 2
    assert "error[E2" in outcome.err


NET = """\
name: net
input: [3, size, size]
params: {size: 32, k: 3}
layers:
  - Conv2d: {name: 첫째, out_channels: 4, kernel_size: k}
  - ReLU
"""


def test_a_worksheet_of_a_spec_of_ones_own(run: Any, page: Any) -> None:
    page(NET, "net.yaml")
    for options in ((), ("--set", "k=5"), ("--input", "3x20x24"), ("--set", "k=1", "--set", "size=8")):
        assert run("worksheet", "net.yaml", *options, "-o", "sheet.md").code == 0
        outcome = run("verify", "sheet.md", "--strict")
        assert (outcome.code, outcome.err) == (0, ""), outcome.out
        assert " 0 wrong" in outcome.out
    wrong = Path("sheet.md").read_text("utf-8").replace("= 16", "= 61")
    assert run("verify", page(wrong)).code == 1


def test_a_spec_is_looked_for_beside_the_page_and_named(run: Any, page: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    page(NET, "sub/net.yaml")
    apart = run("worksheet", "sub/net.yaml", "-o", "sheet.md")
    assert (apart.code, "--model sub/net.yaml" in apart.err) == (0, True)
    missed = run("verify", "sheet.md")
    assert (missed.code, "--model FILE" in missed.err) == (2, True)
    assert "sheet.md, held against sub/net.yaml:" in run("verify", "sheet.md", "--model", "sub/net.yaml").out
    assert run("worksheet", "sub/net.yaml", "-o", "sub/sheet.md").err == ""
    beside = run("verify", "sub/sheet.md", "--format", "json")
    assert (beside.code, json.loads(beside.out)["model"]) == (0, "sub/net.yaml")
    assert run("worksheet", "lenet5", "-o", "sub/sheet.md").err == ""


def test_a_spec_of_ones_own_is_never_taken_for_the_bundled_one_of_its_name(run: Any, page: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run("show", "lenet5", "-o", "mine/mine.yaml")
    text = Path("mine/mine.yaml").read_text("utf-8")
    page(re.sub(r"^input: \[1, 32, 32\].*$", "input: [1, 36, 36]", text, flags=re.MULTILINE), "mine/mine.yaml")
    page(re.sub("^name: .*$", "", text, flags=re.MULTILINE), "mine/lenet5.yaml")
    for name in ("mine.yaml", "lenet5.yaml"):
        run("worksheet", f"mine/{name}", "-o", "mine/sheet.md")
        assert f'model: "{name}"' in Path("mine/sheet.md").read_text("utf-8")
        assert f"held against mine/{name}: " in run("verify", "mine/sheet.md", "--strict").out
        assert run("verify", "mine/sheet.md", "--strict").code == 0
    assert run("verify", "mine/sheet.md", "--model", "mine/mine.yaml").code == 1


def test_a_worksheet_of_standard_input_is_held_against_itself_or_a_file(run_process: Any, page: Any) -> None:
    page(NET, "net.yaml")
    told = run_process("worksheet", "-", "--set", "k=5", "-o", "sheet.md", input=NET)
    assert (told.code, "--model FILE" in told.err) == (0, True)
    sheet = Path("sheet.md").read_text("utf-8")
    assert "model" not in sheet
    assert run_process("verify", "sheet.md").out.endswith("0 wrong\n")
    assert "held against net.yaml: " in run_process("verify", "sheet.md", "--model", "net.yaml", "--strict").out
    page(re.sub("(parameter = .* = )[0-9]+", r"\g<1>7", sheet), "wrong.md")
    assert [run_process("verify", "wrong.md", *model).code for model in ((), ("--model", "net.yaml"))] == [1, 1]


def test_the_head_of_a_page_sets_up_the_model_that_the_command_line_names(run: Any, page: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    page(NET, "sub/net.yaml")
    run("worksheet", "sub/net.yaml", "--set", "k=5", "--input", "3x20x24", "-o", "sheet.md")
    assert run("verify", "sheet.md", "--model", "sub/net.yaml", "--strict").code == 0


PUBLISHED = "input: [1, 4, 4]\nlayers: [Conv2d: {{out_channels: 1, kernel_size: 3}}]\nexpect: {{params: {}}}\n"


@pytest.mark.parametrize("name", ["net.yaml", "net.yml", "NET.YML", "net.YAML", "net.txt", "net.md", "net"])
def test_a_spec_is_one_whatever_its_file_is_called(run: Any, page: Any, name: str) -> None:
    for params, code in ((10, 0), (11, 1)):
        outcome = run("verify", page(PUBLISHED.format(params), name))
        assert (outcome.code, "1 claim: " in outcome.out) == (code, True)
    assert run("verify", name, "--variant", "nothing").code == 2


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_a_spec_from_standard_input(run_process: Any, path: str) -> None:
    assert [run_process("verify", path, input=PUBLISHED.format(params)).code for params in (10, 11)] == [0, 1]


@pytest.mark.parametrize("text", ["input: 32x32x1\nlayers: 5\n3*3 = 10\n", "input: 784\nlayers: 2\n", "layers:\n- input: 784\n"])
def test_notes_of_layers_are_no_spec(run: Any, page: Any, text: str) -> None:
    assert run("verify", page(text)).code == ("= 10" in text)


def test_empty_answers_are_counted_and_fail_when_strict(run: Any, page: Any) -> None:
    run("worksheet", "lenet5", "--blank", "-o", "sheet.md")
    asked = Path("sheet.md").read_text("utf-8").count(" ____\n")
    told = run("verify", "sheet.md")
    first = Path("sheet.md").read_text("utf-8").split(" ____\n")[0].count("\n") + 1
    assert (told.code, told.out) == (
        0,
        f"sheet.md, held against lenet5: 1 claim: 1 right, 0 wrong, {asked} answers still empty (from line {first})\n",
    )
    counted = json.loads(run("verify", "sheet.md", "--format", "json").out)
    assert (counted["counts"]["empty"], len(counted["empty"]), counted["empty"][0]) == (asked, asked, first)
    assert run("verify", "sheet.md", "--format", "github").out == ""
    for form in FORMATS:
        assert run("verify", "sheet.md", "--strict", "--format", form).code == 1
    errors = run("verify", "sheet.md", "--strict", "--format", "github").out.splitlines()
    cases = run("verify", "sheet.md", "--strict", "--format", "junit").out
    assert (len(errors), cases.count('type="empty"'), f'failures="{asked}"' in cases) == (asked, asked, True)
    skipped = run("verify", "sheet.md", "--format", "junit").out
    assert (skipped.count("<skipped"), f'skipped="{asked}"' in skipped) == (asked, True)
    one = run("verify", page("input: 784\nfc1 10\nparameter = ?\n"))
    assert one.out == "page.md: 0 claims: 0 right, 0 wrong, 1 answer still empty (line 3)\n"


@pytest.mark.parametrize("option", [("--batch", "2"), ("--dtype", "float16")])
def test_a_worksheet_is_about_one_image_in_float32(run: Any, option: tuple[str, str]) -> None:
    assert run("worksheet", "lenet5", *option).code == 2


@pytest.mark.parametrize("blank", [(), ("--blank",)], ids=["filled", "blank"])
def test_worksheet(run: Any, golden: Any, blank: tuple[str, ...]) -> None:
    golden(run("worksheet", "lenet5", *blank).out, f"worksheet{'-blank' if blank else ''}.md")


def test_a_blank_page_holds_no_answer(run: Any) -> None:
    blank = run("worksheet", "alexnet", "--blank").out
    answers = {"34,944", "614,656", "62,378,344", "55 x 55 x 96", "9,216"}
    filled = run("worksheet", "alexnet").out
    assert all(answer in filled and answer not in blank for answer in answers)


@pytest.mark.parametrize("file", sorted({Path(path).name for path in index().values()}))
def test_published_numbers_of_the_bundled_specs(file: str) -> None:
    spec, _ = read_spec(str(ALEXNET.parent / file))
    judgement = check_spec(spec)
    assert judgement.counts["right"] == sum(len(variant.expect) for variant in spec.variants.values())
    assert judgement.counts["wrong"] == 0


def test_a_published_number_that_is_wrong(run: Any, golden: Any, page: Any) -> None:
    text = (
        ALEXNET.read_text("utf-8")
        .replace("params: 614_656", "params: 614_400")
        .replace("output: [96, 27, 27]", "output: [96, 28, 28]")
    )
    outcome = run("verify", page(text, "alexnet.yaml"))
    assert outcome.code == 1
    golden(outcome.out, "verify-spec.txt")
    claims = json.loads(run("verify", "alexnet.yaml", "--format", "json").out)["claims"]
    wrong = {
        (claim["found"] if isinstance(claim["found"], str) else tuple(claim["found"]))
        for claim in claims
        if claim["verdict"] == "wrong"
    }
    assert wrong == {"614_400", (96, 28, 28)}
    assert run("verify", "alexnet.yaml", "--variant", "alexnet_two_towers").code == 0


def test_a_bundled_name_checks_its_variant_alone(run: Any) -> None:
    assert "alexnet_two_towers: 4 claims: 4 right, 0 wrong" in run("verify", "alexnet_two_towers").out
    assert run("verify", "resnet50").code == 0


def test_a_name_that_is_neither_page_nor_model(run: Any) -> None:
    outcome = run("verify", "alexnett")
    assert outcome.code == 2
    assert "did you mean alexnet?" in outcome.err


@pytest.mark.parametrize("model", ["page.md", "densenet201"])
def test_nothing_heavy_is_imported(page: Any, model: str) -> None:
    page(WRONG)
    code = """
import sys
from archcalc.cli import main
try:
    main(["verify", sys.argv[1], "--format", "json"])
finally:
    reading = {"archcalc.worksheet.forms", "archcalc.worksheet.words"} if sys.argv[1] == "densenet201" else set()
    print(({"torch", "rich"} | reading) & set(sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=False)
    assert told.stdout.endswith("set()\n")


GUIDE = (Path(__file__).parents[1] / "docs" / "worksheets.md").read_text("utf-8")


def test_the_guide_shows_what_is_printed(run: Any, page: Any) -> None:
    (notes,) = re.findall(r"^```markdown\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (session,) = re.findall(r"^```console\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    page(notes, "notes.md")
    command, _, shown = session.partition("\n")
    assert run(*command.removeprefix("$ archcalc ").split()).out == shown


def test_the_guide_tells_of_every_slip() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(worksheet.__path__[0]).glob("*.py"))
    named = {slip.key for slip in SLIPS} | set(re.findall(r'Named\(\s*"(\w+)"', sources))
    named |= set(re.findall(r'yield "(\w+)", x\.with_axes', sources))
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)) == named
