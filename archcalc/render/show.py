"""A spec as it stands, with what is to be said of it, and its graph as data and as a table."""

import os
from functools import partial
from typing import Any

import msgspec

from archcalc.graph import Graph, Node
from archcalc.render.expanded import flow
from archcalc.render.figures import plain
from archcalc.render.formats import Result
from archcalc.render.notation import arguments
from archcalc.render.tables import ESSENTIAL, Column, Table
from archcalc.spec import Spec
from archcalc.spec.schema import FILE
from archcalc.spec.source import MOST_BYTES

_COLUMNS = (
    Column("name", "layer", "name", ESSENTIAL),
    Column("op", "operator", "text", 90),
    Column("arguments", "arguments", "text", 70),
    Column("inputs", "inputs", "text", 60),
    Column("output_shape", "output", "shape", 80),
)


class NodeRow(msgspec.Struct, frozen=True):
    """One node: its operator with all its arguments, the nodes it reads, the shape it makes (batch first), its line in the spec."""

    name: str
    op: str
    arguments: dict[str, Any]
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...]
    line: int | None
    shares: str | None
    frozen: bool


class ShowDocument(msgspec.Struct, frozen=True):
    """What `archcalc show MODEL --format json` prints; ``outputs`` says which node each output of the network is."""

    schema: str
    model: str
    title: str
    source: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, str]
    nodes: tuple[NodeRow, ...]


def graph_result(graph: Graph) -> Result:
    """Return the graph as data, and as a table: a row for each node."""
    document = _document(graph)
    return Result(document, "nodes", partial(_table, graph, document))


def _document(graph: Graph) -> ShowDocument:
    names = [node.name for node in graph.nodes]
    nodes = tuple(_node_row(node, names) for node in graph.layers)
    inputs = {node.name: tuple(node.output) for node in graph.inputs}
    outputs = {output: names[index] for output, index in graph.outputs.items()}
    return ShowDocument("archcalc.show/1", graph.name, graph.title, graph.source, inputs, outputs, nodes)


def _node_row(node: Node, names: list[str]) -> NodeRow:
    inputs = tuple(names[index] for index in node.inputs)
    shares = None if node.shares is None else names[node.shares]
    arguments = msgspec.structs.asdict(node.op)
    return NodeRow(node.name, type(node.op).__name__, arguments, inputs, tuple(node.output), node.line, shares, node.frozen)


def _table(graph: Graph, document: ShowDocument) -> Table:
    written = [_words(graph, node) for node in graph.layers]
    rows = tuple(
        (row.name, row.op, words, ", ".join(row.inputs), row.output_shape)
        for row, words in zip(document.nodes, written, strict=True)
    )
    return Table(f"{graph.title} ({graph.name})" if graph.title else graph.name, _COLUMNS, rows)


def _words(graph: Graph, node: Node) -> str:
    """Return a node's arguments in short hand, and whose parameters it uses."""
    shared = "" if node.shares is None else f"shares {graph.nodes[node.shares].name}"
    return ", ".join(filter(None, (arguments(node.op), shared, "frozen" if node.frozen else "")))


def spec_notes(spec: Spec, variant: str | None, settings: bool) -> list[str]:
    """Return what a reader of the spec's text should know: which variant was meant, and that ``settings`` do not change a text."""
    chosen = spec.variant(variant)
    notes = []
    if settings:
        notes.append("note: this is the text of the spec; --expanded writes out what comes of it under these settings")
    if chosen.name != spec.name:
        usual, values = _given(spec, None), _given(spec, chosen.name)
        changed = ", ".join(f"{name}: {flow(value)}" for name, value in values.items() if value != usual.get(name))
        own = f"with {changed}; a copy needs --variant {plain(chosen.name)} for it" if changed else "as it stands, by another name"
        notes.append(f"note: {plain(chosen.name)} is this spec {own}")
    return notes


def _given(spec: Spec, variant: str | None) -> dict[str, Any]:
    """Return the inputs and the params of a variant."""
    params = spec.settings(variant)
    return {name: value.evaluate(params) for name, value in spec.variant(variant).inputs.items()} | params


def schema_notes(text: str, file: str | None) -> list[str]:
    """Return what the owner of a copy should know: its first line may name a schema that does not lie beside it."""
    if file is None or f"$schema=./{FILE}" not in text.partition("\n")[0]:
        return []
    beside = os.path.join(os.path.dirname(file), FILE)
    return (
        []
        if os.path.exists(beside)
        else [f"note: for editors, archcalc schema -o {plain(beside)} writes the schema that the first line names"]
    )


def expanded_notes(text: str) -> list[str]:
    """Return what a reader of an expanded spec should know: one that is too long to be read back says so."""
    size = len(text.encode())
    if size <= MOST_BYTES:
        return []
    return [f"note: {size:,} bytes, and a spec is read up to {MOST_BYTES:,}: repeat and blocks keep such a network short"]
