"""A table as a picture: SVG that asks nothing of the web and is read on a light page as on a dark one."""

import re
from html import escape

from archcalc.render.figures import cells, plain
from archcalc.render.tables import Table
from archcalc.render.terminal import STYLES, Screen, lay_out

CELL, LINE, EDGE = 8.4, 20, 16  # pixels: a cell of the 14-pixel font, the distance of two lines, the margin
_CLASSES = {code: name for name, code in STYLES.items()} | {"0": ""}
_PAINTED = re.compile(r"\x1b\[([0-9;]*)m")
_WORDS = re.compile(r"\S+(?: \S+)*")  # words one space apart; wider gaps part the columns

_STYLE = """
text { font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; }
rect { fill: #ffffff; stroke: #d1d9e0; }
.bold { font-weight: bold; }
.dim { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  rect { fill: #0d1117; stroke: #3d444d; }
  .dim { fill: #8b949e; }
}
"""


def svg(table: Table, width: int | None) -> str:
    """Return the picture of the table as a terminal of that width shows it."""
    lines = lay_out(table, Screen(width, colour=True, terminal=True)).rstrip("\n").split("\n")
    widest = max(cells(_PAINTED.sub("", line)) for line in lines)
    w, h = widest * CELL + 2 * EDGE, len(lines) * LINE + 2 * EDGE
    drawn = [text for number, line in enumerate(lines) for text in _texts(line, EDGE + (number + 0.75) * LINE)]
    title = f"<title>{escape(plain(table.title))}</title>" if table.title else ""
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:g} {h:g}" width="{w:g}" height="{h:g}">'
    frame = f'<rect x="0.5" y="0.5" width="{w - 1:g}" height="{h - 1:g}" rx="6"/>'
    return "\n".join([opening, f"{title}<style>{_STYLE}</style>", frame, *drawn, "</svg>"]) + "\n"


def _texts(line: str, y: float) -> list[str]:
    """Return the words of a painted line, each at its own place, so that no viewer's font can shift a column."""
    drawn = []
    column = 0
    style = ""
    for number, piece in enumerate(_PAINTED.split(line)):
        if number % 2:
            style = _CLASSES[piece]
            continue
        for words in _WORDS.finditer(piece):
            x = EDGE + (column + cells(piece[: words.start()])) * CELL
            length = cells(words[0]) * CELL
            attributes = f' class="{style}"' if style else ""
            drawn.append(f'<text x="{x:.1f}" y="{y:g}" textLength="{length:.1f}"{attributes}>{escape(words[0])}</text>')
        column += cells(piece)
    return drawn
