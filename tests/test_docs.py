"""The pages in docs/: what they show is run, and what they list is complete."""

import doctest
import re
from pathlib import Path

import pytest

from archcalc.errors import CODES
from archcalc.ops import OPS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples(page: Path) -> None:
    text = "\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def error_page() -> str:
    """docs/errors.md as the catalogue has it."""
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in sorted(CODES.items()))
    return ERRORS_HEAD + "| code | meaning |\n|---|---|\n" + rows + "\n"


ERRORS_HEAD = """\
# Errors

An error names the place, the numbers and a way out, on stderr; `--errors short|json|github` tells it in one line, for editors and
CI. The exit code is 2, for E3xx it is 3. The code stays the same from version to version, its words may get better.

E0xx is about the language of specs, E1xx about shapes and arguments that do not fit, E2xx about what was asked for, E3xx about what
is not installed.

"""


def test_error_page() -> None:
    shown = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert shown == error_page(), "docs/errors.md is written by: python -m tests.test_docs"


@pytest.mark.parametrize("operator", [name for name in OPS if not hasattr(__import__("torch").nn, name)])
def test_language_page_explains_what_torch_lacks(operator: str) -> None:
    assert f"`{operator}" in (DOCS / "spec-language.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    (DOCS / "errors.md").write_text(error_page(), encoding="utf-8")
