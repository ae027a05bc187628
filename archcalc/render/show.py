"""A graph written out: as a flat spec that the loader reads back to the same graph, and as JSON."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from archcalc.graph import Graph, Node
from archcalc.ops import Op
from archcalc.ops.base import kinds, shown_value

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")  # needs no quotes, and is not one of the words that other YAML readers take for a flag
_WORDS = frozenset("true false null yes no on off y n".split())
_COMMENT_COLUMN = 72  # shapes line up here, so that most lines fit 80 columns


class NodeRow(msgspec.Struct, frozen=True):
    """One node: its operator with all arguments, the names of the nodes it reads, the shape it makes."""

    name: str
    op: str
    arguments: dict[str, Any]
    inputs: list[str]
    output_shape: list[int]
    line: int | None
    shares: str | None
    frozen: bool


class ShowDocument(msgspec.Struct, frozen=True):
    """What `archcalc show MODEL --format json` prints; ``outputs`` names the node that each output leaves from."""

    schema: str
    model: str
    title: str
    source: str
    inputs: dict[str, list[int]]
    nodes: list[NodeRow]
    outputs: dict[str, str]
