"""A network as a graph: nodes in topological order, every shape known, checked once while it is built."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from archcalc.errors import ArchcalcError, ShapeError, UsageError, did_you_mean, one_line
from archcalc.ops import Input, Op
from archcalc.ops.base import shown
from archcalc.ops.initial import Init
from archcalc.shape import Shape

MOST_NODES = 100_000
MOST_ELEMENTS = 2**63 - 1  # of one tensor: PyTorch's own bound; it keeps every number short enough to print


class Node(msgspec.Struct, frozen=True):
    """One operator at its place: the nodes it reads (by index), the shape it makes, and the line of the spec it came from.

    ``shares`` is the index of an earlier node whose parameters this one uses; ``frozen`` parameters are not trained; ``init``
    is how they begin, None where that is left to PyTorch.
    """

    name: str
    op: Op
    inputs: tuple[int, ...]
    output: Shape
    line: int | None = None
    shares: int | None = None
    frozen: bool = False
    init: Init | None = None


class Graph(msgspec.Struct, frozen=True):
    """A network: its nodes in topological order (the inputs first) and the nodes whose tensors leave it, by name.

    ``outputs`` holds ``output``, the end of the main path, and one entry for each side head; ``head_weights`` is what each head's
    loss counts in training, where the main one counts 1.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: Mapping[str, int]
    title: str = ""
    source: str = ""
    file: str = ""
    head_weights: Mapping[str, float] = {}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes that stand for the network's inputs."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @property
    def layers(self) -> Iterator[Node]:
        """The nodes that do something: all but the inputs."""
        return (node for node in self.nodes if not isinstance(node.op, Input))

    def x(self, node: Node) -> Shape:
        """Return what the node's operator is asked about: its input's shape, or the tuple of them for a merge."""
        return operand(node.op, [self.nodes[i].output for i in node.inputs])

    def find(self, name: str) -> Node:
        """Return the node of this name, or the only one whose path ends in it. Raises UsageError otherwise."""
        name = str(name)
        exact = [node for node in self.nodes if node.name == name]
        found = exact or [node for node in self.nodes if node.name.endswith("." + name)]
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(node.name for node in found[:4]) + (", ..." if len(found) > 4 else "")
            raise UsageError("E211", f"{len(found)} layers of {self.name} end in {name}", help=f"give the whole path: {some}")
        names = [node.name for node in self.layers]
        raise UsageError(
            "E210", f"{self.name} has no layer {name}", help=did_you_mean(name, names) or f"see archcalc summary {self.name}"
        )

    def __repr__(self) -> str:
        inputs = ", ".join(f"{one_line(node.name)} {node.output}" for node in self.inputs)
        return f"<Graph {one_line(self.name)}: {sum(1 for _ in self.layers):,} layers; {inputs}>"

    def _repr_html_(self) -> str:
        from archcalc.render.html import graph_html  # notebooks ask the object itself for its picture

        return graph_html(self)


def only_in_training(graph: Graph) -> list[bool]:
    """Return, for each node, whether it runs in training alone: a side head needs it, or it them, and the main output does not."""
    main = needed_by(graph, [graph.outputs["output"]])
    heads = needed_by(graph, [index for name, index in graph.outputs.items() if name != "output"])
    found: list[bool] = []
    for node, head, needed in zip(graph.nodes, heads, main, strict=True):
        found.append(not needed and (head or any(found[i] for i in node.inputs)))
    return found


def needed_by(graph: Graph, ends: list[int]) -> list[bool]:
    """Return, for each node, whether one of the ends depends on it."""
    found = [False] * len(graph.nodes)
    for index in ends:
        found[index] = True
    for index in range(len(graph.nodes) - 1, -1, -1):
        if found[index]:
            for i in graph.nodes[index].inputs:
                found[i] = True
    return found


def operand(op: Op, shapes: list[Shape]) -> Shape:
    """Return the shapes as the operator's methods take them."""
    return tuple(shapes) if op.merges else shapes[0]  # type: ignore[return-value]


def _difference(op: Op, x: Shape, other: Op, theirs: Shape) -> str | None:
    """Return what keeps an operator from using another one's parameters, None if nothing does."""
    if type(op) is not type(other):
        return f"that is {type(other).__name__}, this {type(op).__name__}"
    if not op.shares_with(other):
        named = ((name, getattr(other, name), getattr(op, name)) for name in op.__struct_fields__ if name not in op.geometry)
        return "; ".join(f"its {name} is {shown(there)}, here {shown(here)}" for name, there, here in named if there != here)
    if op.params(x) != other.params(theirs):
        return f"its input is {theirs}, here {x}"
    return None


def bounded(shape: Shape) -> Shape:
    """Return the shape. Raises ShapeError if no tensor can be so large."""
    if shape.elements > MOST_ELEMENTS:
        raise ShapeError(
            "E108", f"a tensor of {shape} is beyond 2**63 - 1 elements, which is all that one can hold", help="smaller sizes"
        )
    return shape


class Builder:
    """Grows a graph node by node; each is checked against the shapes before it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._index: dict[str, int] = {}
        self._shapes: dict[tuple[Op, object], Shape] = {}  # repeated blocks ask the same question again and again

    def shape(self, index: int) -> Shape:
        """Return the shape that a node makes."""
        return self.nodes[index].output

    def input(self, name: str, sizes: tuple[int, ...]) -> int:
        """Add an input of these sizes, batch first."""
        return self._append(Node(name, Input(sizes), (), bounded(Shape(sizes))))

    def add(
        self,
        name: str,
        op: Op,
        inputs: tuple[int, ...],
        *,
        line: int | None = None,
        shares: int | None = None,
        frozen: bool = False,
        init: Callable[[], Init | None] | None = None,
    ) -> int:
        """Add a node and return its index; how its parameters begin is asked once its shapes are known to fit.

        Raises ArchcalcError with the layer's name if they do not.
        """
        nodes = self.nodes
        x = nodes[inputs[0]].output if not op.merges else tuple([nodes[i].output for i in inputs])
        key = (op, x)
        output = self._shapes.get(key)
        try:
            if output is None:
                output = self._shapes[key] = bounded(op.output(x))  # type: ignore[arg-type]
            if shares is not None:
                shares, frozen = self._shared(op, x, shares, frozen)  # type: ignore[arg-type]
            begun = None if init is None or shares is not None else init()  # what is shared begins as its holder says
        except ArchcalcError as error:
            error.layer = name
            raise
        return self._append(Node(name, op, inputs, output, line, shares, frozen, begun))

    def _append(self, node: Node) -> int:
        index = len(self.nodes)
        if self._index.setdefault(node.name, index) != index:
            raise UsageError("E212", f"two layers are named {node.name}", layer=node.name)
        if index >= MOST_NODES:
            raise UsageError("E213", f"the graph has more than {MOST_NODES:,} nodes", help="fewer repeats", layer=node.name)
        self.nodes.append(node)
        return index

    def _shared(self, op: Op, x: Shape, index: int, frozen: bool) -> tuple[int | None, bool]:
        """Return the node that holds the parameters, once it is sure that they fit, and whether they are frozen.

        There is none where neither has any: a pool in a shared block may differ from the one in its twin.
        """
        index = index if (first := self.nodes[index].shares) is None else first
        holder = self.nodes[index]
        if not holder.inputs:
            raise UsageError("E214", f"{holder.name} is an input, without parameters to share", help="share an earlier step")
        theirs = operand(holder.op, [self.nodes[i].output for i in holder.inputs])
        if not any((op.params(x), op.buffers(x), holder.op.params(theirs), holder.op.buffers(theirs))):
            return None, frozen
        difference = _difference(op, x, holder.op, theirs)
        if difference is not None:
            message = f"{type(op).__name__} cannot use the parameters of {holder.name}: {difference}"
            raise UsageError("E214", message, help="both need the same operator, arguments and input channels")
        if frozen and not holder.frozen:
            message = f"the parameters of {holder.name} are trained, and cannot be frozen for one of the steps that use them"
            raise UsageError("E214", message, help=f"write frozen: true at {holder.name}")
        return index, holder.frozen

    def graph(
        self,
        name: str,
        outputs: Mapping[str, int],
        title: str = "",
        source: str = "",
        file: str = "",
        head_weights: Mapping[str, float] | None = None,
    ) -> Graph:
        """Return the finished graph; a head of which ``head_weights`` says nothing counts 1."""
        heads = {head: 1.0 for head in outputs if head != "output"} | dict(head_weights or {})
        return Graph(name, tuple(self.nodes), outputs, title, source, file, heads)
