"""Every operator answers every question: none has a silent default, and none is left out of the page that tells how to add one."""

import inspect
from pathlib import Path

import pytest

from archcalc.ops import OPS, Input, Op
from archcalc.ops.base import Weightless

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
# A question that the base class leaves open raises NotImplementedError there; what it can derive from the others, it answers.
OPEN = [
    name for name, answer in vars(Op).items() if inspect.isfunction(answer) and "NotImplementedError" in inspect.getsource(answer)
]
DERIVED = ["fans", "shares_with"]
NAMED = ["short", "merges", "begins", "geometry"]
NEVER_RUN = {"code"}  # asked of what stands in a module: the network's input does not


def test_the_questions_are_all_there_are():
    assert sorted([*OPEN, *DERIVED]) == sorted(name for name in vars(Op) if inspect.isfunction(vars(Op)[name]) and name[0] != "_")


@pytest.mark.parametrize("question", OPEN)
@pytest.mark.parametrize("name", OPS)
def test_every_operator_answers(name, question):
    assert getattr(OPS[name], question) is not getattr(Op, question)


@pytest.mark.parametrize("question", sorted(set(OPEN) - NEVER_RUN))
def test_the_input_answers_what_is_asked_of_any_node(question):
    assert getattr(Input, question) is not getattr(Op, question)


def test_an_operator_without_an_answer_is_no_zero():
    class Silent(Weightless, frozen=True):
        short = "silent"

    for question in set(OPEN) - set(vars(Weightless)):
        answer = getattr(Silent(), question)
        with pytest.raises(NotImplementedError):
            answer(*[None] * len(inspect.signature(answer).parameters))


@pytest.mark.parametrize("question", [*OPEN, *DERIVED, *NAMED])
def test_the_page_names_every_question(question):
    assert f"`{question}`" in PAGE.read_text(encoding="utf-8")
