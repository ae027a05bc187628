"""The roofline as a picture: in plain characters for a terminal, and as SVG."""

import os
import sys
from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from archcalc.analysis.roofline import Roofline
from archcalc.analysis.roofline.points import Picture, Point, picture
from archcalc.graph import Graph
from archcalc.render.delivery import deliver, goes_to_stdout
from archcalc.render.figures import count, percent, plain, significant
from archcalc.render.terminal import fold, screen

NARROWEST, USUAL, WIDEST, HEIGHT = 40, 80, 120, 20  # cells of the text's picture
LABEL = 10  # of them, what stands left of the axis
SVG_WIDTH, SVG_HEIGHT, EDGE = 720, 440, 64
_PREFIXES = {15: "P", 12: "T", 9: "G", 6: "M", 3: "k", 0: ""}


class Frame(NamedTuple):
    """The decades that the axes show, as powers of ten, both ends included."""

    left: int
    right: int
    bottom: int
    top: int

    def across(self, intensity: float) -> float:
        """Where an intensity stands, from 0 at the left to 1 at the right."""
        return (log10(intensity) - self.left) / (self.right - self.left)

    def up(self, rate: float) -> float:
        """Where a rate stands, from 0 at the bottom to 1 at the top."""
        return (log10(rate) - self.bottom) / (self.top - self.bottom)


def write(found: Roofline, graph: Graph, format: str, file: str | None = None, width: int | None = None) -> None:
    """Write the picture as text, or as SVG, to a file or to standard output. Raises UsageError if that cannot be written."""
    drawn = picture(found)
    title = plain(f"{graph.title or graph.name} on {found.device.name}, {found.precision}, {found.layout}, {found.mode}")
    if format == "svg":
        deliver(svg_chart(drawn, title), file)
        return
    if width is None and goes_to_stdout(file):
        width = screen(sys.stdout, os.environ).width
    deliver(text_chart(drawn, title, width or USUAL), file)


def frame(drawn: Picture) -> Frame:
    """Return the decades that hold every layer, and the ridge of the roof."""
    intensities = [drawn.ridge, *(point.intensity for point in drawn.points)]
    rates = [float(drawn.peak), *(point.rate for point in drawn.points)]
    left, bottom = floor(log10(min(intensities))), floor(log10(min(rates)))
    # The roof's flat end is seen, and a layer on the edge is.
    right, top = max(ceil(log10(max(intensities) * 1.5)), left + 1), max(ceil(log10(max(rates) * 1.1)), bottom + 1)
    return Frame(left, right, bottom, top)


def text_chart(drawn: Picture, title: str, width: int) -> str:
    """Return the picture in ASCII."""
    width = min(max(width, NARROWEST), WIDEST)
    columns, axes = width - LABEL - 1, frame(drawn)
    canvas = [[" "] * columns for _ in range(HEIGHT)]
    for column in range(columns):
        at = 10 ** (axes.left + column / (columns - 1) * (axes.right - axes.left))
        row = _row(axes.up(drawn.roof(at)))
        if row is not None:
            canvas[row][column] = "/" if at < drawn.ridge else "-"
    for (row, column), layers in _crowds(drawn.points, axes, columns).items():
        canvas[row][column] = str(layers) if layers < 10 else "+"
    decades = {_row(axes.up(10.0**power)): f"{rate_label(power)} |" for power in range(axes.bottom, axes.top + 1)}
    lines = [f"{decades.get(number, '|'):>{LABEL}}{''.join(cells)}".rstrip() for number, cells in enumerate(canvas)]
    lines += [" " * (LABEL - 1) + "+" + "-" * columns, _ticks(axes, columns)]
    below = [line for note in (_DIGITS, *notes(drawn)) for line in fold(note, width)]
    return "\n".join([*fold(title, width), "", f"{'FLOP/s':>{LABEL - 2}}", *lines, f"{'FLOP/byte':>{width}}", "", *below]) + "\n"


_DIGITS = "a digit is how many layers stand there, + ten or more; / and - are the roof"


def _row(up: float) -> int | None:
    """Return the line of a height, None outside of the picture."""
    row = round((1 - up) * (HEIGHT - 1))
    return row if 0 <= row < HEIGHT else None


def _crowds(points: Sequence[Point], axes: Frame, columns: int) -> dict[tuple[int, int], int]:
    """Return how many layers stand in each cell."""
    crowds: dict[tuple[int, int], int] = {}
    for point in points:
        row, column = _row(axes.up(point.rate)), round(axes.across(point.intensity) * (columns - 1))
        if row is not None:
            crowds[row, column] = crowds.get((row, column), 0) + 1
    return crowds


def _ticks(axes: Frame, columns: int) -> str:
    """Return the line of numbers under the axis."""
    line = [" "] * (LABEL + columns + 1)
    for power in range(axes.left, axes.right + 1):
        text = intensity_label(power)
        start = LABEL + round((power - axes.left) / (axes.right - axes.left) * (columns - 1))
        start = min(start, LABEL + columns - len(text))
        line[start : start + len(text)] = text
    return "".join(line).rstrip()


def intensity_label(power: int) -> str:
    """Return a power of ten as a plain number.

    >>> intensity_label(2), intensity_label(-1)
    ('100', '0.1')
    """
    return str(10**power) if power >= 0 else f"{10.0**power:g}"


def rate_label(power: int) -> str:
    """Return a power of ten with the prefix that people know.

    >>> rate_label(14), rate_label(9)
    ('100 T', '1 G')
    """
    base = max((known for known in _PREFIXES if known <= power), default=0)
    return f"{10 ** (power - base)} {_PREFIXES[base]}".rstrip()


def notes(drawn: Picture) -> list[str]:
    """Return what the picture shows, and what it cannot."""
    return [
        f"the roof: {drawn.bandwidth / 1e9:,.0f} GB/s up to the ridge at {significant(drawn.ridge)} FLOP/byte, then "
        f"{drawn.peak / 1e12:,.4g} TFLOP/s; under it {count(len(drawn.points))} layers where they are estimated to be",
        f"{count(drawn.bare)} layers without multiply-accumulates are bound by bytes or launches and take "
        f"{percent(100 * drawn.bare_share)}% of the estimate; they have no place in this picture",
    ]


_STYLE = """
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: bold; font-size: 14px; }
.page { fill: #ffffff; }
.grid { stroke: #d1d9e0; }
.roof { fill: none; stroke: #1f2328; stroke-width: 2; }
.bytes { fill: #0969da; }
.arithmetic { fill: #bc4c00; }
.launch { fill: #6e7781; }
circle { fill-opacity: 0.7; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .page { fill: #0d1117; }
  .grid { stroke: #3d444d; }
  .roof { stroke: #e6edf3; }
}
"""


def svg_chart(drawn: Picture, title: str) -> str:
    """Return the picture as SVG that asks nothing of the web: a dot for each layer, in the colour of what binds it."""
    axes = frame(drawn)
    wide, high = SVG_WIDTH - 2 * EDGE, SVG_HEIGHT - 2 * EDGE

    def place(intensity: float, rate: float) -> tuple[float, float]:
        return EDGE + axes.across(intensity) * wide, EDGE + (1 - axes.up(rate)) * high

    ends = [(10.0**axes.left, drawn.roof(10.0**axes.left)), (drawn.ridge, float(drawn.peak)), (10.0**axes.right, float(drawn.peak))]
    low = 10.0**axes.bottom / drawn.bandwidth  # where the roof comes up through the lower edge
    ends[0] = ends[0] if ends[0][1] >= 10.0**axes.bottom else (low, 10.0**axes.bottom)
    size = f'width="{SVG_WIDTH}" height="{SVG_HEIGHT}"'
    roof = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*end) for end in ends))
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {SVG_HEIGHT}" {size}>',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" {size} rx="6"/>',
        f'<text class="title" x="{EDGE}" y="32">{escape(title)}</text>',
        *_grid(axes, wide, high),
        f'<polyline class="roof" points="{roof}"/>',
        *(_dot(point, *place(point.intensity, point.rate)) for point in drawn.points),
        *_legend(drawn),
        "</svg>",
    ]
    return "\n".join(body) + "\n"


def _grid(axes: Frame, wide: float, high: float) -> Iterator[str]:
    """Yield a line and its number for each decade of both axes."""
    bottom = EDGE + high
    for power in range(axes.left, axes.right + 1):
        x = EDGE + axes.across(10.0**power) * wide
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{EDGE}" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{intensity_label(power)}</text>'
    for power in range(axes.bottom, axes.top + 1):
        y = EDGE + (1 - axes.up(10.0**power)) * high
        yield f'<line class="grid" x1="{EDGE}" x2="{EDGE + wide}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{EDGE - 8}" y="{y + 4:.1f}" text-anchor="end">{rate_label(power)}</text>'
    yield f'<text x="{EDGE + wide}" y="{bottom + 34}" text-anchor="end">FLOP/byte</text>'
    yield f'<text x="{EDGE - 8}" y="{EDGE - 12}" text-anchor="end">FLOP/s</text>'


def _dot(point: Point, x: float, y: float) -> str:
    rates = f"{significant(point.intensity)} FLOP/byte, {significant(point.rate / 1e12)} TFLOP/s"
    told = f"{plain(point.name)}: {rates}, bound by {point.bound}"
    return f'<circle class="{point.bound}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(told)}</title></circle>'


def _legend(drawn: Picture) -> Iterator[str]:
    """Yield what the colours mean, and what the picture leaves out."""
    bottom = SVG_HEIGHT - 12
    for number, bound in enumerate(("bytes", "arithmetic", "launch")):
        x = EDGE + 110 * number
        yield f'<circle class="{bound}" cx="{x}" cy="{bottom - 4}" r="4"/><text x="{x + 8}" y="{bottom}">bound by {bound}</text>'
    yield (
        f'<text x="{SVG_WIDTH - EDGE}" y="{bottom}" text-anchor="end">'
        f"{count(drawn.bare)} layers without arithmetic take {percent(100 * drawn.bare_share)}% besides</text>"
    )
