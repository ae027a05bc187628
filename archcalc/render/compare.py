"""A comparison of models: its document for machines, its table for people."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import groupby
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import msgspec

from archcalc.analysis.compare import Comparison, End, Part, Row
from archcalc.analysis.fold import GROUP
from archcalc.analysis.report import Report, Totals
from archcalc.errors import UsageError
from archcalc.ops import OPS
from archcalc.render.expanded import distribution
from archcalc.render.figures import count, inputs, shape, sizes
from archcalc.render.formats import Result
from archcalc.render.notation import apart, ends_of
from archcalc.render.summary import MACS
from archcalc.render.tables import ESSENTIAL, Cell, Column, Table

if TYPE_CHECKING:
    from archcalc.analysis.conventions import Count

MOST_MODELS = len(ascii_uppercase)  # each is a letter in the headings


class ComparedModel(msgspec.Struct, frozen=True):
    """One model and its totals; ``inputs`` have the batch first."""

    model: str
    title: str
    inputs: dict[str, tuple[int, ...]]
    totals: Totals


class ComparedRow(msgspec.Struct, frozen=True):
    """One row: each model's part in the models' order, null where a model has none, and which quantities differ."""

    equal: bool
    differs: tuple[str, ...]
    parts: tuple[Part | None, ...]


class ComparedOutput(msgspec.Struct, frozen=True):
    """One output, or side head: each model's in the models' order, null where a model has none, and what differs."""

    equal: bool
    differs: tuple[str, ...]
    ends: tuple[End | None, ...]


class ComparedTotal(msgspec.Struct, frozen=True):
    """One total over the models: ``differences`` and ``ratios`` are to the first, a ratio is null where the first is 0."""

    quantity: str
    values: tuple[int, ...]
    differences: tuple[int, ...]
    ratios: tuple[float | None, ...]


class CompareDocument(msgspec.Struct, frozen=True):
    """What ``archcalc compare --format json`` prints: all rows and outputs, also those that are equal.

    The quantity ``counted`` of the totals is the one that ``count`` names. For each model ``unsupported`` says of how many layers
    of which operators that tool knows nothing, and ``slips`` what it miscounts.
    """

    schema: str
    dtype: str
    count: str
    models: tuple[ComparedModel, ...]
    rows: tuple[ComparedRow, ...]
    totals: tuple[ComparedTotal, ...]
    unsupported: tuple[dict[str, int], ...]
    slips: tuple[tuple[str, ...], ...]
    outputs: tuple[ComparedOutput, ...]


def comparison(found: Comparison, *, every_row: bool = False, counted: Sequence["Count"] = (), asked: Sequence[str] = ()) -> Result:
    """Return the comparison; its table shows ``every_row``, or folds those that are equal. MACs where nothing is ``counted``.

    Models of one name are told apart by how they were ``asked`` for.
    """
    if len(found.reports) > MOST_MODELS:
        raise UsageError("E228", f"{len(found.reports)} models do not fit side by side", help=f"compare at most {MOST_MODELS}")
    models = tuple(ComparedModel(report.model, report.title, report.input, report.totals) for report in found.reports)
    rows = tuple(ComparedRow(row.equal, tuple(row.differences), row.parts) for row in found.rows)
    outputs = tuple(ComparedOutput(row.equal, tuple(row.differences), row.parts) for row in found.outputs)
    sums = {name: tuple(getattr(report.totals, name) for report in found.reports) for name in Totals.__struct_fields__}
    sums["counted"] = tuple(one.total for one in counted) or sums["macs"]
    totals = tuple(_total(name, values) for name, values in sums.items())
    convention = counted[0].convention if counted else "macs"
    unsupported = tuple(one.unsupported for one in counted) or ({},) * len(models)
    slips = tuple(one.slips for one in counted) or ((),) * len(models)
    dtype = found.reports[0].dtype
    document = CompareDocument("archcalc.compare/1", dtype, convention, models, rows, totals, unsupported, slips, outputs)
    return Result(document, "rows", partial(_table, found, _labels(found, asked), totals, counted, every_row))


def _labels(found: Comparison, asked: Sequence[str]) -> tuple[str, ...]:
    """Return what each model is called: its name, and the file where two have the same one."""
    names = [report.model for report in found.reports]
    return tuple(
        f"{name} ({word})" if names.count(name) > 1 and word != name else name
        for name, word in zip(names, asked or names, strict=True)
    )


def _total(quantity: str, values: tuple[int, ...]) -> ComparedTotal:
    first = values[0]
    differences = tuple(value - first for value in values)
    return ComparedTotal(quantity, values, differences, tuple(value / first if first else None for value in values))


def _table(
    found: Comparison, labels: Sequence[str], totals: Sequence[ComparedTotal], counted: Sequence["Count"], every_row: bool
) -> Table:
    letters = ascii_uppercase[: len(found.reports)]
    rows: list[tuple[Cell, ...]] = []
    begun = [] if every_row else [row for row in found.rows if not row.differences.keys().isdisjoint(_BEGINNINGS)]
    untold = _BEGINNINGS if begun else ()  # one note tells of them all
    for folded, run in groupby(found.rows, key=lambda row: not every_row and (row.equal or _differs(row, letters, untold) == "")):
        together = tuple(run)
        rows += [_equal_rows(together, len(letters))] if folded else [_row(row, letters, untold) for row in together]
    rows += [_output_row(row, letters) for row in found.outputs if not row.equal]
    by_name = {total.quantity: total for total in totals}
    params, macs = by_name["params"], by_name["macs"]
    sums = ("total", None, None, *params.values, *_shares(params.values), *macs.values, *_shares(macs.values), None)
    title = ", ".join(f"{letter} {label}" for letter, label in zip(letters, labels, strict=True))
    notes = [*_begun(begun, letters), *_notes(found.reports, labels, totals, counted, letters)]
    return Table(title, _columns(letters), tuple(rows), sums, tuple(notes))


def _columns(letters: str) -> tuple[Column, ...]:
    """Return the columns. Of two models a ratio says much, of more models too much."""
    counts = 85 if len(letters) == 2 else 93
    return (
        Column("name", "layer", "name", ESSENTIAL),
        Column("op", "operator", "text", 50),
        Column("output", "output", "sizes", 60),
        *(Column(f"params_{letter.lower()}", f"params {letter}", "count", counts) for letter in letters),
        *(Column(f"params_{letter.lower()}_to_a", f"params {letter}/A", "count", 92) for letter in letters[1:]),
        *(Column(f"macs_{letter.lower()}", f"MACs {letter}", "count", 40) for letter in letters),
        *(Column(f"macs_{letter.lower()}_to_a", f"MACs {letter}/A", "count", 80) for letter in letters[1:]),
        Column("differs", "differs", "prose", 91),
    )


def _equal_rows(rows: Sequence[Row[Part]], models: int) -> tuple[Cell, ...]:
    """Return the one line that stands for equal rows."""
    layers = sum(part.layers for row in rows for part in row.parts[:1] if part is not None)
    return (f"({count(layers)} equal {'layer' if layers == 1 else 'layers'})", *(None,) * (3 + 4 * models - 2))


def _row(row: Row[Part], letters: str, untold: Collection[str]) -> tuple[Cell, ...]:
    present = [part for part in row.parts if part is not None]
    first = present[0]
    params = tuple(None if part is None else part.params for part in row.parts)
    macs = tuple(None if part is None else part.macs for part in row.parts)
    return (
        _name(present),
        first.op if first.op != GROUP else f"{count(first.layers)} {'layer' if first.layers == 1 else 'layers'}",
        _output(row) if "output_shape" in row.differences else first.output_shape[1:],
        *params,
        *_shares(params),
        *macs,
        *_shares(macs),
        _differs(row, letters, untold),
    )


def _name(present: Sequence[Part] | Sequence[End]) -> str:
    return " / ".join(dict.fromkeys(part.name for part in present))


def _shares(values: tuple[int | None, ...]) -> tuple[str | None, ...]:
    """Return each later model's ratio to the first, where they differ."""
    first = values[0]
    return tuple(None if not first or value is None or value == first else ratio(value / first) for value in values[1:])


def ratio(value: float) -> str:
    """Return a ratio to two decimals; one that would be rounded to nothing, or to 1, keeps three digits that count.

    >>> ratio(0.5002), ratio(0.0004), ratio(1.0001), ratio(12.345)
    ('0.50', '0.0004', '1.0001', '12.35')
    """
    text = f"{value:.2f}"
    return f"{value:.3g}" if text == "0.00" else f"{value:.6g}" if text == "1.00" else text


def _output_row(row: Row[End], letters: str) -> tuple[Cell, ...]:
    """Return the line of an output that is not the same."""
    present = [end for end in row.parts if end is not None]
    kind = "output" if present[0].name == "output" else "head"
    return (_name(present), kind, *(None,) * (1 + 4 * len(letters) - 2), _differs(row, letters))


def _begun(rows: Sequence[Row[Part]], letters: str) -> list[str]:
    """Return in one sentence which layers begin from other weights; no total and no shape depends on it."""
    if not rows:
        return []
    first = rows[0]
    others = _differs(first, letters, [name for name in first.differences if name not in _BEGINNINGS])
    name = _name([part for part in first.parts if part is not None])
    begin = "1 layer begins" if len(rows) == 1 else f"{count(len(rows))} layers begin"
    return [f"{begin} with other values, which makes no layer differ above ({name}: {others}); --all tells each"]


def _differs(row: Row[Part] | Row[End], letters: str, untold: Collection[str] = ()) -> str:
    """Return in words what is not the same, in the order of the models that have it: `groups 1 -> 2`."""
    having = [letter for letter, part in zip(letters, row.parts, strict=True) if part is not None]
    words = [] if len(having) == len(letters) else [f"only in {' and '.join(having)}"]
    told = {
        name: [value for value, part in zip(values, row.parts, strict=True) if part is not None]
        for name, values in row.differences.items()
        if name not in untold
    }
    op = next((OPS[part.op] for part in row.parts if isinstance(part, Part) and part.op in OPS), None)
    texts = {name: _texts(name, told[name], ends_of(op, name) if op else 0) for name in told if name not in _FOLLOWING}
    words += [f"{_WORDS.get(name, name)} {' -> '.join(texts[name])}" for name in texts]
    if "inside" in told and "layers" not in told:
        numbers = dict.fromkeys(map(count, told["inside"]))
        words.append(f"{' -> '.join(numbers)} {'layer' if set(numbers) == {'1'} else 'layers'} inside")
    if not words and told:  # no more than what comes from above; a narrow screen may have no column for the output
        words.append("output" if "output_shape" in told else f"input {' -> '.join(map(shape, told['input_shapes']))}")
    return ", ".join(words)


_FOLLOWING = ("inside", "input_shapes", "output_shape", "params", "macs")  # from something else that differs, here or above
_BEGINNINGS = ("weight_init", "bias_init")
_WORDS = {
    "op": "operator",
    "kernel_size": "kernel",
    "padding": "pad",
    "frozen": "frozen params",
    "weight_init": "weight init",
    "bias_init": "bias init",
}


def _texts(name: str, values: Sequence[Any], ends: int) -> Sequence[str]:
    """Return the values of a quantity in words; ``ends`` as in ``notation.apart``."""
    if name == "inputs":
        return _inputs(values)
    if name == "shares":
        return [value or "nothing" for value in values]
    if name == "weight":
        return [f"{value:.15g}" for value in values]
    if name == "frozen":
        return [count(value) for value in values]
    if name in ("weight_init", "bias_init"):
        return ["PyTorch's" if value is None else distribution(value) for value in values]
    return apart(values, ends)


def _inputs(values: Sequence[tuple[str, ...]]) -> list[str]:
    """Return what is read by each; of what all read, two or more in a row are left out, unless only the order differs."""
    common = set(values[0]).intersection(*values[1:])
    most = 1 if any(set(names) - common for names in values) else max(map(len, values))
    found = []
    for names in values:
        runs = [(alike, tuple(run)) for alike, run in groupby(names, key=common.__contains__)]
        found.append(", ".join("..." if alike and len(run) > most else ", ".join(run) for alike, run in runs))
    return found


def _output(row: Row[Part]) -> str:
    """Return the outputs of the models that have the part."""
    return " -> ".join(sizes(part.output_shape[1:]) for part in row.parts if part is not None)


_TOLD = {
    "params": "params",
    "trainable": "trainable params",
    "macs": "MACs",
    "buffers": "buffers",
    "output_bytes": "activation bytes",
    "saved_bytes": "saved bytes",
}


def _notes(
    reports: Sequence[Report], labels: Sequence[str], totals: Sequence[ComparedTotal], counted: Sequence["Count"], letters: str
) -> list[str]:
    """Return who the letters are, the totals against those of the first, and how a tool counts them."""
    notes = []
    for letter, label, report in zip(letters, labels, reports, strict=True):
        notes.append(f"{letter} = {label}{': ' if report.title else ''}{report.title}; input {inputs(report.input)}")
    notes += [f"{letter} - A: {_against(totals, index)}" for index, letter in enumerate(letters[1:], start=1)]
    notes.append(MACS)
    if counted:
        from archcalc.render.counts import told_of_several

        notes += told_of_several(letters, counted)
    return notes


def _against(totals: Sequence[ComparedTotal], index: int) -> str:
    """Return how far a model's totals are from those of the first."""
    params = next(total for total in totals if total.quantity == "params")
    told = {
        word: total
        for total in totals
        if (word := _TOLD.get(total.quantity)) and (total.quantity != "trainable" or total.values != params.values)
    }
    differing = [_difference(word, total, index) for word, total in told.items() if total.differences[index]]
    equal = [word for word, total in told.items() if not total.differences[index]]
    return "; ".join([*([", ".join(differing)] if differing else []), *([f"equal {', '.join(equal)}"] if equal else [])])


def _difference(word: str, total: ComparedTotal, index: int) -> str:
    share = total.ratios[index]
    return f"{word} {total.differences[index]:+,}" + (f" (x{ratio(share)})" if share else "")
