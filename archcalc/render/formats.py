"""The forms that a result can take: JSON and its kin from the document, the others from the table."""

import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from archcalc.render.delivery import deliver, goes_to_stdout
from archcalc.render.tables import Table
from archcalc.render.terminal import PIPE, Screen, lay_out, screen


class Result(msgspec.Struct, frozen=True):
    """What a command found: the ``document`` for machines, whose list ``rows`` has a line each in JSONL; the table for people."""

    document: msgspec.Struct
    rows: str
    table: Callable[[], Table]


def as_table(result: Result, screen: Screen) -> str:
    """Return the table laid out for the screen."""
    return lay_out(result.table(), screen)


def as_json(result: Result, screen: Screen) -> str:
    """Return the document with one line for each key and for each row."""
    document = result.document
    names = zip(document.__struct_encode_fields__, document.__struct_fields__, strict=True)
    fields = [f'  "{key}": {_json_rows(getattr(document, name))}' for key, name in names]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _json_rows(value: Any) -> str:
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], msgspec.Struct):
        return "[\n    " + ",\n    ".join(_json(row) for row in value) + "\n  ]"
    return _json(value)


def _json(value: Any) -> str:
    """Return a value on one line; what a terminal could obey is escaped, so that the text stays the same for who reads it."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    if (text.isascii() and "\x7f" not in text) or text.isprintable():  # JSON itself escapes the control characters before " "
        return text
    from json import dumps  # deferred: few names hold such characters

    return "".join(c if c.isprintable() else dumps(c)[1:-1] for c in text)


def as_jsonl(result: Result, screen: Screen) -> str:
    """Return a line of JSON for each row."""
    return "".join(_json(row) + "\n" for row in getattr(result.document, result.rows))


def as_csv(result: Result, screen: Screen) -> str:
    """Return comma-separated values."""
    from archcalc.render.markup import separated

    return separated(result.table(), ",")


def as_tsv(result: Result, screen: Screen) -> str:
    """Return tab-separated values."""
    from archcalc.render.markup import separated

    return separated(result.table(), "\t")


def as_markdown(result: Result, screen: Screen) -> str:
    """Return a table of GitHub's Markdown."""
    from archcalc.render.markup import markdown

    return markdown(result.table())


def as_latex(result: Result, screen: Screen) -> str:
    """Return a LaTeX table in the manner of booktabs."""
    from archcalc.render.markup import latex

    return latex(result.table())


def as_html(result: Result, screen: Screen) -> str:
    """Return a page of HTML that needs nothing else."""
    from archcalc.render.html import table_html

    return table_html(result.table())


def as_svg(result: Result, screen: Screen) -> str:
    """Return a picture of the terminal's table."""
    from archcalc.render.svg import svg

    return svg(result.table(), screen.width)


FORMATS: dict[str, Callable[[Result, Screen], str]] = {
    "table": as_table,
    "json": as_json,
    "jsonl": as_jsonl,
    "csv": as_csv,
    "tsv": as_tsv,
    "md": as_markdown,
    "latex": as_latex,
    "html": as_html,
    "svg": as_svg,
}


def write(result: Result, format: str, file: str | None = None, width: int | None = None) -> None:
    """Write the result in a format to a file, or to standard output. Raises UsageError if that cannot be written."""
    target = screen(sys.stdout, os.environ, width) if goes_to_stdout(file) else replace(PIPE, width=width)
    deliver(FORMATS[format](result, target), file)
