"""Values in a spec: each scalar or list as a value that is known at once, or as expressions that wait for their names."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from archcalc.errors import SpecError
from archcalc.spec.expressions import Expression, ExpressionError, Template, compile_expression, template
from archcalc.spec.source import Mapping as TreeMapping
from archcalc.spec.source import Scalar, Sequence, Tree

NO_NAMES: Mapping[str, Any] = {}

_PAPER_SIZES = r"[0-9]+(?: ?[xX×] ?[0-9]+)+"  # 3x224x224, as papers print shapes; compiled when an error needs it


class Value(msgspec.Struct, frozen=True):
    """What stands at one place of the spec: ``constant``, unless ``expression`` or ``items`` must be evaluated first."""

    tree: Tree
    constant: Any = None
    expression: Expression | None = None
    items: "tuple[Value, ...] | None" = None
    names: frozenset[str] = frozenset()  # those that it depends on
    parts: int = 0  # what evaluating it has to work out: items, and the parts of expressions

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Return the number, boolean, word or list. Raises SpecError at the place where the expression went wrong."""
        if self.expression is not None:
            try:
                return self.expression.evaluate(names)
            except ExpressionError as error:
                raise placed(error, self.tree) from None
        if self.items is not None:
            return [item.evaluate(names) for item in self.items]
        return self.constant


def extent(items: list[Any]) -> int:
    """Return how many items a list holds, those of its lists included."""
    return len(items) + sum([extent(item) for item in items if type(item) is list])


class Name(msgspec.Struct, frozen=True):
    """A name as written, with the expressions in its braces."""

    tree: Scalar
    template: Template

    @property
    def literal(self) -> str | None:
        """The name itself when no braces are in it."""
        return self.template.literal

    @property
    def names(self) -> frozenset[str]:
        """The names that the braces depend on."""
        return self.template.names

    @property
    def parts(self) -> int:
        """The parts of all the expressions in its braces."""
        return sum(expression.parts for _, expression in self.template.expressions)

    def format(self, names: Mapping[str, Any]) -> str:
        """Return the name with the values in place of its braces."""
        try:
            return self.template.format(names)
        except ExpressionError as error:
            raise placed(error, self.tree) from None


def placed(error: ExpressionError, tree: Tree) -> SpecError:
    """Return the error with its place in the file: the character of the scalar that it is about."""
    if error.place is None and isinstance(tree, Scalar):
        error.place = tree.place_at(error.offset, error.width)
    return error


def read_value(tree: Tree, words: tuple[str, ...] = ()) -> Value:
    """Read a value; a text among ``words`` is a word (``same``), any other text an expression."""
    if isinstance(tree, Sequence):
        items = tuple(read_value(item, words) for item in tree.items)
        if all(item.expression is None and item.items is None for item in items):
            return Value(tree, constant=[item.constant for item in items])
        names = frozenset[str]().union(*(item.names for item in items))
        return Value(tree, items=items, names=names, parts=sum(1 + item.parts for item in items))
    if isinstance(tree, TreeMapping):
        raise SpecError(
            "E030",
            "a value must be a number, true or false, an expression or a list, not a mapping",
            place=tree.place(),
            help=brace_help(tree),
        )
    value = tree.value
    if not isinstance(value, str) or value in words:
        return Value(tree, constant=value)
    try:
        expression = compile_expression(value)
        if not expression.names:
            return Value(tree, constant=expression.evaluate(NO_NAMES))
    except ExpressionError as error:
        if re.fullmatch(_PAPER_SIZES, value):
            error.offset, error.width = 0, len(value)
            error.help = f"write [{', '.join(re.findall('[0-9]+', value))}]"
        raise placed(error, tree) from None
    return Value(tree, expression=expression, names=expression.names, parts=expression.parts)


def brace_help(tree: TreeMapping) -> str | None:
    """Return the way out where YAML read braces or a colon as a mapping and the writer meant an expression."""
    if tree.entries and tree.entries[0][0].line == tree.entries[0][1].line:
        return "quote an expression that holds a colon or braces"
    return None


def read_name(tree: Tree, what: str = "name") -> Name:
    """Read a name: text or digits, of one line, without dots, spaces or control characters."""
    if not isinstance(tree, Scalar) or not tree.text:
        way_out = brace_help(tree) if isinstance(tree, TreeMapping) else None
        raise SpecError("E031", f"{what} must be a text, not {tree.kind}", help=way_out, place=tree.place())
    try:
        name = Name(tree, template(tree.text))
    except ExpressionError as error:
        raise placed(error, tree) from None
    outside = "".join(name.template.texts)
    allowed_dots = what != "name"
    if len(tree.text) > 200 or not outside.isprintable() or any(c.isspace() or (c == "." and not allowed_dots) for c in outside):
        raise SpecError(
            "E031",
            f"{what} {tree.text[:40]} may not hold spaces, dots or control characters, nor be longer than 200 characters",
            place=tree.place(),
            help="dots join the names of scopes: layer1.0.conv1; use _ or - inside a name",
        )
    return name
