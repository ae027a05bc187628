"""Tables as HTML that needs nothing else: for notebooks, and as pages of their own. No scripts, and no colours but the reader's."""

from html import escape
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from archcalc.render.tables import Table, texts

if TYPE_CHECKING:
    from archcalc.analysis import Report
    from archcalc.graph import Graph

# Lines and shades are the text's own colour, thinned: right on a light page and on a dark one.
_STYLE = """\
.archcalc{border-collapse:collapse;font-size:.9em;margin:.5em 0}
.archcalc caption{text-align:left;font-weight:bold;padding:.3em 0}
.archcalc th,.archcalc td{text-align:left;padding:.15em .7em;border:0;white-space:nowrap}
.archcalc .r{text-align:right;font-variant-numeric:tabular-nums}
.archcalc thead th{border-bottom:1px solid;vertical-align:bottom}
.archcalc tbody tr:nth-child(even){background:rgba(128,128,128,.1)}
.archcalc tbody.after tr:first-child td{padding-top:.9em}
.archcalc tfoot tr.total td{border-top:1px solid;font-weight:bold}
.archcalc tfoot td.note{white-space:normal;opacity:.75;padding-top:.3em}"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body{{font-family:system-ui,sans-serif;margin:1.5em}}</style>
</head>
<body>
{body}
</body>
</html>
"""


def table_html(table: Table) -> str:
    """Return a table as a page."""
    return _PAGE.format(title=escape(texts(table).title or "archcalc"), body=fragment(table).rstrip())


def report_html(report: "Report") -> str:
    """Return what a notebook shows of a report: a row per layer, and totals."""
    from archcalc.graph import Graph
    from archcalc.render.summary import DEFAULT_COLUMNS, summary

    columns = [key for key in DEFAULT_COLUMNS if key != "arguments"]  # which only the graph has
    return fragment(summary(report.model, Graph(report.model, (), {}), report, columns=columns).table())


def graph_html(graph: "Graph") -> str:
    """Return what a notebook shows of a graph: a row per node, what it reads and the shape it makes."""
    from archcalc.render.show import graph_result

    return fragment(graph_result(graph).table())


def fragment(table: Table) -> str:
    """Return a table as a piece of a page, its style with it; the one place where texts become markup, and all of them escaped."""
    shown = texts(table)
    classes = [' class="r"' if column.right else "" for column in table.columns]
    headings = "".join(f'<th scope="col"{kind}>{escape(text)}</th>' for text, kind in zip(shown.headings, classes, strict=True))
    rows = [_row(cells, classes) for cells in shown.rows]
    ends = sorted({0, *table.breaks, len(rows)} & set(range(len(rows) + 1)))
    bodies = [['<tbody class="after">' if start else "<tbody>", *rows[start:end], "</tbody>"] for start, end in pairwise(ends)]
    totals = [_row(shown.totals, classes, ' class="total"')] if shown.totals else []
    notes = [f'<tr><td class="note" colspan="{len(table.columns)}">{escape(note)}</td></tr>' for note in shown.notes]
    caption = [f"<caption>{escape(shown.title)}</caption>"] if shown.title else []
    foot = ["<tfoot>", *totals, *notes, "</tfoot>"] if totals or notes else []
    lines = ["<div>", f"<style>\n{_STYLE}\n</style>", '<table class="archcalc">', *caption, f"<thead><tr>{headings}</tr></thead>"]
    return "\n".join([*lines, *chain.from_iterable(bodies), *foot, "</table>", "</div>"]) + "\n"


def _row(cells: tuple[str, ...], classes: list[str], kind: str = "") -> str:
    return f"<tr{kind}>" + "".join(f"<td{right}>{escape(text)}</td>" for text, right in zip(cells, classes, strict=True)) + "</tr>"
