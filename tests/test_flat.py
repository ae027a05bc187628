"""Flat blocks and groups: what they hold stands in the scope around them, as if it were written there."""

# ruff: noqa: E501 (a table reads by its rows, however long they are)

import pytest

import archcalc
from archcalc.errors import ArchcalcError
from archcalc.graph import Graph
from archcalc.spec import parse

BLOCKS = """\
blocks:
  pair(out, k=1):
    - Conv2d: {out_channels: out, kernel_size: k, padding: k // 2}
    - ReLU
  named(n):
    - Conv2d: {name: 'conv{n}', out_channels: 8, kernel_size: 1}
    - Tanh: {name: relu1}
  outer:
    - named: {n: 7, flat: true}
  side:
    - head: {name: aux, layers: [ReLU]}
    - Sigmoid
"""


def build(layers: str) -> Graph:
    return parse(f"input: [4, 16, 16]\n{BLOCKS}layers:\n{layers}\n", "net.yaml").graph()


def outline(graph: Graph) -> list[tuple[object, ...]]:
    """All of a graph but its lines."""
    return [(node.name, node.op, node.inputs, node.output, node.shares, node.frozen) for node in graph.nodes]


CONV = "Conv2d: {out_channels: 8, kernel_size: 1}"
AS_WRITTEN = [
    # with flat, and written out in place
    ("- pair: {out: 8, flat: true}", f"- {CONV}\n- ReLU"),
    ("- ReLU\n- pair: {out: 8, flat: true}\n- ReLU", f"- ReLU\n- {CONV}\n- ReLU\n- ReLU"),
    (f"- group: {{flat: true, layers: [group: {{flat: true, layers: [{CONV}]}}, ReLU]}}", f"- {CONV}\n- ReLU"),
    ("- pair: {out: 8, flat: true, repeat: 3}", f"- {CONV}\n- ReLU\n" * 3),
    ("- pair: {out: 8*(i + 1), flat: true, repeat: 2}", f"- {CONV}\n- ReLU\n- {CONV.replace('8', '16')}\n- ReLU"),
    ("- pair: {out: 8, flat: true, if: in_channels > 4}\n- ReLU", "- ReLU"),
    ("- pair: {out: 8, flat: true, repeat: 0}\n- ReLU", "- ReLU"),
    ("- ReLU: {name: a}\n- Tanh\n- pair: {out: 8, flat: true, from: a}", "- ReLU: {name: a}\n- Tanh\n- Conv2d: {out_channels: 8, kernel_size: 1, from: a}\n- ReLU"),
    ("- pair: {out: 8, flat: true, frozen: true}\n- ReLU", "- Conv2d: {out_channels: 8, kernel_size: 1, frozen: true}\n- ReLU: {frozen: true}\n- ReLU"),
    ("- Add: {a: [pair: {out: 4, flat: true}], b: []}", "- Add: {a: [Conv2d: {out_channels: 4, kernel_size: 1}, ReLU], b: []}"),
    ("- group: {name: f, numbered: true, layers: [pair: {out: 8, flat: true, repeat: 2}, Flatten]}", f"- group: {{name: f, numbered: true, layers: [{CONV}, ReLU, {CONV}, ReLU, Flatten]}}"),
    ("- side: {flat: true}\n- ReLU", "- head: {name: aux, layers: [ReLU]}\n- Sigmoid\n- ReLU"),
    # what is in a flat block can be named from outside it, and the other way round
    ("- named: {n: 1, flat: true}\n- Sigmoid: {from: conv1}", "- Conv2d: {name: conv1, out_channels: 8, kernel_size: 1}\n- Tanh: {name: relu1}\n- Sigmoid: {from: conv1}"),
    ("- ReLU: {name: a}\n- group: {flat: true, layers: [Tanh, Sigmoid: {from: a}]}", "- ReLU: {name: a}\n- Tanh\n- Sigmoid: {from: a}"),
    # nameless steps keep clear of names that are written further down, in whatever is flat
    ("- ReLU\n- group: {flat: true, layers: [Tanh: {name: relu1}]}", "- ReLU\n- Tanh: {name: relu1}"),
    ("- ReLU\n- named: {n: 1, flat: true}", "- ReLU\n- Conv2d: {name: conv1, out_channels: 8, kernel_size: 1}\n- Tanh: {name: relu1}"),
    ("- ReLU\n- outer: {flat: true}", "- ReLU\n- Conv2d: {name: conv7, out_channels: 8, kernel_size: 1}\n- Tanh: {name: relu1}"),
    ("- ReLU\n- Concat: {a: [outer: {flat: true}], b: []}", "- ReLU\n- Concat: {a: [Conv2d: {name: conv7, out_channels: 8, kernel_size: 1}, Tanh: {name: relu1}], b: []}"),
    ("- Concat: {name: c, repeat: 2, a: [ReLU, named: {n: 1, flat: true}], b: []}", "- Concat: {name: c, repeat: 2, a: [ReLU, Conv2d: {name: conv1, out_channels: 8, kernel_size: 1}, Tanh: {name: relu1}], b: []}"),
]  # fmt: skip


@pytest.mark.parametrize(("flat", "written"), AS_WRITTEN)
def test_flat_is_as_if_written_there(flat: str, written: str) -> None:
    flattened, inline = build(flat), build(written)
    assert outline(flattened) == outline(inline)
    assert flattened.outputs == inline.outputs


def test_parameters_of_flat_steps_are_shared_with_their_scope() -> None:
    layers = "- group: {name: a, layers: [pair: {out: 4, flat: true}]}\n- group: {name: b, share: a, layers: [pair: {out: 4, flat: true}]}"
    assert [layer.shares for layer in archcalc.analyse(build(layers)).layers] == [None, None, "a.conv1", None]


REFUSED = [
    ("- named: {n: 1, flat: true, repeat: 2}", "E054", "two steps are named conv1", "let its name count"),
    ("- named: {n: 1, flat: true}\n- ReLU: {name: relu1}", "E054", "two steps are named relu1", "the first is on line"),
    ("- named: {n: 1, flat: true}\n- Sigmoid: {from: named1}", "E055", "no earlier step is named named1", "conv1"),
    ("- group: {name: g, layers: [pair: {out: 0, flat: true}]}", "E120", "out_channels of Conv2d must be", None),
]


@pytest.mark.parametrize(("layers", "code", "message", "way_out"), REFUSED)
def test_what_flat_steps_cannot_do(layers: str, code: str, message: str, way_out: str | None) -> None:
    with pytest.raises(ArchcalcError) as raised:
        build(layers)
    error = raised.value
    assert error.code == code
    assert message in error.message
    assert way_out is None or way_out in (error.help or "")


def test_an_error_in_a_flat_block_names_the_layer_as_it_stands() -> None:
    with pytest.raises(ArchcalcError) as raised:
        build("- group: {name: g, layers: [ReLU, pair: {out: 0, flat: true}]}")
    assert raised.value.layer == "g.conv1"


def test_a_chain_of_flat_blocks_is_read_in_bounded_stack() -> None:
    chain = "".join(f"  b{number}: [b{number + 1}: {{flat: true}}]\n" for number in range(1500))
    with pytest.raises(ArchcalcError) as raised:
        parse(f"input: [4]\nblocks:\n{chain}  b1500: [ReLU]\nlayers: [b0: {{flat: true}}]\n", "net.yaml").graph()
    assert raised.value.code == "E007"
