"""A YAML text as a tree of scalars, mappings and sequences that know where they stand, read as YAML 1.2 reads them.

Only the part of YAML that a spec needs is let in: no anchors, aliases, tags, merge keys or second documents, so that what stands
in the file is what is meant, and a small file stays small when it is read.
"""

import re
from typing import Any, Protocol

import yaml

from archcalc.errors import Place, SpecError

MOST_BYTES = 64 * 1024
MOST_LEVELS = 32

# Built from libyaml, which is about ten times faster; the pure Python parser stands in where PyYAML was built without it.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# YAML's printable characters, less the three (U+0085, U+2028, U+2029) that end a line in YAML 1.1 and do not in YAML 1.2.
# A text, not a compiled pattern: a file of plain ASCII never needs it, and compiling takes as long as reading a spec.
_REFUSED_CHARACTER = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_PLAIN_ASCII = bytes([9, 10, 13, *range(0x20, 0x7F)])

_ENDS = frozenset((yaml.MappingEndEvent, yaml.SequenceEndEvent))

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("0123456789+-.")
_DECIMAL = frozenset("0123456789+-.eE")
_BEYOND_NUMBERS = {
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# A longer run of digits is left as text: no number of a spec has so many, and Python refuses to read some of them.
_MOST_DIGITS = 64


class Source:
    """A file's name and its lines, from which an error shows the one that it is about."""

    __slots__ = ("file", "lines", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = _lines(text)

    def place(self, line: int, column: int, width: int = 1) -> Place:
        """Return the place at a 1-based line and column, underlined for ``width`` characters or up to the end of the line."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Place(self.file, line, column, text, max(1, min(width, len(text) - column + 1)))


class Scalar:
    """A single value as written: ``text`` without its quotes, and ``plain`` where it had none."""

    __slots__ = ("column", "line", "plain", "source", "text")

    def __init__(self, text: str, plain: bool, line: int, column: int, source: Source) -> None:
        self.text = text
        self.plain = plain
        self.line = line
        self.column = column
        self.source = source

    @property
    def value(self) -> str | int | float | bool | None:
        """What the text means by YAML 1.2's core schema; quoted text is always text."""
        text = self.text
        if not self.plain:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] not in _NUMBER_STARTS or len(text) > _MOST_DIGITS:
            return text
        return _number(text)

    @property
    def kind(self) -> str:
        """What the value is, for a sentence: "a number", "text", ..."""
        value = self.value
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return "true or false"
        return "a number" if not isinstance(value, str) else "text" if value else "an empty text"

    def place(self, width: int | None = None) -> Place:
        """Return where the scalar starts, underlined in full unless ``width`` says otherwise."""
        return self.source.place(self.line, self.column, (len(self.text) + 2 * self._quotes()) if width is None else width)

    def place_at(self, offset: int, width: int = 1) -> Place:
        """Return the place of the text's character number ``offset``, counted from 0, or the scalar's own where that is unsure.

        It is unsure in a text of several lines and in one with escapes: there the file's characters are not the text's.
        """
        place = self.place()
        start = place.column - 1 + self._quotes()
        if place.text[start : start + len(self.text)] != self.text:
            return place
        return self.source.place(self.line, start + 1 + offset, width)

    def _quotes(self) -> int:
        """Return how many characters stand before the text: its quote, if it has one."""
        return 0 if self.plain else 1

    def __repr__(self) -> str:
        return f"Scalar({self.text!r}, {self.line}:{self.column})"


class Mapping:
    """Keys and their trees in the order of the file; no key stands twice."""

    __slots__ = ("_by_key", "_key", "column", "entries", "line", "source")
    kind = "a mapping"

    def __init__(self, entries: "list[tuple[Scalar, Tree]]", line: int, column: int, source: Source) -> None:
        self.entries = entries
        self.line = line
        self.column = column
        self.source = source
        self._by_key = {key.text: tree for key, tree in entries}
        self._key: Scalar | None = None  # the one that waits for its value while the mapping is read

    def get(self, key: str) -> "Tree | None":
        """Return what stands under ``key``, or None."""
        return self._by_key.get(key)

    def keys(self) -> list[str]:
        """Return the keys' texts in the order of the file."""
        return list(self._by_key)

    def append(self, tree: "Tree") -> None:
        """Take the next tree of the file, for the reader alone: keys and values in turn."""
        key = self._key
        if key is None:
            self._key = _key(tree)
            return
        if key.text in self._by_key:
            first = next(earlier for earlier, _ in self.entries if earlier.text == key.text)
            raise SpecError(
                "E006",
                f"the key {_shown(key.text)} stands twice in this mapping",
                help=f"it is set first on line {first.line}; keep one of the two",
                place=key.place(),
            )
        self._by_key[key.text] = tree
        self.entries.append((key, tree))
        self._key = None

    def place(self, width: int = 1) -> Place:
        """Return where the mapping starts: its brace, or its first key."""
        return self.source.place(self.line, self.column, width)

    def __repr__(self) -> str:
        return f"Mapping({self.entries!r})"


class Sequence:
    """A list's trees in the order of the file."""

    __slots__ = ("column", "items", "line", "source")
    kind = "a list"

    def __init__(self, items: "list[Tree]", line: int, column: int, source: Source) -> None:
        self.items = items
        self.line = line
        self.column = column
        self.source = source

    def append(self, tree: "Tree") -> None:
        """Take the next tree of the file, for the reader alone."""
        self.items.append(tree)

    def place(self, width: int = 1) -> Place:
        """Return where the list starts: its bracket, or its first dash."""
        return self.source.place(self.line, self.column, width)

    def __repr__(self) -> str:
        return f"Sequence({self.items!r})"


Tree = Scalar | Mapping | Sequence


class _Events(Protocol):
    """What is used of PyYAML's loaders: their stream of events."""

    def get_event(self) -> Any: ...


def read(text: str | bytes, file: str) -> Tree:
    """Return the tree of a YAML text; ``file`` is the name that errors give it."""
    source = Source(file, _decoded(text, file))
    parser = _Parser(source.text)
    try:
        return _document(parser, source)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, source) from None
    finally:
        parser.dispose()


def _document(parser: _Events, source: Source) -> Tree:
    """Return the tree of the only document in the stream."""
    parser.get_event()  # the stream's start
    start = parser.get_event()
    if type(start) is yaml.StreamEndEvent:
        raise _empty(source)
    tree = _tree(parser, source)
    if isinstance(tree, Scalar) and tree.plain and not tree.text:
        raise _empty(source)
    parser.get_event()  # the document's end
    following = parser.get_event()
    if type(following) is not yaml.StreamEndEvent:
        raise _refused("E008", "a second document starts here", "a file holds one spec: give it its own", following, source)
    return tree


def _tree(parser: _Events, source: Source) -> Tree:
    """Return the tree that the next events describe; a loop, so that depth costs no stack."""
    get_event = parser.get_event
    root = tree = _start(get_event(), source)
    still_open: list[Mapping | Sequence] = []
    while True:
        if not isinstance(tree, Scalar):
            if len(still_open) == MOST_LEVELS:
                help = "give the inner steps a block of their own"
                raise SpecError("E007", f"nested more than {MOST_LEVELS} levels deep", help=help, place=tree.place())
            still_open.append(tree)
        if not still_open:
            return root
        event = get_event()
        while type(event) in _ENDS:
            still_open.pop()
            if not still_open:
                return root
            event = get_event()
        tree = _start(event, source)
        still_open[-1].append(tree)


def _start(event: Any, source: Source) -> Tree:
    """Return the tree that starts with this event, a collection still empty."""
    kind = type(event)
    if kind is yaml.AliasEvent:
        raise _refused(
            "E004", f"the alias *{_shown(event.anchor)} is not allowed", "write the value out, or as a param", event, source
        )
    if event.anchor is not None:
        raise _refused(
            "E004", f"the anchor &{_shown(event.anchor)} is not allowed", "make what comes twice a param or block", event, source
        )
    if event.tag is not None:
        raise _refused("E005", "tags are not allowed", "remove the `!...`; quotes make a text, digits a number", event, source)
    mark = event.start_mark
    if kind is yaml.ScalarEvent:
        return Scalar(event.value, event.implicit[0], mark.line + 1, mark.column + 1, source)
    if kind is yaml.MappingStartEvent:
        return Mapping([], mark.line + 1, mark.column + 1, source)
    return Sequence([], mark.line + 1, mark.column + 1, source)


def _key(tree: Tree) -> Scalar:
    """Return the key as it is, if it can be one."""
    if not isinstance(tree, Scalar):
        raise SpecError("E010", f"a key must be a name, not {tree.kind}", help="write `name: value`", place=tree.place())
    if tree.plain and tree.text == "<<":
        raise SpecError("E005", "merge keys (<<) are not allowed", help="write the entries out", place=tree.place())
    if tree.plain and not tree.text:
        raise SpecError("E010", "a key is missing before the colon", help="write `name: value`", place=tree.place())
    return tree


def _decoded(text: str | bytes, file: str) -> str:
    """Return the characters of the text without a byte order mark, once they are known to be few and readable."""
    if len(text) > MOST_BYTES or (isinstance(text, str) and len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES):
        raise SpecError(
            "E001",
            f"the file is larger than {MOST_BYTES // 1024} KiB",
            help="a spec is a page of text: use repeat and blocks for what comes again",
            place=Place(file, 1, 1),
        )
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _undecodable(error, file) from None
    text = text.removeprefix("\ufeff")
    if text.isascii() and not text.encode().translate(None, _PLAIN_ASCII):
        return text
    bad = re.search(_REFUSED_CHARACTER, text)
    if bad:
        line, column = _position(text, bad.start())
        raise SpecError(
            "E002",
            f"the character U+{ord(bad[0]):04X} is not allowed in a spec",
            help="remove it; it may have come along with copied text",
            place=Source(file, text).place(line, column),
        )
    return text


def _lines(text: str) -> list[str]:
    """Return the lines of a text, whatever ends them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _number(text: str) -> str | int | float:
    """Return the number that a plain text is by YAML 1.2's core schema, or the text itself. 010 is ten, not octal."""
    if text.isdigit() and text.isascii():
        return int(text)
    try:
        if _DECIMAL.issuperset(text):
            return float(text) if any(mark in text for mark in ".eE") else int(text)
        if text[:2] in ("0o", "0x") and text[2:].isalnum():
            return int(text, 0)
    except ValueError:
        return text
    return _BEYOND_NUMBERS.get(text, text)


def _undecodable(error: UnicodeDecodeError, file: str) -> SpecError:
    """Return the error for bytes that are not UTF-8, at the first of them."""
    data = error.object
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    readable = data.decode("utf-8", "replace")
    line, column = _position(readable, len(data[: error.start].decode("utf-8")))
    return SpecError(
        "E002",
        "the file is UTF-16, not UTF-8" if utf16 else f"the byte 0x{data[error.start]:02x} is not UTF-8",
        help="save the file as UTF-8",
        place=Source(file, readable).place(line, column),
    )


def _position(text: str, index: int) -> tuple[int, int]:
    """Return the 1-based line and column of the character at ``index``."""
    before = _lines(text[:index])
    return len(before), len(before[-1]) + 1


def _empty(source: Source) -> SpecError:
    return SpecError("E009", "the file is empty", help="a spec starts with name, input and layers", place=source.place(1, 1))


def _refused(code: str, message: str, help: str, event: Any, source: Source) -> SpecError:
    mark = event.start_mark
    return SpecError(code, message, help=help, place=source.place(mark.line + 1, mark.column + 1))


def _shown(text: str) -> str:
    """Return a name short enough for a message."""
    return text if len(text) <= 40 else f"{text[:37]}..."


# What libyaml says, as far as it is told apart by the start, the same fact in plain words, and the way out.
_PROBLEMS: tuple[tuple[str, str, str], ...] = (
    ("mapping values are not allowed", "a second `:` where none may stand", "one `key: value` per line, or quote a text with `: `"),
    ("did not find expected key", "this does not belong to the mapping", "line it up with the other keys, or quote the value"),
    ("did not find expected '-' indicator", "this does not belong to the list", "line it up with the other dashes"),
    ("block sequence entries are not allowed", "a list cannot start here", "begin it on a line of its own, or use [a, b]"),
    ("did not find expected node content", "a value is missing here", "quote a text that begins with one of , ] }"),
    ("could not find expected ':'", "a `:` is missing after the key", "write `key: value`"),
    ("found unexpected end of stream", "the quote is not closed", "close it on the same line"),
    ("found unexpected document indicator", "the quote is not closed", "close it on the same line"),
    ("found unknown escape character", "an unknown escape in double quotes", "use single quotes: nothing is escaped there"),
    ("found character that cannot start", "a value cannot start with this character", "quote the value"),
    ("did not find expected <document start>", "nothing may follow the end of the document", "remove what stands after `...`"),
)


def _syntax_error(error: yaml.MarkedYAMLError, source: Source) -> SpecError:
    """Return the parser's complaint with its place, in words that do not ask for YAML's grammar."""
    problem = error.problem or "this is not YAML"
    opened = error.context_mark
    mark = error.problem_mark or opened
    at_end = mark is None or not "".join(source.lines[mark.line :])[mark.column :].strip()
    about_tab = "tab" in problem.split()
    if opened is not None and not about_tab and (at_end or problem.startswith(("found un", "could not find"))):
        # where it was noticed says little: what was never closed, or never became a key, is better shown where it starts
        mark = opened
    place = source.place(1, 1) if mark is None else source.place(mark.line + 1, mark.column + 1)
    indent = place.text[: len(place.text) - len(place.text.lstrip())]
    if about_tab or "\t" in indent:
        place = source.place(place.line, indent.find("\t") + 1) if "\t" in indent else place
        return SpecError("E003", "a tab stands where YAML takes spaces only", help="indent with spaces", place=place)
    closers = [closer for closer in "]}" if f"'{closer}'" in problem]
    if closers and opened is not None:
        return _unclosed(closers[0], at_end, opened, place)
    for start, message, help in _PROBLEMS:
        if problem.startswith(start):
            return SpecError("E003", message, help=help, place=place)
    return SpecError("E003", f"this is not YAML: {problem}", help=error.context, place=place)


def _unclosed(closer: str, at_end: bool, opened: yaml.Mark, place: Place) -> SpecError:
    """Return the error for a list or mapping in brackets that goes on in a way it cannot."""
    opener = "[" if closer == "]" else "{"
    if at_end:
        return SpecError("E003", f"the `{opener}` is never closed", help=f"add a `{closer}`", place=place)
    before = place.text[: place.column - 1].split(",")[-1].strip(" {[")
    if place.text[place.column - 1 : place.column] in ("[", "{") and before:
        help = 'inside [ ] and { } a text with brackets or commas needs quotes: "depths[0]", "layer{i}"'
    else:
        help = f"the `{opener}` is opened on line {opened.line + 1}; in it, put a comma after each entry"
    return SpecError("E003", f"a `,` or a `{closer}` is missing before this", help=help, place=place)
