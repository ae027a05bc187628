"""The forms that a result can take, and where it is put: JSON and its kin from the document, the others from the table."""

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from archcalc.errors import UsageError
from archcalc.render.tables import Table
from archcalc.render.terminal import PIPE, Screen, lay_out, screen


class Result(NamedTuple):
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
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


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
    to_stdout = file is None or file == "-"
    target = screen(sys.stdout, os.environ, width) if to_stdout else PIPE._replace(width=width)
    deliver(FORMATS[format](result, target), file, target)


def deliver(text: str, file: str | None = None, target: Screen = PIPE) -> None:
    """Put a text into a file, whole or not at all, or onto standard output. Raises UsageError if that cannot be written."""
    try:
        if file is None or file == "-":
            _print(text, target)
        else:
            _replace(file, text.encode("utf-8", "backslashreplace"))
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        where = "to standard output" if file is None or file == "-" else file
        raise UsageError("E222", f"cannot write {where}: {error.strerror or error}", help="nothing was changed") from None


def _print(text: str, target: Screen) -> None:
    """Write to standard output: a terminal gets what it can show, a pipe UTF-8 whatever the locale says."""
    if target.terminal:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    else:
        sys.stdout.flush()
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:  # unbuffered, a write may take only a part
            rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.flush()


def _replace(file: str, content: bytes) -> None:
    """Write a file beside the old one, then put it in its place; what is no plain file (a device, a pipe) is written directly."""
    path = os.path.realpath(file)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:
            stream.write(content)
        return
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "xb") as stream:
            stream.write(content)
        os.replace(beside, path)
    except OSError:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
