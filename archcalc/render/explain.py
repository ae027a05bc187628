"""Explanations as people read them: symbols first, then numbers, then the result, and where each value comes from."""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from archcalc.analysis.derive import Derivation, Value
from archcalc.analysis.explain import QUANTITIES
from archcalc.analysis.explanation import Border, Explanation, Term
from archcalc.analysis.fold import scope
from archcalc.graph import Graph, Node
from archcalc.render.borders import picture
from archcalc.render.delivery import deliver
from archcalc.render.figures import axes, count, plain, sizes
from archcalc.render.formats import FORMATS, Result
from archcalc.render.notation import arguments
from archcalc.render.tables import ESSENTIAL, Column, Table
from archcalc.render.terminal import PIPE, Screen, fold, screen

MOST_TERMS = 24  # layers of a total that are told one by one unless all are asked for
BYTES = ("activation", "saved", "peak")
TITLES = {"macs": "MACs", "flops": "FLOPs (full)", "receptive-field": "receptive field"}
SAID = {
    "macs": "Multiply-accumulates of convolutions and matrix products, biases not counted.",
    "flops": "Convention full: every operation of every layer, a multiply-accumulate as two.",
    "peak": "The most bytes of all tensors that live at one moment; each line is what lives then of one layer.",
    "saved": "Bytes that autograd keeps for the backward pass; what an earlier layer keeps already is counted there.",
}


class Explained(msgspec.Struct, frozen=True):
    """What ``archcalc explain --format json`` prints: each quantity with its arithmetic, and every value with its source.

    ``layer`` is null where the quantities are totals of the whole network; their ``terms`` are then what the layers add.
    """

    schema: str
    model: str
    variant: str
    input: list[int] | dict[str, list[int]]
    dtype: str
    layer: str | None
    quantities: tuple[Explanation, ...]


class Equation(NamedTuple):
    """A number that has arithmetic: its name, the formula in letters and in numbers (empty where it has none), the result."""

    label: str
    letters: str
    numbers: str
    result: str

    @property
    def steps(self) -> list[str]:
        """What stands to the right of the equals signs."""
        return [step for step in (self.letters, self.numbers, self.result) if step]


class Line(NamedTuple):
    """What one letter, or one for each axis, stands for, and where its number comes from."""

    names: str
    numbers: str
    meaning: str
    source: str


class Block(NamedTuple):
    """One quantity: what is said about it, its equations, the values that no block before has explained, and what led to them."""

    title: str
    result: str
    said: tuple[str, ...]
    equations: tuple[Equation, ...]
    lines: tuple[Line, ...]
    picture: tuple[str, ...]
    trail: tuple[str, ...]
    terms: tuple[tuple[str, str, str], ...]

    @property
    def alone(self) -> bool:
        """Whether the quantity is one number with a formula, which then stands under the quantity's own name."""
        return len(self.equations) == 1 and bool(self.equations[0].letters) and self.equations[0].result == self.result


def explained(
    model: str, graph: Graph, dtype: str, layer: str | None, found: Sequence[Explanation], *, every: bool = False
) -> tuple[Result, str, tuple[Block, ...]]:
    """Return the document, the title and the blocks of what was explained."""
    inputs = {node.name: [int(size) for size in node.output] for node in graph.inputs}
    document = Explained(
        schema="archcalc.explain/1",
        model=plain(model),
        variant=plain(graph.name),
        input=next(iter(inputs.values())) if len(inputs) == 1 else inputs,
        dtype=dtype,
        layer=layer,
        quantities=tuple(_plain_numbers(one) for one in found),
    )
    blocks = tuple(_blocks(found, every))
    title = graph.name + (f": {graph.title}" if graph.title else "") if layer is None else _layer_title(graph, graph.find(layer))
    return Result(document, "quantities", partial(_table, title, found)), plain(title), blocks


def write(
    result: Result, title: str, blocks: tuple[Block, ...], format: str, file: str | None = None, width: int | None = None
) -> None:
    """Write an explanation in a format to a file, or to standard output. Raises UsageError if that cannot be written."""
    target = screen(sys.stdout, os.environ, width) if file in (None, "-") else replace(PIPE, width=width)
    if format == "table":
        text = as_text(title, blocks, target)
    elif format in ("md", "latex"):
        from archcalc.render import equations

        text = (equations.markdown if format == "md" else equations.latex)(title, blocks)
    else:
        text = FORMATS[format](result, target)
    deliver(text, file)


def _layer_title(graph: Graph, node: Node) -> str:
    """Return a layer in one line: its operator, the arguments in short hand, its shapes, its line in the spec."""
    came = ", ".join(str(graph.nodes[i].output) for i in node.inputs)
    shapes = f"{came} -> {node.output}" if came else str(node.output)
    place = f"{graph.file}:{node.line}" if node.line else graph.file
    written = arguments(node.op) if node.inputs else ""
    return f"{node.name}: {type(node.op).__name__}{' ' + written if written else ''}, {shapes}  ({place})"


def _plain_numbers(found: Explanation) -> Explanation:
    """Return the explanation with its fractions as decimals: JSON has no others."""
    plainly: Explanation = msgspec.convert(msgspec.to_builtins(found, enc_hook=float, builtin_types=(float,)), Explanation)
    return plainly


def _blocks(found: Sequence[Explanation], every: bool) -> Iterator[Block]:
    """Yield a block for each quantity; a letter, and an earlier layer's number, is explained once."""
    seen: set[tuple[str, ...]] = set()
    told: set[tuple[str, str]] = {(one.quantity, result_text(one)) for one in found}
    for one in found:
        equations = tuple(_equations(one.derivations, " bytes" if one.quantity in BYTES else ""))
        if one.quantity == "output":
            told |= {(derivation.part, number_text(derivation.result)) for derivation in one.derivations}
        lines = tuple(_lines(one.derivations, seen, told))
        trail = tuple(_trail(one, seen))
        meanings = [derivation.meaning for derivation in one.derivations if derivation.letters]
        said = dict.fromkeys([SAID.get(one.quantity, ""), *meanings])
        yield Block(
            TITLES.get(one.quantity, one.quantity),
            result_text(one),
            (*map(plain, filter(None, said)), *(plain(f"{note[:1].upper()}{note[1:]}.") for note in one.notes)),
            equations,
            lines,
            tuple(line for border in _joined_borders(one.borders) for line in picture(*border)),
            trail,
            tuple(_terms(one.terms, every)),
        )


def number_text(number: Any) -> str:
    """Return a result: whole numbers with their thousands apart, fractions as they are."""
    return count(number) if isinstance(number, int) else str(number)


def result_text(found: Explanation) -> str:
    """Return the whole result of a quantity."""
    if isinstance(found.result, tuple):
        return axes(tuple(map(_decimal, found.result))) if found.quantity != "output" else sizes(map(int, found.result))
    if found.result is None:
        return "none"
    return number_text(found.result) + (" bytes" if found.quantity in BYTES else "")


def _decimal(number: Any) -> Any:
    return number if isinstance(number, int) else float(number)


def _equations(derivations: Sequence[Derivation], unit: str) -> Iterator[Equation]:
    """Yield the equations, those of axes that agree as one."""
    merged: dict[tuple[str, str, str], list[Derivation]] = {}
    for one in derivations:
        stem = one.part.split(", ")[0]  # "jump" of "jump, height"
        same = stem if stem != one.part or not one.letters else one.letters
        merged.setdefault((same, one.letters, one.numbers), []).append(one)
    for (_, letters, numbers), group in merged.items():
        names = [one.part for one in group]
        stems = {name.split(", ")[0] for name in names}
        label = stems.pop() if len(stems) == 1 and len(names) > 1 else ", ".join(names)
        yield Equation(plain(label), letters, numbers if letters else "", number_text(group[0].result) + unit)


def _lines(derivations: Sequence[Derivation], seen: set[tuple[str, ...]], told: set[tuple[str, str]]) -> Iterator[Line]:
    """Yield the values that were not explained before; where axes agree, one line for all."""
    waiting = [value for one in derivations for value in one.values]
    groups: dict[tuple[str, str, str], list[Value]] = {}
    while waiting:
        value = waiting.pop(0)
        stem = value.letter.removesuffix("_h").removesuffix("_w").removesuffix("_d")
        source = _source(value, told)
        key = (value.letter, number_text(value.number), source)
        if key not in seen:
            seen.add(key)
            place = _one_for_axes(source)
            groups.setdefault((stem, str(value.number), place), []).append(value)
            if value.derivation is not None and source != "see above":
                waiting[:0] = value.derivation.values
    for group in groups.values():
        names = list(dict.fromkeys(value.letter for value in group))
        numbers = [number_text(next(value.number for value in group if value.letter == name)) for name in names]
        meant = group[0].meaning if len(names) == 1 else group[0].meaning.rpartition(", ")[0] or group[0].meaning
        source = both(list(dict.fromkeys(_source(value, told) for value in group)))
        yield Line(", ".join(names), ", ".join(numbers), meant, plain(source))


def _source(value: Value, told: set[tuple[str, str]]) -> str:
    """Return where a value comes from, in words; arithmetic of this very layer as such."""
    if value.derivation is None:
        return value.source
    return "see above" if (value.letter, number_text(value.number)) in told else f"= {value.derivation.numbers}"


def _one_for_axes(source: str) -> str:
    """Return a source without the words that tell axes apart."""
    return " ".join(word for word in source.split() if word not in ("height", "width", "depth"))


def both(texts: list[str]) -> str:
    """Return texts that differ in one word as one text.

    >>> both(["output height of pool1", "output width of pool1"])
    'output height and width of pool1'
    """
    words = [text.split() for text in texts]
    if len(texts) == 1:
        return texts[0]
    if len({len(line) for line in words}) == 1:
        columns = [list(dict.fromkeys(column)) for column in zip(*words, strict=True)]
        if sum(len(column) > 1 for column in columns) == 1:
            return " ".join(" and ".join(column) for column in columns)
    return "; ".join(texts)


def _trail(found: Explanation, seen: set[tuple[str, ...]]) -> Iterator[str]:
    """Yield a line for each earlier number, axes that agree together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in found.trail:
        key = (one.layer, one.numbers, number_text(one.result))
        if (*key, one.part) not in seen:
            seen.add((*key, one.part))
            groups.setdefault(key, []).append(one.part)
    for (layer, numbers, result), parts in groups.items():
        equal = f"= {numbers} = {result}" if numbers.replace(",", "") != result.replace(",", "") else f"= {result}"
        yield plain(f"{layer}: {', '.join(dict.fromkeys(parts))} {equal}")
    if found.more and groups:
        yield "... and further back: --trace shows every step to the input"


def _joined_borders(borders: Sequence[Border]) -> Iterator[tuple[str, Border]]:
    """Yield the borders by the axes that they hold for."""
    groups: dict[tuple[Any, ...], list[Border]] = {}
    for border in borders:
        groups.setdefault(msgspec.structs.astuple(border)[1:], []).append(border)
    for group in groups.values():
        yield " and ".join(border.axis for border in group), group[0]


def _terms(terms: tuple[Term, ...], every: bool) -> Iterator[tuple[str, str, str]]:
    """Yield what the layers add; many of them folded into scopes."""
    deepest = 1 + max((term.layer.count(".") for term in terms), default=0)
    depth = deepest if every or len(terms) <= MOST_TERMS else 1
    while depth < deepest and len({scope(term.layer, depth + 1) for term in terms}) <= MOST_TERMS:
        depth += 1
    groups: dict[str, list[Term]] = {}
    for term in terms:
        groups.setdefault(scope(term.layer, depth), []).append(term)
    for name, group in groups.items():
        alone = len(group) == 1 and group[0].layer == name
        arithmetic = group[0].numbers if alone else f"{len(group)} layer{'s' if len(group) > 1 else ''}"
        yield plain(name), count(sum(term.result for term in group)), arithmetic


def as_text(title: str, blocks: tuple[Block, ...], target: Screen) -> str:
    """Return the blocks for a terminal or a pipe."""
    lines = [target.paint(line, "bold") for line in fold(title, target.width)]
    for block in blocks:
        lines += ["", *_block_text(block, target)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _block_text(block: Block, target: Screen) -> Iterator[str]:
    """Yield the lines of one block."""
    heading = target.paint(block.title, "bold")
    yield heading if block.alone else f"{heading} = {block.result}"
    for sentence in block.said:
        yield from (target.paint(f"  {line}", "dim") for line in fold(sentence, target.width and max(20, target.width - 2)))
    for equation in block.equations:
        label = block.title if block.alone else equation.label
        steps = equation.steps
        yield f"  {label} = {steps[0]}"
        yield from (f"  {'':{len(label)}} = {step}" for step in steps[1:])
    yield from _value_lines(block.lines, target.width)
    yield from (f"  {line}" for line in block.picture)
    for number, line in enumerate(block.trail):
        yield from (f"  {'from ' if not number else '     '}{part}" for part in fold(line, target.width and target.width - 7))
    widths = [max((len(term[position]) for term in block.terms), default=0) for position in (0, 1)]
    yield from (f"  {name:{widths[0]}}  {result:>{widths[1]}}  {numbers}" for name, result, numbers in block.terms)


def _value_lines(lines: Sequence[Line], width: int | None) -> Iterator[str]:
    """Yield the values in columns; on a narrow screen each source stands under its letter."""
    names = max((len(line.names) for line in lines), default=0)
    numbers = max((len(line.numbers) for line in lines), default=0)
    meanings = max((len(line.meaning) for line in lines), default=0)
    before = 4 + names + 3 + numbers + 3
    wide = width is None or all(before + meanings + 3 + len(line.source) <= width for line in lines)
    for line in lines:
        start = f"    {line.names:{names}} = {line.numbers:{numbers}}   "
        if wide:
            yield f"{start}{line.meaning:{meanings}}   {line.source}"
        else:
            rest = [part for text in (line.meaning, line.source) for part in fold(text, max(24, (width or 80) - before))]
            yield from (f"{start if not number else '':{before}}{part}" for number, part in enumerate(rest))


def _table(title: str, found: Sequence[Explanation]) -> Table:
    """Return the arithmetic as a table: a row for each number, or for each layer of a total."""
    columns = (
        Column("quantity", "quantity", "name", ESSENTIAL),
        Column("part", "of", "name", 90),
        Column("letters", "in letters", "text", 60),
        Column("numbers", "in numbers", "text", 80),
        Column("result", "result", "axes", ESSENTIAL),
    )
    rows: list[tuple[Any, ...]] = []
    for one in found:
        rows += [(one.quantity, part.part, part.letters, part.numbers, part.result) for part in one.derivations]
        rows += [(one.quantity, term.layer, "", term.numbers, term.result) for term in one.terms]
        if not one.derivations and not one.terms:
            rows.append((one.quantity, one.layer or "", "", "", one.result))
    return Table(title, columns, tuple(rows))


__all__ = ["QUANTITIES", "Block", "Explained", "as_text", "explained", "write"]
