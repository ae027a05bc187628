"""A spec file read as a whole: its header, blocks, layers and variants, and the graph that comes of them."""

from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

import msgspec

from archcalc.errors import Place, ShapeError, SpecError, UsageError, did_you_mean, one_line
from archcalc.graph import Graph
from archcalc.ops import OPS
from archcalc.spec.expand import POSITIONED, Expander
from archcalc.spec.expect import Expectation, read_expectations
from archcalc.spec.given import LARGEST_SIZE, by_name, channels_first, plain, size_problem
from archcalc.spec.init import Beginnings
from archcalc.spec.paths import Scope
from archcalc.spec.refusals import unknown_defaults
from archcalc.spec.source import Mapping as TreeMapping
from archcalc.spec.source import Scalar, Sequence, Tree, read
from archcalc.spec.steps import COMMON, FLAT, Body, Signature, StepReader, called_blocks, read_arguments, take_init
from archcalc.spec.values import Value, read_name, read_value
from archcalc.spec.whitelist import LARGEST_NUMBER, shown

KEYS = ("name", "title", "source", "input", "params", "defaults", "blocks", "layers", "variants", "expect")
VARIANT_KEYS = ("title", "source", "input", "set", "expect")

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
    layers_place: Place
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
        batch = plain(batch)
        if type(batch) is not int or not 1 <= batch <= LARGEST_SIZE:
            raise UsageError(
                "E207", f"batch must be a whole number of at least 1, not {shown(batch)}", help="batch 1 is a single image"
            )
        chosen = self.variant(variant)
        params = self._params(chosen, settings or {})
        expander = Expander(params, self.signatures, self.blocks)
        for name, sizes in self._sizes(chosen, params, inputs or {}).items():
            try:
                expander.paths.points[name] = expander.builder.input(name, (batch, *sizes))
            except ShapeError as error:
                error.place = chosen.inputs[name].tree.place()
                raise
        count = len(expander.builder.nodes)
        try:
            end = expander.body(self.layers, Scope("", expander.written(self.layers)), params, 0 if count == 1 else None)
        except ShapeError as error:
            error.help = channels_first([tuple(node.output)[1:] for node in expander.builder.nodes[:count]]) or error.help
            raise
        if end is None or len(expander.builder.nodes) == count:
            raise SpecError("E058", f"{chosen.name} has no layers", help="list them under layers:", place=self.layers_place)
        outputs = {"output": end, **expander.heads}
        return expander.builder.graph(chosen.name, outputs, chosen.title, chosen.source, self.file, expander.head_weights)

    def variant(self, name: str | None) -> Variant:
        """Return a variant by name, the file's default for None. Raises UsageError if there is none of this name."""
        found = self.variants.get(str(name or self.name))
        if found is None:
            known = list(self.variants)
            way_out = did_you_mean(str(name), known) or f"one of {', '.join(known[:20])}"
            raise UsageError("E202", f"{self.name} has no variant {name}", help=way_out)
        return found

    def settings(self, variant: str | None = None) -> dict[str, Any]:
        """Return the values of the params in a variant."""
        return self._params(self.variant(variant), {})

    def _params(self, variant: Variant, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return every param's value: the caller's, else the variant's, else the file's, which may name earlier params."""
        given = by_name(settings, self.params, "E203", self.name, "param")
        values: dict[str, Any] = {}
        for name, declared in self.params.items():
            default = values[name] = declared.evaluate(values)
            chosen = variant.set.get(name)
            if name in given:
                values[name] = given[name]
                if not _of_one_kind(given[name], default):
                    help = f"--set {name}={shown(default).replace(' ', '')}"
                    raise UsageError("E205", _other_kind(name, given[name], default), help=help)
            elif chosen is not None:
                del values[name]  # a param cannot be defined by itself
                values[name] = chosen.evaluate(values)
                if not _of_one_kind(values[name], default):
                    raise SpecError("E049", _other_kind(name, values[name], default), place=chosen.tree.place())
        return values

    def _sizes(
        self, variant: Variant, params: Mapping[str, Any], inputs: Mapping[str, tuple[int, ...]]
    ) -> dict[str, tuple[int, ...]]:
        """Return each input's sizes without the batch."""
        given = by_name(inputs, variant.inputs, "E204", variant.name, "input")
        found = {}
        for name, value in variant.inputs.items():
            sizes = given[name] if name in given else value.evaluate(params)
            wrong = size_problem(sizes)
            if wrong is not None:
                help = "channels, height, width: [3, 224, 224]"
                if name in given:
                    raise UsageError("E204", wrong, help=help)
                raise SpecError("E040", wrong, help=help, place=value.tree.place())
            found[name] = tuple(sizes)
        return found


def parse(text: str | bytes, file: str) -> Spec:
    """Read a spec. Raises SpecError with the place for anything that the language refuses."""
    tree = read(text, file)
    if not isinstance(tree, TreeMapping):
        raise SpecError(
            "E041", f"a spec is a mapping, not {tree.kind}", help="it starts with name, input and layers", place=tree.place()
        )
    _only(tree, KEYS, "a spec")
    for key in ("input", "layers"):
        if tree.get(key) is None:
            raise SpecError("E042", f"the spec has no {key}", help=_EXAMPLES[key], place=tree.place())
    default = _text(tree, "name") or one_line(file.replace("\\", "/").rpartition("/")[2].partition(".")[0]) or "spec"
    params = _params(_entries(tree, "params"))
    usual = {key.text: _defaults(key, value) for key, value in _entries(tree, "defaults")}
    headers = [_header(key) for key, _ in _entries(tree, "blocks")]
    signatures = {signature.name: signature for signature in headers}
    if len(signatures) < len(headers):
        twice = next(header for i, header in enumerate(headers) if header.name in {earlier.name for earlier in headers[:i]})
        raise SpecError("E006", f"block {twice.name} is defined twice", place=twice.place.place())
    defaults = {name: arguments for name, (arguments, _) in usual.items()}
    reader = StepReader(signatures, defaults, {name: init for name, (_, init) in usual.items()})
    blocks = {
        header.name: reader.body(body, key, f"block {header.name}")
        for header, (key, body) in zip(headers, _entries(tree, "blocks"), strict=True)
    }
    _refuse_cycles(signatures, blocks)
    layers = reader.body(tree.get("layers"), tree, "layers")
    inputs = _inputs(tree, {})
    first = Variant(default, _text(tree, "title"), _text(tree, "source"), inputs, {}, read_expectations(tree.get("expect")))
    others = [_variant(key, value, first, params) for key, value in _entries(tree, "variants")]
    variants = {variant.name: variant for variant in (first, *others)}
    plain = text if isinstance(text, str) else text.decode()
    return Spec(default, file, plain, params, signatures, blocks, layers, (tree.get("layers") or tree).place(), variants)


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
    for key, tree in entries:
        if not _is_free(key.text):
            help = "letters, digits and _; i, in_channels and the words of expressions are taken"
            raise SpecError("E046", f"a param cannot be named {key.text[:60] or '(nothing)'}", help=help, place=key.place())
        if isinstance(tree, Scalar) and tree.value is None:
            raise SpecError("E046", f"the param {key.text[:60]} has no value", help=f"{key.text[:60]}: 1", place=key.place())
    return {key.text: read_value(tree) for key, tree in entries}


def _is_free(name: str) -> bool:
    """Whether a param or an argument may bear this name."""
    return name.isascii() and name.isidentifier() and not iskeyword(name) and name not in ("i", *POSITIONED, "true", "false")


def _of_one_kind(value: Any, default: Any) -> bool:
    kind = _KINDS.get(type(value))
    return kind is not None and kind == _KINDS.get(type(default)) and (kind != "a number" or abs(value) <= LARGEST_NUMBER)


def _other_kind(name: str, value: Any, default: Any) -> str:
    kind = _KINDS[type(default)]
    bound = " up to 10**15" if kind == _KINDS.get(type(value)) else ""
    return f"{name} must be {kind}{bound}, like its default {shown(default)}, not {shown(value)}"


_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list"}


def _inputs(tree: TreeMapping, inherited: Inputs) -> Inputs:
    """Return the inputs by name; a single one is called ``input``."""
    section = tree.get("input")
    if section is None:
        return inherited
    if isinstance(section, TreeMapping) and section.entries:
        return {_plain_name(key, "an input"): read_value(value) for key, value in section.entries}
    if isinstance(section, Sequence) or (isinstance(section, Scalar) and isinstance(section.value, str)):
        return {"input": read_value(section)}
    raise SpecError("E040", f"input must be a list of sizes, not {section.kind}", help=_EXAMPLES["input"], place=section.place())


def _plain_name(key: Scalar, what: str) -> str:
    """Return a name in which nothing is to be worked out."""
    name = read_name(key).literal
    if name is None:
        raise SpecError("E031", f"{what} has a fixed name, without braces", place=key.place())
    return name


def _defaults(key: Scalar, tree: Tree) -> tuple[dict[str, Value], Beginnings]:
    """Read one operator's defaults: those of its arguments, and how its parameters begin."""
    op = OPS.get(key.text)
    if op is None:
        raise unknown_defaults(key)
    if not isinstance(tree, TreeMapping):
        help = f"{key.text}: {{bias: false}}"
        raise SpecError("E043", f"the defaults of {key.text} must be a mapping, not {tree.kind}", help=help, place=tree.place())
    for name, _ in tree.entries:
        if name.text in COMMON:
            help = "write it at the step itself"
            raise SpecError("E038", f"{name.text} belongs to a single step and has no default", help=help, place=name.place())
    arguments, init = take_init(op, tree.entries, at_step=False)
    return read_arguments(op, arguments), init


def _header(key: Scalar) -> Signature:
    """Read a block's header: ``conv_bn_relu(out, k, s=1)``."""
    name, parenthesis, inside = (part.strip() for part in key.text.partition("("))
    if not name.isidentifier() or not name.isascii() or name != name.lower() or (parenthesis and not inside.endswith(")")):
        help = "small letters, digits and _; CamelCase is for operators"
        raise SpecError(
            "E047", f"a block is named like conv_bn_relu(out, k, s=1), not {key.text[:60]}", help=help, place=key.place()
        )
    inside = inside.removesuffix(")").strip()
    if name in ("group", "head") or name in COMMON:
        raise SpecError(
            "E047", f"a block cannot be named {name}, which the language uses itself", help=f"my_{name}", place=key.place()
        )
    arguments: list[str] = []
    defaults: dict[str, Value] = {}
    for part in _split_commas(inside) if inside else []:
        argument, equals, default = (piece.strip() for piece in part.partition("="))
        if not _is_free(argument) or argument in (*COMMON, FLAT) or argument in arguments:
            reason = "stands there twice" if argument in arguments else "is not a free name"
            message = f"block {name[:60]} has an argument {argument[:60] or '(nothing)'}, which {reason}"
            raise SpecError("E047", message, help="letters, digits and _: conv_bn_relu(out, k, s=1)", place=key.place())
        if equals and not default:
            message = f"block {name[:60]}: nothing stands behind {argument[:60]}="
            raise SpecError("E047", message, help=f"{argument[:60]}=1, or no = at all", place=key.place())
        if equals:
            defaults[argument] = read_value(Scalar(default, True, key.line, key.column, key.source))
        elif defaults:
            message = f"block {name[:60]}: {argument[:60]} without a default follows one that has it"
            raise SpecError("E047", message, help="arguments with a default come last", place=key.place())
        arguments.append(argument)
    return Signature(name, tuple(arguments), defaults, key)


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
    calls = {name: sorted(called_blocks(body)) for name, body in blocks.items()}
    if not any(calls.values()):
        return
    from graphlib import CycleError, TopologicalSorter  # deferred: few specs have blocks that call blocks

    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        loop = error.args[1][::-1]  # from the caller to the called
        shown_loop = " -> ".join(loop if len(loop) <= 8 else [*loop[:7], "..."])
        message = f"a block may not call itself: {shown_loop}"
        raise SpecError("E048", message, help="use repeat", place=signatures[loop[0]].place.place()) from None


def _variant(key: Scalar, tree: Tree, first: Variant, params: dict[str, Value]) -> Variant:
    """Read one variant; what it does not say it has from the file."""
    name = _plain_name(key, "a variant")
    if isinstance(tree, Scalar) and tree.value is None:
        return Variant(name, first.title, first.source, first.inputs, {}, ())
    if not isinstance(tree, TreeMapping):
        raise SpecError("E043", f"variant {key.text} must be a mapping, not {tree.kind}", place=tree.place())
    _only(tree, VARIANT_KEYS, f"variant {key.text}")
    settings = {}
    for setting, value in _entries(tree, "set"):
        if setting.text not in params:
            way_out = did_you_mean(setting.text, list(params)) or "declare it under params:"
            message = f"variant {name} sets {setting.text[:60]}, which is no param"
            raise SpecError("E049", message, help=way_out, place=setting.place())
        if isinstance(value, Scalar) and value.value is None:
            raise SpecError(
                "E049", f"variant {name} gives {setting.text[:60]} no value", help="leave it out", place=setting.place()
            )
        settings[setting.text] = read_value(value)
    title, source = _text(tree, "title") or first.title, _text(tree, "source") or first.source
    return Variant(name, title, source, _inputs(tree, first.inputs), settings, read_expectations(tree.get("expect")))
