"""Explanations: every quantity of a layer, or of a whole network, with its arithmetic and where its numbers come from."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from archcalc.analysis.cost import (
    DTYPE_BYTES,
    OUTPUT,
    Storages,
    all_kept,
    analyse,
    full_flops,
    kept_bytes,
    owned,
    tensor_bytes,
)
from archcalc.analysis.derive import Tracer
from archcalc.analysis.explanation import Border, Explanation, Term
from archcalc.analysis.report import Report
from archcalc.analysis.written import Written
from archcalc.errors import UsageError
from archcalc.formula.printed import text
from archcalc.formula.traced import Given
from archcalc.graph import Graph, Node
from archcalc.ops import Kept, Op
from archcalc.ops.window import dilated, sides
from archcalc.symbols import AXES, TENSOR_AXES, meaning

# Quantity -> its key among a report's numbers, and what zero means for an operator.
QUANTITIES: dict[str, tuple[str, str]] = {
    "output": ("output_shape", ""),
    "params": ("params", "{op} has no parameters"),
    "macs": ("macs", "{op} is neither a convolution nor a matrix product: it has no multiply-accumulates"),
    "flops": ("flops", "{op} does no arithmetic in evaluation mode"),
    "activation": ("output_bytes", ""),
    "saved": ("saved_bytes", "{op} keeps nothing for the backward pass"),
    "receptive-field": ("receptive_field", ""),
    "neurons": ("neurons", "{op} has no units of its own: they belong to operators that hold weights"),
    "connections": ("connections", "{op} has no connections of its own: they belong to operators that hold weights"),
    "buffers": ("buffers", "{op} stores nothing besides its parameters"),
}
PEAK = "peak"  # of a training step: no sum over the layers, but what lives together at one moment
USUAL = ("output", "params", "macs", "flops", "activation", "saved", "receptive-field")
USUAL_TOTALS = ("params", "macs", "flops", "activation", "saved")
SUMMED = tuple(quantity for quantity in QUANTITIES if quantity not in ("output", "receptive-field"))
NEAREST = 24  # earlier numbers that are told unless all are asked for


class Explainer:
    """Explains the numbers of one graph; ``rules`` are those of the backward pass, ``cuda`` or ``cpu``."""

    def __init__(self, tracer: Tracer, dtype: str = "float32", rules: str = "cuda"):
        self.tracer = tracer
        self.graph: Graph = tracer.graph
        self.item_bytes = DTYPE_BYTES[dtype]
        self.rules = rules
        self._kinds: list[int] = []
        self._kept: tuple[Storages, list[list[Kept]]] | None = None
        self._users: dict[int, list[int]] = {}

    def layer(self, name: str, quantity: str, *, trace: bool = False) -> Explanation:
        """Return how one quantity of one layer comes about. Raises UsageError if there is no such layer."""
        node = self.graph.find(name)
        index = self.graph.nodes.index(node)
        self.tracer.named.clear()
        parts, notes = self.answer(index, quantity)
        traced = [(part, number) for part, number in parts if type(number) is not int or number]  # not an operator's written zero
        derivations = tuple(self.tracer.describe(number, index, quantity, part) for part, number in traced)
        trail = tuple(islice(self.tracer.trail(every=trace), None if trace else NEAREST))
        result = self.result(index, quantity, parts)
        if result == 0 and not derivations and QUANTITIES[quantity][1]:
            notes = notes or [QUANTITIES[quantity][1].format(op=type(node.op).__name__)]
        borders = _borders(node.op, self.graph.x(node), node.output) if quantity == "output" and node.inputs else ()
        more = bool(self.tracer.named)
        return Explanation(quantity, node.name, type(node.op).__name__, result, derivations, borders, trail, more, tuple(notes))

    def answer(self, index: int, quantity: str) -> tuple[list[tuple[str, Any]], list[str]]:
        """Return the numbers of a quantity, each by its letter or name, and what has to be said besides."""
        node = self.graph.nodes[index]
        if quantity == "output":
            names = TENSOR_AXES["y"][len(node.output)].split("*")
            return list(zip(names, self.tracer.y(index), strict=True))[1:], []
        if quantity == "receptive-field":
            return self.field(index)
        if quantity == "activation":
            return [(quantity, tensor_bytes(y=self.tracer.y(index), w=self.tracer.item_bytes))], []
        if not node.inputs:
            return [(quantity, 0)], ["an input is given, not computed"]
        if quantity == "saved":
            return self.saved(index)
        if node.shares is not None and quantity in ("params", "buffers"):
            holder = self.graph.nodes[node.shares].name
            return [(quantity, 0)], [f"it uses the {quantity} of {holder}, where they are counted"]
        op, x, y = self.tracer.op(index), self.tracer.x(index), self.tracer.y(index)
        notes = ["its parameters are frozen: stored, but not trained"] if node.frozen and quantity == "params" else []
        return [(quantity, _asked(op, x, y, quantity))], notes

    def result(self, index: int, quantity: str, parts: list[tuple[str, Any]]) -> Any:
        """Return the quantity itself: a number, or one for each axis."""
        if quantity == "output":
            return tuple(int(number) for _, number in parts)
        if quantity == "receptive-field":
            return tuple(field.receptive_field for field in self.tracer.fields(index)) or None
        return int(parts[0][1])

    def field(self, index: int) -> tuple[list[tuple[str, Any]], list[str]]:
        """Return receptive field, jump and overhang along each axis."""
        fields = self.tracer.fields(index)
        if not fields:
            return [], ["nothing is claimed here: an input has no axes, or too many paths of different strides meet"]
        names = ("",) if len(fields) == 1 else tuple(f", {meaning(f'k{axis}').rpartition(' ')[2]}" for axis in AXES[len(fields)])
        parts = [
            (what + axis, getattr(view, name))
            for axis, field in zip(names, fields, strict=True)
            for view in field.views
            for what, name in (("receptive field", "field"), ("jump", "jump"), ("overhang", "padding"))
        ]
        agree = all(field.aligned for field in fields)
        notes = [] if agree else ["the paths to this layer disagree in their strides or their centre"]
        if any(len(field.views) > 1 for field in fields):
            notes.append("each path is told by itself; the receptive field is all that they see together")
        return parts, notes

    def saved(self, index: int) -> tuple[list[tuple[str, Any]], list[str]]:
        """Return the bytes that autograd keeps because of this layer."""
        storages, kept = self.kept()
        node = self.graph.nodes[index]
        new = {tensor.what for tensor in kept[index]}
        op, x, y = self.tracer.op(index), self.tracer.x(index), self.tracer.y(index)
        sizes, notes = [], []
        for tensor in op.kept(x, y, self.rules):
            if tensor.what in new:
                width = self.tracer.item_bytes
                if tensor.width(self.item_bytes) != self.item_bytes:
                    width = Given(tensor.width(self.item_bytes), f"the {tensor.what} in a type of its own, whatever --dtype")
                sizes.append(kept_bytes(e=tensor.elements, w=width))
                notes.append(f"it keeps its {tensor.what}{self.shared(storages, node, index, tensor.what)}")
            elif not storages.learning[index]:
                notes = ["no parameter up to here is trained: no gradient passes, and nothing is kept"]
            else:
                notes.append(f"it needs its {tensor.what}, which {self.keeper(storages, node, index, tensor.what)}")
        number: Any = 0 if not sizes else sizes[0] if len(sizes) == 1 else all_kept(v=tuple(sizes))
        return [("saved", number)], notes

    def keeper(self, storages: Storages, node: Node, index: int, what: str) -> str:
        """Return who keeps a tensor already."""
        place = owned(what)
        owner = None if place is None else storages.storage[index if place == OUTPUT else node.inputs[place]]
        found = None if owner is None else storages.keeper.get(owner)
        return "needs no keeping: no gradient needs it" if found is None else f"{self.graph.nodes[found].name} keeps: counted there"

    def shared(self, storages: Storages, node: Node, index: int, what: str) -> str:
        """Return which later layers need a tensor too, that this one is the first to keep."""
        place = owned(what)
        if place is None:
            return ""
        owner = storages.storage[index if place == OUTPUT else node.inputs[place]]
        later = [self.graph.nodes[user] for user in self.users(storages).get(owner, ()) if user > index]
        if not later:
            return ""
        named = f"{later[0].name} ({type(later[0].op).__name__})" + (f" and {len(later) - 1} more" if len(later) > 1 else "")
        return f", which {named} need{'s' if len(later) == 1 else ''} too: one storage, counted once"

    def users(self, storages: Storages) -> dict[int, list[int]]:
        """Return, for each storage that is kept, the nodes whose derivatives need it; reckoned once."""
        if not self._users:
            for index, node in enumerate(self.graph.nodes):
                if node.inputs and storages.learning[index]:
                    for tensor in node.op.kept(self.graph.x(node), node.output, self.rules):
                        place = owned(tensor.what)
                        wanted = tensor.wanted_by is None or any(
                            i < 0 or storages.learning[node.inputs[i]] for i in tensor.wanted_by
                        )
                        if place is not None and wanted:
                            owner = storages.storage[index if place == OUTPUT else node.inputs[place]]
                            self._users.setdefault(owner, []).append(index)
        return self._users

    def kept(self) -> tuple[Storages, list[list[Kept]]]:
        """Return the storages that are kept, and for each node the tensors that it is the first to keep."""
        if self._kept is not None:
            return self._kept
        storages = Storages(self.graph, self.item_bytes)
        first: list[list[Kept]] = []
        answers: dict[Any, tuple[int, tuple[Kept, ...]]] = {}
        for index, node in enumerate(self.graph.nodes):
            first.append([])
            if node.inputs:
                x = self.graph.x(node)
                if (node.op, x) not in answers:
                    answers[node.op, x] = node.op.params(x), node.op.kept(x, node.output, self.rules)
                first[index] = storages.first_kept(index, node, *answers[node.op, x])
        self._kept = storages, first
        return self._kept

    def total(self, report: Report, quantity: str) -> Explanation:
        """Return a total as the sum of what the layers add. Raises UsageError for a quantity that has no sum."""
        if quantity not in SUMMED:
            way_out = f"archcalc explain {self.graph.name} LAYER --quantity {quantity}"
            raise UsageError("E231", f"{quantity} belongs to a layer and has no total", help=way_out)
        key = QUANTITIES[quantity][0]
        terms = [Term(row.name, getattr(row, key), "") for row in report.layers if getattr(row, key)]
        return Explanation(quantity, None, "", getattr(report.totals, key), terms=tuple(self.reckoned(terms, quantity)))

    def reckoned(self, terms: list[Term], quantity: str) -> Iterator[Term]:
        """Yield the terms with their arithmetic; layers that are alike are asked once."""
        index = {node.name: position for position, node in enumerate(self.graph.nodes)}
        known: dict[Any, str] = {}
        for term in terms:
            position = index[term.layer]
            # What is kept depends on the layers before.
            key = tuple(self.kept()[1][position]) if quantity == "saved" else self.kinds()[position]
            if key not in known:
                known[key] = self.arithmetic(position, quantity)
            yield Term(term.layer, term.result, known[key])

    def arithmetic(self, index: int, quantity: str) -> str:
        """Return a quantity's arithmetic in numbers."""
        if quantity == "saved":
            widths = [(tensor.elements, tensor.width(self.item_bytes)) for tensor in self.kept()[1][index]]
            return " + ".join([text(kept_bytes, {"e": elements, "w": width}) for elements, width in widths])
        ((_, number),), _ = self.answer(index, quantity)
        return text(number.formula, number.values)

    def kinds(self) -> list[int]:
        """Return a number for each node, the same for nodes of one operator and input shape."""
        if not self._kinds:
            known: dict[Any, int] = {}
            keys = [(node.op, self.graph.x(node) if node.inputs else node.output) for node in self.graph.nodes]
            self._kinds = [known.setdefault(key, len(known)) for key in keys]
        return self._kinds


def _asked(op: Op, x: Any, y: Any, quantity: str) -> Any:
    """Return an operator's answer."""
    if quantity == "flops":
        macs, work = op.macs(x, y), op.elementwise(x, y)
        return full_flops(macs=macs, work=work) if type(macs) is not int else work
    return getattr(op, quantity)(x) if quantity in ("params", "buffers") else getattr(op, quantity)(x, y)


def _borders(op: Any, x: Any, y: Any) -> tuple[Border, ...]:
    """Return what the operator's window does along each axis; nothing for one that slides none."""
    kernel = getattr(op, "kernel_size", None)
    if kernel is None or type(op).__name__.startswith("ConvTranspose"):
        return ()
    ones = (1,) * len(kernel)
    stride = getattr(op, "stride", None) or kernel
    dilation = getattr(op, "dilation", ones)
    ends = sides(getattr(op, "padding", (0,) * len(kernel)), x.axes, dilated(kernel, dilation), stride)
    names = [meaning(letter).removeprefix("input ") for letter in TENSOR_AXES["x"][len(x)].split("*")[2:]]
    found = zip(names, x.axes, kernel, dilation, stride, ends, y.axes, strict=True)
    return tuple(Border(name, i, k, d, s, start, end, o) for name, i, k, d, s, (start, end), o in found)


def explain(
    graph: Graph,
    layer: str | None = None,
    quantities: Sequence[str] = (),
    *,
    written: Written | None = None,
    dtype: str = "float32",
    trace: bool = False,
) -> tuple[Explanation, ...]:
    """Return the explanations of a layer's quantities, or of the totals; the main ones unless they are named.

    ``written`` knows the spec, whose lines the numbers are followed to. ``trace`` follows them all the way back.
    Raises UsageError if there is no such layer, or no such total.
    """
    explainer = Explainer(Tracer(graph, written or Written(graph), dtype), dtype)
    one = partial(explainer.total, analyse(graph, dtype=dtype)) if layer is None else partial(explainer.layer, layer, trace=trace)
    found = []
    for quantity in quantities or (USUAL_TOTALS if layer is None else USUAL):
        if quantity == PEAK:
            from archcalc.analysis.memory.explained import explain_peak  # only the peak is found by following a whole run

            found.append(explain_peak(graph, layer, dtype))
        else:
            found.append(one(quantity))
    return tuple(found)
