"""Errors on a screen: the sentence, the line it is about with a caret under it, and the way out; or one line for editors and CI."""

from collections.abc import Callable

from archcalc.errors import ArchcalcError, Place
from archcalc.render.figures import cells, plain
from archcalc.render.terminal import Screen

TAB = "    "
ELLIPSIS = "..."
WIDTH_IN_A_PIPE = 120  # a spec may be one line of 64 KiB; nobody wants all of it
LEAST_WIDTH = 24


def render_error(error: ArchcalcError, style: str, screen: Screen) -> str:
    """Return the error in a style: ``full``, ``short``, ``json`` or ``github``."""
    return _STYLES.get(style, _full)(error, screen)


def _full(error: ArchcalcError, screen: Screen) -> str:
    place = error.place
    margin = " " * len(str(place.line if place and place.line else ""))
    lines = [f"{screen.paint(f'error[{error.code}]:', 'red')} {screen.paint(plain(error.message), 'bold')}"]
    if place is not None:
        lines += _pointed(place, margin, screen)
    margin = margin or " "
    for name, text in (("help", error.help), ("layer", error.layer)):
        if text:
            lines.append(f"{margin} {screen.paint('=', 'blue')} {screen.paint(f'{name}:', 'bold')} {plain(text)}")
    return "\n".join(lines)


def _pointed(place: Place, margin: str, screen: Screen) -> list[str]:
    """Return where it is, and the source line with its caret."""
    lines = [f"{margin}{screen.paint('-->', 'blue')} {plain(place.file)}:{place.line}:{place.column}"]
    if not place.text.strip():
        return lines
    room = max(LEAST_WIDTH, (screen.width or WIDTH_IN_A_PIPE) - len(margin) - 3)
    source, caret = underlined(place, room)
    bar = screen.paint("|", "blue")
    return [
        *lines,
        f"{margin} {bar}",
        f"{screen.paint(str(place.line), 'blue')} {bar} {source}",
        f"{margin} {bar} {' ' * (len(caret) - len(caret.lstrip()))}{screen.paint(caret.lstrip(), 'red')}",
    ]


def underlined(place: Place, room: int) -> tuple[str, str]:
    """Return the source line and the line under it, cropped around the caret to ``room`` cells."""
    pieces = [TAB if character == "\t" else plain(character) for character in place.text.rstrip()]
    start = min(max(place.column - 1, 0), len(pieces))
    end = min(start + max(place.width, 1), max(len(pieces), start + 1))
    widths = [cells(piece) for piece in pieces]
    first, last = _window(widths, start, end, room)
    before, after = ELLIPSIS if first else "", ELLIPSIS if last < len(pieces) else ""
    shown = before + "".join(pieces[first:last]) + after
    under = " " * (len(before) + sum(widths[first:start])) + "^" * max(1, sum(widths[start : min(end, last)]))
    return shown, under


def _window(cells: list[int], start: int, end: int, room: int) -> tuple[int, int]:
    """Return which characters to show: all if they fit, else as many as do around the underlined ones, from their start."""
    if sum(cells) <= room:
        return 0, len(cells)
    room -= 2 * len(ELLIPSIS)
    first = last = min(start, len(cells) - 1)
    used = 0
    wants: tuple[Callable[[], bool], ...] = (lambda: last < min(end, len(cells)), lambda: first > 0, lambda: last < len(cells))
    while any(want() for want in wants):
        forward = last < min(end, len(cells)) or (last < len(cells) and (first == 0 or last - end < start - first))
        step = cells[last] if forward else cells[first - 1]
        if used + step > room:
            break
        used += step
        first, last = (first, last + 1) if forward else (first - 1, last)
    return first, max(last, first + 1)


def _short(error: ArchcalcError, screen: Screen) -> str:
    """Return one line, in the form that editors know from compilers."""
    place = error.place
    where = f"{plain(place.file)}:{place.line}:{place.column}: " if place else ""
    layer = f" (layer {plain(error.layer)})" if error.layer else ""
    help = f" ({plain(error.help)})" if error.help else ""
    return f"{where}error[{error.code}]: {plain(error.message)}{layer}{help}"


def _json(error: ArchcalcError, screen: Screen) -> str:
    """Return one line of JSON; a place that is not known is null."""
    import msgspec

    place = error.place
    where = {name: getattr(place, name) if place else None for name in ("file", "line", "column", "width")}
    where["file"] = plain(where["file"]) if isinstance(where["file"], str) else None
    said = {"code": error.code, "message": plain(error.message), "help": error.help and plain(error.help), "layer": error.layer}
    return msgspec.json.encode({"severity": "error", **said, **where, "exit_code": error.exit_code}).decode()


def _github(error: ArchcalcError, screen: Screen) -> str:
    """Return a workflow command of GitHub's, which marks the line in the pull request."""
    place = error.place
    properties = {"title": error.code}
    if place:
        end = str(place.column + place.width)
        properties = {"file": place.file, "line": str(place.line), "col": str(place.column), "endColumn": end} | properties
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = error.message + (f" (layer {error.layer})" if error.layer else "") + (f"; {error.help}" if error.help else "")
    return f"::error {told}::{_data(message)}"


def _data(text: str) -> str:
    return plain(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_STYLES: dict[str, Callable[[ArchcalcError, Screen], str]] = {"full": _full, "short": _short, "json": _json, "github": _github}
