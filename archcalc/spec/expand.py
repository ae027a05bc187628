"""Steps become nodes: conditions, repeats, blocks and names are worked out, and every expression meets its numbers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archcalc.errors import ArchcalcError, ArgumentError, ShapeError, SpecError
from archcalc.graph import Builder
from archcalc.ops import OPS, Op
from archcalc.ops.base import kinds
from archcalc.ops.initial import Init
from archcalc.spec.arguments import Arguments, at_argument
from archcalc.spec.init import MOST, beginning
from archcalc.spec.paths import Paths, Scope
from archcalc.spec.steps import BlockStep, Body, Common, GroupStep, MergeStep, OpStep, Signature, Step
from archcalc.spec.synonyms import WORDS
from archcalc.spec.values import Name, Value
from archcalc.spec.whitelist import shown
from archcalc.spec.work import STEP, Work

MOST_REPEATS = 100_000
MOST_BODIES = 64  # one in another: blocks call blocks, so that a flat file can be deep; well within Python's own stack
POSITIONED = ("in_channels", "in_height", "in_width")

Names = Mapping[str, Any]


class Expander:
    """Runs the steps of one spec, with its params settled, and grows a graph."""

    def __init__(self, params: Names, signatures: Mapping[str, Signature], blocks: Mapping[str, Body]):
        self.params = params
        self.signatures = signatures
        self.blocks = blocks
        self.builder = Builder()
        self.paths = Paths()
        self.heads: dict[str, int] = {}
        self.head_weights: dict[str, float] = {}
        self.shared: tuple[str, str] | None = None  # (this scope, the scope whose parameters it uses)
        self.frozen = False
        self.work = Work()
        self.depth = 0
        self._written: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}

    def body(self, body: Body, scope: Scope, names: Names, current: int | None) -> int | None:
        """Run the steps of a body one after the other and return where they end."""
        self.depth += 1
        if self.depth > MOST_BODIES and body.steps:
            message = f"steps stand more than {MOST_BODIES} deep in blocks, groups and branches"
            raise SpecError("E007", message, help="fewer blocks that call each other", place=body.steps[0].common.place.place())
        for step in body.steps:
            current = self.step(step, scope, names, current)
        self.depth -= 1
        return current

    def step(self, step: Step, scope: Scope, names: Names, current: int | None) -> int | None:
        """Run one step, as often as it says, and return where the main path goes on."""
        common = step.common
        self.work.spend(STEP + len(names), common.place)
        if common.condition is None and common.repeat is None and not common.sources:
            end = self.once(step, scope, self._path(step, scope, names), names, current)
        else:
            start = current
            if common.sources and (common.repeat is None or common.sources[0].literal is not None):
                start = self._source(common, scope, names, current)
            if common.condition is not None and not self._flag("if", common.condition, names, start):
                return current
            if common.repeat is None:
                end = self.once(step, scope, self._path(step, scope, names), names, start)
            else:
                end = self._repeated(step, scope, names, start, current)
        return current if isinstance(step, GroupStep) and step.head else end

    def _repeated(self, step: Step, scope: Scope, names: Names, start: int | None, before: int | None) -> int | None:
        """Run a step n times; ``i`` counts from 0, and X stands as X.0, X.1, ... unless its name counts itself."""
        common = step.common
        assert common.repeat is not None
        times = self.evaluate(common.repeat, names, start)
        if type(times) is not int or not 0 <= times <= MOST_REPEATS:
            message = f"repeat must be a whole number from 0 to {MOST_REPEATS:,}, not {shown(times)}"
            raise SpecError("E052", message, place=common.repeat.tree.place())
        if not times:
            return before  # left out, as by a condition
        counted = _is_flat(step) or (common.name is not None and "i" in common.name.template.names)
        path = "" if counted else self._path(step, scope, names)
        if path:
            self.paths.claim(path, common)
        head = isinstance(step, GroupStep) and step.head
        current = end = start
        for i in range(times):
            self.work.spend(STEP + len(names), common.place)
            inner = {**names, "i": i}
            if common.sources and common.sources[0].literal is None:
                current = self._source(common, scope, inner, start)
            if counted:
                end = self.once(step, scope, self._path(step, scope, inner), inner, current)
            elif isinstance(step, MergeStep):
                end = self._repeated_merge(step, f"{path}.{i}", inner, current)
            else:
                end = self.once(step, scope, f"{path}.{i}", inner, current)
            current = start if head else end
        if path and end is not None:
            self.paths.mark(path, end, common)
        return end

    def _repeated_merge(self, step: MergeStep, path: str, names: Names, current: int | None) -> int | None:
        """Run a merge and its branches in a scope of their own: in the one around it their names would come twice."""
        scope = Scope(path + ".", self.written(step))
        end = self.once(step, scope, scope.name(step.op.short, None, self.paths.points), names, current)
        if end is not None:
            self.paths.mark(path, end, step.common)
        return end

    def once(self, step: Step, scope: Scope, path: str, names: Names, current: int | None) -> int | None:
        """Run a step a single time under its full path, and return where it ends. An error in it gets the path as its layer."""
        common = step.common
        frozen = self.frozen
        try:
            if common.frozen is not None:
                self.frozen = self._flag("frozen", common.frozen, names, current)
            end = self._run(step, scope, path, names, current)
        except ArchcalcError as error:
            error.layer = error.layer or path
            error.place = error.place or common.place.place()
            raise
        self.frozen = frozen
        return end

    def _run(self, step: Step, scope: Scope, path: str, names: Names, current: int | None) -> int | None:
        if isinstance(step, OpStep):
            if current is None:
                raise _no_input(step.common)
            op = self._op(step, names, current)
            init = partial(self._init, step, op, names, current) if step.init else None
            return self._add(step.common, op, path, (current,), scope, names, init)
        if isinstance(step, MergeStep):
            return self._merge(step, scope, path, names, current)
        if isinstance(step, BlockStep):
            body, inner = self.blocks[step.block], self._arguments(step, names, current)
            inside = scope if step.flat else Scope(path + ".", self.written(body))
            return self._scoped(step.common, scope, inside, body, inner, current)
        inside = scope if step.flat else Scope(path + ".", self.written(step.body), step.numbered)
        end = self._scoped(step.common, scope, inside, step.body, names, current)
        if step.head and end is not None:
            self._head(step, path, end, names)
        return end

    def _head(self, step: GroupStep, path: str, end: int, names: Names) -> None:
        """Note an extra output, and what its loss counts."""
        if path == "output":
            help = "output is what the main path ends with: aux1"
            raise SpecError("E054", "a head cannot be named output", help=help, place=step.common.place.place())
        self.heads[path] = end
        if step.weight is not None:
            weight = self.evaluate(step.weight, names, end)
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= MOST:
                message = f"the weight of a head must be a number of at least 0, not {shown(weight)}"
                raise SpecError("E066", message, help="weight: 0.3", place=step.weight.tree.place())
            self.head_weights[path] = float(weight)

    def _op(self, step: OpStep, names: Names, current: int) -> Op:
        """Return the step's operator with its arguments evaluated."""
        if step.listed:
            self.work.spend(4 * step.listed, step.common.place)  # a table is walked again for each cost of its operator
        if not step.varying and step.made:
            return step.made[()]
        arguments = Arguments(self, step, names, current)
        key = tuple([self._key(arguments[name], step) for name in step.varying])
        op = step.made.get(key)
        if op is None:
            values = {name: arguments[name] for name in (*step.arguments, *step.defaults)}
            try:
                op = step.made[key] = step.op(**values)
            except ArgumentError as error:
                raise at_argument(error, step, values) from None
        return op

    def _init(self, step: OpStep, op: Op, names: Names, current: int) -> Init | None:
        """Return how the operator's parameters begin."""
        x = self.builder.shape(current)
        if step.init_varies:
            return beginning(op, x, step.init, lambda value, more: self.evaluate(value, {**names, **more}, current))
        key = op, x
        if key not in step.begun:
            step.begun[key] = beginning(op, x, step.init, lambda value, more: value.constant)
        return step.begun[key]

    def _key(self, value: Any, step: OpStep) -> Any:
        """Return a key for an argument's value; True and 1 are equal in Python, but not the same argument."""
        if not isinstance(value, list):
            return type(value), value
        text = repr(value)
        self.work.spend(len(text), step.common.place)
        return text

    def _add(
        self,
        common: Common,
        op: Op,
        path: str,
        inputs: tuple[int, ...],
        scope: Scope,
        names: Names,
        init: Callable[[], Init | None] | None = None,
    ) -> int:
        """Add the node of an operator."""
        self.paths.claim(path, common)
        shares = self._shared_node(common, path, scope, names)
        index = self.builder.add(path, op, inputs, line=common.place.line, shares=shares, frozen=self.frozen, init=init)
        self.paths.mark(path, index, common)
        return index

    def _merge(self, step: MergeStep, scope: Scope, path: str, names: Names, current: int | None) -> int:
        """Run the branches, each from the same input, and join them."""
        common = step.common
        inputs = []
        for branch in step.branches:
            end = self.body(branch, scope, names, current)
            if end is None:
                raise _no_input(common)
            inputs.append(end)
        inputs = inputs or [self._point(source, scope, names) for source in common.sources]
        try:
            return self._add(common, step.op, path, tuple(inputs), scope, names)
        except ShapeError as error:
            labels = step.labels or [self._format(source, names) for source in common.sources[:8]]
            nodes = [self.builder.nodes[index] for index in inputs[:8]]
            ends = (f"{label} ends with {node.name} ({node.output})" for label, node in zip(labels, nodes, strict=False))
            error.message += f": {', '.join(ends)}"
            raise

    def _scoped(self, common: Common, around: Scope, scope: Scope, body: Body, names: Names, current: int | None) -> int | None:
        """Run a body in a scope of its own; what is shared holds for all of it."""
        path = scope.path[:-1]
        if scope is not around:
            self.paths.claim(path, common)
        shared = self.shared
        if common.share is not None:
            self.shared = (path, self._resolve(common.share, around, names))
        end = self.body(body, scope, names, current)
        self.shared = shared
        if end is not None and scope is not around:
            self.paths.mark(path, end, common)
        return end

    def _arguments(self, step: BlockStep, names: Names, current: int | None) -> Names:
        """Return the names that a block's steps see: params, its own arguments, and the count of the repeat around it."""
        signature = self.signatures[step.block]
        self.work.spend(4 * len(signature.arguments), step.common.place)
        inner = dict(self.params)
        if "i" in names:
            inner["i"] = names["i"]
        for name in signature.arguments:
            value = step.arguments.get(name)
            if value is not None:
                inner[name] = self.evaluate(value, names, current)
            else:
                inner[name] = self.evaluate(signature.defaults[name], inner, current)
        return inner

    # Names and values

    def evaluate(self, value: Value, names: Names, current: int | None) -> Any:
        """Return a value under the names at this point, those of the tensor (``in_channels``) among them."""
        if value.expression is None and value.items is None:
            return value.constant
        if not value.names.isdisjoint(POSITIONED):
            self.work.spend(len(names), value.tree)
            names = {**self._position(current), **names}
        self.work.evaluate(value, names)
        try:
            return value.evaluate(names)
        except SpecError as error:
            if error.code == "E021":
                error.help = self._why_unknown(error.message.removeprefix("unknown name "), current) or error.help
            raise

    def _position(self, current: int | None) -> dict[str, int]:
        if current is None:
            return {}
        shape = self.builder.shape(current)
        return dict(zip(("in_channels", "in_width", "in_height"), (shape.c, *reversed(shape.axes)), strict=False))

    def _why_unknown(self, name: str, current: int | None) -> str | None:
        """Return what a name that is not there may be about: one of the language's own, or a word of another library."""
        if name == "i":
            return "i counts the rounds of a step with repeat, inside it; its `if` is judged once, before"
        if name not in POSITIONED:
            if name.lower() == "same":
                takers = [taker for taker, op in OPS.items() if any("same" in kind.words for kind in kinds(op).values())]
                return f"same, written small, is a padding that {', '.join(takers)} take"
            if self.paths.names_step(name):
                return f'{name} is a step, not a value; write `from: {name}`, or with a number in braces `from: "enc{{level}}"`'
            return WORDS.get(name.lower())
        if current is None:
            return "the network has several inputs, and this step does not say which it takes: write `from: NAME`"
        return f"the input here is {self.builder.shape(current)}, without such an axis"

    def _flag(self, what: str, value: Value, names: Names, current: int | None) -> bool:
        flag = self.evaluate(value, names, current)
        if not isinstance(flag, bool):
            message = f"{what} must be true or false, not {shown(flag)}"
            raise SpecError("E053", message, help="write a comparison: n > 0", place=value.tree.place())
        return flag

    def written(self, body: Body | MergeStep) -> frozenset[str]:
        """Return the names that are written out in a body's scope, those in the flat blocks that it calls among them."""
        if not body.flat_blocks:
            return body.names
        key = body.names, body.flat_blocks
        if key not in self._written:
            found, blocks, waiting = set(body.names), set(body.flat_blocks), list(body.flat_blocks)
            while waiting:
                inner = self.blocks[waiting.pop()]
                found |= inner.names
                waiting += inner.flat_blocks - blocks
                blocks |= inner.flat_blocks
            self._written[key] = frozenset(found)
        return self._written[key]

    def _path(self, step: Step, scope: Scope, names: Names) -> str:
        """Return the full path that a step gets in its scope, and take note of its turn."""
        if _is_flat(step):
            return scope.path[:-1]
        name = step.common.name
        return scope.name(_short(step), None if name is None else self._format(name, names), self.paths.points)

    def _format(self, name: Name, names: Names) -> str:
        """Return a name with the values in place of its braces."""
        if name.literal is not None:
            return name.literal
        self.work.evaluate(name, names)
        return name.format(names)

    def _resolve(self, name: Name, scope: Scope, names: Names) -> str:
        """Return the full path of an earlier step."""
        return self.paths.resolve(name, self._format(name, names), scope, names)

    def _source(self, common: Common, scope: Scope, names: Names, current: int | None) -> int | None:
        """Return the step that ``from`` names; a merge with a list of them resolves it itself."""
        return self._point(common.sources[0], scope, names) if len(common.sources) == 1 else current

    def _point(self, name: Name, scope: Scope, names: Names) -> int:
        """Return the tensor of an earlier step."""
        return self.paths.points[self._resolve(name, scope, names)]

    def _shared_node(self, common: Common, path: str, scope: Scope, names: Names) -> int | None:
        """Return the node whose parameters this one uses, by its own ``share`` or by that of a scope around it."""
        if common.share is not None:
            return self._point(common.share, scope, names)
        if self.shared is None:
            return None
        inside, holder = self.shared
        twin = holder + path.removeprefix(inside)
        if twin not in self.paths.points:
            message = f"{inside} shares the parameters of {holder}, which has no step {twin}"
            raise SpecError("E055", message, help="both must be the same block, with the same steps", place=common.place.place())
        return self.paths.points[twin]


def _is_flat(step: Step) -> bool:
    """Whether a step makes no scope: what is in it stands in the one around it."""
    return isinstance(step, (BlockStep, GroupStep)) and step.flat


def _short(step: Step) -> str:
    """Return what a nameless step is called before its count."""
    if isinstance(step, (OpStep, MergeStep)):
        return step.op.short
    if isinstance(step, BlockStep):
        return step.block
    return "head" if step.head else "group"


def _no_input(common: Common) -> SpecError:
    return SpecError(
        "E057",
        "the network has several inputs, and this step does not say which it takes",
        help="write `from: NAME`",
        place=common.place.place(),
    )
