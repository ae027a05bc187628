"""From the text of a page to its items: front matter, listings, tables, and line after line the forms."""

from typing import Any

from archcalc.errors import ArchcalcError
from archcalc.worksheet.forms import read_line
from archcalc.worksheet.page import Item, Line, Page
from archcalc.worksheet.text import lines as lines_of


def read(text: str | bytes) -> Page:
    """Return the page that the text is. Raises ArchcalcError for what is no text, and for front matter that cannot be read."""
    lines = lines_of(text)
    matter = _front_matter(lines)
    items: list[Item] = []
    for line in lines:
        if line.role in ("prose", "row", "code"):
            items += read_line(line)
    return Page(lines, tuple(items), **matter)


def _front_matter(lines: tuple[Line, ...]) -> dict[str, Any]:
    """Return what stands before the page between two lines of dashes; keys of other tools (``title``, ``date``) are theirs."""
    rows = [line.text for line in lines if line.role == "matter"][1:-1]
    if not any(row.lstrip().startswith(("model", "set", "variant", "count")) for row in rows):
        return {}
    import yaml  # deferred: most pages have none

    text = "\n".join(rows)
    if "&" in text or "*" in text:
        raise ArchcalcError("E242", "the lines before the page hold an anchor or an alias", help="model: alexnet, set: {towers: 2}")
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ArchcalcError("E242", "the lines before the page cannot be read as YAML", help="model: alexnet") from None
    if not isinstance(read, dict):
        return {}
    found: dict[str, Any] = {key: str(read[key]) for key in ("model", "variant", "count") if read.get(key) is not None}
    settings = read.get("set")
    if isinstance(settings, dict):
        found["settings"] = {str(name): value for name, value in settings.items()}
    return found
