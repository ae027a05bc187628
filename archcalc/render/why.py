"""The answer to ``why MODEL NUMBER``: a sentence, the other candidates, and the difference item by item."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from archcalc.analysis.fold import scope
from archcalc.analysis.why import Answer, Candidate
from archcalc.analysis.why.differences import REST, Differences, Item, differences
from archcalc.analysis.why.reading import EXACT, PRINTED, ROUNDS, TRUNCATES
from archcalc.render.figures import count, plain, sizes
from archcalc.render.formats import Result
from archcalc.render.notation import apart
from archcalc.render.tables import ESSENTIAL, Column, Row, Table

MOST_ITEMS = 14  # on a screen; the document has all of them


class WhyDocument(msgspec.Struct, frozen=True):
    """What ``archcalc why --format json`` prints: ``answers``, the best first, or where there are none the ``nearest`` candidates.

    ``differences`` take ``first``, the ``counted`` of the model that was asked for, to ``second``.
    """

    schema: str
    model: str
    variant: str
    number: str
    sentence: str
    answers: tuple[Candidate, ...]
    nearest: tuple[Candidate, ...]
    counted: str
    first: int | None
    second: int | None
    differences: tuple[Item, ...]
    notes: tuple[str, ...]


def explanation(answer: Answer) -> Result:
    """Return what was found for a number."""
    told = differences(answer)
    spec, variant = answer.asked.spec, answer.asked.variant
    document = WhyDocument(
        schema="archcalc.why/1",
        model=plain(spec.name),
        variant=plain(variant),
        number=plain(answer.number),
        sentence=plain(_sentence(answer)),
        answers=answer.answers,
        nearest=answer.nearest,
        counted=told.words if told else "",
        first=told.first if told else None,
        second=told.second if told else None,
        differences=told.items if told else (),
        notes=told.notes if told else (),
    )
    return Result(document, "answers", partial(_table, answer, document, told))


def _sentence(answer: Answer) -> str:
    """Return the answer in one sentence."""
    if not answer.answers:
        return f"{answer.number} is no count of {answer.asked.variant} or its kin that is known here, exact, rounded or cut off."
    best = answer.answers[0]
    known = answer.asked.spec.variant(answer.asked.variant).title
    title = f", {best.title}" if best.title not in ("", known) else ""
    return f"{answer.number} is {_who(best)}{title}: {count(best.value)} {best.words}{_ENDS[best.fit]}{_reading(best)}."


_ENDS = {EXACT: ", exactly", PRINTED: "", ROUNDS: ", rounded", TRUNCATES: ", cut off"}
_FITS = {EXACT: "exact", PRINTED: "printed", ROUNDS: "rounds to it", TRUNCATES: "is cut off to it"}


def _who(candidate: Candidate) -> str:
    """Return which network it is, and what is changed of it."""
    layer = f"{candidate.layer} of " if candidate.layer else ""
    return f"{layer}{candidate.model}" + (f" with {' and '.join(candidate.steps)}" if candidate.steps else "")


def _reading(candidate: Candidate) -> str:
    return f" ({candidate.reading})" if candidate.reading else ""


def _because(candidate: Candidate) -> str:
    """Return what is counted, how it fits, and what tells the variant from the one that was asked for."""
    fit = _FITS[candidate.fit] + _reading(candidate) if candidate.fit else candidate.reading
    return "; ".join([candidate.words, *([fit] if fit else []), *candidate.settings])


_COLUMNS = (
    Column("name", "what", "name", ESSENTIAL),
    Column("value", "value", "count", 95),
    Column("difference", "difference", "count", 90),
    Column("because", "because", "prose", 92),
)


def _table(answer: Answer, document: WhyDocument, told: Differences | None) -> Table:
    candidates: list[Row] = [(_who(one), one.value, one.off or None, _because(one)) for one in answer.answers or answer.nearest]
    steps = _steps(answer, told) if told and told.items else []
    notes = (*document.notes, *(() if answer.answers else ("the nearest are shown; archcalc list shows other models",)))
    return Table(document.sentence, _COLUMNS, (*candidates, *steps), None, notes, frozenset([len(candidates)] if steps else []))


def _steps(answer: Answer, told: Differences) -> list[Row]:
    """Return the lines from the model that was asked for to the answer; many layers are folded into the scopes of their paths."""
    rows: list[Row] = [(answer.asked.variant, told.first, None, told.words)]
    if len(told.items) <= MOST_ITEMS:
        values = [item.difference if item.name == REST else item.second for item in told.items]
        rows += [(item.name, value, item.difference, _differs(item)) for item, value in zip(told.items, values, strict=True)]
    else:
        rows += _folded(told)
    rows.append(("in all", told.second, told.second - told.first, answer.number))
    return rows


def _folded(told: Differences) -> list[Row]:
    """Return a line for each scope, as deep as there is room for them, and if there is none one for the smallest together."""
    scopes: dict[str, list[int]] = {}
    for depth in (3, 2, 1):
        scopes = {}
        for item in told.items:
            scopes.setdefault(scope(item.name.partition(" / ")[0], depth), []).append(item.difference)
        if len(scopes) <= MOST_ITEMS:
            break
    largest = set(sorted(scopes, key=lambda name: -abs(sum(scopes[name])))[:MOST_ITEMS])
    rows: list[Row] = [(name, None, sum(some), _layers(len(some))) for name, some in scopes.items() if name in largest]
    others = [amount for name, some in scopes.items() if name not in largest for amount in some]
    return rows + ([("(others)", None, sum(others), _layers(len(others)))] if others else [])


def _layers(number: int) -> str:
    return f"{count(number)} {'layer' if number == 1 else 'layers'}"


def _differs(item: Item) -> str:
    """Return in words what is not the same: ``groups 1 -> 2``."""
    if item.first is None and item.second is not None:
        return "not in the model asked for"
    if item.second is None and item.first is not None:
        return "only in the model asked for"
    words = [f"{_WORDS.get(name, name)} {' -> '.join(_texts(name, values))}" for name, values in item.differs.items()]
    if not words and item.first:
        return f"from {count(item.first)}"
    return ", ".join(words)


_WORDS = {"op": "operator", "output_shape": "output"}


def _texts(name: str, values: Sequence[Any]) -> Sequence[str]:
    return [sizes(value[1:]) for value in values] if name == "output_shape" else apart(values)
