"""Judgements on a screen and beside the page's own lines, and in the forms of other programs: JSON, JUnit, GitHub, Markdown."""

from collections.abc import Callable
from typing import Literal, NamedTuple, cast

import msgspec

from archcalc.render.figures import cells, plain
from archcalc.render.formats import Result, as_json
from archcalc.render.tables import Column, Table
from archcalc.render.terminal import PIPE, Screen, fold
from archcalc.worksheet.page import Finding, Judgement, Page, Plain

EMPTY = "the answer is still empty"
MARKS = {"right": " ", "wrong": "x", "unread": "?"}
WIDEST_TEXT = 44  # cells of a line of the page that stand beside a remark
WIDEST_LINE = 88  # cells of a line of the page that stands alone
NARROWEST_REMARK = 36


class ClaimRow(msgspec.Struct, frozen=True):
    """A claim, or a line with digits that fits no form.

    ``expected`` is the right number (or sizes), ``found`` what the page says; ``because`` is the right arithmetic and what would
    make the claim right. ``slip`` names a mistake that gives the written number exactly. ``carried_from`` is the line of the error
    that a claim follows from; but for that it is right.
    """

    line: int
    text: str
    verdict: Literal["right", "wrong", "unread"]
    expected: Plain
    found: Plain
    because: str
    slip: str | None
    carried_from: int | None


class Counts(msgspec.Struct, frozen=True):
    """How many claims are right and wrong, how many lines were not read, and how many answers are still empty."""

    right: int
    wrong: int
    unread: int
    empty: int = 0


class VerifyDocument(msgspec.Struct, frozen=True, rename={"schema_": "schema"}):
    """What ``archcalc verify --format json`` prints.

    ``conventions`` is what the whole page counts otherwise, in words; ``empty`` are the lines of answers that are still missing;
    ``model`` is what the page was held against: a bundled model or the path of a spec.
    """

    schema_: str
    claims: tuple[ClaimRow, ...]
    counts: Counts
    conventions: tuple[str, ...] = ()
    empty: tuple[int, ...] = ()
    model: str | None = None


class Verified(NamedTuple):
    """A judgement to be shown: the file it is about, and the model it was held against.

    ``strict`` fails on what was not read or left empty, ``hide_answers`` says where something is wrong, and not what.
    """

    file: str
    judgement: Judgement
    strict: bool = False
    hide_answers: bool = False
    model: str | None = None

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong; with ``strict``, nothing unread or empty either."""
        counts = self.judgement.counts
        return not counts["wrong"] and not (self.strict and (counts["unread"] or self.judgement.empty))

    def remarks(self, finding: Finding) -> list[str]:
        """Return what is to be said about a finding, the right arithmetic first."""
        if finding.verdict == "unread":
            return [finding.because or "this line fits no form"] if finding.because or self.strict else []
        if finding.verdict == "right":
            return [f"follows from line {finding.carried_from}"] if finding.carried_from else []
        if self.hide_answers:
            return ["look at this again"]
        return [remark for remark in (finding.because, finding.remark, *finding.hints) if remark]

    @property
    def conventions(self) -> tuple[str, ...]:
        """What the whole page counts otherwise, said once."""
        return () if self.hide_answers else tuple(f"on the whole page: {said}" for said in self.judgement.conventions)

    @property
    def summary(self) -> str:
        """The last line: how many of which."""
        counts = self.judgement.counts
        claims = counts["right"] + counts["wrong"]
        carried = sum(1 for finding in self.judgement.findings if finding.carried_from)
        parts = [
            f"{_number(claims, 'claim')}: {counts['right']:,} right" + (f" ({carried:,} on an earlier error)" if carried else "")
        ]
        parts.append(f"{counts['wrong']:,} wrong")
        if counts["unread"]:
            parts.append(f"{_number(counts['unread'], 'line')} with digits not read (?)")
        empty = self.judgement.empty
        if empty:
            parts.append(f"{_number(len(empty), 'answer')} still empty ({'' if len(empty) == 1 else 'from '}line {empty[0].line})")
        about = f"{self.file}, held against {self.model}" if self.model else self.file
        return f"{about}: {', '.join(parts)}" if claims or counts["unread"] or empty else f"{about}: nothing on it is a claim"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def as_text(verified: Verified, screen: Screen) -> str:
    """Return the findings for people: lines that were not read, then what is wrong and why, then the sum of it."""
    findings = verified.judgement.findings
    shown = [finding for finding in findings if finding.verdict == "unread"]
    shown += [finding for finding in findings if finding.verdict == "wrong"]
    width = len(str(max((finding.line for finding in shown), default=1)))
    texts = [plain(finding.text.strip()) for finding in findings if finding.verdict == "wrong"]
    beside = min(WIDEST_TEXT, max(map(cells, texts), default=0))
    lines: list[str] = []
    for finding in shown:
        lines += _told(verified, finding, width, beside, screen)
    lines += [line for said in verified.conventions for line in fold(plain(said), screen.width)]
    style = "bold" if verified.passes else "red"
    return "\n".join([*lines, screen.paint(plain(verified.summary), style)]) + "\n"


def _told(verified: Verified, finding: Finding, width: int, beside: int, screen: Screen) -> list[str]:
    """Return the lines of one finding: the page's line, the first remark beside it where there is room, the others below."""
    mark = MARKS[finding.verdict]
    indent = " " * (width + len(mark) + 3)
    room = None if screen.width is None else max(NARROWEST_REMARK, screen.width - len(indent))
    text = plain(finding.text.strip())
    remarks = [plain(remark) for remark in verified.remarks(finding)]
    if remarks and cells(text) <= beside and (room is None or beside + 2 + cells(remarks[0]) <= room):
        told = f"{text}{' ' * (beside - cells(text))}  {remarks.pop(0)}"
    else:
        told, *rest = fold(text, min(room or WIDEST_LINE, WIDEST_LINE)) or [""]
        told += " ..." if rest else ""
    of_mark, of_text = ("red", "") if finding.verdict == "wrong" else ("dim", "dim")
    first = f"{finding.line:>{width}} {screen.paint(mark, of_mark)}  {screen.paint(told, of_text)}"
    below = [part for remark in remarks for part in fold(remark, None if room is None else room - 2)]
    return [first, *(f"{indent}  {part}" for part in below)]


def document(verified: Verified) -> VerifyDocument:
    """Return the findings for machines."""
    judgement = verified.judgement
    counts = Counts(**judgement.counts, empty=len(judgement.empty))
    rows = tuple(_row(verified, finding) for finding in judgement.findings)
    empty = tuple(blank.line for blank in judgement.empty)
    return VerifyDocument("archcalc.verify/1", rows, counts, verified.conventions, empty, verified.model)


def _row(verified: Verified, finding: Finding) -> ClaimRow:
    hidden = verified.hide_answers
    because = "" if hidden else "; ".join(verified.remarks(finding)) or finding.because
    expected, slip = (None, None) if hidden else (finding.expected, finding.slip)
    verdict = cast(Literal["right", "wrong", "unread"], finding.verdict)
    return ClaimRow(finding.line, finding.text, verdict, expected, finding.found, because, slip, finding.carried_from)


def to_json(verified: Verified, screen: Screen) -> str:
    """Return the document with a line for each claim."""
    return as_json(Result(document(verified), "claims", lambda: _table(verified)), screen)


def to_markdown(verified: Verified, screen: Screen) -> str:
    """Return what is wrong or unread as a table of GitHub's Markdown."""
    from archcalc.render.markup import markdown

    return markdown(_table(verified))


def _table(verified: Verified) -> Table:
    columns = (
        Column("line", "Line", "count"),
        Column("verdict", "Verdict"),
        Column("text", "The page"),
        Column("because", "Because"),
    )
    shown = [finding for finding in verified.judgement.findings if finding.verdict != "right"]
    rows = tuple((f.line, f.verdict, f.text.strip(), "; ".join(verified.remarks(f))) for f in shown)
    return Table(verified.summary, columns, rows, notes=verified.conventions)


def to_junit(verified: Verified, screen: Screen) -> str:
    """Return the claims as test cases of JUnit's XML; lines that were not read or left empty are skipped, or fail when strict."""
    counts, empty = verified.judgement.counts, verified.judgement.empty
    cases = [_case(verified, finding) for finding in verified.judgement.findings]
    cases += [_skipped(verified, _head(verified, blank.line, blank.text), "empty", EMPTY) for blank in empty]
    undone = counts["unread"] + len(empty)
    failures = counts["wrong"] + (undone if verified.strict else 0)
    skipped = 0 if verified.strict else undone
    about = f'name={_attribute(verified.file)} tests="{len(cases)}" failures="{failures}" skipped="{skipped}" errors="0"'
    return (
        "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                "<testsuites>",
                f"  <testsuite {about}>",
                *cases,
                "  </testsuite>",
                "</testsuites>",
            ]
        )
        + "\n"
    )


def _head(verified: Verified, line: int, text: str) -> str:
    return f"    <testcase classname={_attribute(verified.file)} name={_attribute(f'line {line}: {text.strip()}')}"


def _case(verified: Verified, finding: Finding) -> str:
    head = _head(verified, finding.line, finding.text)
    if finding.verdict == "right":
        return f"{head}/>"
    message = "; ".join(verified.remarks(finding))
    if finding.verdict == "unread":
        return _skipped(verified, head, "unread", message or "this line fits no form")
    return f'{head}><failure type="wrong" message={_attribute(message)}/></testcase>'


def _skipped(verified: Verified, head: str, type: str, message: str) -> str:
    """Return a case that was not judged; it fails when strict."""
    told = f'failure type="{type}"' if verified.strict else "skipped"
    return f"{head}><{told} message={_attribute(message)}/></testcase>"


def _attribute(text: str) -> str:
    escaped = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return f'"{escaped}"'  # by hand: the standard library's own would import all that urllib needs


def to_github(verified: Verified, screen: Screen) -> str:
    """Return a workflow command of GitHub's for each wrong line, and each unread and empty one if strict, for a pull request."""
    lines = []
    for finding in verified.judgement.findings:
        if finding.verdict == "right" or (finding.verdict == "unread" and not verified.strict):
            continue
        title = finding.verdict if verified.hide_answers else finding.slip or finding.verdict
        lines.append(_error(verified, finding.line, title, [finding.text.strip(), *verified.remarks(finding)]))
    if verified.strict:
        lines += [_error(verified, blank.line, "empty", [blank.text.strip(), EMPTY]) for blank in verified.judgement.empty]
    return "".join(f"{line}\n" for line in lines)


def _error(verified: Verified, line: int, title: str, told: list[str]) -> str:
    return f"::error file={_property(verified.file)},line={line},title={_property(title)}::{_data('; '.join(told))}"


def _data(text: str) -> str:
    return plain(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Verified, Screen], str]] = {
    "table": as_text,
    "json": to_json,
    "junit": to_junit,
    "github": to_github,
    "md": to_markdown,
}


def annotated(text: str, verified: Verified, page: Page | None = None) -> str:
    """Return a copy of the text with a remark beside each line that is wrong, or that follows from one that is."""
    roles = {} if page is None else {line.number: line.role for line in page.lines}
    remarks: dict[int, list[str]] = {}
    for finding in verified.judgement.findings:
        told = verified.remarks(finding)
        if finding.verdict != "unread" and told:
            remarks.setdefault(finding.line, []).append(f"{MARKS[finding.verdict].strip() or '~'} {'; '.join(told)}")
    lines = text.split("\n")
    for number, told in remarks.items():
        lines[number - 1] = _with_remark(lines[number - 1], " | ".join(told), roles.get(number, "code"))
    if verified.conventions:
        lines += [*(_with_remark("", said, "prose").strip() for said in verified.conventions), ""]
    return "\n".join(lines)


def _with_remark(text: str, remark: str, role: str) -> str:
    """Return the line with the remark: in the last cell of a table's row, as a comment in code, as code in prose."""
    remark = plain(remark.replace("`", "'"))
    if role == "code":
        return f"{text}  # {remark}"
    if role == "row":
        inside, bar, rest = text.rstrip().rpartition("|")
        escaped = f"`{remark.replace('|', '/')}`"
        return f"{inside.rstrip()} {escaped} {bar}" if bar and not rest else f"{text} {escaped}"
    return f"{text}  `{remark}`"


def deliver_to(format: str, verified: Verified, file: str | None) -> None:
    """Write the judgement in a format to a file, or to standard output. Raises UsageError if that cannot be written."""
    import os
    import sys

    from archcalc.render.delivery import deliver
    from archcalc.render.terminal import screen

    target = screen(sys.stdout, os.environ) if file is None or file == "-" else PIPE
    deliver(FORMATS[format](verified, target), file)
