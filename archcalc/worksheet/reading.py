"""From the text of a page to its items: front matter, listings, tables, and line after line the forms."""

import re
from typing import Any

from archcalc.errors import ArchcalcError
from archcalc.worksheet.blanks import blanks
from archcalc.worksheet.forms import read_line
from archcalc.worksheet.listing import listings
from archcalc.worksheet.page import Item, Line, Page, Said, Sizes, Unread
from archcalc.worksheet.tables import read_table
from archcalc.worksheet.text import lines as lines_of
from archcalc.worksheet.text import normalised

# A heading that is one name, as layers have them: features.0, layer1.0.conv1
_NAMED = re.compile(r"#{2,6}\s+`?([^\W\d][\w\-]*(?:\.[\w\-]+)*)`?\s*")


def read(text: str | bytes) -> Page:
    """Return the page that the text is. Raises ArchcalcError for what is no text, and for front matter that cannot be read."""
    lines = lines_of(text)
    matter = _front_matter(lines)
    listed = listings(lines)
    tables = _tables(lines)
    named = "model" in matter or any(line.plain.startswith("from ") for line in lines)  # then headings are the names of layers
    items: list[Item] = []
    passed: set[int] = set()
    for line in lines:
        if line.number in listed:
            items += listed[line.number].items
            passed |= listed[line.number].lines
        if line.number in tables:
            items += tables[line.number]
        if line.number not in passed and line.role in ("prose", "code"):
            if named and (name := _NAMED.fullmatch(line.text)):
                items.append(_heading(line, name[1]))
                continue
            items += _read(line if line.role == "prose" else _in_fence(line))
    return Page(lines, tuple(items), **matter)


def _read(line: Line) -> list[Item]:
    """Return what a line says; of one that is half filled in, that it is not whole."""
    empty = blanks(line)
    return [*(item for item in read_line(line) if not (empty and isinstance(item, Unread))), *empty]


def _heading(line: Line, name: str) -> Item:
    """Return a heading that names a layer of the model."""
    return Said(line.number, line.text, None, name=name, heading=True)


def _in_fence(line: Line) -> Line:
    """Return a line of a fence that holds no listing, for the forms: people fence their notes too."""
    return Line(line.number, line.text, normalised(line.text), "code")


def _tables(lines: tuple[Line, ...]) -> dict[int, list[Item]]:
    """Return what the tables say, by the number of their first line; rows of a table about something else are not read."""
    found: dict[int, list[Item]] = {}
    index = 0
    while index < len(lines):
        end = index
        while end < len(lines) and lines[end].role == "row":
            end += 1
        if end - index > 1:
            rows = list(lines[index:end])
            read = read_table(rows)
            found[rows[0].number] = (
                [*read, *(blank for row in rows[2:] for blank in blanks(row))]
                if read is not None
                else [Unread(r.number, r.text) for r in rows if re.search("[0-9]", r.text)]
            )
        index = max(end, index + 1)
    return found


def _front_matter(lines: tuple[Line, ...]) -> dict[str, Any]:
    """Return what stands before the page between two lines of dashes; keys of other tools (``title``, ``date``) are theirs."""
    rows = [line.text for line in lines if line.role == "matter"][1:-1]
    if not any(row.lstrip().startswith(("model", "set", "variant", "count")) for row in rows):
        return {}
    import yaml  # deferred: most pages have none

    text = "\n".join(rows)
    try:
        if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            message = "the lines before the page hold an anchor or an alias"
            raise ArchcalcError("E242", message, help="model: alexnet, set: {towers: 2}")
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ArchcalcError("E242", "the lines before the page cannot be read as YAML", help="model: alexnet") from None
    if not isinstance(read, dict):
        return {}
    found: dict[str, Any] = {key: str(read[key]) for key in ("model", "variant", "count") if read.get(key) is not None}
    settings = read.get("set")
    if isinstance(settings, dict):
        found["settings"] = {str(name): value for name, value in settings.items()}
    sizes = _sizes(read.get("input"))
    if sizes is not None:
        found["input"] = sizes
    return found


def _sizes(value: Any) -> Sizes | dict[str, Sizes] | None:
    """Return the input's sizes, or those of each input; None for anything else, which is another tool's."""
    if isinstance(value, dict):
        named = {str(name): _sizes(sizes) for name, sizes in value.items()}
        good = {name: sizes for name, sizes in named.items() if isinstance(sizes, tuple)}
        return good if good and len(good) == len(named) else None
    if isinstance(value, list) and 1 <= len(value) <= 4 and all(type(size) is int and size > 0 for size in value):
        return tuple(value)
    return None
