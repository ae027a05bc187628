"""The learning pages: they are what the specs and formulas give, what they show runs, and what they say of a paper is pinned."""

import re
import shlex

import pytest

from tests.learning.markdown import DIFFERS, WIDTH, Printed, held, row
from tests.learning_pages import FOLDER, PAGES

each_page = pytest.mark.parametrize("name", PAGES)
READ = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
COMMANDS = sorted({line for text in READ.values() for line in re.findall(r"^\$ archcalc (.*)$", text, re.MULTILINE)})


def test_there_are_no_other_pages():
    assert sorted(READ) == sorted(PAGES)


@each_page
def test_a_page_is_what_the_specs_and_formulas_give(name):
    assert READ[name] == PAGES[name](), f"docs/learn/{name} is written by: python -m tests.learning_pages"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_runs(command, run):
    ended = run(*shlex.split(command))
    assert ended.code == 0, ended.err
    assert ended.out


@each_page
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", READ[name]):
        assert (FOLDER / link).exists(), link


@each_page
def test_prose_is_no_wider_than_a_screen(name):
    assert all(len(line) <= WIDTH for line in READ[name].splitlines() if not line.startswith("|"))


@each_page
def test_the_rows_of_a_table_have_its_columns(name):
    for table in re.findall(r"(?:^\|.*\|\n)+", READ[name], re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@each_page
def test_arithmetic_in_the_text_is_right(name):
    """``expression = number`` between backticks: the expression is worked out again."""
    for left, right in re.findall(r"`([-\d+*/() ]+) = ([\d,.]+)`", READ[name]):
        assert eval(left) == float(right.replace(",", "")), left


SLIPS = re.findall(r"^\| (\w+) (\S+) \| (.+) \| ([\d,]+) \| ([\d,]+) \|$", READ["quantities.md"], re.MULTILINE)


def test_the_slips_of_hand_calculations_are_found():
    assert len(SLIPS) > 10


@pytest.mark.parametrize(("model", "layer", "slip", "number", "right"), SLIPS)
def test_verify_finds_the_slip_and_passes_the_right_number(model, layer, slip, number, right, run, tmp_path):
    about = "MACs" if right == f"{row(model, layer).macs:,}" else "params"
    for written, code in ((number, 1), (right, 0)):
        page = tmp_path / "page.md"
        page.write_text(f"{layer} {about} = {written}\n", encoding="utf-8")
        assert run("verify", str(page), "--model", model).code == code, slip


# The slips of the papers that the pages are to tell, no more and no fewer; a change here is a change of what we say of a paper.
TOLD = {
    "lenet5.md": [],
    "alexnet.md": ["conv1 253,440"],
    "vgg.md": ["VGG-16 all layers", "VGG-19 convolutions alone"],
    "googlenet.md": [
        *("conv1 2.7K", "3b 380K", "4a 364K", "4b 437K", "4c 463K", "4d 580K", "4e 840K", "5a 1072K", "5b 1388K"),
        *("conv1 34M", "5a 54M"),
    ],
    "resnet.md": ["1001 10.2M"],
    "densenet.md": ["DenseNet-264 264"],
}


@pytest.mark.parametrize("name", TOLD)
def test_the_slips_that_are_told(name):
    rows = [line.strip("| ").split(" | ") for line in READ[name].splitlines() if line.startswith("|") and DIFFERS in line]
    assert [f"{first} {second}" for first, second, *_ in rows] == TOLD[name]


JUDGED = [
    # printed, K, exact number, verdict
    ("60,000", 1000, 60_000, "exact"),
    ("3.6G", 1000, 3_644_493_824, "rounded"),
    ("3.8G", 1000, 3_857_973_248, "cut off"),
    ("1.5M", 1000, 1_549_999, "rounded"),
    ("1.5M", 1000, 1_550_000, "cut off"),
    ("1.5M", 1000, 1_449_999, DIFFERS),
    ("1.5M", 1000, 1_600_000, DIFFERS),
    ("1000K", 1024, 1_024_000, "exact"),
    ("1000K", 1000, 1_024_000, DIFFERS),
    ("253,440", 1000, 290_400, DIFFERS),
]


@pytest.mark.parametrize(("printed", "kilo", "exact", "verdict"), JUDGED)
def test_a_printed_figure_is_judged(printed, kilo, exact, verdict):
    assert Printed("", printed, exact, kilo=kilo).verdict == verdict


@pytest.mark.parametrize(("printed", "slip"), [("1.6M", ""), ("1.5M", "told, but nothing is wrong")])
def test_what_differs_must_be_explained_and_nothing_else(printed, slip):
    with pytest.raises(AssertionError, match=r"params: 1\.\dM is 1,500,000"):
        held([Printed("params", printed, 1_500_000, slip)])
