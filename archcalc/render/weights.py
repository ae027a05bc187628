"""A file of weights held against a model: what does not fit, row by row, and what was found on the way."""

from typing import TYPE_CHECKING

import msgspec

from archcalc.render.formats import Result
from archcalc.render.tables import ESSENTIAL, Column, Table

if TYPE_CHECKING:
    from archcalc.pytorch.weights import Difference, Match

_COLUMNS = (
    Column("key", "tensor", "name", ESSENTIAL),
    Column("verdict", "verdict", "text", 90),
    Column("model_sizes", "in the model", "sizes", 80),
    Column("model_kind", "numbers", "text", 60),
    Column("file_sizes", "in the file", "sizes", 80),
    Column("file_dtype", "type", "text", 60),
)
_READ = {"header": "only its header was read", "whole": "read whole"}


class TensorRow(msgspec.Struct, frozen=True):
    """A tensor that is ``missing`` in the file, ``unexpected`` there, or ``mismatched``; sizes and types are null where it is not.

    ``model_kind`` is ``real`` or ``whole``, what numbers the model has there: real ones are needed, or either.
    """

    key: str
    verdict: str
    model_sizes: tuple[int, ...] | None
    model_kind: str | None
    file_sizes: tuple[int, ...] | None
    file_dtype: str | None


class WeightsDocument(msgspec.Struct, frozen=True):
    """What ``archcalc weights MODEL FILE --format json`` prints.

    ``read`` is ``header`` where no values were looked at, ``format`` one of safetensors, torch zip, torch legacy. Of the file's
    ``tensors``, ``matched`` are of the model's ``expected``; ``counters`` of batches are in the model alone, and stay 0.
    """

    schema: str
    model: str
    file: str
    format: str
    read: str
    tensors: int
    expected: int
    matched: int
    counters: int
    fits: bool
    loaded: bool
    notes: tuple[str, ...]
    differences: tuple[TensorRow, ...]


def weights_result(model: str, file: str, found: "Match", *, loaded: bool) -> Result:
    """Return what came of holding a file against a model; ``loaded`` says whether it was also loaded."""
    about = found.contents
    document = WeightsDocument(
        "archcalc.weights/1",
        model,
        file,
        about.format,
        about.read,
        len(about.tensors),
        found.expected,
        len(found.names),
        found.counters,
        found.fits,
        loaded,
        found.notes,
        tuple(_row(difference) for difference in found.differences),
    )
    return Result(document, "differences", lambda: _table(document))


def _row(difference: "Difference") -> TensorRow:
    sizes, kind = (None, None) if difference.wanted is None else (difference.wanted.sizes, difference.wanted.kind)
    file_sizes, file_dtype = difference.found or (None, None)
    return TensorRow(difference.key, difference.verdict, sizes, kind, file_sizes, file_dtype)


def _table(document: WeightsDocument) -> Table:
    rows = tuple(msgspec.structs.astuple(row) for row in document.differences)
    return Table(f"{document.model} and {document.file}", _COLUMNS, rows, None, tuple(_notes(document)))


def _notes(document: WeightsDocument) -> list[str]:
    notes = [
        f"{document.format}, {_READ[document.read]}: {document.tensors:,} tensors",
        *document.notes,
        f"{document.matched:,} of the model's {document.expected:,} tensors fit",
    ]
    if document.counters:
        one = document.counters == 1
        counts = "1 count of batches is" if one else f"{document.counters:,} counts of batches are"
        notes.append(f"{counts} not in the file, as in older ones: {'it stays' if one else 'they stay'} 0")
    ignored = sum(row.verdict == "unexpected" for row in document.differences)
    if document.loaded:
        notes.append("loaded" + (f"; left out, since the model does not have them: {ignored:,}" if ignored else ""))
    else:
        notes.append("it can be loaded" if document.fits else "it does not fit, and nothing was loaded")
    return notes
