"""Tables in the notations of other programs: CSV and TSV with exact numbers, Markdown and LaTeX with what people read."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.render.figures import plain
from archcalc.render.tables import Table, exact, texts

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def separated(table: Table, separator: str) -> str:
    """Return the rows for a spreadsheet or a script: exact numbers under the columns' keys, no totals."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    writer.writerows([[_safe(cell) for cell in exact(row)] for row in table.rows])
    return stream.getvalue()


def _safe(cell: Any) -> Any:
    """Return a cell as a spreadsheet may have it: a text that it would run as a formula is quoted."""
    if isinstance(cell, tuple):
        several = any(isinstance(part, tuple) for part in cell)
        return ", ".join(map(_safe, cell)) if several else "x".join("" if part is None else str(part) for part in cell)
    if not isinstance(cell, str):
        return str(cell).lower() if isinstance(cell, bool) else cell
    return plain("'" + cell if cell.startswith(_FORMULA_STARTS) else cell)


def markdown(table: Table) -> str:
    """Return the table in GitHub's Markdown."""
    shown = texts(table)
    rules = ["---:" if column.right else "---" for column in table.columns]
    rows = [shown.headings, rules, *shown.rows]
    lines = [_pipes([for_markdown(cell) if row is not rules else cell for cell in row]) for row in rows]
    if shown.totals:
        lines.append(_pipes([f"**{for_markdown(cell)}**" if cell else "" for cell in shown.totals]))
    title = [f"**{for_markdown(shown.title)}**", ""] if shown.title else []
    notes = ["", *(f"{for_markdown(note)}  " for note in shown.notes)] if shown.notes else []
    return "\n".join([*title, *lines, *notes]) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def for_markdown(text: str) -> str:
    """Return the text with whatever Markdown would read as markup escaped; an underscore inside a word is none."""
    return re.sub(r"[\\`*\[\]<>|~#&$]|(?<![^\W_])_|_(?![^\W_])|://|www\.|@", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    # Links would be made of bare addresses too; a backslash cannot stop that, a reference for one of their characters can.
    return {"://": "&#58;//", "www.": "www&#46;", "@": "&#64;"}.get(found[0], "\\" + found[0])


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": "{-}", "[": "{[}", "]": "{]}",
}  # fmt: skip


def latex(table: Table) -> str:
    """Return the table for LaTeX, in the manner of booktabs."""
    shown = texts(table)
    bold = [rf"\textbf{{{for_latex(cell)}}}" if cell else "" for cell in shown.totals or ()]
    lines = [
        "% \\usepackage{booktabs, textcomp}",
        *(f"% {line}" for line in (shown.title, *shown.notes) if line),
        rf"\begin{{tabular}}{{{''.join('r' if column.right else 'l' for column in table.columns)}}}",
        r"\toprule",
        _ampersands(map(for_latex, shown.headings)),
        r"\midrule",
        *(_ampersands(map(for_latex, row)) for row in shown.rows),
        *([r"\midrule", _ampersands(bold)] if bold else []),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def for_latex(text: str) -> str:
    """Return the text with whatever LaTeX would read as a command escaped."""
    escaped = "".join(_LATEX.get(character, character) for character in text)
    # The \\ that ends the row above would take a bare star for its own.
    return f"{{*}}{escaped[1:]}" if escaped.startswith("*") else escaped
