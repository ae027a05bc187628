"""Python source laid out as ruff and black would: what is too long for a line is taken apart at its brackets, or gets some.

Not so where single names are too long for that, of more than about thirty columns.
"""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

WIDTH = 88  # both formatters' default, since a generated file is its reader's, not ours
INDENT = "    "
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def laid_out(statement: str, depth: int, comment: str = "") -> list[str]:
    """Return the lines of a statement that stands ``depth`` indents deep, with a comment behind its end.

    >>> laid_out("x = self.conv(x)", 1, "64x56x56")
    ['    x = self.conv(x)  # 64x56x56']
    """
    behind = f"  # {comment}" if comment else ""
    if fits(f"{INDENT * depth}{statement}{behind}"):
        return [f"{INDENT * depth}{statement}{behind}"]
    return _listed(statement, depth) or _summed(statement, depth, behind) or _split(statement, depth, behind)


def signature(head: str, arguments: list[str], kind: str, depth: int) -> list[str]:
    """Return the first lines of a method: ``head`` is its name, ``kind`` the type of what it returns."""
    return _split(f"def {head}({', '.join(arguments)})", depth, f" -> {kind}:")


def fits(line: str) -> bool:
    """Whether the line is no wider than a formatter lets it be; it counts a Korean letter as two columns."""
    return len(line) <= WIDTH and (line.isascii() or sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line) <= WIDTH)


def _listed(statement: str, depth: int) -> list[str]:
    """Return a long ``del`` or ``return`` with a line for each of its names; nothing where the statement is none."""
    word, _, names = statement.partition(" ")
    if word not in ("del", "return") or ", " not in names:
        return []
    margin = INDENT * depth
    return [f"{margin}{word} (", *(f"{margin}{INDENT}{name}," for name in names.split(", ")), f"{margin})"]


def _summed(statement: str, depth: int, behind: str) -> list[str]:
    """Return a long sum or product of variables in brackets, with a line for each where one does not do; nothing for others."""
    target, _, value = statement.partition(" = ")
    sign = next((sign for sign in (" + ", " * ") if sign in value), None)
    if sign is None or not re.fullmatch(rf"\w+({re.escape(sign)}\w+)+", value):
        return []
    margin, (first, *others) = INDENT * depth, value.split(sign)
    inner = INDENT * (depth + 1)
    apart = [f"{inner}{first}", *(f"{inner}{sign.lstrip()}{other}" for other in others)]
    lines = [f"{inner}{value}"] if fits(f"{inner}{value}") else apart
    return [f"{margin}{target} = (", *lines, f"{margin}){behind}"]


def _split(text: str, depth: int, behind: str, trailing: str = "") -> list[str]:
    """Return the text's lines; where it is too long, what its last bracket holds is indented, on one line or an item a line."""
    margin = INDENT * depth
    line = f"{margin}{text}{trailing}{behind}"
    start = _last_bracket(text)
    if fits(line) or start is None:
        return [line]
    inner, end = text[start + 1 : -1], text[-1]
    head, tail = f"{margin}{text[: start + 1]}", f"{margin}{end}{trailing}{behind}"
    before = text[:start][-1:]
    a_literal = not (before.isidentifier() or before.isdigit() or before in ")]")  # which takes a line for each item at once
    if not a_literal and (end == "]" or fits(INDENT * (depth + 1) + inner)):
        return [head, f"{INDENT * (depth + 1)}{inner}", tail]
    items = [line for item in _items(inner) for line in _split(item, depth + 1, "", ",")]
    return [head, *items, tail]


def _last_bracket(text: str) -> int | None:
    """Return where the bracket begins that ends the text, None if the text ends otherwise or the bracket is empty."""
    if not text or text[-1] not in _CLOSING.values():
        return None
    open_at: list[int] = []
    start = 0
    for position, letter in _outside_quotes(text):
        if letter in _CLOSING:
            open_at.append(position)
        elif letter in _CLOSING.values():
            start = open_at.pop()
    return start if start < len(text) - 2 else None


def _outside_quotes(text: str) -> Iterator[tuple[int, str]]:
    """Yield the letters of the text with their positions, those in quotes left out."""
    mark, escaped = "", False
    for position, letter in enumerate(text):
        if mark:
            mark = mark if letter != mark or escaped else ""
            escaped = letter == "\\" and not escaped
        elif letter in "\"'":
            mark = letter
        else:
            yield position, letter


def _items(text: str) -> list[str]:
    """Return what stands between the outermost commas.

    >>> _items('(1, 2), size=(3, 4), mode="a, b"')
    ['(1, 2)', 'size=(3, 4)', 'mode="a, b"']
    """
    items, depth, start = [], 0, 0
    for position, letter in _outside_quotes(text):
        if letter in _CLOSING:
            depth += 1
        elif letter in _CLOSING.values():
            depth -= 1
        elif letter == "," and depth == 0:
            items.append(text[start:position].strip())
            start = position + 1
    return [item for item in (*items, text[start:].strip()) if item]
