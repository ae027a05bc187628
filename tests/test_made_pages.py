"""Made pages: the right worksheet of every bundled model has no finding; with a slip in it, that line alone has, and its name."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings

from archcalc.graph import Graph
from archcalc.spec import index, load, parse
from archcalc.worksheet import judge, read
from archcalc.worksheet.write import BLANK, worksheet
from tests.made_pages import Made, made_pages
from tests.strategies import specs

MODELS = sorted(index())
MOST = 80  # made pages of one model
FLAGGED, NAMED = 0.99, 0.95  # the least shares of slips that are found on their line and on no other, and called by their name


@pytest.mark.parametrize("model", MODELS)
def test_a_right_page_has_no_finding(model: str) -> None:
    graph = load(model)
    for blank in (False, True):
        judgement = judge(read(worksheet(graph, model, blank=blank)), graph)
        assert [(finding.line, finding.text, finding.because) for finding in judgement.findings if finding.verdict != "right"] == []
        assert judgement.conventions == ()


@pytest.mark.parametrize("model", MODELS)
def test_every_answer_of_a_right_page_is_a_claim(model: str) -> None:
    """What is read as nothing would be right by default: each answer that a blank page asks for has its verdict."""
    graph = load(model)
    asked = [
        number for number, line in enumerate(worksheet(graph, model, blank=True).splitlines(), 1) if line.endswith(f" {BLANK}")
    ]
    judged = {finding.line for finding in judge(read(worksheet(graph, model)), graph).findings if finding.verdict == "right"}
    assert asked
    assert [number for number in asked if number not in judged] == []


@pytest.mark.parametrize("model", MODELS)
def test_a_right_page_has_nothing_wrong_by_itself_either(model: str) -> None:
    judgement = judge(read(by_itself(worksheet(load(model), model))))
    assert [(finding.line, finding.text, finding.because) for finding in judgement.wrong] == []
    assert judgement.conventions == ()


def by_itself(page: str) -> str:
    """The page without the name of its model, line for line."""
    return re.sub("^model: .*$", "about: nothing", page, count=1, flags=re.MULTILINE)


@settings(max_examples=100 if settings().max_examples < 1_000 else 2_000)
@given(specs())
def test_a_right_page_of_a_random_network_has_no_finding(text: str) -> None:
    """Operators, merges, shared layers and names that no bundled model has."""
    graph = parse(text.encode(), "net.yaml").graph()
    for blank in (False, True):
        findings = judge(read(worksheet(graph, "net.yaml", blank=blank)), graph).findings
        assert [(finding.text, finding.because) for finding in findings if finding.verdict != "right"] == []


def score(made: Made, lines: list[str], graph: Graph | None) -> tuple[bool, bool]:
    """Whether the slip is found on its line alone, and whether it is called by its name; without a graph, by the page itself."""
    page = made.page(lines)
    judgement = judge(read(page if graph is not None else by_itself(page)), graph)
    wrong = [finding for finding in judgement.findings if finding.verdict == "wrong"]
    flagged = {finding.line for finding in wrong} == {made.line}
    return flagged, flagged and any(finding.slip in made.slips for finding in wrong)


def tried(models: list[str], per_model: int, with_model: bool = True) -> tuple[Counter[str], list[Made], list[Made]]:
    """Return how many pages were made for each slip, those that were not flagged right, and those whose slip was not named."""
    chance = random.Random(20)
    count: Counter[str] = Counter()
    missed, unnamed = [], []
    for model in models:
        graph = load(model)
        lines, pages = made_pages(graph, model)
        for made in chance.sample(pages, min(per_model, len(pages))):
            count[min(made.slips)] += 1
            flagged, named = score(made, lines, graph if with_model else None)
            if not flagged:
                missed.append(made)
            elif not named:
                unnamed.append(made)
    return count, missed, unnamed


def hold(count: Counter[str], missed: list[Made], unnamed: list[Made]) -> None:
    total = sum(count.values())
    assert len(missed) <= (1 - FLAGGED) * total, missed[:5]
    assert len(missed) + len(unnamed) <= (1 - NAMED) * total, (missed + unnamed)[:5]


SLIPS = {
    "batch_norm", "bias_per_layer", "bias_per_weight", "bits_or_bytes", "digits_swapped", "flattened_early", "floor_or_ceil",
    "groups", "input_channels", "input_size", "mac_or_flop", "mb_or_mib", "missing_layer", "no_bias", "product", "swapped",
    "unshared", "valid_or_same",
}  # fmt: skip
SMALL = [
    "alexnet", "alexnet_two_towers", "densenet_40_12", "googlenet", "lenet5", "lenet5_modern", "resnet18", "resnet20", "vgg11_bn",
    "zfnet",
]  # fmt: skip
CHAINS = ["alexnet", "alexnet_keras", "vgg11", "vgg11_bn", "zfnet"]
LARGE = {"resnet1202": 10, "preact_resnet1001": 10}  # pages of twenty thousand lines: a few of them


def test_a_slip_is_found_on_its_line_and_named() -> None:
    hold(*tried(SMALL, 25))


def test_a_slip_is_found_without_the_model_too() -> None:
    hold(*tried(CHAINS, 20, with_model=False))


def test_every_slip_is_made_somewhere() -> None:
    made = {slip for model in SMALL for page in made_pages(load(model), model)[1] for slip in page.slips}
    assert made == SLIPS


@pytest.mark.slow
def test_there_are_five_thousand_made_pages() -> None:
    assert sum(min(LARGE.get(model, MOST), len(made_pages(load(model), model)[1])) for model in MODELS) >= 5_000


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_slips_of_every_model_are_found_on_their_lines_and_named(model: str) -> None:
    hold(*tried([model], LARGE.get(model, MOST)))
