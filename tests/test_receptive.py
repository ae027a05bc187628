"""Receptive fields against published ones, and against the pixels that a gradient reaches."""

# ruff: noqa: E501 (cases read by the row)

import json
from fractions import Fraction
from itertools import product
from math import inf
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import conv_transpose2d

import archcalc
from archcalc.analysis.receptive import MOST_VIEWS, Field, receptive_fields
from archcalc.graph import Graph
from archcalc.ops import OPS, Phases
from archcalc.ops.base import MOST_PHASES
from archcalc.shape import Shape
from archcalc.spec import parse
from tests.strategies import flow
from tests.test_random_graphs import forward, modules

FIELDS = json.loads((Path(__file__).parent / "data" / "receptive_fields.json").read_text())["fields"]

# The published network and place, and ours: the variant and the scope or layer that ends there.
PLACES = {
    "tv.alexnet/features(pool5)": ("alexnet_torchvision", "features"),
    "own.alexnet_227/features(pool5)": ("alexnet", "pool5"),
    "tv.vgg11/features(pool5)": ("vgg11", "features"),
    "tv.vgg16/features(pool5)": ("vgg16", "features"),
    "tv.resnet18/layer1": ("resnet18", "layer1"),
    "tv.resnet18/layer2": ("resnet18", "layer2"),
    "tv.resnet18/layer3": ("resnet18", "layer3"),
    "tv.resnet18/layer4": ("resnet18", "layer4"),
    "tv.resnet50/layer1": ("resnet50", "layer1"),
    "tv.resnet50/layer4": ("resnet50", "layer4"),
    "own.googlenet_paper/i3a": ("googlenet", "inception3a"),
    "own.lenet5/c5": ("lenet5", "C5"),
}


@pytest.mark.parametrize("published", FIELDS)
def test_published_fields(published: str) -> None:
    variant, place = PLACES[published]
    layers = archcalc.analyse(archcalc.load(variant)).layers
    layer = [layer for layer in layers if layer.name == place or layer.name.startswith(place + ".")][-1]
    found = {"rf": layer.receptive_field, "stride": layer.jump, "padding": layer.padding}
    assert found == {name: (number, number) for name, number in FIELDS[published].items()}
    assert layer.paths_agree


def test_resnet_v1() -> None:
    layer = [layer for layer in archcalc.analyse(archcalc.load("resnet50_v1")).layers if layer.name.startswith("layer4")][-1]
    # TF-Slim's resnet_v1_50 in the same table: 483, 32 and 239, which is what `same` pads with an even input; PyTorch pads 1 at both ends.
    assert (layer.receptive_field, layer.jump, layer.padding) == ((483, 483), (32, 32), (241, 241))


def field(text: str, height: int = 64, width: int = 64) -> Field:
    """The field of the last layer of these steps, along its height."""
    graph = parse(f"input: [4, {height}, {width}]\nlayers:\n{text}", "net.yaml").graph()
    return receptive_fields(graph)[-1][0]


CONV = "  - Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}\n"
# fmt: off
CASES = [
    # steps, receptive field, jump, padding, whether the paths agree
    (CONV * 2, 5, 1, 2, True),
    ("  - Conv2d: {out_channels: 4, kernel_size: 3, dilation: 4, padding: 4}\n", 9, 1, 4, True),
    ("  - MaxPool2d: {kernel_size: 2}\n" + CONV, 6, 2, 2, True),
    ("  - Conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: same}\n", 3, 2, 0, True),
    ("  - ZeroPad2d: {padding: [3, 2, 1, 0]}\n", 1, 1, 3, True),
    # A skip from before the convolution is centred on the same pixel.
    ("  - Add:\n      main: [Conv2d: {out_channels: 4, kernel_size: 5, padding: 2}]\n      skip: []\n", 5, 1, 2, True),
    # One branch pads at the end only: its centre lies elsewhere.
    ("  - Add:\n      main: [Conv2d: {out_channels: 4, kernel_size: 3, padding: [0, 2, 0, 2]}]\n      skip: []\n", 3, 1, 0, False),
    # Down by pooling and up again meets its own resolution.
    ("  - Add:\n      main: [AvgPool2d: {kernel_size: 2}, Upsample: {scale_factor: 2}]\n      skip: []\n", 2, 1, 0, True),
    # A gate sees everything, and so does what it gates; the path keeps its stride.
    ("  - Multiply:\n      main: []\n      gate: [GlobalAvgPool2d, Conv2d: {out_channels: 4, kernel_size: 1}, Sigmoid]\n", 64, 1, 0, True),
    # Behind a gate a convolution sees no more: 64 pixels are all, and its own padding.
    ("  - Multiply:\n      main: []\n      gate: [GlobalAvgPool2d]\n" + CONV, 65, 1, 1, True),
    # Branches of different strides, made equal in size: the larger field, no stride, and said so.
    ("  - Add:\n      main: [Resize: {size: 16}]\n      skip: [Conv2d: {out_channels: 4, kernel_size: 49}]\n", 49, None, 0, False),
    ("  - GlobalAvgPool2d\n", 64, None, 0, True),
    ("  - GlobalAvgPool2d\n  - Upsample: {size: 8}\n", 64, 0, 0, True),
    ("  - GlobalAvgPool2d\n  - Conv2d: {out_channels: 4, kernel_size: 1}\n", 64, None, 0, True),
    ("  - Flatten\n  - Linear: {out_features: 3}\n", 64, None, 0, True),
    # Each output copies one pixel, or mixes one with none.
    ("  - Resize: {size: 64}\n", 1, 1, 0, True),
    ("  - Resize: {size: 64, mode: bicubic}\n", 1, 1, 0, True),
    # Every other output has a neighbour that no input reaches.
    ("  - ConvTranspose2d: {out_channels: 4, kernel_size: 1, stride: 2}\n" + CONV, 2, Fraction(1, 2), 0, True),
    ("  - ConvTranspose2d: {out_channels: 4, kernel_size: 1, stride: 2}\n  - AvgPool2d: {kernel_size: 1, stride: 2}\n", 1, 1, 0, True),
    # A factor of 1.5 is a step of 2/3, whatever 64*1.5 is rounded to; with a size it is i/o.
    ("  - Upsample: {scale_factor: 1.49}\n", 1, Fraction(100, 149), 0, True),
    ("  - Upsample: {size: 95}\n", 1, Fraction(64, 95), 0, True),
]
# fmt: on


@pytest.mark.parametrize(("steps", "receptive_field", "jump", "padding", "agree"), CASES)
def test_small_networks(steps: str, receptive_field: int, jump: int | None, padding: int, agree: bool) -> None:
    found = field(steps)
    assert (found.receptive_field, found.jump, found.padding, found.aligned) == (receptive_field, jump, padding, agree)


KERNELS = (2, 3, 5, 11, 13, 14, 17, 19, 18, 23)
UNKNOWN = [
    "- Flatten: {start_dim: 2}\n- Conv1d: {out_channels: 2, kernel_size: 3}\n- ReLU",  # a window over positions that are mixed
    "- Concat: {" + ", ".join(f"b{k}: [AvgPool2d: {{kernel_size: {k}}}, Resize: {{size: 64}}]" for k in KERNELS) + "}",
    # What comes round after too many outputs: 1,009; 131*137; 29*31 for both paths together; 61*3*4, though the strides are equal.
    "- Resize: {size: 1009}\n- ReLU",
    "- Upsample: {scale_factor: 1.31}\n- Upsample: {scale_factor: 1.37}",
    "- Concat: {a: [Resize: {size: 29}], b: [AvgPool2d: {kernel_size: 2}, Resize: {size: 31}, AvgPool2d: {kernel_size: 3, stride: 1}]}",
    "- Resize: {size: 61}\n- Add: {a: [AvgPool2d: {kernel_size: 3}, Upsample: {scale_factor: 3}], b: [AvgPool2d: {kernel_size: 4}, Upsample: {scale_factor: 4}]}",
]


@pytest.mark.parametrize("steps", UNKNOWN)
def test_where_too_much_meets_nothing_is_claimed(steps: str) -> None:
    graph = parse(f"input: [4, 64, 64]\nlayers:\n{steps}", "net.yaml").graph()
    assert receptive_fields(graph)[-1] == ()
    layer = archcalc.analyse(graph).layers[-1]
    assert (layer.receptive_field, layer.jump, layer.padding, layer.paths_agree) == (None, None, None, False)


def test_the_page_about_numbers_says_where_claims_end() -> None:
    page = " ".join((Path(__file__).parents[1] / "docs" / "numbers.md").read_text().split())
    assert f"Where more than {MOST_VIEWS} paths of different strides meet" in page
    assert f"comes round only after more than {MOST_PHASES} of them, nothing is claimed" in page


def test_without_an_image_there_is_nothing_to_disagree_on() -> None:
    layer = archcalc.analyse(parse("input: [8]\nlayers: [ReLU, Linear: {out_features: 3}]", "net.yaml").graph()).layers[-1]
    assert (layer.receptive_field, layer.paths_agree) == (None, True)


UNET = """
input: [1, 96, 96]
blocks:
  double: [Conv2d: {out_channels: 1, kernel_size: 3, padding: 1}, Conv2d: {out_channels: 1, kernel_size: 3, padding: 1}]
layers:
  - double: {name: enc1}
  - MaxPool2d: {kernel_size: 2}
  - double: {name: enc2}
  - MaxPool2d: {kernel_size: 2}
  - double: {name: enc3}
  - MaxPool2d: {kernel_size: 2}
  - double: {name: enc4}
  - MaxPool2d: {kernel_size: 2}
  - double: {name: middle}
  - ConvTranspose2d: {name: up4, out_channels: 1, kernel_size: 2, stride: 2}
  - Concat: {from: [up4, enc4]}
  - double: {name: dec4}
  - ConvTranspose2d: {name: up3, out_channels: 1, kernel_size: 2, stride: 2}
  - Concat: {from: [up3, enc3]}
  - double: {name: dec3}
  - ConvTranspose2d: {name: up2, out_channels: 1, kernel_size: 2, stride: 2}
  - Concat: {from: [up2, enc2]}
  - double: {name: dec2}
  - ConvTranspose2d: {name: up1, out_channels: 1, kernel_size: 2, stride: 2}
  - Concat: {from: [up1, enc1]}
  - double: {name: dec1}
"""


def test_a_unet_by_walking_from_output_to_output() -> None:
    """What each output of the decoder sees, by the definition of its operators, on a line without edges."""
    graph = parse(UNET, "unet.yaml").graph()
    fields = {node.name: axes[0] for node, axes in zip(graph.nodes, receptive_fields(graph), strict=True)}
    middle = fields["middle.conv2"]
    assert (middle.receptive_field, middle.jump, middle.padding) == (140, 16, 62)
    seen = {o: (16 * o - 62, 16 * o + 77) for o in range(-20, 40)}
    for level in (4, 3, 2, 1):
        seen = {2 * o + side: pixels for o, pixels in seen.items() for side in (0, 1)}  # the skip connection sees less, and within
        for conv in ("conv1", "conv2"):
            seen = {o: (seen[o - 1][0], seen[o + 1][1]) for o in seen if o - 1 in seen and o + 1 in seen}
            found = fields[f"dec{level}.{conv}"]
            assert found.receptive_field == max(end - start + 1 for start, end in (seen[o] for o in range(16)))
            assert (found.jump, found.padding, found.aligned) == (2 ** (level - 1), -seen[0][0], True)
    assert fields["dec1.conv2"].receptive_field == 204


@pytest.mark.parametrize("stride", range(1, 8))
@torch.no_grad()
def test_a_transposed_convolution_sees_the_inputs_that_reach_its_outputs(stride: int) -> None:
    """Each input is pushed through PyTorch's alone: the outputs that it moves are those that see it."""
    alone = torch.eye(40)[:, None, :, None]  # image m holds a one in row m
    for kernel, dilation, padding in product(range(1, 6), range(1, 8), range(3)):
        op = OPS["ConvTranspose2d"](1, (kernel, 1), (stride, 1), (padding, 0), dilation=(dilation, 1))
        window, _ = op.window(Shape((1, 1, 40, 1)))
        pushed = conv_transpose2d(alone, torch.ones(1, 1, kernel, 1), None, (stride, 1), (padding, 0), dilation=(dilation, 1))
        reached_by = [moved.nonzero().flatten().tolist() for moved in pushed[:, 0, :, 0].T]
        assert [[m for m in window.inputs(o) if 0 <= m < 40] for o in range(len(reached_by))] == reached_by
        widest = window.k if isinstance(window, Phases) else window.d * (window.k - 1) + 1
        assert widest == max(inputs[-1] - inputs[0] + 1 for inputs in reached_by if inputs)


@pytest.mark.parametrize(("arguments", "jump"), [({"size": 512}, Fraction(41, 512)), ({"scale_factor": 512}, Fraction(1, 512))])
def test_the_longest_period_of_a_resampling_is_followed(arguments: dict[str, int], jump: Fraction) -> None:
    found = field(f"  - Upsample: {flow(arguments)}\n", 41, 41)
    assert (found.jump, len(found.views[0].starts)) == (jump, MOST_PHASES)


def test_an_output_that_no_input_reaches_hangs_over_no_edge() -> None:
    (window, _) = OPS["ConvTranspose2d"](1, 2, 4, 1, dilation=2).window(Shape((1, 1, 8, 8)))
    assert window == Phases(k=1, s=1, u=4, first=(0, 0, 0, 1), last=(-1, 0, -1, 1))


def test_past_the_longest_period_it_is_known_how_far_apart_outputs_stand() -> None:
    x = Shape((1, 1, 40, 40))
    assert OPS["Resize"](4007).window(x) == (Phases(2, 40, 4007),) * 2
    assert OPS["AdaptiveAvgPool2d"](4007).window(x) == (Phases(2, 40, 4007),) * 2
    assert OPS["ConvTranspose2d"](1, [4008, 4007], 4007).window(x) == (Phases(2, 1, 4007), Phases(1, 1, 4007))


def test_a_shortcut_without_parameters_skips_pixels_along_both_axes() -> None:
    graph = parse("input: [4, 64, 32]\nlayers: [ShortcutA: {out_channels: 4, stride: 2}, ReLU]", "net.yaml").graph()
    fields = receptive_fields(graph)[-1]
    assert [(axis.receptive_field, axis.jump, axis.padding, axis.size) for axis in fields] == [(1, 2, 0, 32), (1, 2, 0, 16)]


def test_squeeze_and_excitation_does_not_make_fields_grow_without_end() -> None:
    gate = "  - Multiply:\n      main: []\n      gate: [GlobalAvgPool2d]\n"
    once, often = field(gate + CONV), field((gate + CONV) * 20)
    assert once.receptive_field == 65  # the gate sees all 64 rows; the convolution's first window begins in the padding
    assert often.receptive_field == 64 + 2 * 19 + 1  # every gate sees what the convolutions before it saw beyond both edges
    assert often.aligned


steps = st.one_of(
    st.builds(
        lambda k, s, p, d: {"Conv2d": {"out_channels": 2, "kernel_size": k, "stride": s, "padding": p, "dilation": d}},
        st.integers(1, 4), st.integers(1, 3), st.integers(0, 3) | st.just("same"), st.integers(1, 2),
    ),
    st.builds(lambda k, s: {"AvgPool2d": {"kernel_size": k, "stride": s}}, st.integers(1, 3), st.integers(1, 3)),
    st.builds(lambda k, p: {"AvgPool2d": {"kernel_size": 2 * k, "stride": 2, "padding": p}}, st.integers(1, 2), st.integers(0, 1)),
    st.builds(lambda sides: {"ZeroPad2d": {"padding": sides}}, st.lists(st.integers(0, 2), min_size=4, max_size=4)),
    st.builds(
        lambda k, d: {"Add": {"main": [{"Conv2d": {"out_channels": 2, "kernel_size": 2 * k + 1, "padding": k * d, "dilation": d}}], "skip": []}},
        st.integers(0, 2), st.integers(1, 2),
    ),
    st.builds(
        lambda k: {"Concat": {"a": [{"Conv2d": {"out_channels": 1, "kernel_size": 2 * k + 1, "padding": k}}], "b": [{"Conv2d": {"out_channels": 1, "kernel_size": 1}}]}},
        st.integers(0, 2),
    ),
)  # fmt: skip
upward = st.one_of(
    st.builds(
        lambda s, k, p, d: {"ConvTranspose2d": {"out_channels": 2, "kernel_size": k, "stride": s, "padding": p, "dilation": d}},
        st.integers(1, 3), st.integers(1, 5), st.integers(0, 1), st.integers(1, 3),
    ),
    st.builds(lambda u: {"Upsample": {"scale_factor": u}}, st.sampled_from([2, 3, 1.5, 1.25])),
    st.builds(lambda u: {"Upsample": {"scale_factor": u, "mode": "bilinear"}}, st.sampled_from([2, 3, 1.5, 1.25])),
    st.builds(lambda o: {"Upsample": {"size": o, "mode": "bilinear", "align_corners": True}}, st.integers(2, 40)),
    st.builds(lambda o: {"Resize": {"size": o}}, st.integers(2, 40)),
    st.builds(lambda o: {"AdaptiveAvgPool2d": {"output_size": o}}, st.integers(2, 40)),
)  # fmt: skip


def network(layers: list[object], size: int) -> Graph | None:
    """The graph, or None where the steps do not fit the size."""
    try:
        return parse(f"input: [2, {size}, {size}]\nlayers: {flow(layers)}\n", "net.yaml").graph()
    except archcalc.ArchcalcError:
        return None


def reached(graph: Graph, row: int) -> list[int]:
    """The rows of the input that move output ``row``: where the gradient is not zero, all weights being positive."""
    run = modules(graph)
    for call in run:
        if isinstance(call, nn.Module):
            for parameter in call.parameters():
                nn.init.constant_(parameter, 0.5)
    image = torch.ones(graph.nodes[0].output, dtype=torch.float64, requires_grad=True)
    for call in run:
        if call is not None:
            call.double()
    output = forward(graph, run, [image])[-1]
    output[0, :, row].sum().backward()
    assert image.grad is not None
    return torch.nonzero(image.grad.abs().sum(dim=(0, 1, 3))).flatten().tolist()


THIRD = settings(max_examples=settings.default.max_examples // 3)  # each example takes two backward passes, or four
EVEN_SAME = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@EVEN_SAME
@THIRD
@given(st.lists(steps, min_size=1, max_size=4))
def test_a_gradient_reaches_the_whole_field_and_no_further(layers: list[object]) -> None:
    graph = network(layers, 40)
    if graph is None:
        return
    found = receptive_fields(graph)[-1][0]
    assert found.jump is not None
    (start,), (end,), jump = found.views[0].starts, found.views[0].ends, found.views[0].jump
    inside = [row for row in range(found.size) if start + row * jump >= 0 and end + row * jump < 40]
    for row in {inside[0], inside[-1]} if inside else ():
        rows = reached(graph, row)
        assert (rows[0], rows[-1]) == (start + row * jump, end + row * jump)
        assert len(rows) <= found.receptive_field == rows[-1] - rows[0] + 1


@EVEN_SAME
@THIRD
@given(st.lists(steps, max_size=2), upward, st.lists(steps, max_size=1), st.lists(upward, max_size=1), st.lists(steps, max_size=1))
def test_behind_an_upsampling_each_output_sees_what_its_gradient_reaches(before, up, between, again, after) -> None:
    graph = network([*before, up, *between, *again, *after], 40)
    if graph is None:
        return
    fields = receptive_fields(graph)
    if fields[-1] == ():
        return
    found = fields[-1][0]
    (view,) = found.views
    period, shift = len(view.starts), int(len(view.starts) * view.jump)
    edges = [
        (view.starts[o % period] + o // period * shift, view.ends[o % period] + o // period * shift) for o in range(found.size)
    ]
    assert found.receptive_field == max(0, *(end - start + 1 for start, end in edges))
    # Outputs whose fields touch no edge on the way: what is cut off or clamped there is not theirs.
    far = max(axes[0].receptive_field for axes in fields)
    inside = [row for row, (start, end) in enumerate(edges) if start >= far and end < 40 - far] or [
        row for row, (start, end) in enumerate(edges) if start == inf
    ]
    for row in inside[:: max(1, len(inside) // 4)]:
        rows = reached(graph, row)
        assert ((rows[0], rows[-1]) if rows else (inf, -inf)) == edges[row]


def test_a_map_that_is_padded_at_one_edge_is_no_square_any_more() -> None:
    text = "input: [1, 4, 4]\nlayers:\n  - ZeroPad2d: {padding: [0, 0, 0, 1]}\n  - Flatten\n  - Linear: {out_features: 1}\n"
    fields = receptive_fields(parse(text, "net.yaml").graph())
    assert [field.size for field in fields[1]] == [4, 5]
    assert [field.receptive_field for field in fields[-1]] == [4, 5]
