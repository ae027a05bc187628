"""The steps of a spec as written: operators, merges, blocks, groups and heads, with their arguments still unevaluated.

Reading is where everything is refused that can be judged without numbers: unknown operators, blocks and arguments, also in branches
that no variant takes.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from archcalc.errors import SpecError, did_you_mean
from archcalc.ops import OPS, Op
from archcalc.ops.base import kinds, required
from archcalc.ops.initial import Init
from archcalc.shape import Shape
from archcalc.spec.init import INIT, INIT_HELP, Beginnings, read_init
from archcalc.spec.refusals import counted, empty_step, example, not_one_step, unknown_argument, unknown_step, wrong_argument
from archcalc.spec.source import Mapping, Scalar, Sequence, Tree
from archcalc.spec.synonyms import ARGUMENTS
from archcalc.spec.values import Name, Value, extent, read_name, read_value

COMMON = ("name", "if", "repeat", "from", "share", "frozen")
WEIGHT = "weight"  # what only a head may carry: how much its loss counts in training
FLAT = "flat"  # what only a block's call or a group may carry: its steps stand in the scope around it


class Common(msgspec.Struct, frozen=True):
    """What any step may carry, and where it stands."""

    place: Scalar
    name: Name | None = None
    condition: Value | None = None
    repeat: Value | None = None
    sources: tuple[Name, ...] = ()
    share: Name | None = None
    frozen: Value | None = None


class OpStep(msgspec.Struct, frozen=True):
    """One operator; ``defaults`` are the arguments that come from the spec's defaults."""

    common: Common
    op: type[Op]
    arguments: dict[str, Value]
    defaults: dict[str, Value]
    varying: tuple[str, ...]  # the arguments that must be evaluated each time the step runs
    listed: int  # items in the lists that are written out in the arguments
    init: Beginnings
    init_varies: bool
    made: dict[tuple[Any, ...], Op] = msgspec.field(default_factory=dict)  # operators already built, by what varies
    begun: dict[tuple[Op, Shape], Init | None] = msgspec.field(default_factory=dict)  # where no name is in ``init``


class MergeStep(msgspec.Struct, frozen=True):
    """A merge of named branches, or of the steps that ``from`` lists."""

    common: Common
    op: Op
    branches: tuple["Body", ...]
    labels: tuple[str, ...]  # of the branches
    names: frozenset[str]  # written out in the branches
    flat_blocks: frozenset[str]  # called there


class BlockStep(msgspec.Struct, frozen=True):
    """A call of a block, its arguments by name."""

    common: Common
    block: str
    arguments: dict[str, Value]
    flat: bool = False


class GroupStep(msgspec.Struct, frozen=True):
    """A scope: a group, or a side head (``head``), which leaves the main path as it was; ``weight`` is what its loss counts."""

    common: Common
    body: "Body"
    numbered: bool = False
    head: bool = False
    flat: bool = False
    weight: Value | None = None


Step = OpStep | MergeStep | BlockStep | GroupStep


class Body(msgspec.Struct, frozen=True):
    """A list of steps, and the names that are written out in its scope (nameless steps keep clear of them).

    ``flat_blocks`` are those that are called in the scope and add to it the names in their own bodies.
    """

    steps: tuple[Step, ...]
    names: frozenset[str]
    flat_blocks: frozenset[str]


class Signature(msgspec.Struct, frozen=True):
    """A block's header: its arguments, with the defaults of those that have one."""

    name: str
    arguments: tuple[str, ...]
    defaults: dict[str, Value]
    place: Scalar


class StepReader:
    """Reads steps against the blocks and the operator defaults that the spec declares."""

    def __init__(
        self, blocks: dict[str, Signature], defaults: dict[str, dict[str, Value]], beginnings: dict[str, Beginnings] | None = None
    ):
        self.blocks = blocks
        self.defaults = defaults
        self.beginnings = beginnings or {}  # the defaults of init, by operator

    def body(self, tree: Tree | None, where: Tree, what: str) -> Body:
        """Read a list of steps. ``[]`` is the identity."""
        if tree is None or (isinstance(tree, Scalar) and tree.value is None):
            raise SpecError("E032", f"{what} needs a list of steps", help="write [] for none", place=(tree or where).place())
        if not isinstance(tree, Sequence):
            raise SpecError(
                "E032", f"{what} must be a list of steps, not {tree.kind}", help="begin each step with `- `", place=tree.place()
            )
        steps = tuple(self.step(item) for item in tree.items)
        return Body(steps, *_written(steps))

    def step(self, tree: Tree) -> Step:
        """Read one step in any of its forms."""
        if isinstance(tree, Scalar):
            if tree.value is None:
                raise empty_step(tree)
            return self._named(tree, None)
        if isinstance(tree, Sequence):
            raise SpecError(
                "E033", "a step must be an operator or a block, not a list", help="one `- ` too many?", place=tree.place()
            )
        if len(tree.entries) != 1:
            raise not_one_step(tree, self.blocks)
        key, arguments = tree.entries[0]
        return self._named(key, None if isinstance(arguments, Scalar) and arguments.value is None else arguments)

    def _named(self, key: Scalar, arguments: Tree | None) -> Step:
        name = key.text
        if name in ("group", "head"):
            return self._scope(key, arguments)
        if name in self.blocks:
            return self._block(key, arguments)
        op = OPS.get(name)
        if op is None:
            raise unknown_step(key, {name: block.arguments for name, block in self.blocks.items()})
        if isinstance(arguments, (Scalar, Sequence)):
            message = f"{name} takes named arguments, not {arguments.kind}"
            raise SpecError("E035", message, help=f"write `- {example(op, arguments)}`", place=arguments.place())
        return self._merge(key, op, arguments) if op.merges else self._op(key, op, arguments)

    def _op(self, key: Scalar, op: type[Op], arguments: Mapping | None) -> OpStep:
        known = kinds(op)
        common, own = self._split(key, arguments)
        own, init = take_init(op, own, at_step=True)
        if init and common.share is not None:
            message = f"{op.__name__} shares parameters, which begin as their holder says"
            raise SpecError("E065", message, help="write init at the step that it shares with", place=key.place())
        values = read_arguments(op, own)
        defaults = {name: value for name, value in self.defaults.get(op.__name__, {}).items() if name not in values}
        missing = [name for name in required(op) if name in known and name not in values and name not in defaults]
        if missing:
            raise SpecError(
                "E036",
                f"{op.__name__} needs {' and '.join(missing)}",
                help=f"{missing[0]}: {known[missing[0]].expected}",
                place=key.place(),
            )
        varying = [name for name, value in (*values.items(), *defaults.items()) if value.parts]
        listed = sum(extent(value.constant) for value in values.values() if isinstance(value.constant, list))
        init = self.beginnings.get(op.__name__, {}) | init
        init_varies = any(value.parts for start in init.values() for value in start.arguments.values())
        return OpStep(common, op, values, defaults, tuple(varying), listed, init, init_varies)

    def _merge(self, key: Scalar, op: type[Op], arguments: Mapping | None) -> MergeStep:
        common, own = self._split(key, arguments)
        name = op.__name__
        branches = tuple(self.body(tree, branch, f"branch {branch.text} of {name}") for branch, tree in own)
        if branches and len(common.sources) > 1:
            raise SpecError("E037", f"{name} has branches and a list in `from`", help="leave one of the two", place=key.place())
        if max(len(branches), len(common.sources)) < 2:
            way_out = f"write `{name}: {{main: [...], skip: []}}` or `{name}: {{from: [first, second]}}`"
            raise SpecError("E037", f"{name} needs at least two branches", help=way_out, place=key.place())
        if common.share is not None:
            way_out = "share the steps in its branches, or a block around them"
            raise SpecError("E037", f"{name} has no parameters of its own to share", help=way_out, place=common.share.tree.place())
        labels = tuple(branch.text for branch, _ in own)
        return MergeStep(common, op(), branches, labels, *_written([step for branch in branches for step in branch.steps]))

    def _block(self, key: Scalar, arguments: Tree | None) -> BlockStep:
        signature = self.blocks[key.text]
        header = f"{key.text}({', '.join(signature.arguments)})"
        if isinstance(arguments, Scalar):
            message = f"{header} takes its arguments by name or as a list, not {arguments.kind}"
            raise SpecError("E035", message, help=f"write `{key.text}: [{arguments.text[:40]}]`", place=arguments.place())
        if isinstance(arguments, Sequence):
            if len(arguments.items) > len(signature.arguments):
                extra = arguments.items[len(signature.arguments)]
                raise SpecError(
                    "E038",
                    f"{header} takes {counted(len(signature.arguments), 'argument')}, not {len(arguments.items)}",
                    place=extra.place(),
                )
            common, own = Common(key), [(key, item) for item in arguments.items]
            values = {name: read_value(item) for name, (_, item) in zip(signature.arguments, own, strict=False)}
        else:
            common, own = self._split(key, arguments)
            values = {}
            for argument, tree in own:
                if argument.text == FLAT:
                    continue
                if argument.text not in signature.arguments:
                    known = [*signature.arguments, *COMMON, FLAT]
                    way_out = INIT_HELP if argument.text == INIT else did_you_mean(argument.text, known, ARGUMENTS)
                    raise SpecError("E038", f"{header} has no argument {argument.text[:60]}", help=way_out, place=argument.place())
                values[argument.text] = read_value(tree)
        missing = [name for name in signature.arguments if name not in values and name not in signature.defaults]
        if missing:
            raise SpecError(
                "E036", f"{header} needs {' and '.join(missing)}", help=f"line {signature.place.line} defines it", place=key.place()
            )
        flat = isinstance(arguments, Mapping) and _flag(arguments, FLAT)
        if flat and (common.name is not None or common.share is not None):
            message = f"a flat {key.text} has no scope to name or to share"
            raise SpecError("E038", message, help="leave one of the two", place=key.place())
        return BlockStep(common, key.text, values, flat)

    def _scope(self, key: Scalar, arguments: Tree | None) -> GroupStep:
        if not isinstance(arguments, Mapping):
            raise SpecError(
                "E032", f"{key.text} needs layers", help=f"write `{key.text}: {{name: ..., layers: [...]}}`", place=key.place()
            )
        common, own = self._split(key, arguments)
        head = key.text == "head"
        known = ("layers", WEIGHT) if head else ("layers", "numbered", FLAT)
        for argument, _ in own:
            if argument.text not in known:
                way_out = INIT_HELP if argument.text == INIT else did_you_mean(argument.text, (*known, *COMMON))
                raise SpecError("E038", f"{key.text} has no argument {argument.text[:60]}", help=way_out, place=argument.place())
        body = self.body(arguments.get("layers"), key, key.text)
        numbered, flat = _flag(arguments, "numbered"), _flag(arguments, FLAT)
        if flat and (numbered or common.name is not None or common.share is not None):
            message = "a flat group has no scope to name, to number or to share"
            raise SpecError("E038", message, help="leave one of the two", place=key.place())
        weight = arguments.get(WEIGHT) if head else None
        return GroupStep(common, body, numbered, head, flat, None if weight is None else read_value(weight))

    def _split(self, key: Scalar, arguments: Mapping | None) -> tuple[Common, list[tuple[Scalar, Tree]]]:
        """Part what any step may carry from the step's own arguments."""
        if arguments is None:
            return Common(key), []
        own = [entry for entry in arguments.entries if entry[0].text not in COMMON]
        if len(own) == len(arguments.entries):
            return Common(key), own
        name, share, source = (arguments.get(part) for part in ("name", "share", "from"))
        value = {
            part: tree if tree is None else read_value(tree)
            for part in ("if", "repeat", "frozen")
            for tree in [arguments.get(part)]
        }
        listed = source.items if isinstance(source, Sequence) else [] if source is None else [source]
        if isinstance(source, Sequence) and not (key.text in OPS and OPS[key.text].merges):
            raise SpecError(
                "E037", f"{key.text} takes one input, not a list", help="Add or Concat them first", place=source.place()
            )
        common = Common(
            key,
            None if name is None else read_name(name),
            value["if"],
            value["repeat"],
            tuple(read_name(item, "from") for item in listed),
            None if share is None else read_name(share, "share"),
            value["frozen"],
        )
        return common, own


def _flag(arguments: Mapping, name: str) -> bool:
    """Return a flag that must be written out, false where it is not there."""
    tree = arguments.get(name)
    flag = False if tree is None else tree.value if isinstance(tree, Scalar) else None
    if not isinstance(flag, bool):
        assert tree is not None
        raise SpecError("E030", f"{name} must be true or false, not {tree.kind}", place=tree.place())
    return flag


def take_init(op: type[Op], entries: list[tuple[Scalar, Tree]], *, at_step: bool) -> tuple[list[tuple[Scalar, Tree]], Beginnings]:
    """Part ``init`` from the other arguments of an operator. PReLU's own argument of this name is PyTorch's, and stays one."""
    found = next((entry for entry in entries if entry[0].text == INIT), None)
    if found is None or INIT in kinds(op):
        return entries, {}
    return [entry for entry in entries if entry is not found], read_init(op, *found, at_step)


def read_arguments(op: type[Op], entries: list[tuple[Scalar, Tree]]) -> dict[str, Value]:
    """Read an operator's arguments; unknown ones are refused with the nearest known one."""
    known = kinds(op)
    values = {}
    for key, tree in entries:
        kind = known.get(key.text)
        if kind is None:
            raise unknown_argument(op, key, (*COMMON, INIT) if op.begins else COMMON)
        value = read_value(tree, kind.words)
        if value.expression is None and value.items is None:
            try:
                kind.read(value.constant)
            except ValueError as error:
                raise wrong_argument(op, key.text, value, str(error)) from None
        values[key.text] = value
    return values


def _written(steps: Iterable[Step]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that steps take in their scope, and the blocks whose bodies stand in it too.

    Merges add those of their branches, flat groups those of their steps.
    """
    names: set[str] = set()
    flat_blocks: set[str] = set()
    for step in steps:
        name = step.common.name
        if name is not None and name.literal is not None:
            names.add(name.literal)
        if isinstance(step, BlockStep) and step.flat:
            flat_blocks.add(step.block)
        inside = step if isinstance(step, MergeStep) else step.body if isinstance(step, GroupStep) and step.flat else None
        if inside is not None:
            names |= inside.names
            flat_blocks |= inside.flat_blocks
    return frozenset(names), frozenset(flat_blocks)


def called_blocks(body: Body) -> set[str]:
    """Return the blocks that a body calls, in its branches, groups and heads too."""
    found: set[str] = set()
    for step in body.steps:
        if isinstance(step, BlockStep):
            found.add(step.block)
        elif isinstance(step, MergeStep):
            found.update(*(called_blocks(branch) for branch in step.branches))
        elif isinstance(step, GroupStep):
            found |= called_blocks(step.body)
    return found
