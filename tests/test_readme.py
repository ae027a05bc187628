"""The README's blocks, run as a new user would: files are saved, commands and Python give what is printed."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SESSIONS = [text for language, text in BLOCKS if language == "console"]
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)", PROSE)


def agrees(printed: list[str], shown: list[str]) -> bool:
    """Whether the lines are those that the README shows, where a line of dots stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(agrees(printed[skipped:], shown[1:]) for skipped in range(len(printed) + 1))
    return bool(printed) and printed[0] == shown[0] and agrees(printed[1:], shown[1:])


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.splitlines()[0])
def test_command(session: str, run, tmp_path, monkeypatch) -> None:
    for name, written_in in {"net.yaml": "yaml", "notes.md": "markdown"}.items():
        (content,) = [text for language, text in BLOCKS if language == written_in]
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "archcalc"
        result = run(*arguments)
        printed = lines(result.out + result.err)
        assert agrees(printed, lines(shown)), "\n".join(printed)


def test_python() -> None:
    (example,) = [text for language, text in BLOCKS if language == "python"]
    test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
    assert result.attempted > 3


@pytest.mark.parametrize("link", LINKS)
def test_link(link: str) -> None:
    assert (Path(__file__).resolve().parents[1] / link).exists()


def test_dots_stand_for_lines() -> None:
    assert agrees(["a", "b", "c"], ["a", "...", "c"])
    assert not agrees(["a", "b", "c"], ["a", "...", "d"])
    assert not agrees(["a", "b"], ["a"])
