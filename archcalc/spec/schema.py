"""The JSON Schema of the spec language, made from the classes that the loader itself reads specs with.

Editors take it for completion, hover help and typo marks. It is no second loader: what needs numbers, other steps or the file's own
names (a block's arguments, what `defaults` has given already) is left to the loader, so that no good spec is ever marked.
"""

from inspect import cleandoc
from typing import Any

from archcalc.ops import OPS, Op
from archcalc.ops.base import brief, defaults, kinds
from archcalc.ops.initial import DISTRIBUTIONS, FANS, Init
from archcalc.spec.document import KEYS, VARIANT_KEYS
from archcalc.spec.expect import LAYER, TOTALS
from archcalc.spec.expressions import LONGEST_TEXT
from archcalc.spec.init import INIT
from archcalc.spec.steps import COMMON, FLAT, WEIGHT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "spec-1.schema.json"  # beside the bundled specs, whose first line names it

Schema = dict[str, Any]

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_BLOCK = "^[a-z_][A-Za-z0-9_]*$"  # an unknown CamelCase word is a misspelt operator; an unknown snake_case one may be a block
_NAME = r"^([^\s.{}]|\{[^{}]*\})+$"
_PATH = r"^([^\s{}]|\{[^{}]*\})+$"
_EXPRESSION = r"^[\w\s.,+*/%()\[\]<>=!-]+$"
_FIGURE = r"^[0-9][0-9_,.]*([eE][-+]?[0-9]+)?\s*[kKMGBT]?$"


def ref(name: str) -> Schema:
    """Return the reference to a definition of this schema."""
    return {"$ref": f"#/$defs/{name}"}


def spec_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a spec."""
    definitions = {
        "expression": {
            "description": "4*width, depths[0] - 1: over params, arguments, `i`, `in_channels`, `in_height` and `in_width`.",
            "type": "string",
            "pattern": _EXPRESSION,
            "maxLength": LONGEST_TEXT,
        },
        "value": {
            "description": "A number, true or false, an expression, or a list of them.",
            "anyOf": [{"type": ["number", "boolean"]}, ref("expression"), {"type": "array", "items": ref("value")}],
        },
        "name": {"type": ["string", "integer"], "pattern": _NAME, "maxLength": 200},
        "path": {"type": ["string", "integer"], "pattern": _PATH, "maxLength": 200},
        "figure": {
            "description": "A published number as it is printed: 62_378_344, 7.0M, 1.8e9.",
            "anyOf": [{"type": "number"}, {"type": "string", "pattern": _FIGURE}],
        },
        "sizes": _sizes(),
        "inputs": {"anyOf": [ref("sizes"), {"type": "object", "minProperties": 1, "additionalProperties": ref("sizes")}]},
        "steps": {"type": "array", "items": ref("step")},
        "step": _step(),
        "group": _scope(
            {
                "numbered": {"type": "boolean", "description": "Call the steps without a name 0, 1, 2, ... as nn.Sequential does."},
                FLAT: ref(f"common_{FLAT}"),
            }
        ),
        "head": _scope({WEIGHT: _head_weight()}),
        "block": _block(),
        "expect": _expect(),
        "init": _init(),
        "distribution": _distribution(),
        "variant": {"type": ["object", "null"], "properties": _pick(VARIANT_KEYS), "additionalProperties": False},
        **_common_definitions(),
        **{name: _operator(op) for name, op in OPS.items()},
    }
    return {
        "$schema": DIALECT,
        "title": "archcalc spec",
        "description": "A neural network's architecture, as a paper's table gives it.",
        "type": "object",
        "properties": _pick(KEYS),
        "required": ["input", "layers"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _pick(keys: tuple[str, ...]) -> Schema:
    """Return the sections of a spec or a variant. A key that the loader takes and this table lacks is a KeyError."""
    line = {"type": ["string", "number"]}
    sections: Schema = {
        "name": line | {"description": "What the model is called; without it, the file's name."},
        "title": line | {"description": "One line for people: AlexNet, one tower."},
        "source": line | {"description": "Where the numbers come from: the paper's address, section and table."},
        "input": ref("inputs") | {"description": "Channels, height, width: [3, 224, 224]; or several of them by name."},
        "params": _mapping(f"^{_IDENTIFIER}$", ref("value"))
        | {"description": "Hyperparameters with their values: `--set towers=2` changes one."},
        "defaults": {
            "description": "Arguments for every step of an operator that does not have its own: {Conv2d: {bias: false}}.",
            "type": ["object", "null"],
            "properties": {name: _with_init(op) for name, op in OPS.items() if not op.merges},
            "additionalProperties": False,
        },
        "blocks": _mapping(rf"^{_IDENTIFIER}\s*(\(.*\))?$", ref("steps"))
        | {"description": "Blocks under their headers: `conv_bn_relu(out, k, s=1)`: [...]."},
        "layers": ref("steps") | {"description": "The network: one step after the other."},
        "variants": {
            "description": "Members of the family, each with a name of its own on the command line.",
            "type": ["object", "null"],
            "additionalProperties": ref("variant"),
        },
        "set": _mapping(f"^{_IDENTIFIER}$", ref("value")) | {"description": "The params that this variant changes."},
        "expect": ref("expect") | {"description": "Published numbers that `archcalc verify` holds against the computed ones."},
    }
    return {key: sections[key] for key in keys}


def _mapping(pattern: str, value: Schema) -> Schema:
    return {"type": ["object", "null"], "patternProperties": {pattern: value}, "additionalProperties": False}


def _sizes() -> Schema:
    one = {"anyOf": [{"type": "integer", "minimum": 1}, ref("expression")]}
    return {"type": "array", "items": one, "minItems": 1, "maxItems": 4}


def _step() -> Schema:
    """A step: an operator's or a block's name alone, or with its arguments."""
    names = {"enum": list(OPS)}
    return {
        "anyOf": [
            {"type": "string", "anyOf": [names, {"pattern": _BLOCK, "not": {"enum": ["group", "head"]}}]},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {name: ref(name) for name in [*OPS, "group", "head"]},
                "patternProperties": {r"^(?!(?:group|head)$)" + _BLOCK.removeprefix("^"): ref("block")},
                "additionalProperties": False,
            },
        ]
    }


def _common_definitions() -> Schema:
    """Return what any step may carry. A key that the loader takes and this table lacks is a KeyError."""
    several = {"anyOf": [ref("path"), {"type": "array", "items": ref("path"), "minItems": 1}]}
    flag = {"anyOf": [{"type": "boolean"}, ref("expression")]}
    number = {"anyOf": [{"type": "integer", "minimum": 0}, ref("expression")]}
    kinds_of = {"name": ref("name"), "if": flag, "repeat": number, "from": ref("path"), "share": ref("path"), "frozen": flag}
    texts = {
        "name": "The step's name in its scope; may hold an {expression}: denselayer{i + 1}.",
        "if": "The step stands only where this is true.",
        "repeat": "So many times, one after the other; `i` counts from 0 inside.",
        "from": "The earlier step whose output is the input, instead of the step before.",
        "share": "The earlier step whose parameters this one uses; they count once.",
        "frozen": "Whether the parameters are held fixed: stored, but not trained.",
    }
    kinds_of[FLAT] = {"type": "boolean"}
    texts[FLAT] = "Whether the steps stand in the scope around this one, instead of in one of its own."
    found = {f"common_{key}": kinds_of[key] | {"description": texts[key]} for key in (*COMMON, FLAT)}
    return found | {"common_from_several": several | {"description": "The earlier steps that are merged, instead of branches."}}


_ANY_STEP: Schema = {key: ref(f"common_{key}") for key in COMMON}
_ANY_MERGE: Schema = _ANY_STEP | {"from": ref("common_from_several")}


def _operator(op: type[Op]) -> Schema:
    """Return what may stand behind an operator's name: its arguments, or a merge's branches."""
    description = {"description": cleandoc(op.__doc__ or "").partition("\n\n")[0].replace("\n", " ")}
    if op.merges:
        return description | {"type": "object", "properties": _ANY_MERGE, "additionalProperties": ref("steps"), "minProperties": 1}
    arguments = _with_init(op)
    # Nothing is required: what is missing here may stand in `defaults`, which the loader knows and a schema cannot look up.
    return description | arguments | {"type": ["object", "null"], "properties": arguments["properties"] | _ANY_STEP}


def _arguments(op: type[Op]) -> Schema:
    properties = {}
    for name, kind in kinds(op).items():
        properties[name] = _or_expression(kind.schema) | {"description": f"{kind.expected[:1].upper()}{kind.expected[1:]}."}
        if name in defaults(op):
            properties[name]["default"] = brief(defaults(op)[name])
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _with_init(op: type[Op]) -> Schema:
    """Return the arguments of an operator, and how its parameters begin if it has some."""
    arguments = _arguments(op)
    return arguments | {"properties": arguments["properties"] | {INIT: ref(INIT)}} if op.begins else arguments


def _head_weight() -> Schema:
    return _or_expression({"type": "number", "minimum": 0}) | {"description": "What its loss counts in training."}


def _init() -> Schema:
    """How parameters begin, each by its name."""
    return {
        "description": "How the parameters begin: {weight: {normal: 0.01}, bias: 1}.",
        "type": "object",
        "properties": {part: ref("distribution") for part in Init.__struct_fields__},
        "additionalProperties": False,
    }


def _distribution() -> Schema:
    """A number, a list of them, or one of torch.nn.init's distributions with its argument or arguments."""
    ways = {}
    for how, arguments in DISTRIBUTIONS.items():
        named = {argument: {"enum": list(FANS)} if argument == "mode" else ref("value") for argument in arguments}
        first = named[next(iter(named))]
        ways[how] = {"anyOf": [first, {"type": "null"}, {"type": "object", "properties": named, "additionalProperties": False}]}
    one = {"type": "object", "properties": ways, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    # A distribution's word has the form of an expression.
    numbers = [{"type": "number"}, ref("expression"), {"type": "array", "items": ref("value")}]
    return {"description": "A number, or a distribution of torch.nn.init with its arguments.", "anyOf": [*numbers, one]}


def _or_expression(schema: Schema) -> Schema:
    """Return the schema of a value that may also be written as an expression, wherever a number, a flag or a list is meant."""
    ways = [_within(way) for way in schema.get("anyOf", [schema])]
    words = all("enum" in way or way == {"type": "null"} for way in ways)  # a word has no expressions: nothing computes one
    return ways[0] if len(ways) == 1 and words else {"anyOf": [*_flat(ways), *([] if words else [ref("expression")])]}


def _within(schema: Schema) -> Schema:
    """Return a list's schema with expressions among its items; any other as it is."""
    return schema | {"items": _or_expression(schema["items"])} if schema.get("type") == "array" else schema


def _flat(ways: list[Schema]) -> list[Schema]:
    return [inner for way in ways for inner in way.get("anyOf", [way]) if inner != ref("expression")]


def _scope(own: Schema) -> Schema:
    properties = {"layers": ref("steps")} | own | _ANY_STEP
    return {"type": "object", "properties": properties, "required": ["layers"], "additionalProperties": False}


def _block() -> Schema:
    """A call of a block: nothing, its arguments in the order of its header, or by name."""
    values = {"type": "array", "items": ref("value")}
    by_name = {
        "type": "object",
        "properties": _ANY_STEP | {FLAT: ref(f"common_{FLAT}")},
        "patternProperties": {f"^{_IDENTIFIER}$": {}},
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "null"}, values, by_name]}


def _expect() -> Schema:
    quantities = {"output": {"type": "array", "items": {"type": "integer", "minimum": 1}}}
    layer = {
        "description": "Published numbers of the layer of this name.",
        "type": "object",
        "properties": {key: quantities.get(key, ref("figure")) for key in LAYER},
        "additionalProperties": False,
    }
    return {"type": ["object", "null"], "properties": {key: ref("figure") for key in TOTALS}, "additionalProperties": layer}
