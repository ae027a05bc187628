"""The page of a model that ``verify`` reads: every layer's sizes, parameters and MACs, worked out or left to be filled in."""

import json
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

from archcalc.analysis.cost import DTYPE_BYTES
from archcalc.analysis.derive import Tracer
from archcalc.analysis.written import Written
from archcalc.formula.printed import text
from archcalc.formula.traced import Derived
from archcalc.graph import Graph, Node
from archcalc.ops import Input, Op
from archcalc.shape import Shape
from archcalc.worksheet.stated import stated, telling

BLANK = "____"
LONGEST_SUM = 240  # characters; a longer sum is no longer something that a person adds up
MEGABYTE = 10**6

Claim = tuple[str, str]  # what is asked, and the answer


def worksheet(
    graph: Graph,
    model: str | None,
    *,
    variant: str | None = None,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    blank: bool = False,
) -> str:
    """Return the page of a network, in Markdown; ``blank`` leaves the answers out.

    ``model``, ``variant``, ``settings`` and ``inputs`` say how to come by the network, and stand at its head; a page without a
    model is held against itself.
    """
    head = _front_matter(graph, model, variant, settings or {}, inputs or {})
    paragraphs = [
        *(["\n".join(head)] if head else []),
        f"Fill in each {BLANK}, then: archcalc verify PAGE.md" if blank else "To check every line: archcalc verify PAGE.md",
        *_layers(graph, blank),
        "\n".join(["## Totals", *_asked(_totals(graph), blank)]),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _front_matter(
    graph: Graph, model: str | None, variant: str | None, settings: Mapping[str, Any], inputs: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return the lines that a machine reads first; JSON is YAML that no name can break out of."""
    told: dict[str, Any] = {} if model is None else {"model": model}
    if variant is not None:
        told["variant"] = variant
    if settings:
        told["set"] = dict(settings)
    if inputs:
        told["input"] = list(next(iter(inputs.values()))) if len(graph.inputs) == 1 else {n: list(s) for n, s in inputs.items()}
    if graph.title:
        told["title"] = graph.title
    return ["---", *(f"{key}: {_scalar(value)}" for key, value in told.items()), "---"] if told else []


def _scalar(value: Any) -> str:
    if isinstance(value, str) and value.isidentifier() and value.isascii():
        return value
    return json.dumps(value, ensure_ascii=False)


def _layers(graph: Graph, blank: bool) -> Iterator[str]:
    """Yield a paragraph for each layer, and one for each input."""
    tracer = Tracer(graph, Written(graph))
    claims: dict[tuple[Op, object], list[Claim]] = {}  # repeated blocks have the same answers
    for index, node in enumerate(graph.nodes):
        if isinstance(node.op, Input):
            named = len(graph.inputs) > 1
            yield "\n".join([*([f"## {node.name}"] if named else []), f"input: {sizes(node.output)}"])
            continue
        key = (node.op, graph.x(node))
        if key not in claims:
            claims[key] = list(_claims(tracer.op(index), tracer.x(index)))
        answers = [claim for claim in claims[key] if node.shares is None or claim[0] != "parameter ="]
        yield "\n".join([f"## {node.name}", *_description(graph, index, node), *_asked(answers, blank)])


def _asked(claims: list[Claim], blank: bool) -> list[str]:
    return [f"- {question} {BLANK if blank else answer}" for question, answer in claims]


def _description(graph: Graph, index: int, node: Node) -> Iterator[str]:
    """Yield the layer line, and where the input comes from when that is not the layer before."""
    yield layer_line(node.op, graph.x(node))
    sources = [graph.nodes[i] for i in node.inputs]
    if node.op.merges:
        yield f"- from {' and '.join(source.name for source in sources)}"
    elif node.inputs != (index - 1,):
        yield f"- input: {sizes(sources[0].output)} (from {sources[0].name})"
    if node.shares is not None:
        yield f"- the parameters are those of {graph.nodes[node.shares].name}"


def sizes(shape: Shape) -> str:
    """Return a shape as notes write it, channels last: ``55 x 55 x 96``."""
    return " x ".join(map(str, (*shape.axes, shape.c)))


# --- the layer line -----------------------------------------------------------------------------------------------------------


def layer_line(op: Op, x: Any) -> str:
    """Return what a layer is, in the words of hand calculations: ``Convolution: 11 x 11 x 3, n=96, s=4, padding=none``."""
    told = telling(op, x)
    words = _WORDS.get(type(op).__name__)
    return words.line(op, x) if words is not None and told.keys() <= words.tell else stated(op, told)


class Words(NamedTuple):
    """How hand calculations describe a layer, and the arguments of its operator that this tells."""

    line: Callable[[Any, Any], str]
    tell: frozenset[str] = frozenset()


def _convolution(name: str) -> Callable[[Any, Any], str]:
    def line(op: Any, x: Shape) -> str:
        parts = [_crossed((*op.kernel_size, x.c // op.groups)), f"n={op.out_channels}", *_window(op)]
        if any(d > 1 for d in op.dilation):
            parts.append(f"dilation={_one(op.dilation)}")
        if op.groups > 1:
            parts.append(f"groups={op.groups}")
        return f"{name}: {', '.join(parts)}{_bias(op)}"

    return line


def _table_convolution(op: Any, x: Shape) -> str:
    entries = sum(map(len, op.table))
    return f"Convolution by a table of {entries} entries: {_crossed(op.kernel_size)}, n={len(op.table)}, {', '.join(_window(op))}"


def _pooling(name: str) -> Callable[[Any, Any], str]:
    def line(op: Any, x: Any) -> str:
        parts = [_crossed(op.kernel_size), f"s={_one(op.steps)}"]
        if any(op.padding) or op.padding == "same":
            parts.append(f"padding={_one(op.padding)}")
        if op.ceil_mode:
            parts.append("ceil_mode=true")
        return f"{name}: {', '.join(parts)}"

    return line


def _adaptive(name: str) -> Callable[[Any, Any], str]:
    def line(op: Any, x: Shape) -> str:
        return f"{name} to {_crossed(tuple(i if o is None else o for i, o in zip(x.axes, op.output_size, strict=True)))}"

    return line


def _window(op: Any) -> list[str]:
    padding = op.padding if op.padding == "same" else _one(op.padding) if any(op.padding) else "none"
    return [f"s={_one(op.stride)}", f"padding={padding}"]


def _bias(op: Any) -> str:
    return "" if op.bias else ", bias=no"


def _one(values: Any) -> str:
    """Return one number where all are alike, else the list of them."""
    if not isinstance(values, tuple):
        return str(values)
    return str(values[0]) if len(set(values)) == 1 else f"[{', '.join(map(str, values))}]"


def _crossed(values: tuple[int, ...]) -> str:
    return " x ".join(map(str, values))


def _joined(sign: str) -> Callable[[Any, Any], str]:
    def line(op: Any, x: tuple[Shape, ...]) -> str:
        return f"{type(op).__name__}: {f' {sign} '.join(map(sizes, x))}"

    return line


_WINDOW = frozenset(("kernel_size", "stride", "padding"))
_CONV = _WINDOW | {"out_channels", "dilation", "groups", "bias"}
_POOL = _WINDOW | {"ceil_mode"}
_WORDS: dict[str, Words] = {
    "Conv1d": Words(_convolution("Convolution 1d"), _CONV),
    "Conv2d": Words(_convolution("Convolution"), _CONV),
    "Conv3d": Words(_convolution("Convolution 3d"), _CONV),
    "ConvTranspose2d": Words(_convolution("Transposed convolution"), _CONV),
    "ConnectedConv2d": Words(_table_convolution, _WINDOW | {"table"}),
    "Linear": Words(lambda op, x: f"Fully connected: n={op.out_features}{_bias(op)}", frozenset(("out_features", "bias"))),
    "RBF": Words(lambda op, x: f"RBF: n={op.out_features}", frozenset(("out_features",))),
    "MaxPool2d": Words(_pooling("Max pooling"), _POOL),
    "AvgPool2d": Words(_pooling("Average pooling"), _POOL),
    "AdaptiveAvgPool2d": Words(_adaptive("Adaptive average pooling"), frozenset(("output_size",))),
    "AdaptiveMaxPool2d": Words(_adaptive("Adaptive max pooling"), frozenset(("output_size",))),
    "GlobalAvgPool2d": Words(lambda op, x: "Global average pooling"),
    "TrainableSubsample2d": Words(
        lambda op, x: f"Trainable subsampling: {_crossed(op.kernel_size)}, s={_one(op._steps())}",
        frozenset(("kernel_size", "stride")),
    ),
    "BatchNorm1d": Words(lambda op, x: "Batch normalization"),
    "BatchNorm2d": Words(lambda op, x: "Batch normalization"),
    "LocalResponseNorm": Words(lambda op, x: "Local response normalization", frozenset(("size",))),
    "Resize": Words(lambda op, x: f"Resize to {_crossed(op.output(x).axes)}", frozenset(("size",))),
    "Upsample": Words(lambda op, x: f"Resize to {_crossed(op.output(x).axes)}", frozenset(("size", "scale_factor"))),
    "ZeroPad2d": Words(lambda op, x: f"Zero padding: {_one(op.padding)}", frozenset(("padding",))),
    "Add": Words(_joined("+")),
    "Multiply": Words(_joined("*")),
    "Concat": Words(_joined("+")),
}


# --- the claims ---------------------------------------------------------------------------------------------------------------


def _claims(op: Op, x: Any) -> Iterator[Claim]:
    """Yield what is asked of a layer with its answers; the numbers of ``op`` and ``x`` remember where they came from."""
    y = op.output(x)
    yield "output:", output_answer(y)
    params = op.params(x)
    if params:
        yield "parameter =", answer(params)
    macs = op.macs(x, y)
    if macs:
        yield "MACs =", answer(macs)
        factors = (*y.axes, y.c, DTYPE_BYTES["float32"])
        yield "activation memory =", f"{_code('*'.join(map(str, map(int, factors))))} = {prod(factors):,} bytes"


def output_answer(y: Shape) -> str:
    """Return the sizes of an output with the arithmetic of the number that was worked out."""
    made = [number for number in y[1:] if isinstance(number, Derived)]
    if not made or len({arithmetic(number) for number in made}) > 1:
        return sizes(y)
    if len(y) == 2:
        return answer(made[0])
    return f"{_code(arithmetic(made[0]))} = {made[0]:,} -> {sizes(y)}"


def answer(number: int) -> str:
    """Return a number behind its arithmetic: ``(11*11*3 + 1)*96 = 34,944``."""
    shown = arithmetic(number)
    return f"{number:,}" if shown == str(int(number)) else f"{_code(shown)} = {number:,}"


def _code(arithmetic: str) -> str:
    """Return arithmetic so that Markdown leaves its stars alone."""
    return f"`{arithmetic}`"


def arithmetic(number: int) -> str:
    """Return the formula that gave the number, with its values; one image needs no factor of 1 for the batch."""
    if not isinstance(number, Derived):
        return str(int(number))
    single = {letter: _of_one_image(letter, value) for letter, value in number.values.items()}
    return text(number.formula, single)


def _of_one_image(letter: str, value: Any) -> Any:
    return value[1:] if letter in ("x", "y") and isinstance(value, tuple) and value[0] == 1 else value


def _totals(graph: Graph) -> list[Claim]:
    nodes = list(graph.layers)
    params = [0 if node.shares is not None else node.op.params(graph.x(node)) for node in nodes]
    macs = [node.op.macs(graph.x(node), node.output) for node in nodes]
    size = DTYPE_BYTES["float32"]
    total = sum(params)
    claims = [("total parameter =", _sum(params)), ("total MACs =", _sum(macs))]
    if total:
        product = _code(f"{total:,}*{size}")
        claims.append(("total parameter memory =", f"{product} = {total * size:,} bytes = {_megabytes(total * size)} MB"))
    return claims


def _sum(numbers: list[int]) -> str:
    """Return a sum with its terms, as far as a person would write them out."""
    terms = [number for number in numbers if number]
    shown = " + ".join(f"{term:,}" for term in terms)
    return f"{shown} = {sum(terms):,}" if len(terms) > 1 and len(shown) <= LONGEST_SUM else f"{sum(terms):,}"


def _megabytes(number: int) -> str:
    """Return bytes in megabytes, rounded to three decimals by whole numbers."""
    thousandths = (number * 1000 + MEGABYTE // 2) // MEGABYTE
    return f"{thousandths // 1000:,}.{thousandths % 1000:03d}"
