"""A graph as PyTorch source: nested modules under the spec's names, and a straight-line ``forward``, one line for a node.

The text needs torch to run, not to be written, and nothing of archcalc: the layers that torch.nn lacks come with it.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from keyword import iskeyword
from pathlib import Path
from typing import NamedTuple

from archcalc import __version__
from archcalc.errors import one_line
from archcalc.graph import Graph, Node
from archcalc.ops.code import Code
from archcalc.pytorch.layout import INDENT, fits, laid_out, signature
from archcalc.pytorch.liveness import Line, plan
from archcalc.pytorch.names import Locals, check_names, member, quoted, registered

LONGEST_CLASS = 60  # letters of the class's name, so that its line is none too long
_PLACE = re.compile(r"{(self|[0-9]+)}")  # in a call, what a name stands for


def source(graph: Graph) -> str:
    """Return the source of a file with one class, a ``torch.nn.Module`` that does what the graph says.

    Raises UsageError where a layer has a name that a module cannot bear.
    """
    return "\n".join(_Writer(graph).file()) + "\n"


def class_name(graph: Graph) -> str:
    """Return the name of the graph's class.

    >>> import archcalc
    >>> class_name(archcalc.load("resnet18")), class_name(archcalc.load("vgg16_bn"))
    ('ResNet18', 'VGG16TorchvisionsWithBatchNorm')
    """
    words = re.findall(r"[0-9A-Za-z]+", graph.title.replace("'", "")) or re.findall(r"[0-9A-Za-z]+", graph.name)
    name = "".join(word[0].upper() + word[1:] for word in words)
    taken = {"Tensor", "F", *parts(), *_aliases()}
    name = name[:LONGEST_CLASS]
    return name if name.isidentifier() and not iskeyword(name) and name not in taken else f"Net{name}"


class Step(NamedTuple):
    """A node in PyTorch: its code, and the path of the module that runs it, empty where a function does."""

    node: Node
    code: Code
    path: str

    @property
    def own(self) -> bool:
        """Whether the module stands under the node's own name, and not under that of the layer whose parameters it uses."""
        return bool(self.path) and self.path == self.node.name


def steps(graph: Graph) -> list[Step]:
    """Return every node in PyTorch, the inputs too."""
    codes = [node.op.code(graph.x(node)) if node.inputs else Code(None) for node in graph.nodes]
    found = []
    for node, code in zip(graph.nodes, codes, strict=True):
        held = node.shares is not None and codes[node.shares].module == code.module
        path = graph.nodes[node.shares].name if held and node.shares is not None else node.name
        found.append(Step(node, code, path if code.module is not None else ""))
    return found


class _Writer:
    """Writes one graph."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.steps = steps(graph)
        own = [step.node for step in self.steps if step.own]
        check_names([node.name for node in own])
        params = sum(node.op.params(graph.x(node)) for node in own if node.shares is None)
        self.title = f"{_plain(graph.title or graph.name)}: {params:,} parameters."
        self.lines: list[str] = []
        self.locals = Locals(self._write, frozenset(parts()))
        self.depth = 2  # indents of what is being written
        self.containers: set[str] = set()  # scopes that are registered
        self.ties = False

    def file(self) -> list[str]:
        """Return the lines of the whole file."""
        methods = [*self._constructor(), "", *self._forward()]
        own = [f"class {class_name(self.graph)}(nn.Module):", *_docstring(self.title, 1), "", *methods]
        operators = "\n".join({text for _, code, _ in self.steps for text in (code.module or "", code.call)})
        used = [lines for name, lines in parts().items() if _names(name, operators) or (name == "tie" and self.ties)]
        text = "\n".join([operators, *(line for lines in used for line in lines)])
        imports = ["import torch"] if _names("torch", text) else []
        imports.append("from torch import Tensor, nn")
        imports += ["from torch.nn import functional as F"] if _names("F", text) else []
        aliases = [line for alias, line in _aliases().items() if _names(alias, text)]
        head = [*_docstring(f"{self.title}\n\n{self._about()}", 0), "", *imports, *([""] if aliases else []), *aliases]
        return [*head, *(line for lines in (*used, own) for line in ("", "", *lines))]

    def _about(self) -> str:
        source = [f"Source: {_plain(self.graph.source)}"] if self.graph.source else []
        inputs = ", ".join(f"{_plain(node.name)} {_sizes(node)}" for node in self.graph.inputs)
        made = f"Written by archcalc {__version__}" + (f" from {_plain(self.graph.file)}." if self.graph.file else ".")
        return "\n".join([*source, f"Takes {inputs}.", made])

    # __init__

    def _constructor(self) -> list[str]:
        weights = ", ".join(f"{quoted(name)}: {weight!r}" for name, weight in self.graph.head_weights.items())
        if weights:
            self._write("# What the loss of each head counts, where that of the main output counts 1.")
            self._write(f"self.head_weights = {{{weights}}}")
        for node, code, _ in filter(lambda step: step.own, self.steps):
            assert code.module is not None
            scope, _, leaf = node.name.rpartition(".")
            holder = self._made(scope)
            self._write(registered(holder, leaf, code.module))
            if node.shares is not None:
                self.ties = True
                self._write(f"tie({member(holder, leaf)}, self.get_submodule({quoted(self.graph.nodes[node.shares].name)}))")
            elif node.frozen and node.op.params(self.graph.x(node)):
                self._write(f"{member(holder, leaf)}.requires_grad_(False)")
        return [f"{INDENT}def __init__(self):", f"{INDENT * 2}super().__init__()", *self.lines]

    def _made(self, path: str) -> str:
        """Return the local name of a scope in the constructor, and register its container where it is new."""
        if not path or path in self.containers:
            return self.locals.scope(path)
        self.containers.add(path)
        around, _, leaf = path.rpartition(".")
        holder, local = self._made(around), self.locals.name(path)
        both = f"{member(holder, leaf)} = {local} = nn.ModuleDict()"
        if ")" in member(holder, leaf) or not fits(INDENT * 2 + both):
            self._write(registered(holder, leaf, "nn.ModuleDict()"))
            return self.locals.scope(path)
        self._write(both)
        self.locals.bound[local] = path
        return local

    # forward

    def _forward(self) -> list[str]:
        self.lines, self.locals.bound = [], {}
        written = plan(self.graph)
        for name, carried in written.carried:
            self._carry(name, carried)
        for training, lines in groupby(written.lines, key=lambda line: line.training):
            if training:
                self._in_training(lines)
            else:
                for line in lines:
                    self._node(line)
        heads = [name for name in written.outputs if name != "output"]
        if heads:
            self._write("if self.training:")
            returned = ", ".join(written.outputs[name] for name in ("output", *heads))
            self.lines += laid_out(f"return {returned}", self.depth + 1)
        self._write(f"return {written.outputs['output']}")
        kind = "Tensor | tuple[Tensor, ...]" if heads else "Tensor"
        arguments = ["self", *(f"{name}: Tensor" for name in written.inputs)]
        return [*signature("forward", arguments, kind, 1), *_docstring(self._returned(heads), 2), *self.lines]

    def _returned(self, heads: list[str]) -> str:
        inputs = ", ".join(_sizes(node) for node in self.graph.inputs)
        output = _sizes(self.graph.nodes[self.graph.outputs["output"]])
        return f"Return {output} for {inputs}" + (f"; in training also {', '.join(map(_plain, heads))}." if heads else ".")

    def _in_training(self, lines: Iterable[Line]) -> None:
        """Write the statements of side heads; the names that scopes get among them are no longer sure behind."""
        self._write("if self.training:")
        before = dict(self.locals.bound)
        self.depth = 3
        for line in lines:
            self._node(line)
        self.depth = 2
        self.locals.forget({name for name, path in self.locals.bound.items() if before.get(name) != path})

    def _node(self, line: Line) -> None:
        """Write the statement of one node, and what follows from it."""
        step = self.steps[line.node]
        node, code, path = step
        module = self.locals.module(path) if path else ""
        names = {"self": module} | {str(number): name for number, name in enumerate(line.sources)}
        call = _PLACE.sub(lambda place: names[place[1]], code.call)
        statement = f"{line.target} = {call}"
        self._write(statement, str(node.output) if step.own else self._named(node, statement))
        if line.carried is not None:
            self._carry(line.target, line.carried)
        if line.released:
            self._write(f"del {', '.join(line.released)}")

    def _named(self, node: Node, statement: str) -> str:
        """Return the comment behind a statement that does not name its node: with its path, or the path's end, if there is room."""
        path = f"{_plain(node.name)}: {node.output}"
        before = f"{INDENT * self.depth}{statement}  # "
        return next((name for name in (path, path.rpartition(".")[2]) if fits(before + name)), str(node.output))

    def _carry(self, name: str, carried: str) -> None:
        """Write that training keeps a tensor under a second name, for a side head that comes later."""
        self._write("if self.training:")
        self._write(f"{INDENT}{carried} = {name}")

    def _write(self, statement: str, comment: str = "") -> None:
        self.lines += laid_out(statement, self.depth, comment)


def _names(name: str, text: str) -> bool:
    """Whether the text holds the name as a word."""
    return re.search(rf"\b{name}\b", text) is not None


def _plain(text: str) -> str:
    """Return a text from a file as it may stand in a docstring or a comment."""
    return one_line(text.strip()).replace("\\", "/").replace('"', "'")


def _sizes(node: Node) -> str:
    return f"(N, {', '.join(map(str, node.output[1:]))})" if len(node.output) > 1 else "(N,)"


def _docstring(text: str, depth: int) -> list[str]:
    first, *others = text.split("\n")
    margin = INDENT * depth
    if not others:
        return [f'{margin}"""{first}"""']
    return [f'{margin}"""{first}', *(f"{margin}{line}".rstrip() for line in others), f'{margin}"""']


@cache
def parts() -> dict[str, list[str]]:
    """Return the source of each layer of our own, by name. They are read, not imported: writing source needs no torch."""
    text = Path(__file__).with_name("parts.py").read_text(encoding="utf-8")
    return {item.name: _lines(text, item) for item in ast.parse(text).body if isinstance(item, ast.ClassDef | ast.FunctionDef)}


@cache
def _aliases() -> dict[str, str]:
    """Return the lines that name a type, by the name, which those layers use."""
    text = Path(__file__).with_name("parts.py").read_text(encoding="utf-8")
    items = (item for item in ast.parse(text).body if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name))
    return {item.targets[0].id: "\n".join(_lines(text, item)) for item in items if isinstance(item.targets[0], ast.Name)}


def _lines(text: str, item: ast.stmt) -> list[str]:
    return (ast.get_source_segment(text, item) or "").split("\n")
