"""A page of hand calculations as data, from its text to the remarks on it.

    text ──text.lines──> Line ──forms, tables, listing──> items ──layers.assemble──> Block ──judge──> Judgement

A page is read line by line. Each line is normalised (``text``) and read by one of a closed list of forms (``forms``) into items, in
the page's order: a ``Said`` is what a line says about a layer, a ``Claim`` is what it says comes out, an ``Unread`` is a line with
digits that fits no form. Items are then put together (``layers``): a layer line opens a block, its shape closes it, and a claim
that has no open layer waits for the next one. Judging (``judging``) walks over the blocks with two shapes, the true one and the
writer's own, so that an error is named where it was made and not on the lines that follow from it.
"""

from fractions import Fraction
from typing import Any

import msgspec

from archcalc.ops import Op
from archcalc.units import Figure

Sizes = tuple[int, ...]
Plain = int | str | tuple[int, ...] | None  # a whole number, sizes, or a number as it would be written: 54.25


class Line(msgspec.Struct, frozen=True):
    """A line of the page: its number from 1, its text as it stands there, and the text that the forms read.

    ``role`` is ``prose``, ``row`` (of a table), ``code`` (in a fence or a listing) or ``matter`` (before the page begins).
    """

    number: int
    text: str
    plain: str
    role: str = "prose"


class Term(msgspec.Struct, frozen=True):
    """One side of an equals sign: arithmetic with its value, a printed figure, or the sizes of a tensor.

    ``figure`` is there for a single printed number, which may be rounded (``3.2M``). ``unit`` is empty or a unit of bytes or bits.
    ``channels`` says where a shape's channels stand: ``first`` (``6@28x28``), ``none`` (``28x28``) or, where the text does not
    tell, ``unknown``. ``loose`` marks what follows an ``about equal`` sign.
    """

    text: str
    value: Fraction | None = None
    figure: Figure | None = None
    unit: str = ""
    shape: Sizes | None = None
    channels: str = "unknown"
    loose: bool = False


class Claim(msgspec.Struct, frozen=True):
    """Something a line says comes out: a quantity, and the terms of its chain of equals signs.

    ``quantity`` is ``output``, ``input``, ``flat``, ``depth`` (of a kernel), ``params``, ``weights``, ``biases``, ``macs``,
    ``flops``, ``memory`` (of the activations), ``param_memory``, ``neurons``, ``connections`` or ``arithmetic``. ``total`` marks a
    claim about the whole network. ``layer`` names the layer where the line does so itself. ``beside`` marks a comment in code,
    which is about the layer beside it.
    """

    line: int
    text: str
    quantity: str
    terms: tuple[Term, ...]
    total: bool = False
    layer: str = ""
    beside: bool = False


class Said(msgspec.Struct, frozen=True):
    """What a line says about a layer; None is what it does not say.

    ``op`` is the operator's name in ``archcalc.ops.OPS``. ``depth`` is a kernel's third number, the input channels it sees.
    ``arguments`` are all of the operator's, where the line states them by their own names.
    ``built`` is the operator itself, where a listing gives it whole; ``x`` is what a listing says comes in (channels or features).
    ``row`` marks a row of a printed summary, which leaves out what has no module of its own. ``more`` marks a line that only adds
    to the layer that a heading names, and says nothing by itself: ``stride 4, padding 0``.
    """

    line: int
    text: str
    op: str | None
    name: str = ""
    kernel: Sizes | None = None
    depth: int | None = None
    count: int | None = None
    stride: Sizes | None = None
    padding: Sizes | str | None = None
    dilation: Sizes | None = None
    groups: int | None = None
    bias: bool | None = None
    rounding: str | None = None
    heading: bool = False
    depthwise: bool = False
    built: Op | None = None
    x: int | None = None
    row: bool = False
    more: bool = False
    branches: tuple[Sizes, ...] = ()
    arguments: tuple[tuple[str, Any], ...] | None = None


class Start(msgspec.Struct, frozen=True):
    """The sizes of the image a network begins with; ``term`` is None where they are not told. A listing is a network of its own."""

    line: int
    text: str
    term: Term | None
    listing: bool = False


class From(msgspec.Struct, frozen=True):
    """The earlier layers that the open one takes its input from, or, with ``shares``, its parameters."""

    line: int
    text: str
    names: tuple[str, ...]
    shares: bool = False


class Unread(msgspec.Struct, frozen=True):
    """A line with digits that fits no form; ``beside`` marks a comment in code, whose layers are known."""

    line: int
    text: str
    beside: bool = False


class Blank(msgspec.Struct, frozen=True):
    """A line that asks for an answer and holds none."""

    line: int
    text: str


Item = Said | Claim | Start | From | Unread | Blank


class Page(msgspec.Struct, frozen=True):
    """A page as read.

    ``model``, ``variant``, ``settings`` and ``input`` come from the lines before it: ``model: alexnet``, ``set: {towers: 2}``,
    ``input: [3, 227, 227]`` (by name where there are several).
    """

    lines: tuple[Line, ...]
    items: tuple[Item, ...]
    model: str | None = None
    variant: str | None = None
    settings: dict[str, Any] = {}
    input: Sizes | dict[str, Sizes] | None = None
    count: str | None = None
    notes: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """The judgement on one claim, or on a line that was not read.

    ``verdict`` is ``right``, ``wrong`` or ``unread``. ``because`` is the right arithmetic; ``hints`` are single changes that would
    make the claim right; ``slip`` is the key of a slip that gives the written number exactly, ``remark`` says so in words.
    ``carried_from`` is the line of the error that a claim follows from: such a claim is right on the writer's own value, and
    its verdict is ``right``.
    """

    line: int
    text: str
    verdict: str
    quantity: str = ""
    layer: str = ""
    expected: Plain = None
    found: Plain = None
    because: str = ""
    hints: tuple[str, ...] = ()
    slip: str | None = None
    remark: str = ""
    carried_from: int | None = None


class Judgement(msgspec.Struct, frozen=True):
    """All findings in the page's order, and ``conventions``: what differs on the whole page, said once.

    ``empty`` are the answers that the page asks for and does not hold.
    """

    findings: tuple[Finding, ...]
    conventions: tuple[str, ...] = ()
    empty: tuple[Blank, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many claims are right, wrong and unread."""
        counts = {"right": 0, "wrong": 0, "unread": 0}
        for finding in self.findings:
            counts[finding.verdict] += 1
        return counts

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The wrong claims."""
        return tuple(finding for finding in self.findings if finding.verdict == "wrong")
