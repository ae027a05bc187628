"""What the learning pages are made of: wrapped prose, tables, arithmetic with its letters, and printed figures with a judgement."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import archcalc
from archcalc.analysis import Report
from archcalc.analysis.explain import explain
from archcalc.analysis.explanation import Explanation
from archcalc.analysis.report import Layer
from archcalc.graph import Graph
from archcalc.render.borders import picture
from archcalc.render.figures import count
from archcalc.units import parse_figure

WIDTH = 132
LABELS = {"macs": "MACs", "flops": "FLOPs (full)"}
DIFFERS = "**differs**"

loaded = cache(archcalc.load)


@cache
def report(model: str) -> Report:
    return archcalc.analyse(loaded(model))


def row(model: str, layer: str) -> Layer:
    """The numbers of one layer."""
    return next(one for one in report(model).layers if one.name == loaded(model).find(layer).name)


def convolutions(graph: Graph) -> int:
    """The convolutions on the main path: a shortcut's projection is no layer of its own to those who count layers."""
    return sum(type(node.op).__name__ == "Conv2d" and ".downsample." not in node.name for node in graph.layers)


def linears(graph: Graph) -> int:
    return sum(type(node.op).__name__ == "Linear" for node in graph.layers)


def page(*blocks: str) -> str:
    """Blocks with an empty line between them."""
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def prose(text: str, indent: str = "") -> str:
    """A paragraph, filled; code keeps to one line, where nothing in it can be taken for a list."""
    whole = re.sub(r"`[^`]*`", lambda found: " ".join(found[0].split()).replace(" ", "\0"), textwrap.dedent(text).strip())
    filled = textwrap.fill(
        " ".join(whole.split(" ")), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace("\0", " ")


def items(*texts: str) -> str:
    """A list."""
    return "\n".join(prose("- " + text, indent="  ") for text in texts)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; whole numbers get their thousands, and a column of nothing but numbers stands to the right."""
    cells = [[count(cell) if isinstance(cell, int) else str(cell) for cell in one] for one in rows]
    assert all(len(one) == len(headings) for one in cells)
    right = [all(re.fullmatch(r"[-+]?[\d,.]+[KMG]?|", one[at]) for one in cells) for at in range(len(headings))]
    rules = ["---:" if numbers else "---" for numbers in right]
    return "\n".join(f"| {' | '.join(one)} |".replace("  ", " ") for one in [list(headings), rules, *cells])


def fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


def console(*commands: str) -> str:
    return "\n".join(["```console", *(f"$ archcalc {command}" for command in commands), "```"])


@cache
def explained(model: str, layer: str, quantity: str) -> Explanation:
    (found,) = explain(loaded(model), layer, (quantity,))
    return found


def arithmetic(model: str, layer: str, quantity: str) -> str:
    """A number of a layer: its formula in letters, the same in numbers, the result, and what the letters mean."""
    merged: dict[tuple[str, str, int | float], list[str]] = {}
    meanings: dict[str, str] = {}
    for one in explained(model, layer, quantity).derivations:
        if one.letters:
            merged.setdefault((one.letters, one.numbers, one.result), []).append(one.part.partition(",")[0])
            meanings |= {value.letter: value.meaning for value in one.values}
    lines = []
    for (in_letters, in_numbers, result), parts in merged.items():
        label = LABELS.get(quantity, ", ".join(dict.fromkeys(parts)))
        steps = [in_letters, in_numbers, count(result)]
        lines += [f"{label if number == 0 else '':{len(label)}} = {step}" for number, step in enumerate(steps)]
    return page(fenced(lines), letters(meanings)).strip()


def letters(meanings: dict[str, str]) -> str:
    """What the letters mean, those of several axes together."""
    grouped: dict[str, list[str]] = {}
    for letter, meaning in meanings.items():
        grouped.setdefault(meaning.partition(", height")[0].partition(", width")[0], []).append(f"`{letter}`")
    return prose("Letters: " + "; ".join(f"{', '.join(names)} {meaning}" for meaning, names in grouped.items()) + ".")


def numbers(model: str, layer: str, quantity: str) -> str:
    """A number's arithmetic in numbers alone, as code."""
    return f"`{explained(model, layer, quantity).derivations[-1].numbers}`"


def drawing(*windows: tuple[str, str]) -> str:
    """What the windows of some layers do at the borders of their input."""
    lines: list[str] = []
    for model, layer in windows:
        border = explained(model, layer, "output").borders[0]
        lines += ["", *picture(f"{model} {layer}", border)]
    return fenced(lines[1:])


class Printed(NamedTuple):
    """A figure as a source prints it, beside the exact number.

    ``read`` is the figure in the words of ``archcalc.units`` where the source's own are others, ``kilo`` what its K stands for.
    ``slip`` explains a figure that the number neither rounds nor cuts off to, and nothing else.
    """

    what: str
    printed: str
    exact: int
    slip: str = ""
    read: str = ""
    kilo: int = 1000

    @property
    def verdict(self) -> str:
        figure = parse_figure(self.read or self.printed)
        number = Fraction(self.exact * 1000, self.kilo)
        if not figure.matches(number):  # type: ignore[arg-type]
            return DIFFERS
        claimed = figure.digits * Fraction(10) ** figure.power
        if claimed == number:
            return "exact"
        return "rounded" if number < claimed + Fraction(10) ** figure.power / 2 else "cut off"


def held(figures: Iterable[Printed]) -> tuple[Printed, ...]:
    """The figures, once it is sure that those which differ are explained, and no others."""
    found = tuple(figures)
    for one in found:
        assert (one.verdict == DIFFERS) == bool(one.slip), f"{one.what}: {one.printed} is {one.exact:,}, {one.verdict}"
    return found


def figures(what: str, found: Iterable[Printed], exact: str = "exact number") -> str:
    """Printed figures as a table, and below it what is wrong with those that differ."""
    judged = held(found)
    shown = table((what, "printed", exact, "the print is"), [(one.what, one.printed, one.exact, one.verdict) for one in judged])
    return page(shown, items(*(f"**{one.what}, {one.printed}.** {one.slip}" for one in judged if one.slip))).strip()
