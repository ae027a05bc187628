"""Screens: how wide one is, whether it has colours, and a table laid out on it without ever cutting a digit."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from archcalc.render.tables import ESSENTIAL, MARK, Marked, Table, Texts, notes, texts

GAP = "  "
NARROWEST_NAME = 8
STYLES = {"bold": "1", "dim": "2", "red": "1;31", "cyan": "36", "blue": "1;34"}

Measure = Callable[[str], int]


class Screen(NamedTuple):
    """What is written to: ``width`` in cells, None where there is no edge, as in a pipe."""

    width: int | None = None
    colour: bool = False
    terminal: bool = False

    def paint(self, text: str, style: str) -> str:
        """Return the text in a style, where the screen has any."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colour and style and text.strip() else text


PIPE = Screen()


def screen(stream: Any, environ: Mapping[str, str], width: int | None = None) -> Screen:
    """Return the screen behind a stream; ``width`` overrules what the terminal and COLUMNS say."""
    terminal = stream.isatty()
    forced = environ.get("FORCE_COLOR", "0") not in ("", "0")
    dumb = environ.get("TERM", "").lower() in ("dumb", "unknown")
    colour = not environ.get("NO_COLOR") and (forced or (terminal and not dumb))
    if width is None and terminal:
        columns = environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() and int(columns) > 0 else _terminal_width(stream)
    return Screen(width, colour, terminal)


def _terminal_width(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def lay_out(table: Table, screen: Screen) -> str:
    """Return the table as lines that fit the screen: whole columns go, the least important first, and a line says which."""
    from rich.cells import cell_len

    shown = _aligned(table, texts(table))
    if screen.width is None:
        headings = [[heading] for heading in shown.headings]
    else:  # words of a heading stand above each other where that makes a column narrower
        headings = [heading.split(" ") for heading in shown.headings]
    body = [*shown.rows, *([shown.totals] if shown.totals else [])]
    columns = range(len(table.columns))
    widths = {index: max(map(cell_len, (*headings[index], *(row[index] for row in body)))) for index in columns}
    kept = fitting(widths, [column.importance for column in table.columns], screen.width)
    widths = {index: widths[index] for index in kept} | _name_width(table, widths, kept, screen.width)
    below = notes(table, [table.columns[index].key for index in kept])
    left_out = [shown.headings[index] for index in columns if index not in kept]
    if left_out:
        below = (*below, f"left out to fit {screen.width}: {', '.join(left_out)}; whole in a pipe or with -o FILE")
    lines = _Lines(table, shown, widths, screen, cell_len)
    return "\n".join([*lines.head(), *lines.body(), *lines.foot(below)]) + "\n"


def _aligned(table: Table, shown: Texts) -> Texts:
    """Return the texts with a space behind each number whose column has marked ones, so that digits stay under digits."""
    marked = {
        index
        for index, column in enumerate(table.columns)
        if column.right and any(isinstance(row[index], Marked) for row in table.rows)
    }
    if not marked:
        return shown

    def spaced(cells: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{text} " if index in marked and not text.endswith(MARK) else text for index, text in enumerate(cells))

    totals = None if shown.totals is None else spaced(shown.totals)
    return shown._replace(rows=tuple(map(spaced, shown.rows)), totals=totals)


def fitting(widths: Mapping[int, int], importances: Sequence[int], limit: int | None) -> tuple[int, ...]:
    """Return the columns that fit, in their order: the least important go first, the later of two equals before the earlier."""
    kept = list(widths)
    while limit is not None and len(kept) > 1 and _total(widths, kept) > limit:
        least = min(kept, key=lambda index: (importances[index], -index))
        others = [index for index in kept if importances[index] < ESSENTIAL]
        if importances[least] >= ESSENTIAL or len(others) == 1:
            break  # one figure beside the name is the least that makes a table
        kept.remove(least)
    return tuple(kept)


def _total(widths: Mapping[int, int], kept: Sequence[int]) -> int:
    return sum(widths[index] for index in kept) + len(GAP) * (len(kept) - 1)


def _name_width(table: Table, widths: Mapping[int, int], kept: Sequence[int], limit: int | None) -> dict[int, int]:
    """Return the narrower width of the name column where even the fewest columns do not fit: names fold, digits never do."""
    if limit is None or _total(widths, kept) <= limit:
        return {}
    names = [index for index in kept if table.columns[index].kind == "name"]
    return {index: max(NARROWEST_NAME, widths[index] - (_total(widths, kept) - limit)) for index in names[:1]}


class _Lines:
    """The lines of one table on one screen; ``widths`` holds the columns that are shown."""

    def __init__(self, table: Table, shown: Texts, widths: Mapping[int, int], screen: Screen, measure: Measure):
        self.table, self.shown, self.widths, self.screen, self.measure = table, shown, widths, screen, measure

    def head(self) -> list[str]:
        """Return the title and the headings, whose words stand above each other where the column is narrower than they are."""
        title = [self.screen.paint(line, "bold") for line in fold(self.shown.title, self.screen.width, self.measure)]
        headings = {index: _words(self.shown.headings[index], width, self.measure) for index, width in self.widths.items()}
        height = max(map(len, headings.values()))
        high = {index: [""] * (height - len(lines)) + lines for index, lines in headings.items()}
        return [*title, *([""] if title else []), *self._lines(high, lambda text: "bold"), *self.rule()]

    def body(self) -> list[str]:
        lines = []
        for number, row in enumerate(self.shown.rows):
            if number in self.table.breaks:
                lines.append("")
            lines += self.row(row, lambda text: "dim" if text in ("0", "0.0") else "")
        return lines

    def foot(self, notes: Sequence[str]) -> list[str]:
        totals = [] if self.shown.totals is None else [*self.rule(), *self.row(self.shown.totals, lambda text: "bold")]
        folded = [line for note in notes for line in fold(note, self.screen.width, self.measure)]
        return [*totals, *([""] if folded else []), *(self.screen.paint(line, "dim") for line in folded)]

    def rule(self) -> list[str]:
        # ASCII: the box characters are two cells wide on Korean, Japanese and Chinese terminals.
        return [self.screen.paint(GAP.join("-" * width for width in self.widths.values()), "dim")] if self.screen.terminal else []

    def row(self, cells: Sequence[str], style: Callable[[str], str]) -> list[str]:
        """Return the lines of one row: one, or as many as its name folds into."""
        columns = self.table.columns
        return self._lines(
            {
                index: fold(cells[index], width, self.measure) or [""] if columns[index].kind == "name" else [cells[index]]
                for index, width in self.widths.items()
            },
            style,
        )

    def _lines(self, columns: Mapping[int, list[str]], style: Callable[[str], str]) -> list[str]:
        height = max(map(len, columns.values()))
        lines = []
        for number in range(height):
            cells = {index: column[number] if number < len(column) else "" for index, column in columns.items()}
            lines.append(GAP.join(self._padded(index, text, style(text)) for index, text in cells.items()).rstrip())
        return lines

    def _padded(self, index: int, text: str, style: str) -> str:
        space = " " * (self.widths[index] - self.measure(text))
        painted = self.screen.paint(text, style)
        return space + painted if self.table.columns[index].right else painted + space


def _words(heading: str, width: int, measure: Measure) -> list[str]:
    """Return the words of a heading in as few lines as the column is wide enough for."""
    lines = [""]
    for word in heading.split(" "):
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if measure(joined) <= width else [*lines, word]
    return [line for line in lines if line] or [""]


def fold(text: str, width: int | None, measure: Measure) -> list[str]:
    """Return the text in lines of at most so many cells, broken behind a space or a dot where there is one; none for no text."""
    lines = []
    while width is not None and measure(text) > width:
        end = cut = 0
        cells = 0
        for position, character in enumerate(text):
            cells += measure(character)
            if cells > width and position:
                break
            cut = position + 1
            if character in " ." and cells >= width // 3:
                end = cut
        if text[cut] == " ":
            end = cut
        lines.append(text[: end or cut].rstrip(" "))
        text = text[end or cut :].lstrip(" ")
    return [*lines, text] if text else lines
