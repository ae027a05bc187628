"""A graph written out as a flat spec, which the loader reads back to the same graph."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from archcalc.graph import Graph
from archcalc.ops.base import Op, brief, defaults, kinds
from archcalc.ops.initial import DISTRIBUTIONS, Init, Start
from archcalc.render.figures import plain

_UNQUOTED = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset("true false null yes no on off y n".split())  # some YAML readers take these for flags
_LAST_COLUMN = 72  # up to which the shapes of a run of steps line up; a longer line pushes its own aside


Usual = dict[type[Op], dict[str, Start]]  # how the parameters of an operator's layers begin, where all begin alike


def expanded(graph: Graph) -> str:
    """Return the graph as a spec without blocks, repeats, conditions and expressions: a line for each node, scopes as groups.

    The loader reads it back to the same nodes. Where a nearer step of the same name hides the one that is meant, a group without
    layers gives that one a second name.
    """
    usual = _usual(graph)
    first = _Writer(graph, {}, usual)
    first.write()
    names = {part for node in graph.nodes for part in node.name.split(".")}
    aliases = {index: _unused(f"{graph.nodes[index].name.rpartition('.')[2]}_out", names) for index in sorted(first.hidden)}
    writer = _Writer(graph, aliases, usual) if aliases else first
    if aliases:
        writer.write()
    return "\n".join([*_header(graph, usual), *_lined_up(writer.lines)]) + "\n"


def _lined_up(lines: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines with their comments, those of neighbours in one column."""
    for commented, run in groupby(lines, key=lambda line: bool(line[1])):
        steps = list(run)
        column = min(max(len(step) for step, _ in steps), _LAST_COLUMN)
        yield from (f"{step:<{column}}  # {comment}" if commented else step for step, comment in steps)


def _usual(graph: Graph) -> Usual:
    """Return what begins alike in all the layers of an operator that have it, where there are two or more of them."""
    found: dict[type[Op], dict[str, list[Start | None]]] = {}
    for node in graph.nodes:
        if node.shares is None and node.op.begins:
            stored = {one.name.rpartition(".")[2] for one in node.op.state(graph.x(node)) if one.learned}
            for part in stored:
                start = None if node.init is None else getattr(node.init, part)
                found.setdefault(type(node.op), {}).setdefault(part, []).append(start)
    usual: Usual = {}
    for op, parts in found.items():
        for part in filter(parts.__contains__, op.begins):
            first, *others = parts[part]
            if first is not None and others and all(start == first for start in others):
                usual.setdefault(op, {})[part] = first
    return usual


def _init(init: Init, usual: dict[str, Start]) -> str:
    """Return how parameters begin as a spec has it, without what is usual; empty if nothing is left."""
    parts = {part: getattr(init, part) for part in init.__struct_fields__}
    written = [f"{part}: {distribution(start)}" for part, start in parts.items() if start is not None and start != usual.get(part)]
    return "{" + ", ".join(written) + "}" if written else ""


def distribution(start: Start) -> str:
    """Return a distribution as a spec has it: a number, a word, or a word with its argument or arguments.

    >>> distribution(Start("normal", (("std", 0.01),))), distribution(Start("constant", (("value", 1),)))
    ('{normal: 0.01}', '1')
    """
    arguments = {name: flow(value) for name, value in start.arguments}
    if start.how == "constant":
        return arguments["value"]
    if list(arguments) == [next(iter(DISTRIBUTIONS[start.how]))]:
        (inside,) = arguments.values()
        return f"{{{start.how}: {inside}}}"
    inside = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    return f"{{{start.how}: {{{inside}}}}}" if arguments else start.how


def _unused(name: str, names: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    while name in names:
        name += "_"
    names.add(name)
    return name


def _header(graph: Graph, usual: Usual) -> Iterator[str]:
    layers = len(graph.nodes) - len(graph.inputs)
    yield f"# {plain(graph.name)} written out: {layers:,} layers, and behind each the shape that it makes"
    for key in ("name", "title", "source"):
        if value := getattr(graph, key):
            yield f"{key}: {_quoted(value)}"
    sizes = {_quoted(node.name): flow(tuple(node.output)[1:]) for node in graph.inputs}
    alone = sizes.get("input") if len(sizes) == 1 else None
    yield "input: " + (alone or "{" + ", ".join(f"{name}: {size}" for name, size in sizes.items()) + "}")
    if usual:
        yield "defaults:"
        yield from (f"  {op.__name__}: {{init: {_init(Init(**parts), {})}}}" for op, parts in usual.items())
    yield "layers:"


class _Scope:
    """A scope with what stands in it: nodes by their index, and inner scopes."""

    def __init__(self, path: str):
        self.path = path
        self.children: list[int | _Scope] = []


def _scopes(graph: Graph) -> _Scope:
    """Return the tree of scopes that the paths describe; a head without layers stands at the end of the scope around it."""
    scopes = {"": _Scope("")}

    def scope(path: str) -> _Scope:
        if path not in scopes:
            scopes[path] = _Scope(path)
            scope(path.rpartition(".")[0]).children.append(scopes[path])
        return scopes[path]

    for index, node in enumerate(graph.nodes):
        if node.inputs:
            scope(node.name.rpartition(".")[0]).children.append(index)
    for head in graph.outputs:
        if head != "output":
            scope(head)
    return scopes[""]


class _Writer:
    """Writes the steps and keeps, as the loader will, the point where the path goes on and the names that are known so far."""

    def __init__(self, graph: Graph, aliases: dict[int, str], usual: Usual):
        self.graph = graph
        self.aliases = aliases
        self.usual = usual
        self.lines: list[tuple[str, str]] = []  # each with its comment
        self.hidden: set[int] = set()  # nodes that were to be named where a nearer step has the same name
        self.known = {node.name for node in graph.inputs}
        self.current: int | None = 0 if len(graph.inputs) == 1 else None

    def write(self) -> None:
        """Write all the steps."""
        for index in range(len(self.graph.inputs)):
            self._alias(index, "  ")
        self._body(_scopes(self.graph), "  ")
        self._end("", self.graph.outputs["output"], "  ")

    def _line(self, text: str, comment: str = "") -> None:
        self.lines.append((text, comment))

    def _body(self, scope: _Scope, indent: str) -> None:
        for child in scope.children:
            if isinstance(child, _Scope):
                self._group(child, indent)
            else:
                self._node(child, scope.path, indent)

    def _group(self, scope: _Scope, indent: str) -> None:
        head = scope.path in self.graph.outputs and scope.path != "output"
        before = self.current
        weight = self.graph.head_weights.get(scope.path, 1)
        name = _quoted(scope.path.rpartition(".")[2])
        if head and not scope.children:
            source = self._reference(self.graph.outputs[scope.path], scope.path.rpartition(".")[0])
            counted = "" if weight == 1 else f"weight: {flow(weight)}, "
            self._line(f"{indent}- head: {{name: {name}, from: {source}, {counted}layers: []}}")
        else:
            self._line(f"{indent}- {'head' if head else 'group'}:")
            self._line(f"{indent}    name: {name}")
            if head and weight != 1:
                self._line(f"{indent}    weight: {flow(weight)}")
            self._line(f"{indent}    layers:")
            self._body(scope, indent + "      ")
            if head:
                self._end(scope.path, self.graph.outputs[scope.path], indent + "      ")
        self.known.add(scope.path)
        if head:
            self.current = before

    def _node(self, index: int, scope: str, indent: str) -> None:
        node = self.graph.nodes[index]
        keys = {"name": _quoted(node.name.rpartition(".")[2])}
        keys |= {name: flow(value) for name, value in _arguments(node.op).items()}
        if node.op.merges:
            keys["from"] = "[" + ", ".join(self._reference(i, scope) for i in node.inputs) + "]"
        elif node.inputs[0] != self.current:
            keys["from"] = self._reference(node.inputs[0], scope)
        if node.shares is not None:
            keys["share"] = self._reference(node.shares, scope)
        if node.frozen:
            keys["frozen"] = "true"
        if node.init is not None and (init := _init(node.init, self.usual.get(type(node.op), {}))):
            keys["init"] = init
        step = f"{indent}- {type(node.op).__name__}: {{{', '.join(f'{key}: {text}' for key, text in keys.items())}}}"
        self._line(step, str(node.output))
        self.known.add(node.name)
        self.current = index
        self._alias(index, indent)

    def _alias(self, index: int, indent: str) -> None:
        """Give a node its second name, if it needs one, before anything can hide it."""
        if index not in self.aliases:
            return
        own = self.graph.nodes[index].name
        scope, dot, name = own.rpartition(".")
        source = "" if self.current == index else f"from: {_quoted(name)}, "
        step = f"{indent}- group: {{name: {_quoted(self.aliases[index])}, {source}layers: []}}"
        self._line(step, f"{own}, where another {name} is nearer")
        self.known.add(f"{scope}{dot}{self.aliases[index]}")
        self.current = index

    def _end(self, scope: str, end: int, indent: str) -> None:
        """Go back to the node that leaves this scope, where that is not the last one."""
        if self.current != end:
            names = {node.name.rpartition(".")[2] for node in self.graph.nodes}
            name = _quoted(_unused("end", names))
            self._line(f"{indent}- group: {{name: {name}, from: {self._reference(end, scope)}, layers: []}}")
            self.current = end

    def _reference(self, index: int, scope: str) -> str:
        """Return the shortest name that means this node from inside the scope."""
        path = self.graph.nodes[index].name
        if index in self.aliases:
            around, dot, _ = path.rpartition(".")
            path = f"{around}{dot}{self.aliases[index]}"
        for prefix in _enclosing(scope):
            name = path.removeprefix(prefix)
            if path.startswith(prefix) and self._meant(name, scope) == path:
                return _quoted(name)
        self.hidden.add(index)
        return _quoted(path)

    def _meant(self, name: str, scope: str) -> str | None:
        """Return the path that a name stands for: looked for in this scope, then in the ones around it, as the loader does."""
        return next((prefix + name for prefix in _enclosing(scope) if prefix + name in self.known), None)


def _enclosing(scope: str) -> Iterator[str]:
    """Yield what stands before a name in this scope, then in each one around it."""
    while scope:
        yield f"{scope}."
        scope = scope.rpartition(".")[0]
    yield ""


def _arguments(op: Op) -> dict[str, Any]:
    """Return the arguments that are not as they would be unwritten, each as briefly as the operator reads it back."""
    unwritten = defaults(type(op))
    found = {}
    for name, kind in kinds(type(op)).items():
        value = getattr(op, name)
        if name in unwritten and value == unwritten[name]:
            continue
        found[name] = brief(value) if kind.read(brief(value)) == value else value
    return found


def flow(value: Any) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """Return a text as YAML, in quotes only where it could be taken for something else."""
    if _UNQUOTED.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return plain(json.dumps(text, ensure_ascii=False))  # what cannot be printed cannot stand in a spec either: \x9b
