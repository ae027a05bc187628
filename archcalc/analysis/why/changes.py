"""The networks that somebody may have meant instead: other variants, other settings, other inputs, one change or two."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from archcalc.analysis.why.measures import CONVOLUTIONS, KIND_OF
from archcalc.errors import ArchcalcError
from archcalc.graph import Graph, Node
from archcalc.spec import Spec, index, read_spec
from archcalc.spec.document import Variant

OWN, VARIANT, FAMILY, ONE, TWO = range(5)  # how much is changed, from nothing to two things at once
CLASSES = (1000, 10, 100, 1001)  # ImageNet, CIFAR-10 and MNIST, CIFAR-100, and ImageNet with TensorFlow's background
IMAGES = (224, 227, 256, 299, 32, 28, 24, 64, 96, 112, 128, 160, 192, 288, 320, 331, 384, 448, 512)
BATCHES = (2, 4, 8, 16, 32, 64, 128, 256, 512)


class Base(NamedTuple):
    """The model that was asked for: a spec, a variant, and how the command line sets it up."""

    spec: Spec
    variant: str
    settings: Mapping[str, Any] = {}
    inputs: Mapping[str, tuple[int, ...]] = {}
    batch: int = 1
    dtype: str = "float32"

    def graph(self) -> Graph:
        """Return the network. Raises ArchcalcError if there is none."""
        return self.spec.graph(self.variant, self.settings, self.inputs, self.batch)

    def values(self) -> dict[str, Any]:
        """Return every param's value."""
        return self.spec.settings(self.variant) | dict(self.settings)


class Step(NamedTuple):
    """One thing changed: ``param`` names the setting, if it is one, whose comment in the spec may say what that means."""

    words: str
    param: str = ""


class Changed(NamedTuple):
    """A network that is not quite the one that was asked for: the model it is, and how to get it.

    ``settings`` tell that model from the one that was asked for; ``steps`` are what is changed of it besides.
    """

    level: int
    model: str
    title: str
    settings: tuple[Step, ...]
    steps: tuple[Step, ...]
    build: Callable[[], Graph]

    @property
    def changes(self) -> tuple[Step, ...]:
        """All that tells it from the network that was asked for."""
        return self.settings + self.steps


def variants(base: Base) -> Iterator[Changed]:
    """Yield the spec's other variants; one that is set up like an earlier one is the same network."""
    seen = [_identity(base.spec, base.variant, base.values())]
    for name, variant in _named(base.spec):
        values = base.spec.settings(name)
        identity = _identity(base.spec, name, values)
        if identity not in seen:
            seen.append(identity)
            steps = tuple(_setting(key, old, values[key]) for key, old in base.values().items() if old != values[key])
            yield Changed(VARIANT, name, variant.title, steps, (), _other(base, base.spec, name).graph)


def _named(spec: Spec) -> list[tuple[str, Variant]]:
    """Return the variants, the file's default last: a variant that is the same says better what it is."""
    return sorted(spec.variants.items(), key=lambda item: item[0] == spec.name)


def _identity(spec: Spec, variant: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    inputs = {name: value.evaluate(values) for name, value in spec.variant(variant).inputs.items()}
    return values, inputs


def families(base: Base) -> Iterator[Changed]:
    """Yield the bundled networks of the same stem in other files: alexnet_torchvision beside alexnet."""
    stem = base.spec.name.partition("_")[0]
    files: dict[str, str] = {}  # one name of each
    for name, path in index().items():
        files.setdefault(path, name)
    for first in files.values():
        spec = read_spec(first)[0]
        if spec.name.partition("_")[0] == stem and spec.text != base.spec.text:
            seen: list[Any] = []
            for name, variant in _named(spec):
                identity = _identity(spec, name, spec.settings(name))
                if identity not in seen:
                    seen.append(identity)
                    yield Changed(FAMILY, name, variant.title, (), (), _other(base, spec, name).graph)


def single(base: Base, title: str) -> Iterator[Changed]:
    """Yield the network with one thing changed."""
    for step, changed in chain(_options(base), _inputs(base)):
        yield Changed(ONE, base.variant, title, (), (step,), changed.graph)
    for words, edit in EDITS.items():
        yield Changed(ONE, base.variant, title, (), (Step(words),), _edit(edit, base))


def double(base: Base, title: str) -> Iterator[Changed]:
    """Yield the network with two things changed, those first that people do change together."""
    for other in variants(base):
        sibling = _other(base, base.spec, other.model)
        for step, changed in chain(_classes(sibling), _inputs(sibling)):
            yield other._replace(level=TWO, steps=(step,), build=changed.graph)
        for words, edit in EDITS.items():
            yield other._replace(level=TWO, steps=(Step(words),), build=_edit(edit, sibling))
    for first, once in chain(_classes(base), _options(base)):
        for second, twice in chain(_inputs(once), _options(once)):
            if second.param == "" or second.param > first.param:
                yield Changed(TWO, base.variant, title, (), (first, second), twice.graph)


def _other(base: Base, spec: Spec, variant: str) -> Base:
    """Return another model under what does not belong to a model: the batch and the dtype."""
    return Base(spec, variant, {}, {}, base.batch, base.dtype)


def _edit(edit: Callable[[Graph], Graph], base: Base) -> Callable[[], Graph]:
    return lambda: edit(base.graph())


def _setting(name: str, old: Any, new: Any) -> Step:
    return Step(f"{name} {_text(old)} -> {_text(new)}", name)


def _classes(base: Base) -> Iterator[tuple[Step, Base]]:
    return (option for option in _options(base) if option[0].param == "classes")


def _options(base: Base) -> Iterator[tuple[Step, Base]]:
    """Yield each declared param at each value that it has in some variant; what is true may be false, and classes are as usual."""
    settings = [base.spec.settings(name) for name in base.spec.variants]
    for name, now in base.values().items():
        values = [values[name] for values in settings]
        if isinstance(now, bool):
            values = [not now]
        elif name == "classes":
            values += CLASSES
        for value in _fresh(values, now):
            yield _setting(name, now, value), base._replace(settings={**base.settings, name: value})


def _fresh(values: list[Any], now: Any) -> list[Any]:
    """Return the values that are neither the present one nor there twice, lists being no keys of anything."""
    found: list[Any] = []
    for value in values:
        if value != now and value not in found:
            found.append(value)
    return found


def _inputs(base: Base) -> Iterator[tuple[Step, Base]]:
    """Yield the network on square images of the usual sizes, and on images without colour or with it."""
    sizes = base.spec.variant(base.variant).inputs
    if len(sizes) != 1:
        return
    name, value = next(iter(sizes.items()))
    now = tuple(base.inputs.get(name) or value.evaluate(base.values()))
    if len(now) != 3:
        return
    others = [(now[0], size, size) for size in IMAGES] + [(channels, *now[1:]) for channels in (1, 3)]
    for other in others:
        if other != now:
            step = Step(f"input {'x'.join(map(str, now))} -> {'x'.join(map(str, other))}")
            yield step, base._replace(inputs={name: other})


def comment(spec: Spec, param: str) -> str:
    """Return what the spec's author wrote behind a param, empty where that is nothing."""
    for line in spec.text.splitlines():
        before, mark, after = line.partition(" #")
        if mark and before.startswith(" ") and before.partition(":")[0].strip() == param:
            return after.strip()
    return ""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _biased(graph: Graph, bias: bool) -> Graph:
    return _edited(graph, "bias", bias, (*CONVOLUTIONS, "linear"))


def _edited(graph: Graph, field: str, value: Any, kinds: tuple[str, ...]) -> Graph:
    """Return the network with one argument of every such layer at a value; what it is set to must leave the shapes alone."""

    def edited(node: Node) -> Node:
        if KIND_OF.get(type(node.op).__name__) not in kinds or field not in node.op.__struct_fields__:
            return node
        return msgspec.structs.replace(node, op=msgspec.structs.replace(node.op, **{field: value}))

    return msgspec.structs.replace(graph, nodes=tuple(map(edited, graph.nodes)))


EDITS: dict[str, Callable[[Graph], Graph]] = {
    "a bias in every convolution and linear layer": lambda graph: _biased(graph, True),
    "no biases": lambda graph: _biased(graph, False),
    "no groups: every kernel sees all channels": lambda graph: _edited(graph, "groups", 1, CONVOLUTIONS),
}


def network(changed: Changed) -> Graph | None:
    """Return the network, None where the changes do not fit together."""
    try:
        return changed.build()
    except ArchcalcError:
        return None
