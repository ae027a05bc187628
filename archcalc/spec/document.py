"""A spec file read as a whole: its header, blocks, layers and variants, and the graph that comes of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from archcalc.errors import SpecError, UsageError, did_you_mean
from archcalc.graph import Graph
from archcalc.ops import OPS
from archcalc.spec.expand import Expander
from archcalc.spec.expect import Expectation, read_expectations
from archcalc.spec.paths import Scope
from archcalc.spec.source import Mapping as TreeMapping
from archcalc.spec.source import Scalar, Sequence, Tree, read
from archcalc.spec.steps import COMMON, Body, Signature, StepReader, read_arguments
from archcalc.spec.synonyms import OPERATORS
from archcalc.spec.values import NO_NAMES, Value, brace_help, read_value

KEYS = ("name", "title", "source", "input", "params", "defaults", "blocks", "layers", "variants", "expect")
VARIANT_KEYS = ("title", "source", "input", "set", "expect")
LARGEST_INPUT = 2**31 - 1

Inputs = dict[str, Value]  # the sizes of each input, by name


class Variant(msgspec.Struct, frozen=True):
    """A member of the family: what it sets, and what is published of it."""

    name: str
    title: str
    source: str
    inputs: Inputs
    set: dict[str, Value]
    expect: tuple[Expectation, ...]


class Spec(msgspec.Struct, frozen=True):
    """A spec file, read and checked as far as that is possible without numbers.

    ``variants`` holds the file's default under its own ``name`` too.
    """

    name: str
    file: str
    text: str
    params: dict[str, Value]
    signatures: dict[str, Signature]
    blocks: dict[str, Body]
    layers: Body
    variants: dict[str, Variant]

    def graph(
        self,
        variant: str | None = None,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, tuple[int, ...]] | None = None,
        batch: int = 1,
    ) -> Graph:
        """Return the graph of a variant, with some params set and the inputs' sizes (without the batch) replaced.

        Raises ArchcalcError for an unknown variant or setting, and for a network that does not fit together.
        """
        chosen = self.variant(variant)
        params = self._params(chosen, settings or {})
        expander = Expander(params, self.signatures, self.blocks)
        for name, sizes in self._sizes(chosen, params, inputs or {}).items():
            expander.paths.points[name] = expander.builder.input(name, (batch, *sizes))
        count = len(expander.builder.nodes)
        end = expander.body(self.layers, Scope("", self.layers.names), params, 0 if count == 1 else None)
        if end is None or len(expander.builder.nodes) == count:
            raise SpecError("E058", f"{chosen.name} has no layers", help="list them under layers:")
        outputs = {"output": end, **expander.heads}
        return expander.builder.graph(chosen.name, outputs, chosen.title, chosen.source, self.file)

    def variant(self, name: str | None) -> Variant:
        """Return a variant by name, the file's default for None. Raises UsageError if there is none of this name."""
        found = self.variants.get(name or self.name)
        if found is None:
            known = list(self.variants)
            raise UsageError("E202", f"{self.name} has no variant {name}", help=did_you_mean(str(name), known) or f"one of {', '.join(known[:20])}")
        return found

    def settings(self, variant: str | None = None) -> dict[str, Any]:
        """Return the values of the params in a variant."""
        return self._params(self.variant(variant), {})

    def _params(self, variant: Variant, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return every param's value: the caller's, else the variant's, else the file's, which may name earlier params."""
        for name in settings:
            if name not in self.params:
                way_out = did_you_mean(name, list(self.params)) or f"{self.name} declares no params"
                raise UsageError("E203", f"{self.name} has no param {name}", help=way_out)
        values: dict[str, Any] = {}
        for name, declared in self.params.items():
            chosen = variant.set.get(name)
            if name in settings:
                values[name] = settings[name]
                _check_type(name, values[name], declared.evaluate(values))
            elif chosen is not None:
                values[name] = chosen.evaluate(values)
            else:
                values[name] = declared.evaluate(values)
        return values

    def _sizes(self, variant: Variant, params: Mapping[str, Any], given: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Return each input's sizes without the batch."""
        for name in given:
            if name not in variant.inputs:
                raise UsageError("E204", f"{variant.name} has no input {name}", help=did_you_mean(name, list(variant.inputs)))
        found = {}
        for name, value in variant.inputs.items():
            sizes = given[name] if name in given else value.evaluate(params)
            fits = isinstance(sizes, (list, tuple)) and 1 <= len(sizes) <= 4
            if not fits or not all(type(size) is int and 1 <= size <= LARGEST_INPUT for size in sizes):
                message = f"input must be a list of one to four whole numbers of at least 1, not {sizes}"
                help = "channels, height, width: [3, 224, 224]"
                if name in given:
                    raise UsageError("E204", message, help=help)
                raise SpecError("E040", message, help=help, place=value.tree.place())
            found[name] = tuple(sizes)
        return found


def parse(text: str | bytes, file: str) -> Spec:
    """Read a spec. Raises SpecError with the place for anything that the language refuses."""
    tree = read(text, file)
    if not isinstance(tree, TreeMapping):
        raise SpecError("E041", f"a spec is a mapping, not {tree.kind}", help="it starts with name, input and layers", place=tree.place())
    _only(tree, KEYS, "a spec")
    for key in ("input", "layers"):
        if tree.get(key) is None:
            raise SpecError("E042", f"the spec has no {key}", help=_EXAMPLES[key], place=tree.place())
    default = _text(tree, "name") or file.replace("\\", "/").rpartition("/")[2].partition(".")[0] or "spec"
    params = _params(_entries(tree, "params"))
    defaults = {key.text: _defaults(key, value) for key, value in _entries(tree, "defaults")}
    headers = [_header(key) for key, _ in _entries(tree, "blocks")]
    signatures = {signature.name: signature for signature in headers}
    if len(signatures) < len(headers):
        twice = next(header for i, header in enumerate(headers) if header.name in {earlier.name for earlier in headers[:i]})
        raise SpecError("E006", f"block {twice.name} is defined twice", place=twice.place.place())
    reader = StepReader(signatures, defaults)
    blocks = {
        header.name: reader.body(body, key, f"block {header.name}")
        for header, (key, body) in zip(headers, _entries(tree, "blocks"), strict=True)
    }
    _refuse_cycles(signatures, blocks)
    layers_tree = tree.get("layers")
    layers = reader.body(layers_tree, tree, "layers")
    inputs = _inputs(tree, {})
    first = Variant(default, _text(tree, "title"), _text(tree, "source"), inputs, {}, read_expectations(tree.get("expect")))
    variants = {default: first} | {key.text: _variant(key, value, first, params) for key, value in _entries(tree, "variants")}
    plain = text if isinstance(text, str) else text.decode()
    return Spec(default, file, plain, params, signatures, blocks, layers, variants)


_EXAMPLES = {"input": "input: [3, 224, 224]  # channels, height, width", "layers": "layers: [Flatten, Linear: {out_features: 10}]"}


def _entries(tree: TreeMapping, key: str) -> list[tuple[Scalar, Tree]]:
    """Return the entries of a section, none when it is missing or empty."""
    section = tree.get(key)
    if section is None or (isinstance(section, Scalar) and section.value is None):
        return []
    if not isinstance(section, TreeMapping):
        raise SpecError("E043", f"{key} must be a mapping, not {section.kind}", place=section.place())
    return section.entries


def _only(tree: TreeMapping, known: tuple[str, ...], what: str) -> None:
    for key, _ in tree.entries:
        if key.text not in known:
            raise SpecError("E044", f"{what} has no key {key.text[:60]}", help=did_you_mean(key.text, known), place=key.place())


def _text(tree: TreeMapping, key: str) -> str:
    """Return a line of text, empty when it is not there."""
    value = tree.get(key)
    if value is None:
        return ""
    if not isinstance(value, Scalar) or not value.text:
        raise SpecError("E045", f"{key} must be a text, not {value.kind}", place=value.place())
    return " ".join(value.text.split())


def _params(entries: list[tuple[Scalar, Tree]]) -> dict[str, Value]:
    for key, _ in entries:
        if not _is_identifier(key.text) or key.text in _RESERVED:
            raise SpecError("E046", f"a param cannot be named {key.text[:60]}", help="letters, digits and _, not i or in_channels", place=key.place())
    return {key.text: read_value(tree) for key, tree in entries}


_RESERVED = frozenset({"i", "in_channels", "in_height", "in_width", "and", "or", "not", "if", "else", "true", "false", "True", "False"})


def _inputs(tree: TreeMapping, inherited: Inputs) -> Inputs:
    """Return the inputs by name; a single one is called ``input``."""
    section = tree.get("input")
    if section is None:
        return inherited
    if isinstance(section, TreeMapping) and section.entries:
        return {key.text: read_value(value) for key, value in section.entries}
    if isinstance(section, Sequence):
        return {"input": read_value(section)}
    way_out = "quote an expression with brackets" if isinstance(section, Scalar) else brace_help(section)
    raise SpecError("E040", f"input must be a list of sizes, not {section.kind}", help=way_out or _EXAMPLES["input"], place=section.place())


def _defaults(key: Scalar, tree: Tree) -> dict[str, Value]:
    """Read one operator's defaults."""
    op = OPS.get(key.text)
    if op is None:
        raise SpecError("E034", f"unknown operator {key.text[:60]}", help=did_you_mean(key.text, list(OPS), OPERATORS), place=key.place())
    if not isinstance(tree, TreeMapping):
        raise SpecError("E043", f"the defaults of {key.text} must be a mapping, not {tree.kind}", place=tree.place())
    return read_arguments(op, tree.entries)


def _header(key: Scalar) -> Signature:
    """Read a block's header: ``conv_bn_relu(out, k, s=1)``."""
    name, parenthesis, inside = (part.strip() for part in key.text.partition("("))
    if not _is_identifier(name) or (parenthesis and not inside.endswith(")")):
        raise SpecError("E047", f"a block is named like conv_bn_relu(out, k, s=1), not {key.text[:60]}", place=key.place())
    inside = inside.removesuffix(")").strip()
    if name in OPS or name in ("group", "head") or name in COMMON:
        raise SpecError("E047", f"a block cannot be named {name}, which the language uses itself", help=f"my_{name.lower()}", place=key.place())
    arguments: list[str] = []
    defaults: dict[str, Value] = {}
    for part in _split_commas(inside) if inside else []:
        argument, equals, default = (piece.strip() for piece in part.partition("="))
        if not _is_identifier(argument) or argument in COMMON or argument in _RESERVED or argument in arguments:
            reason = "the language uses itself" if argument in COMMON or argument in _RESERVED else "is not a name of its own"
            raise SpecError("E047", f"block {name} has an argument {argument[:60] or '(nothing)'}, which {reason}", place=key.place())
        if equals:
            defaults[argument] = read_value(Scalar(default, True, key.line, key.column, key.source))
        elif defaults:
            raise SpecError("E047", f"block {name}: {argument} without a default follows one that has it", place=key.place())
        arguments.append(argument)
    return Signature(name, tuple(arguments), defaults, key)


def _is_identifier(text: str) -> bool:
    return text.isascii() and text.isidentifier()


def _split_commas(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _refuse_cycles(signatures: dict[str, Signature], blocks: dict[str, Body]) -> None:
    """Raise SpecError for a block that calls itself, over however many others."""
    from archcalc.spec.steps import called_blocks

    calls = {name: called_blocks(body) for name, body in blocks.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            loop = " -> ".join((*path[path.index(name) :], name))
            raise SpecError("E048", f"a block may not call itself: {loop}", help="use repeat", place=signatures[name].place.place())
        if name not in done:
            for other in sorted(calls[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in blocks:
        visit(name, ())


def _variant(key: Scalar, tree: Tree, first: Variant, params: dict[str, Value]) -> Variant:
    """Read one variant; what it does not say it has from the file."""
    if isinstance(tree, Scalar) and tree.value is None:
        return Variant(key.text, first.title, first.source, first.inputs, {}, ())
    if not isinstance(tree, TreeMapping):
        raise SpecError("E043", f"variant {key.text} must be a mapping, not {tree.kind}", place=tree.place())
    _only(tree, VARIANT_KEYS, f"variant {key.text}")
    settings = {}
    for name, value in _entries(tree, "set"):
        if name.text not in params:
            raise SpecError("E049", f"variant {key.text} sets {name.text}, which is no param", help=did_you_mean(name.text, list(params)), place=name.place())
        settings[name.text] = read_value(value)
    title, source = _text(tree, "title") or first.title, _text(tree, "source") or first.source
    return Variant(key.text, title, source, _inputs(tree, first.inputs), settings, read_expectations(tree.get("expect")))


def _check_type(name: str, value: Any, declared: Any) -> None:
    """Raise UsageError when a setting is of another kind than the declared value: a flag, a number or a list."""
    words = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    if words.get(type(value)) != words.get(type(declared)):
        wanted = words.get(type(declared), "another kind")
        raise UsageError("E205", f"{name} must be {wanted}, like its default {declared}, not {value}", help=f"--set {name}={declared}".replace(" ", ""))
