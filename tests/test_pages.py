"""Pages in the styles that people really write, with a label for each line that says something: right, wrong (which slip), unread.

A file of labels holds ``LINE VERDICT [SLIP] [carried_from=LINE]``. Lines that it does not name say nothing that could be wrong or
unread: they are headings, layers and inputs. ``any`` stands for a line that is judged one way or another, but is not claimed wrong.
"""

import random
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from archcalc.spec import load
from archcalc.worksheet import Judgement, judge, read
from archcalc.worksheet.files import model_of
from archcalc.worksheet.write import worksheet

FOLDER = Path(__file__).parent / "data" / "pages" / "labelled"
PAGES = sorted(FOLDER.glob("*.md"))
LEAST_PAGES = 40


class Label(NamedTuple):
    verdict: str
    slip: str = ""
    carried_from: int | None = None


def labels(page: Path) -> dict[int, Label]:
    found = {}
    for row in page.with_suffix(".labels").read_text("utf-8").splitlines():
        line, verdict, *rest = row.split()
        carried = next((int(word.partition("=")[2]) for word in rest if word.startswith("carried_from=")), None)
        slip = next((word for word in rest if "=" not in word), "")
        found[int(line)] = Label(verdict, slip, carried)
    return found


def judged(text: str) -> Judgement:
    page = read(text)
    return judge(page, model_of(page, str(FOLDER)))


def worst(verdicts: list[str]) -> str:
    """One verdict for a line of several claims: a VGG row has a shape, a memory and a count of weights."""
    return next((verdict for verdict in ("wrong", "unread", "right") if verdict in verdicts), "silent")


def found_on(judgement: Judgement, line: int) -> Label:
    findings = [finding for finding in judgement.findings if finding.line == line]
    slip = next((finding.slip for finding in findings if finding.verdict == "wrong" and finding.slip), "")
    carried = next((finding.carried_from for finding in findings if finding.carried_from), None)
    return Label(worst([finding.verdict for finding in findings]), slip or "", carried)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_labelled_page(page: Path) -> None:
    text = page.read_text("utf-8")
    expected = labels(page)
    judgement = judged(text)
    differences = []
    for line, content in enumerate(text.splitlines(), 1):
        label, found = expected.get(line), found_on(judgement, line)
        if label is None:
            agrees = found.verdict in ("silent", "right")
        elif label.verdict == "any":
            agrees = found.verdict != "wrong"
        else:
            agrees = found.verdict == label.verdict and (not label.slip or found.slip == label.slip)
            agrees = agrees and (label.carried_from is None or found.carried_from == label.carried_from)
        if not agrees:
            differences.append((line, content, label, found))
    assert differences == []


def test_there_are_pages_enough_and_every_label_has_its_line() -> None:
    assert len(PAGES) >= LEAST_PAGES
    assert {page.stem for page in PAGES} == {file.stem for file in FOLDER.glob("*.labels")}
    for page in PAGES:
        lines = page.read_text("utf-8").splitlines()
        assert all(lines[line - 1].strip() for line in labels(page)), page.stem
    wrong = [label for page in PAGES for label in labels(page).values() if label.verdict == "wrong"]
    assert len(wrong) >= 25
    assert len({label.slip for label in wrong}) >= 12


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_windows_line_ends_and_a_byte_order_mark_change_nothing(page: Path) -> None:
    text = page.read_text("utf-8")
    plain = [finding.verdict for finding in judged(text).findings]
    strange = read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [finding.verdict for finding in judge(strange, model_of(strange, str(FOLDER))).findings] == plain


def seconds_of(text: str) -> float:
    started = time.perf_counter()
    judge(read(text))
    return time.perf_counter() - started


def long_page(lines: int) -> str:
    """Pages of every kind, one after the other, in a random order."""
    chance = random.Random(lines)
    parts = [page.read_text("utf-8") for page in PAGES if not page.read_text("utf-8").startswith("---")]
    found: list[str] = []
    while len(found) < lines:
        found += chance.choice(parts).splitlines()
    return "\n".join(found[:lines])


def test_ten_thousand_lines_take_ten_times_a_thousand() -> None:
    short = min(seconds_of(long_page(1_000)) for _ in range(3))
    long = min(seconds_of(long_page(10_000)) for _ in range(2))
    assert long < 10 * 3 * short


def test_a_large_worksheet_takes_time_by_its_length() -> None:
    small, large = load("resnet110"), load("resnet1202")

    def seconds(graph: object, model: str) -> tuple[float, int]:
        text = worksheet(graph, model)  # type: ignore[arg-type]
        started = time.perf_counter()
        judge(read(text), graph)  # type: ignore[arg-type]
        return time.perf_counter() - started, text.count("\n")

    one, few = min(seconds(small, "resnet110") for _ in range(3))
    other, many = seconds(large, "resnet1202")
    assert other / many < 3 * one / few
