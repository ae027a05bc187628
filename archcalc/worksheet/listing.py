"""Keras and PyTorch ``Sequential`` listings on a page, read through ``ast``, never run: their layers become the page's."""

import ast
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

from archcalc.errors import ArchcalcError
from archcalc.ops import Op
from archcalc.worksheet.classes import Module, module_in
from archcalc.worksheet.comments import remarks
from archcalc.worksheet.frameworks import Layer, input_sizes, layer_of
from archcalc.worksheet.page import Item, Line, Said, Sizes, Start, Term

MOST_STATEMENT = 20_000
DEEPEST = 20

_BEGINS = re.compile(
    r"\s*(?:[A-Za-z_]\w*\s*=\s*(?:[A-Za-z_]\w*\.)*Sequential\s*\(|[A-Za-z_]\w*\.add\s*\(|(?:[A-Za-z_]\w*\.)*Sequential\s*\()"
)
_GOES_ON = re.compile(
    r"\s*(?:#.*|[A-Za-z_][\w.]*\s*=[^=].*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\s*\(.*|summary\s*\(.*|print\s*\(.*|(?:from|import)\s+\w.*)?"
)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|#.*")
_SIZES_IN_COMMENT = re.compile(r"#.*?([0-9]{1,6})\s*[,x]\s*([0-9]{1,6})\s*[,x]\s*([0-9]{1,6})")


class Statement(NamedTuple):
    """Python over one or more lines, as numbered on the page; ``tree`` is None where it is not Python."""

    first: int
    last: int
    text: str
    tree: ast.stmt | None


class Found(NamedTuple):
    """What a listing says, and the lines that it takes up."""

    items: list[Item]
    lines: set[int]


def listings(lines: tuple[Line, ...]) -> dict[int, Found]:
    """Return the listings of a page by the number of their first line."""
    found: dict[int, Found] = {}
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.role == "code" or (line.role == "prose" and _BEGINS.match(line.text)):
            region, index = _region(lines, index)
            read = _read(region)
            if read is not None:
                found[region[0].number] = read
        else:
            index += 1
    return found


def _region(lines: tuple[Line, ...], start: int) -> tuple[list[Line], int]:
    """Return the lines of a fence, or those of a listing that stands in the text, and where the page goes on."""
    fenced = lines[start].role == "code"
    depth = 0
    end = start
    while end < len(lines) and (lines[end].role == "code") == fenced and lines[end].role in ("code", "prose"):
        text = lines[end].text
        if not fenced and depth <= 0 and not _GOES_ON.fullmatch(text) and not _BEGINS.match(text):
            break
        depth = max(depth + _depth(text), 0)
        end += 1
    region = list(lines[start:end])
    while len(region) > 1 and not region[-1].text.strip():
        region.pop()
    return region, max(end, start + 1)


def _depth(text: str) -> int:
    bare = _QUOTED.sub("", text)
    return sum(bare.count(sign) for sign in "([{") - sum(bare.count(sign) for sign in ")]}")


def _statements(region: list[Line]) -> Iterator[Statement]:
    parts: list[Line] = []
    depth = 0
    size = 0
    for line in region:
        text = line.text.replace("\u00a0", " ")
        if not parts and not text.strip():
            continue
        parts.append(line)
        depth = max(depth + _depth(text), 0)
        size += len(text)
        if depth == 0 or size > MOST_STATEMENT:
            yield _statement(parts, size)
            parts, size, depth = [], 0, 0
    if parts:
        yield _statement(parts, size)


def _statement(parts: list[Line], size: int) -> Statement:
    text = "\n".join(part.text.replace("\u00a0", " ") for part in parts).strip()
    tree: ast.stmt | None = None
    if size <= MOST_STATEMENT:
        text = re.sub(r"^(?:>>>|\.\.\.|In \[[0-9]+\]:)\s*", "", text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                body = ast.parse(text).body
            tree = body[0] if len(body) == 1 else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            tree = None
    return Statement(parts[0].number, parts[-1].number, text, tree)


class _Listing:
    def __init__(self) -> None:
        self.layers: list[tuple[int, str, Layer]] = []
        self.start: Start | None = None
        self.values: dict[str, Any] = {}
        self.lines: set[int] = set()
        self.networks: list[tuple[Start | None, list[tuple[int, str, Layer]]]] = []

    def take_module(self, module: Module, first: int, texts: dict[int, str]) -> None:
        """Take the layers of a class that begins below line ``first`` of the page."""
        self.values = {name: literal_of(default, {}) for name, default in module.defaults.items()}
        whole = Statement(first, first, "", module.tree)
        for name, call in module.calls:
            _element(self, call, name, whole, texts, 0)
        self.lines.update(range(first + module.tree.lineno - 1, first + (module.tree.end_lineno or module.tree.lineno)))

    def close(self) -> None:
        """End the network that has been listed so far."""
        if self.layers:
            self.networks.append((self.start, self.layers))
        self.start, self.layers = None, []


def _read(region: list[Line]) -> Found | None:
    listing = _Listing()
    texts = {line.number: line.text for line in region}
    module = module_in("\n".join(texts.values())) if region[0].role == "code" else None
    if module is not None:
        listing.take_module(module, region[0].number, texts)
    for statement in _statements(region):
        if statement.first in listing.lines:
            continue
        if statement.tree is not None:
            used = _take(listing, statement, texts)
            if used or region[0].role != "code" or _is_code(statement.tree):
                listing.lines.update(range(statement.first, statement.last + 1))
        elif statement.text.startswith("#"):
            listing.lines.update(range(statement.first, statement.last + 1))
    listing.close()
    if not listing.networks:
        return None
    items: list[Item] = []
    ends = [layers[0][0] for _, layers in listing.networks[1:]] + [region[-1].number + 1]
    lines = sorted(listing.lines)
    begin = 0
    for (start, layers), end in zip(listing.networks, ends, strict=True):
        items.append(start or Start(layers[0][0], layers[0][1], None, True))
        said: dict[int, list[Said]] = {}
        for number, text, layer in layers:
            line = Said(number, text, layer.op, name=layer.name, built=layer.built, x=layer.x, heading=layer.built is None)
            said.setdefault(number, []).append(line)
        begin, first = bisect_left(lines, end), begin
        for number in lines[first:begin]:
            if number in said or start is None or number != start.line:  # the input's comment may be where its sizes come from
                items += _with_remarks(number, texts[number], said.get(number, []))
    return Found(items, listing.lines)


def _with_remarks(number: int, text: str, layers: list[Said]) -> Iterator[Item]:
    """Yield a line's layers, and what its comment says behind those that it is about."""
    told = remarks(number, text, layers)
    for place in range(len(layers) + 1):
        yield from layers[place - 1 : place] if place else ()
        yield from (item for behind, item in told if behind == place)


def _is_code(tree: ast.stmt) -> bool:
    return not (
        isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant | ast.Name | ast.BinOp | ast.Tuple | ast.Compare)
    )


def _take(listing: _Listing, statement: Statement, texts: dict[int, str]) -> bool:
    tree = statement.tree
    value = tree.value if isinstance(tree, ast.Assign | ast.Expr) else None
    if isinstance(tree, ast.Assign) and len(tree.targets) == 1 and isinstance(tree.targets[0], ast.Name):
        literal = literal_of(value, listing.values)
        if literal is not UNKNOWN_VALUE:
            listing.values[tree.targets[0].id] = literal
            return True
    if not isinstance(value, ast.Call):
        return False
    name = called(value)
    if name == "Sequential":
        listing.close()
        return _sequence(listing, value, statement, texts, 0) or not value.args
    if name == "add" and value.args:
        return _element(listing, value.args[0], "", statement, texts, 0)
    if name in ("build", "summary", "randn", "rand", "zeros", "ones"):
        return _input(listing, value, name, statement, texts)
    return False


def _input(listing: _Listing, call: ast.Call, name: str, statement: Statement, texts: dict[int, str]) -> bool:
    """Take the input's sizes from what is called after the listing."""
    sizes = next(
        (
            found
            for node in [*(keyword.value for keyword in call.keywords), *call.args, ast.Tuple(list(call.args), ast.Load())]
            if (found := _sizes(literal_of(node, listing.values))) is not None
        ),
        None,
    )
    if sizes is None or listing.start is not None or not listing.layers:
        return name == "summary"
    first = listing.layers[0][2].torch if listing.layers else name != "build"
    listing.start = _start(statement.first, texts, sizes, first)
    return True


def _sizes(value: Any) -> Sizes | None:
    if not isinstance(value, tuple | list):
        return None
    sizes = tuple(size for size in value if size is not None and size != -1)
    if len(sizes) == 4 and len(value) == 4:
        sizes = sizes[1:]
    good = 1 <= len(sizes) <= 3 and all(type(size) is int and 1 <= size < 2**31 for size in sizes)
    return sizes if good else None


def _start(number: int, texts: dict[int, str], sizes: Sizes, first: bool) -> Start:
    if len(sizes) == 2:
        sizes, first = (1, *sizes), True  # a grey image, to be flattened
    if first and len(sizes) == 3:
        return Start(number, texts.get(number, ""), Term("x".join(map(str, sizes)), None, None, "", sizes, "first"), True)
    # Keras has its channels last; said so, because 3x32x32 could be either.
    last = (sizes[2], sizes[0], sizes[1]) if len(sizes) == 3 else sizes
    return Start(
        number,
        texts.get(number, ""),
        Term("x".join(map(str, sizes)), None, None, "", last, "first" if len(sizes) == 3 else "unknown"),
        True,
    )


def _sequence(listing: _Listing, call: ast.Call, statement: Statement, texts: dict[int, str], depth: int) -> bool:
    elements: list[tuple[str, ast.expr]] = []
    for argument in call.args:
        if isinstance(argument, ast.List | ast.Tuple):
            elements += [("", element) for element in argument.elts]
        elif (
            isinstance(argument, ast.Call)
            and called(argument) == "OrderedDict"
            and argument.args
            and isinstance(argument.args[0], ast.List)
        ):
            for pair in argument.args[0].elts:
                if isinstance(pair, ast.Tuple) and len(pair.elts) == 2:
                    name = literal_of(pair.elts[0], {})
                    elements.append((name if isinstance(name, str) else "", pair.elts[1]))
        else:
            elements.append(("", argument))
    taken = [_element(listing, element, name, statement, texts, depth) for name, element in elements]
    return any(taken)


def _element(listing: _Listing, node: ast.expr, name: str, statement: Statement, texts: dict[int, str], depth: int) -> bool:
    if not isinstance(node, ast.Call) or depth > DEEPEST:
        return False
    if called(node) == "Sequential":
        return _sequence(listing, node, statement, texts, depth + 1)
    number = statement.first + node.lineno - 1 if hasattr(node, "lineno") else statement.first
    arguments = [literal_of(argument, listing.values) for argument in node.args]
    keywords = {keyword.arg: literal_of(keyword.value, listing.values) for keyword in node.keywords if keyword.arg}
    sizes = input_sizes(called(node), arguments, keywords)
    text = texts.get(number, "")
    if sizes is None and called(node) in ("Input", "InputLayer") and (comment := _SIZES_IN_COMMENT.search(text)):
        sizes = tuple(int(size) for size in comment.groups())
    checked = _sizes(sizes) if sizes is not None else None
    if checked is not None and listing.start is None and not listing.layers:
        listing.start = _start(number, texts, checked, False)
    if called(node) in ("Input", "InputLayer"):
        return True
    known = all(value is not UNKNOWN_VALUE for value in arguments)
    layer = _made(called(node), arguments, keywords) if known else None
    if layer is None:
        layer = Layer(None, None, None, "", False)
    listing.layers.append((number, text, layer._replace(name=name or layer.name)))
    return True


def _made(name: str, arguments: list[Any], keywords: dict[str, Any]) -> Layer | None:
    try:
        return layer_of(name, arguments, {key: value for key, value in keywords.items() if value is not UNKNOWN_VALUE})
    except (ArchcalcError, TypeError, ValueError, KeyError, IndexError, OverflowError):
        return None


class _Unknown:
    """A value that only running the code would tell."""


UNKNOWN_VALUE = _Unknown()


def called(call: ast.Call) -> str:
    """Return the last name of what is called: ``Conv2d`` of ``torch.nn.Conv2d(...)``."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def literal_of(node: ast.expr | None, values: dict[str, Any], depth: int = 0) -> Any:
    """Return the value of numbers, texts, names of such, tuples of them, and products; UNKNOWN_VALUE for everything else."""
    if depth > DEEPEST:
        return UNKNOWN_VALUE
    if isinstance(node, ast.Constant):
        return node.value if not isinstance(node.value, int) or abs(node.value) < 2**31 else UNKNOWN_VALUE
    if isinstance(node, ast.Name):
        return values.get(node.id, UNKNOWN_VALUE)
    if isinstance(node, ast.Tuple | ast.List):
        items = [literal_of(item, values, depth + 1) for item in node.elts]
        return UNKNOWN_VALUE if any(item is UNKNOWN_VALUE for item in items) else tuple(items)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal_of(node.operand, values, depth + 1)
        return -value if type(value) in (int, float) else UNKNOWN_VALUE
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Add | ast.Sub | ast.FloorDiv):
        left, right = literal_of(node.left, values, depth + 1), literal_of(node.right, values, depth + 1)
        if type(left) is not int or type(right) is not int or max(abs(left), abs(right)) > 2**31:
            return UNKNOWN_VALUE
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.FloorDiv):
            return left // right if right else UNKNOWN_VALUE
        return left + right if isinstance(node.op, ast.Add) else left - right
    return UNKNOWN_VALUE


__all__ = ["Found", "Op", "listings"]
