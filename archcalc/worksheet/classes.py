"""A PyTorch module written as a class: its layers in the order in which ``forward`` calls them, read through ``ast``, never run."""

import ast
from typing import NamedTuple

MOST_CHARACTERS = 100_000  # of a listing
DEEPEST = 50  # calls within calls
_UNSHAPED = frozenset("relu tanh sigmoid dropout softmax log_softmax leaky_relu gelu silu elu contiguous".split())
_FLATTEN = frozenset(("flatten", "view", "reshape"))
_FUNCTIONS = {
    "max_pool2d": "MaxPool2d",
    "avg_pool2d": "AvgPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
}
_REUSED = ("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "Dropout", "Flatten")  # hold no weights, and may be called again


class Module(NamedTuple):
    """A module's calls in their order, each with the name of its member, and what ``__init__`` takes, with its defaults."""

    tree: ast.ClassDef
    calls: list[tuple[str, ast.Call]]
    defaults: dict[str, ast.expr]


class _Branches(Exception):
    """The layers do not follow one after the other, or something is called that is not known."""


def module_in(text: str) -> Module | None:
    """Return the only module of a listing, None where there is none whose layers follow one after the other."""
    if len(text) > MOST_CHARACTERS or "class " not in text:
        return None
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    if len(classes) != 1:
        return None
    functions = {node.name: node for node in classes[0].body if isinstance(node, ast.FunctionDef)}
    if not {"__init__", "forward"} <= functions.keys() or len(functions["forward"].args.args) != 2:
        return None
    taken = functions["__init__"].args
    defaults = dict(zip([argument.arg for argument in taken.args[::-1]], taken.defaults[::-1], strict=False))
    flow = _Flow(_members(functions["__init__"]), functions["forward"].args.args[1].arg)
    try:
        for statement in functions["forward"].body:
            flow.follow(statement)
    except _Branches:
        return None
    return Module(classes[0], flow.calls, defaults) if flow.calls else None


def _members(function: ast.FunctionDef) -> dict[str, ast.Call]:
    """Return what ``self.name = Call(...)`` makes, by the name."""
    found: dict[str, ast.Call] = {}
    for node in function.body:
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Attribute) and isinstance(node.value, ast.Call):
            found[target.attr] = node.value
    return found


class _Flow:
    """Follows one tensor through ``forward``."""

    def __init__(self, members: dict[str, ast.Call], name: str):
        self.members, self.name = members, name
        self.calls: list[tuple[str, ast.Call]] = []

    def follow(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return  # a docstring
        value = statement.value if isinstance(statement, ast.Assign | ast.Return) else None
        if value is None:
            raise _Branches
        self.through(value)
        if isinstance(statement, ast.Assign):
            if len(statement.targets) != 1 or not isinstance(statement.targets[0], ast.Name):
                raise _Branches
            self.name = statement.targets[0].id

    def through(self, node: ast.expr, depth: int = 0) -> None:
        """Follow the tensor through an expression, from the inside out."""
        if isinstance(node, ast.Name) and node.id == self.name:
            return
        if not isinstance(node, ast.Call) or depth > DEEPEST:
            raise _Branches
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
        owner = function.value if isinstance(function, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id == "self":
            self._inside(node.args[:1], depth)
            self._call(name)
        elif name in _FLATTEN:
            on_tensor = isinstance(owner, ast.Call) or (isinstance(owner, ast.Name) and owner.id == self.name)
            self._inside([owner] if on_tensor and owner is not None else node.args[:1], depth)
            self._made("Flatten", node, [])
        elif name in _UNSHAPED:
            self._inside(node.args[:1], depth)
        elif name in _FUNCTIONS:
            self._inside(node.args[:1], depth)
            self._made(_FUNCTIONS[name], node, node.args[1:])
        else:
            raise _Branches

    def _inside(self, nodes: list[ast.expr], depth: int) -> None:
        if len(nodes) != 1:
            raise _Branches
        self.through(nodes[0], depth + 1)

    def _call(self, name: str) -> None:
        member = self.members.get(name)
        if member is None:
            raise _Branches
        function = member.func
        kind = function.attr if isinstance(function, ast.Attribute) else ""
        if any(member is call for _, call in self.calls) and kind not in _REUSED:
            raise _Branches
        self.calls.append((name, member))

    def _made(self, kind: str, node: ast.Call, arguments: list[ast.expr]) -> None:
        call = ast.Call(ast.Name(kind, ast.Load()), arguments, node.keywords if arguments else [])
        self.calls.append(("", ast.copy_location(call, node)))
