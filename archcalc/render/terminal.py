"""Screens: how wide one is, whether it has colours, and a table laid out on it without ever cutting a digit."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from archcalc.render.figures import cells
from archcalc.render.tables import ESSENTIAL, Cell, Marked, Table, Texts, notes, texts

GAP = "  "
NARROWEST_NAME = 8
NARROWEST_PROSE = 24
FOLDING = ("name", "prose")  # kinds of columns whose cells may stand on several lines
MOST_COLUMNS_DIGITS = 5  # a wider terminal is a slip in the environment
STYLES = {"bold": "1", "dim": "2", "red": "1;31", "cyan": "36", "blue": "1;34"}


class Screen(msgspec.Struct, frozen=True):
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
    terminal = stream is not None and stream.isatty()  # None: closed before we started
    forced = environ.get("FORCE_COLOR", "0") not in ("", "0")
    dumb = environ.get("TERM", "").lower() in ("dumb", "unknown")
    colour = not environ.get("NO_COLOR") and (forced or (terminal and not dumb))
    if width is None and terminal:
        columns = environ.get("COLUMNS", "")
        told = int(columns) if columns.isdecimal() and len(columns) <= MOST_COLUMNS_DIGITS else 0
        width = told or _terminal_width(stream)
    return Screen(width, colour, terminal)


def _terminal_width(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def lay_out(table: Table, screen: Screen) -> str:
    """Return the table as lines that fit the screen: whole columns go, the least important first, and a line says which."""
    shown = _aligned(table, texts(table))
    if screen.width is None:
        headings = [[heading] for heading in shown.headings]
    else:  # words of a heading stand above each other where that makes a column narrower
        headings = [heading.split(" ") for heading in shown.headings]
    body = [*shown.rows, *([shown.totals] if shown.totals else [])]
    columns = range(len(table.columns))
    widths = {index: max(map(cells, (*headings[index], *(row[index] for row in body)))) for index in columns}
    prose = {index: min(widths[index], NARROWEST_PROSE) for index in columns if table.columns[index].kind == "prose"}
    kept = fitting(widths | prose, [column.importance for column in table.columns], screen.width)
    widths = {index: widths[index] for index in kept}
    widths |= _folding_widths(table, widths, prose, screen.width)
    below = notes(table, [table.columns[index].key for index in kept])
    left_out = [shown.headings[index] for index in columns if index not in kept]
    if left_out:
        below = (*below, f"left out to fit {screen.width}: {', '.join(left_out)}; whole in a pipe or with -o FILE")
    lines = _Lines(table, shown, widths, screen)
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

    def spaced(texts: Sequence[str], cells: Sequence[Cell]) -> tuple[str, ...]:
        pairs = enumerate(zip(texts, cells, strict=True))
        return tuple(f"{text} " if index in marked and not isinstance(cell, Marked) else text for index, (text, cell) in pairs)

    totals = None if shown.totals is None or table.totals is None else spaced(shown.totals, table.totals)
    return replace(shown, rows=tuple(map(spaced, shown.rows, table.rows)), totals=totals)


def fitting(widths: Mapping[int, int], importances: Sequence[int], limit: int | None) -> tuple[int, ...]:
    """Return the columns that fit, in their order: the least important go first, the later of two equals before the earlier.

    What a wide column leaves when it goes may be room enough for narrower ones that went before it: equals come back together.
    """
    kept = list(widths)
    gone: list[int] = []
    while limit is not None and len(kept) > 2 and _total(widths, kept) > limit:  # a name with one figure is the least of tables
        least = min(kept, key=lambda index: (importances[index], -index))
        if importances[least] >= ESSENTIAL:
            break
        kept.remove(least)
        gone.append(least)
    for importance in sorted({importances[index] for index in gone}, reverse=True):
        equals = [index for index in gone if importances[index] == importance]
        if limit is not None and _total(widths, [*kept, *equals]) <= limit:
            kept += equals
    return tuple(sorted(kept))


def _total(widths: Mapping[int, int], kept: Collection[int]) -> int:
    return sum(widths[index] for index in kept) + len(GAP) * (len(kept) - 1)


def _folding_widths(table: Table, widths: Mapping[int, int], prose: Mapping[int, int], limit: int | None) -> dict[int, int]:
    """Return the narrower widths of the columns that may fold, where the lines are too long: prose, and then the name."""
    found: dict[int, int] = {}
    for index in sorted(widths, key=lambda index: table.columns[index].kind == "name"):
        excess = 0 if limit is None else _total({**widths, **found}, widths) - limit
        if excess > 0 and table.columns[index].kind in FOLDING:
            found[index] = max(prose.get(index, NARROWEST_NAME), widths[index] - excess)
    return found


class _Lines:
    """The lines of one table on one screen; ``widths`` holds the columns that are shown."""

    def __init__(self, table: Table, shown: Texts, widths: Mapping[int, int], screen: Screen):
        self.table, self.shown, self.widths, self.screen = table, shown, widths, screen

    def head(self) -> list[str]:
        """Return the title and the headings, whose words stand above each other where the column is narrower than they are."""
        title = [self.screen.paint(line, "bold") for line in fold(self.shown.title, self.screen.width)]
        headings = {index: _words(self.shown.headings[index], width) for index, width in self.widths.items()}
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
        folded = [line for note in notes for line in fold(note, self.screen.width)]
        return [*totals, *([""] if folded else []), *(self.screen.paint(line, "dim") for line in folded)]

    def rule(self) -> list[str]:
        # ASCII: the box characters are two cells wide on Korean, Japanese and Chinese terminals.
        return [self.screen.paint(GAP.join("-" * width for width in self.widths.values()), "dim")] if self.screen.terminal else []

    def row(self, cells: Sequence[str], style: Callable[[str], str]) -> list[str]:
        """Return the lines of one row: one, or as many as its name and its prose fold into."""
        columns = self.table.columns
        return self._lines(
            {
                index: fold(cells[index], width) or [""] if columns[index].kind in FOLDING else [cells[index]]
                for index, width in self.widths.items()
            },
            style,
        )

    def _lines(self, columns: Mapping[int, list[str]], style: Callable[[str], str]) -> list[str]:
        height = max(map(len, columns.values()))
        lines = []
        for number in range(height):
            texts = {index: column[number] if number < len(column) else "" for index, column in columns.items()}
            lines.append(GAP.join(self._padded(index, text, style(text)) for index, text in texts.items()).rstrip())
        return lines

    def _padded(self, index: int, text: str, style: str) -> str:
        space = " " * (self.widths[index] - cells(text))
        painted = self.screen.paint(text, style)
        return space + painted if self.table.columns[index].right else painted + space


def _words(heading: str, width: int) -> list[str]:
    """Return the words of a heading in as few lines as the column is wide enough for."""
    lines = [""]
    for word in heading.split(" "):
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if cells(joined) <= width else [*lines, word]
    return [line for line in lines if line] or [""]


def fold(text: str, width: int | None) -> list[str]:
    """Return the text in lines of at most so many cells, broken behind a space, else behind a dot; none for no text."""
    lines = []
    while text:
        end = len(text) if width is None else _end_of_line(text, width)
        lines.append(text[:end].rstrip(" "))
        text = text[end:].lstrip(" ")
    return lines


def _end_of_line(text: str, width: int) -> int:
    """Return where the first line ends: at a break in its last two thirds, or else in the middle of a word."""
    cut = _fitting(text, width)
    if cut == len(text) or text[cut] == " ":
        return cut
    breaks = (text.rfind(character, 0, cut) + 1 for character in " .")
    return next((end for end in breaks if end and cells(text[:end]) >= width // 3), cut)


def _fitting(text: str, width: int) -> int:
    """Return how many characters fit: at least one."""
    if text.isascii():
        return max(1, min(width, len(text)))
    taken = 0
    for position, character in enumerate(text):
        taken += cells(character)
        if taken > width and position:
            return position
    return len(text)
