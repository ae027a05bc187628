"""A graph held against PyTorch: a row for each layer with what PyTorch has to say of it."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from archcalc.analysis.fold import GROUP, Fold, fold, scope
from archcalc.analysis.report import Layer, Report, Totals
from archcalc.render.figures import count, plain, sizes
from archcalc.render.formats import Result
from archcalc.render.summary import MACS
from archcalc.render.tables import ESSENTIAL, Cell, Column, Row, Table

if TYPE_CHECKING:
    from archcalc.pytorch.check import Checked, Difference

MOST_NAMED = 8  # layers that differ, in the sentence under the table
AGREES, NOT_REACHED = "agrees", "not reached"
_WORDS = {"output_shape": "output", "macs": "MACs", "saved_bytes": "saved bytes"}


class Numbers(msgspec.Struct, frozen=True):
    """What is compared of a layer; ``saved_bytes`` has one number for each of the document's ``batches``."""

    output_shape: tuple[int, ...]
    params: int
    trainable: int
    buffers: int
    macs: int
    saved_bytes: tuple[int, ...]


class Sums(msgspec.Struct, frozen=True):
    """What is compared of the whole: the module's own totals, not those of its layers."""

    params: int
    trainable: int
    buffers: int
    macs: int
    saved_bytes: tuple[int, ...]


class CheckedRow(msgspec.Struct, frozen=True):
    """One layer, or with ``--depth`` the ``layers`` of a scope; ``found`` is null where PyTorch refused one, or did not get there.

    ``differs`` names what is not the same, of any layer in the row: sums may agree where layers do not.
    """

    name: str
    op: str
    layers: int
    agrees: bool
    differs: tuple[str, ...]
    predicted: Numbers
    found: Numbers | None


class DifferenceRow(msgspec.Struct, frozen=True):
    """One number that differs. ``layer`` is null for a total that no layer explains; ``found`` is null where PyTorch refused.

    ``device`` is meta, cpu, or fake cpu: the CPU's operators on tensors that hold no numbers.
    """

    layer: str | None
    quantity: str
    device: str
    batch: int
    predicted: tuple[int, ...] | int | None
    found: tuple[int, ...] | int | None
    because: str


class CheckDocument(msgspec.Struct, frozen=True):
    """What ``archcalc check --format json`` prints: the graph's numbers, and those of PyTorch at its version ``torch``.

    Saved bytes are those at ``batches``, on ``saved_on``; all else is at the batch of ``input`` on the meta device.
    """

    schema: str
    model: str
    variant: str
    title: str
    input: list[int] | dict[str, list[int]]
    dtype: str
    torch: str
    saved_on: str
    batches: tuple[int, ...]
    left_out: tuple[str, ...]
    agrees: bool
    differences: tuple[DifferenceRow, ...]
    layers: tuple[CheckedRow, ...]
    predicted: Sums
    found: Sums


def check_result(model: str, checked: "Checked", *, depth: int | None = None) -> Result:
    """Return what came of the check of a variant of ``model``, with rows folded to ``depth``."""
    meta, *training = checked.passes
    report = meta.predicted
    batched = {name: list(shape) for name, shape in report.input.items()}
    document = CheckDocument(
        schema="archcalc.check/1",
        model=model,
        variant=report.model,
        title=report.title,
        input=next(iter(batched.values())) if len(batched) == 1 else batched,
        dtype=report.dtype,
        torch=checked.torch_version,
        saved_on=training[0].device,
        batches=tuple(one.batch for one in training),
        left_out=checked.left_out,
        agrees=checked.agrees,
        differences=tuple(DifferenceRow(*difference) for difference in checked.differences),
        layers=tuple(_rows(checked, depth)),
        predicted=_sums([one.predicted for one in checked.passes]),
        found=_sums([one.found for one in checked.passes]),
    )
    return Result(document, "layers", partial(_table, document, checked.differences, depth))


def _rows(checked: "Checked", depth: int | None) -> Iterable[CheckedRow]:
    found = [{row.layer.name: row for row in fold(one.found, depth)} for one in checked.passes]
    by_row: dict[str, dict[str, None]] = {}
    for difference in checked.differences:
        if difference.layer is not None:
            by_row.setdefault(_row_name(difference.layer, depth), {})[difference.quantity] = None
    for folded in zip(*(fold(one.predicted, depth) for one in checked.passes), strict=True):
        name, theirs = folded[0].layer.name, [rows.get(folded[0].layer.name) for rows in found]
        whole = [row for row in theirs if row is not None and row.layers == folded[0].layers]
        reached = len(whole) == len(theirs)
        differs = tuple(by_row.get(name, {}))
        numbers = _numbers(whole) if reached else None
        yield CheckedRow(name, folded[0].layer.op, folded[0].layers, reached and not differs, differs, _numbers(folded), numbers)


def _row_name(layer: str, depth: int | None) -> str:
    return layer if depth is None else scope(layer, depth)


def _numbers(folded: Sequence[Fold]) -> Numbers:
    """Return a row's numbers, of which the first pass has all but the saved bytes."""
    layers = [row.layer for row in folded]
    return Numbers(tuple(layers[0].output_shape), *_summed(layers))


def _sums(reports: Sequence[Report]) -> Sums:
    return Sums(*_summed([report.totals for report in reports]))


def _summed(passes: Sequence[Layer | Totals]) -> tuple[int, int, int, int, tuple[int, ...]]:
    first, *training = passes
    return first.params, first.trainable, first.buffers, first.macs, tuple([one.saved_bytes for one in training])


def _table(document: CheckDocument, differences: Sequence["Difference"], depth: int | None) -> Table:
    said: dict[str | None, list[str]] = {}
    refused: set[tuple[str | None, str]] = set()
    for difference in differences:
        row = None if difference.layer is None else _row_name(difference.layer, depth)
        if difference.found is None and (difference.layer, difference.because) in refused:
            continue  # in the same words on another device or at another batch
        refused.add((difference.layer, difference.because))
        said.setdefault(row, []).append(_told(difference, row))
    columns = (
        Column("name", "layer", "name", ESSENTIAL),
        Column("op", "operator", "text", 60),
        Column("output_shape", "output", "shape", 80),
        Column("params", "params", "count", 90),
        Column("buffers", "buffers", "count", 40),
        Column("macs", "MACs", "count", 70),
        *(Column(f"saved_bytes_{batch}", f"saved, batch {batch}", "bytes", 50) for batch in document.batches),
        Column("pytorch", "PyTorch", "prose", 95),
    )
    rows = tuple(_cells(row, said) for row in document.layers)
    totals = ("total", None, None, *_counted(document.predicted), "; ".join(said.get(None, [])) or _verdict(document.agrees))
    title = f"{document.title} ({document.variant})" if document.title else document.variant
    return Table(title, columns, rows, totals, tuple(_notes(document)), legends=(("macs", MACS),))


def _cells(row: CheckedRow, said: dict[str | None, list[str]]) -> Row:
    op = row.op if row.op != GROUP else count(row.layers) + (" layer" if row.layers == 1 else " layers")
    verdict = "; ".join(said.get(row.name, [])) or (AGREES if row.agrees else NOT_REACHED)
    return (row.name, op, row.predicted.output_shape, *_counted(row.predicted), verdict)


def _counted(numbers: Numbers | Sums) -> tuple[Cell, ...]:
    return (numbers.params, numbers.buffers, numbers.macs, *numbers.saved_bytes)


def _verdict(agrees: bool) -> str:
    return AGREES if agrees else "differs"


def _told(difference: "Difference", row: str | None) -> str:
    """Return what PyTorch has instead; where the row stands for several layers, of which one."""
    where = "" if difference.layer in (row, None) else f"{difference.layer}: "
    at = f" (batch {difference.batch})" if difference.device != "meta" else ""
    if difference.found is None:
        return f"{where}refused{at}: {difference.because}"
    found = sizes(difference.found) if isinstance(difference.found, tuple) else count(difference.found)
    return f"{where}{_WORDS.get(difference.quantity, difference.quantity)} {found}{at}"


def _notes(document: CheckDocument) -> Iterable[str]:
    layers = sum(row.layers for row in document.layers)
    differing = list(dict.fromkeys(row.layer for row in document.differences if row.layer is not None))
    if document.agrees:
        yield f"{count(layers)} layers and the totals agree with PyTorch {document.torch}"
    elif differing:
        named = ", ".join([plain(name) for name in differing[:MOST_NAMED]] + (["..."] if len(differing) > MOST_NAMED else []))
        yield f"{count(len(differing))} of {count(layers)} layers differ from PyTorch {document.torch}: {named}"
    else:
        yield f"the totals differ from those of PyTorch {document.torch}, and no layer does"
    batches = " and ".join(map(count, document.batches))
    yield "output, params, buffers, MACs: of the module on the meta device"
    yield f"saved: what autograd keeps in training on the CPU, each storage once, at batch {batches}"
    if document.saved_on != "cpu":
        yield "so large a network ran there on tensors that hold no numbers, which keep the same storages"
    yield from (f"left out: {because}" for because in document.left_out)
