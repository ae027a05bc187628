"""Markdown tables with named columns: each row is a layer, each named column a part of its line or a claim."""

import re

from archcalc.worksheet import words
from archcalc.worksheet.chains import chain, counted_as
from archcalc.worksheet.layerline import read_layer_line
from archcalc.worksheet.named_units import PERCENT, in_unit, split
from archcalc.worksheet.page import Claim, Item, Line, Said, Start, Unread
from archcalc.worksheet.terms import read_term, sizes_in

_NAMES = frozenset(
    "layer|layers|name|layer name|type|layer type|layer (type)|operation|op|block|stage|층|계층|레이어|이름|종류|유형|"
    "層|层|名称|类型|レイヤー|レイヤ".split("|")
)
_EMPTY = frozenset(("", "-", "--", "n/a", "none", "x", "/", "없음", "·", "*"))
_ARGUMENTS = {
    "kernel": "kernel",
    "count": "n",
    "stride": "stride",
    "padding": "padding",
    "groups": "groups",
    "dilation": "dilation",
}
_MORE = {
    "filters": "count",
    "filter": "kernel",
    "kernel": "kernel",
    "kernels": "count",
    "maps": "count",
    "channels": "count",
    "커널": "kernel",
    "필터": "kernel",
    "receptive field": "",  # grows from layer to layer
    "size/stride": "",
}
_TOTAL = re.compile(rf"(?:{words.TOTAL})\b.*")
_INPUT = re.compile(r"(?:input|image|data|입력|입력층|入力|输入)(?:\s*(?:layer|image|층))?", re.IGNORECASE)


def read_table(rows: list[Line]) -> list[Item] | None:
    """Return what the rows of a table say, None for a table whose columns are about something else."""
    headers = [_header(cell) for cell in _cells(rows[0].plain)]
    columns = [column for column, _ in headers]
    quantities = [column for column in columns if column in words.QUANTITIES]
    if not quantities or len(columns) < 2:
        return None
    named = next((index for index, column in enumerate(columns) if column == "name"), 0)
    items: list[Item] = []
    for row in rows[2:]:
        found = _row(row, columns, [unit for _, unit in headers], named)
        items += found if found is not None else _unread(row)
    return items


def _unread(row: Line) -> list[Item]:
    return [Unread(row.number, row.text)] if re.search("[0-9]", row.plain) else []


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _column(header: str) -> str:
    """Return what a column holds: a quantity, a part of the layer line, ``name``, or nothing known."""
    text = re.sub(r"\s+", " ", header.lower()).strip(" :.")
    for candidate in (text, re.sub(r"\s*[(\[].*?[)\]]", "", text).strip()):
        if candidate in _NAMES:
            return "name"
        if candidate in _MORE:
            return _MORE[candidate]
        if candidate in words.QUANTITY_WORDS:
            return words.QUANTITY_WORDS[candidate]
        if candidate in words.ARGUMENT_WORDS:
            return words.ARGUMENT_WORDS[candidate]
    return ""


def _header(header: str) -> tuple[str, str]:
    """Return what a column holds, and the unit of its numbers; a column of percents holds nothing known."""
    name, unit = split(header)
    column = _column(header) or _column(name)
    return ("", "") if unit == PERCENT and column in words.QUANTITIES else (column, unit)


def _row(row: Line, columns: list[str], units: list[str], named: int) -> list[Item] | None:
    cells = _cells(row.plain)
    if len(cells) > len(columns):
        return None
    cells += [""] * (len(columns) - len(cells))
    cells[named] = cells[named].rstrip(" :")
    name = cells[named]
    total = bool(_TOTAL.fullmatch(words.lower(name)))
    items: list[Item] = []
    if _INPUT.fullmatch(name):
        shape = next(
            (cell for cell, column in zip(cells, columns, strict=True) if column in ("output", "input") and sizes_in(cell)), None
        )
        items.append(Start(row.number, row.text, read_term(shape) if shape else None))
        skipped: tuple[str, ...] = ("output", "input")
    else:
        skipped = ()
        if not total:
            said = _said(row, cells, columns, named)
            if said is None:
                return None
            items += said
    for cell, column, unit in zip(cells, columns, units, strict=True):
        if column not in words.QUANTITIES or column in skipped or cell.lower() in _EMPTY:
            continue
        quantity = counted_as(column, cell)
        terms = chain(cell, quantity)
        if terms is None:
            return None
        terms = in_unit(terms, quantity, unit)
        if skipped and terms[-1].value == 0:
            continue
        items.append(Claim(row.number, row.text, quantity, terms, total and quantity not in ("output", "input")))
    return [item for item in items if not (isinstance(item, Claim) and total and item.quantity in ("output", "input"))]


def _said(row: Line, cells: list[str], columns: list[str], named: int) -> list[Item] | None:
    """Put the columns of a layer line together as one, and read it as one."""
    parts = [cells[named]]
    for index, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        if index == named or cell.lower() in _EMPTY - {"none"}:
            continue
        if column in _ARGUMENTS:
            parts.append(f"{_ARGUMENTS[column]}={cell}")
        elif column == "name":
            parts.append(cell)
    line = ", ".join(part for part in parts if part)
    found = read_layer_line(row.number, row.text, line)
    if found is None:
        found = read_layer_line(row.number, row.text, ", ".join(parts[1:])) if len(parts) > 1 else None
        if found is None:
            # A name of the writer's own: a model may know it.
            if re.fullmatch(r"[A-Za-z_][\w./\-]{0,60}", cells[named]):
                return [Said(row.number, row.text, None, name=cells[named], heading=True)]
            return None
    items: list[Item] = [found.said]
    if found.output is not None:
        items.append(Claim(row.number, row.text, "output", (found.output,)))
    return items
