"""Layer lines of their own form: merges of branches, layers named by the size they make, and where a layer's input comes from."""

import re
from typing import Any

from archcalc.errors import ArchcalcError
from archcalc.ops import OPS, Op
from archcalc.worksheet.page import From, Item, Line, Said, Sizes
from archcalc.worksheet.stated import read_stated
from archcalc.worksheet.terms import sizes_in

MOST_BRANCHES = 100
MOST_ENTRIES = 1_000  # of a table that is made up; a larger one only a model tells

_MERGES = {
    **dict.fromkeys(("add", "addition", "sum", "더하기", "덧셈"), "Add"),
    **dict.fromkeys(("concat", "concatenate", "concatenation", "연결", "결합"), "Concat"),
    "multiply": "Multiply",
}
_OF_FEATURES = ("add", "concat", "multiply")  # merge flat tensors too: Concat: 256 + 256
_MERGE = re.compile(rf"(?P<kind>{'|'.join(_MERGES)})\s*:\s*(?P<sizes>[0-9][0-9xX*,+\s]*[0-9])", re.IGNORECASE)
_TO = re.compile(
    r"(?P<kind>adaptive\s+average\s+pooling|adaptive\s+avg\s+pool|adaptive\s+max\s+pooling|resize|resizing|upsample)\s+to\s+"
    r"(?P<h>[0-9]{1,6})(?:\s*[xX*]\s*(?P<w>[0-9]{1,6}))?",
    re.IGNORECASE,
)
_TO_KINDS = {
    "adaptive a": "AdaptiveAvgPool2d",
    "adaptive m": "AdaptiveMaxPool2d",
    "resize": "Resize",
    "resizing": "Resize",
    "upsample": "Resize",
}
# What a layer line says of these arguments, by the fields of Said.
_PARTS = {
    "kernel_size": "kernel", "out_channels": "count", "out_features": "count", "stride": "stride", "padding": "padding",
    "dilation": "dilation", "groups": "groups", "bias": "bias",
}  # fmt: skip
_NAME = r"[^\W\d][\w\-]*(?:\.[\w\-]+)*"
_FROM = re.compile(rf"(?:input\s+)?from:?\s+(?P<names>{_NAME}(?:(?:\s*,\s*|\s+and\s+){_NAME}){{0,{MOST_BRANCHES}}})")
_SHARES = re.compile(rf"the parameters are those of (?P<name>{_NAME})")
_LIST = r"[0-9]{1,4}|\[[0-9]{1,4}(?:, [0-9]{1,4}){1,3}\]"
_TABLE = re.compile(
    r"convolution by a table of (?P<entries>[0-9]{1,6}) entries\s*:\s*(?P<k>[0-9]{1,4}) x (?P<k_w>[0-9]{1,4}), "
    rf"n=(?P<n>[0-9]{{1,6}}), s=(?P<stride>{_LIST}), padding=(?P<padding>none|same|{_LIST})",
    re.IGNORECASE,
)
_PADS = re.compile(r"zero padding\s*:\s*\[?(?P<sides>[0-9]{1,4}(?:\s*,\s*[0-9]{1,4}){0,3})\]?", re.IGNORECASE)
_INPUT_FROM = re.compile(rf"(?P<before>.*[0-9\])])\s*\(\s*from\s+(?P<name>{_NAME})\s*\)")


def read_special(line: Line, plain: str) -> list[Item] | None:
    """Return what a line of one of these forms says."""
    if found := _MERGE.fullmatch(plain):
        return _merge(line, found)
    if found := _TO.fullmatch(plain):
        kind = re.sub(r"\s+", " ", found["kind"].lower())
        op = next(op for start, op in _TO_KINDS.items() if kind.startswith(start))
        return [Said(line.number, line.text, op, kernel=(int(found["h"]), int(found["w"] or found["h"])))]
    if found := _FROM.fullmatch(plain):
        return [From(line.number, line.text, tuple(re.split(r"\s*,\s*|\s+and\s+", found["names"])))]
    if found := _SHARES.fullmatch(plain):
        return [From(line.number, line.text, (found["name"],), True)]
    if found := _TABLE.fullmatch(plain):
        return _connected(line, found)
    if found := _PADS.fullmatch(plain):
        sides = tuple(int(side) for side in found["sides"].split(","))
        return (
            [Said(line.number, line.text, "ZeroPad2d", padding=sides * 2 if len(sides) == 1 else sides)]
            if len(sides) != 3
            else None
        )
    return None


def stated_layer(line: Line, plain: str) -> Said | None:
    """Return the layer of a line that states an operator by its own name and arguments."""
    found = read_stated(plain)
    return None if found is None else _stated(line, *found)


def _stated(line: Line, op: Op, arguments: dict[str, Any]) -> Said:
    parts = {part: arguments[name] for name, part in _PARTS.items() if name in arguments}
    return Said(line.number, line.text, type(op).__name__, arguments=tuple(arguments.items()), **parts)


def _connected(line: Line, found: "re.Match[str]") -> list[Item] | None:
    """Read a convolution by a table of which only the size is told: any table of that size has as many parameters and MACs."""
    entries, count = int(found["entries"]), int(found["n"])
    kernel = (int(found["k"]), int(found["k_w"]))
    if not 0 < count <= entries <= MOST_ENTRIES:
        return [Said(line.number, line.text, "ConnectedConv2d", kernel=kernel)]
    told: dict[str, Any] = {"none": 0, "same": "same"}
    arguments: dict[str, Any] = {
        "table": [list(range(entries // count + (row < entries % count))) for row in range(count)],
        "kernel_size": kernel,
        **{name: told.get(found[name].lower(), _numbers(found[name])) for name in ("stride", "padding")},
    }
    try:
        op = OPS["ConnectedConv2d"](**arguments)
    except ArchcalcError:
        return None
    return [_stated(line, op, {name: getattr(op, name) for name in arguments})]


def _numbers(text: str) -> int | Sizes:
    numbers = tuple(map(int, re.findall("[0-9]+", text)))
    return numbers if len(numbers) > 1 else sum(numbers)


def _merge(line: Line, found: "re.Match[str]") -> list[Item] | None:
    flat = found["kind"].lower() in _OF_FEATURES and re.fullmatch(r"[0-9]+(?:\s*[+*]\s*[0-9]+)+", found["sizes"])
    parts = re.split(r"\s*[+*]\s*" if flat else r"\s*\+\s*|(?<=[0-9])\s*\*\s+(?=[0-9]+ x)", found["sizes"])
    branches = [sizes_in(f"[{part}]" if flat else part) for part in parts]
    if not 2 <= len(branches) <= MOST_BRANCHES or any(branch is None for branch in branches):
        return None
    sizes = tuple(branch[0] for branch in branches if branch is not None)
    return [Said(line.number, line.text, _MERGES[found["kind"].lower()], branches=sizes)]


def source_of(body: str) -> tuple[str, str] | None:
    """Return the sizes and the name of ``56 x 56 x 64 (from maxpool)``."""
    found = _INPUT_FROM.fullmatch(body)
    return (found["before"], found["name"]) if found else None
