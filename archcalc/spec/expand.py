"""Steps become nodes: conditions, repeats, blocks and names are worked out, and every expression meets its numbers."""

from collections.abc import Mapping
from typing import Any

from archcalc.errors import ArchcalcError, ArgumentError, SpecError, did_you_mean
from archcalc.graph import Builder
from archcalc.ops import Op
from archcalc.spec.steps import BlockStep, Body, Common, GroupStep, MergeStep, OpStep, Signature, Step
from archcalc.spec.values import Name, Value

MOST_STEPS = 1_000_000  # steps run, also those that make no node: an upper bound on the time that a small file can take
MOST_REPEATS = 100_000
POSITIONED = ("in_channels", "in_height", "in_width")

Names = Mapping[str, Any]


class Scope:
    """A path and the names taken in it."""

    __slots__ = ("counts", "numbered", "path", "position", "written")

    def __init__(self, path: str, written: frozenset[str], numbered: bool = False):
        self.path = path
        self.written = written
        self.numbered = numbered
        self.position = 0
        self.counts: dict[str, int] = {}

    def name(self, short: str, given: str | None, taken: Mapping[str, int]) -> str:
        """Return the full path of the next step: its given name, or its position, or its short name and count."""
        position = self.position
        self.position += 1
        count = self.counts[short] = self.counts.get(short, 0) + 1
        if given is not None:
            return self.path + given
        if self.numbered:
            return f"{self.path}{position}"
        while f"{short}{count}" in self.written or f"{self.path}{short}{count}" in taken:
            count += 1
        self.counts[short] = count
        return f"{self.path}{short}{count}"


class Expander:
    """Runs the steps of one spec, with its params settled, and grows a graph."""

    def __init__(self, params: Names, signatures: Mapping[str, Signature], blocks: Mapping[str, Body]):
        self.params = params
        self.signatures = signatures
        self.blocks = blocks
        self.builder = Builder()
        self.points: dict[str, int] = {}  # the tensor at each name: steps, scopes and inputs, by full path
        self.lines: dict[str, int] = {}
        self.heads: dict[str, int] = {}
        self.shared: tuple[str, str] | None = None  # (this scope, the scope whose parameters it uses)
        self.frozen = False
        self.steps_run = 0

    def body(self, body: Body, scope: Scope, names: Names, current: int | None) -> int | None:
        """Run the steps of a body one after the other and return where they end."""
        for step in body.steps:
            current = self.step(step, scope, names, current)
        return current

    def step(self, step: Step, scope: Scope, names: Names, current: int | None) -> int | None:
        """Run one step, as often as it says, and return where the main path goes on."""
        common = step.common
        self.steps_run += 1
        if self.steps_run > MOST_STEPS:
            raise SpecError("E051", f"the spec runs more than {MOST_STEPS:,} steps", help="fewer repeats", place=common.place.place())
        if common.condition is None and common.repeat is None and not common.sources:
            return self.once(step, scope, self._path(step, scope, names), names, current)
        start = current
        if common.sources and (common.repeat is None or common.sources[0].literal is not None):
            start = self._source(common, scope, names, current)
        if common.condition is not None and not self._flag("if", common.condition, names, start):
            return current
        if common.repeat is None:
            end = self.once(step, scope, self._path(step, scope, names), names, start)
        else:
            end = self._repeated(step, scope, names, start)
        return current if isinstance(step, GroupStep) and step.head else end

    def _repeated(self, step: Step, scope: Scope, names: Names, current: int | None) -> int | None:
        """Run a step n times; ``i`` counts from 0, and X stands as X.0, X.1, ... unless its name counts itself."""
        common = step.common
        assert common.repeat is not None
        times = self.evaluate(common.repeat, names, current)
        if type(times) is not int or not 0 <= times <= MOST_REPEATS:
            message = f"repeat must be a whole number from 0 to {MOST_REPEATS:,}, not {times}"
            raise SpecError("E052", message, place=common.repeat.tree.place())
        counted = common.name is not None and "i" in common.name.template.names
        path = "" if counted or not times else self._path(step, scope, names)
        start = current
        for i in range(times):
            inner = {**names, "i": i}
            if common.sources and common.sources[0].literal is None:
                current = self._source(common, scope, inner, start)
            here = self._path(step, scope, inner) if counted else f"{path}.{i}"
            current = self.once(step, scope, here, inner, current)
            self.steps_run += 1
        if path and current is not None:
            self._mark(path, current, common)
        return current

    def once(self, step: Step, scope: Scope, path: str, names: Names, current: int | None) -> int | None:
        """Run a step a single time under its full path."""
        if isinstance(step, OpStep):
            if current is None:
                raise _no_input(step.common)
            end: int | None = self._add(step.common, self._op(step, names, current), path, (current,), scope, names)
        elif isinstance(step, MergeStep):
            end = self._merge(step, scope, path, names, current)
        elif isinstance(step, BlockStep):
            body, inner = self.blocks[step.block], self._arguments(step, names, current)
            end = self._scoped(step.common, scope, Scope(path + ".", body.names), body, inner, current)
        else:
            end = self._scoped(step.common, scope, Scope(path + ".", step.body.names, step.numbered), step.body, names, current)
            if step.head and end is not None:
                self.heads[path] = end
                return current
        return end

    def _op(self, step: OpStep, names: Names, current: int) -> Op:
        """Return the step's operator with its arguments evaluated."""
        arguments = _Arguments(self, step, names, current)
        values = {name: arguments[name] for name in (*step.arguments, *step.defaults)}
        key = tuple(_frozen(value) for value in values.values())
        op = step.made.get(key)
        if op is None:
            try:
                op = step.made[key] = step.op(**values)
            except ArgumentError as error:
                value = step.arguments.get(error.argument) or step.defaults[error.argument]
                raise self._located(error, value.tree.place()) from None
        return op

    def _add(self, common: Common, op: Op, path: str, inputs: tuple[int, ...], scope: Scope, names: Names) -> int:
        """Add the node of an operator."""
        shares = self._shared_node(common, path, scope, names)
        frozen = self.frozen or (common.frozen is not None and self._flag("frozen", common.frozen, names, inputs[0]))
        try:
            index = self.builder.add(path, op, inputs, line=common.place.line, shares=shares, frozen=frozen)
        except ArchcalcError as error:
            raise self._located(error, common.place.place(), path) from None
        self._mark(path, index, common)
        return index

    def _merge(self, step: MergeStep, scope: Scope, path: str, names: Names, current: int | None) -> int:
        """Run the branches, each from the same input, and join them."""
        common = step.common
        if not step.branches:
            inputs = [self.resolve(source, scope, names) for source in common.sources]
        else:
            inputs = []
            for branch in step.branches:
                end = self.body(branch, scope, names, current)
                if end is None:
                    raise _no_input(common)
                inputs.append(end)
        return self._add(common, step.op, path, tuple(inputs), scope, names)

    def _scoped(self, common: Common, around: Scope, scope: Scope, body: Body, names: Names, current: int | None) -> int | None:
        """Run a body in a scope of its own; what is shared or frozen holds for all of it."""
        shared, frozen = self.shared, self.frozen
        path = scope.path.removesuffix(".")
        if common.share is not None:
            self.shared = (path, self._scope_path(common.share, around, names))
        if common.frozen is not None:
            self.frozen = frozen or self._flag("frozen", common.frozen, names, current)
        end = self.body(body, scope, names, current)
        self.shared, self.frozen = shared, frozen
        if end is not None:
            self._mark(path, end, common)
        return end

    def _arguments(self, step: BlockStep, names: Names, current: int | None) -> Names:
        """Return the names that a block's steps see: params, its own arguments, and the count of the repeat around it."""
        signature = self.signatures[step.block]
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
            names = {**self._position(current), **names}
        return value.evaluate(names)

    def _position(self, current: int | None) -> dict[str, int]:
        if current is None:
            return {}
        shape = self.builder.shape(current)
        known = {"in_channels": shape.c}
        if len(shape) >= 4:
            known["in_height"], known["in_width"] = shape[-2], shape[-1]
        return known

    def _flag(self, what: str, value: Value, names: Names, current: int | None) -> bool:
        flag = self.evaluate(value, names, current)
        if not isinstance(flag, bool):
            raise SpecError("E053", f"{what} must be true or false, not {flag}", help="write a comparison: n > 0", place=value.tree.place())
        return flag

    def _path(self, step: Step, scope: Scope, names: Names) -> str:
        """Return the full path that a step gets in its scope, and take note of its turn."""
        name = step.common.name
        return scope.name(_short(step), None if name is None else name.format(names), self.points)

    def _mark(self, path: str, index: int, common: Common) -> None:
        """Note that ``path`` stands for this tensor; a path that is taken is refused."""
        if path in self.points:
            raise SpecError(
                "E054",
                f"two steps are named {path}",
                help=f"the first is on line {self.lines[path]}; names are unique within a scope" if path in self.lines else "it is an input",
                place=common.place.place(),
            )
        self.points[path] = index
        self.lines[path] = common.place.line

    def _source(self, common: Common, scope: Scope, names: Names, current: int | None) -> int | None:
        """Return the step that ``from`` names; a merge with a list of them resolves it itself."""
        return self.resolve(common.sources[0], scope, names) if len(common.sources) == 1 else current

    def resolve(self, name: Name, scope: Scope, names: Names) -> int:
        """Return the tensor of an earlier step: looked for in this scope, then in the ones around it."""
        return self.points[self._scope_path(name, scope, names)]

    def _scope_path(self, name: Name, scope: Scope, names: Names) -> str:
        wanted = name.format(names)
        path = scope.path
        while True:
            if path + wanted in self.points:
                return path + wanted
            if not path:
                break
            path = path[: path.rstrip(".").rfind(".") + 1]
        inside = [known.removeprefix(scope.path) for known in self.points]
        way_out = did_you_mean(wanted, inside) or "only a step further up can be named"
        raise SpecError("E055", f"no earlier step is named {wanted}", help=way_out, place=name.tree.place())

    def _shared_node(self, common: Common, path: str, scope: Scope, names: Names) -> int | None:
        """Return the node whose parameters this one uses, by its own ``share`` or by that of a scope around it."""
        if common.share is not None:
            return self.resolve(common.share, scope, names)
        if self.shared is None:
            return None
        inside, holder = self.shared
        twin = holder + path.removeprefix(inside)
        if twin not in self.points:
            raise SpecError("E055", f"{inside} shares the parameters of {holder}, which has no step {twin}", place=common.place.place())
        return self.points[twin]

    def _located(self, error: ArchcalcError, place: Any, layer: str | None = None) -> ArchcalcError:
        """Return the error with its place in the file, unless it has one."""
        error.place = error.place or place
        error.layer = error.layer or layer
        return error


class _Arguments(dict[str, Any]):
    """The arguments of one operator step, evaluated when first asked for, since they may name each other."""

    def __init__(self, expander: Expander, step: OpStep, names: Names, current: int):
        super().__init__()
        self.expander = expander
        self.step = step
        self.names = names
        self.current = current
        self.waiting: list[str] = []

    def __missing__(self, name: str) -> Any:
        value = self.step.arguments.get(name)
        names = self.names
        if value is None:
            value, names = self.step.defaults[name], self.expander.params  # the spec's defaults see params, not a block's arguments
        if value.expression is not None or value.items is not None:
            names = {**self._unwritten(value, names), **names, **self._others(name, value)}
        self[name] = result = self.expander.evaluate(value, names, self.current)
        return result

    def _others(self, name: str, value: Value) -> dict[str, Any]:
        """Return the other arguments of the step that the value names. Its own name means what it means outside: stride: stride."""
        self.waiting.append(name)
        found = {}
        for other in value.names:
            if other == name or not (other in self.step.arguments or other in self.step.defaults):
                continue
            if other in self.waiting:
                raise SpecError("E056", f"{name} and {other} are each defined by the other", place=value.tree.place())
            found[other] = self[other]
        self.waiting.pop()
        return found

    def _unwritten(self, value: Value, names: Names) -> dict[str, Any]:
        """Return what the operator takes for arguments that nobody wrote: ``dilation`` is 1."""
        op = self.step.op
        fields = dict(zip(reversed(op.__struct_fields__), reversed(op.__struct_defaults__), strict=False))
        found = {other: fields[other] for other in value.names if other in fields and other not in names}
        return {other: _plain(default) for other, default in found.items()}


def _plain(default: Any) -> Any:
    """Return a default as a spec would write it: (1, 1) is 1."""
    if isinstance(default, tuple):
        return default[0] if len(set(default)) == 1 else list(default)
    return default


def _frozen(value: Any) -> Any:
    """Return a key for a value; True and 1 are equal in Python, but not the same argument."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else (type(value), value)


def _short(step: Step) -> str:
    """Return what a nameless step is called before its count."""
    if isinstance(step, OpStep):
        return step.op.short
    if isinstance(step, MergeStep):
        return step.op.short
    if isinstance(step, BlockStep):
        return step.block
    return "head" if step.head else "group"


def _no_input(common: Common) -> SpecError:
    return SpecError(
        "E057", "the network has several inputs, and this step does not say which it takes", help="write `from: NAME`", place=common.place.place()
    )
