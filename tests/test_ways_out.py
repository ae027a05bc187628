"""The way out that a newcomer is shown: right for what was meant, and never another network than the one that was written."""

# ruff: noqa: E501 (a table reads by its rows, however long they are)

import re

import pytest

from archcalc import analyse
from archcalc.errors import ArchcalcError
from archcalc.ops import OPS
from archcalc.spec import parse
from archcalc.spec.absent import _FAMILIES, _OTHER_FAMILIES, _WAYS_OUT, absent
from archcalc.spec.synonyms import OPERATORS

TOP = """\
input: [8, 16, 16]
params: {depths: [1, 2], k: 3}
blocks:
  conv(out, k=1): [Conv2d: {out_channels: out, kernel_size: k}]
  up(skip): [Concat: {from: [input, skip]}]
"""


def refusal(steps: str, top: str = TOP) -> ArchcalcError:
    with pytest.raises(ArchcalcError) as raised:
        parse(f"{top}layers: [{steps}]\n", "net.yaml").graph()
    return raised.value


def steps_in(way_out: str) -> list[str]:
    return re.findall(r"`(?:- )?([A-Z][^`]*)`", way_out)


WAYS_OUT = [
    # steps, code, words of the message, words of the way out
    ("Mish", "E034", "archcalc does not have torch.nn.Mish", "it has ReLU, ReLU6, LeakyReLU"),
    ("nn.Mish()", "E034", "archcalc does not have torch.nn.Mish", "it has ReLU"),
    ("LSTM: {hidden_size: 64}", "E034", "archcalc does not have torch.nn.LSTM", "docs/spec-language.md"),
    ("InstanceNorm2d", "E034", "torch.nn.InstanceNorm2d", "GroupNorm: {num_groups: in_channels, affine: false}"),
    ("PixelShuffle: {upscale_factor: 2}", "E034", "torch.nn.PixelShuffle", "it has Flatten"),
    ("LazyConv2d: {out_channels: 8, kernel_size: 3}", "E034", "torch.nn.LazyConv2d", "write Conv2d"),
    ("CrossEntropyLoss", "E034", "not a part of the network", "leave it out"),
    ("GlobalMaxPooling2D", "E034", "archcalc does not have GlobalMaxPooling2D", "AdaptiveMaxPool2d: {output_size: 1}"),
    ("DepthwiseConv2D: {kernel_size: 3}", "E034", "archcalc does not have DepthwiseConv2D", "groups: in_channels"),
    ("Sequential", "E034", "torch.nn.Sequential", "one after the other"),
    ("LayerNorm2d", "E034", "archcalc does not have LayerNorm2d", "`GroupNorm: {num_groups: 1}` has the same parameters and shape, but one mean"),
    ("DropPath: {drop_prob: 0.1}", "E034", "archcalc does not have DropPath", "leave it out"),
    ("Split: {split_size: 4}", "E034", "archcalc does not have Split", "no operator takes a part of a tensor; a convolution with groups"),
    ("LayerScale", "E034", "archcalc does not have LayerScale", "groups: in_channels, bias: false"),
    ("SqueezeExcitation: {squeeze_channels: 2}", "E034", "archcalc does not have SqueezeExcitation", "Multiply: {map: [], gate: ["),
    ("ConstantPad1d: {padding: [1, 0], value: 0}", "E034", "torch.nn.ConstantPad1d", "a Conv1d takes `padding: [start, end]` itself"),
    ("Conv2d: {out_channels: 8, kernel_size: 3, padding: causal}", "E021", "unknown name causal", "in a Conv1d write `padding: [dilation*(kernel_size - 1), 0]`"),
    ("Conv2d: {out_channels: 2**i, kernel_size: 1, repeat: 4}", "E022", "a power (**)", 'for 2**i "[1, 2, 4, 8][i]", quoted; allowed: +'),
    ("Conv2d: {out_channels: 1 << i, kernel_size: 1, repeat: 4}", "E022", "<<", 'for 2**i "[1, 2, 4, 8][i]"'),
    ("View: {size: 1}", "E034", "archcalc does not have View", "Flatten makes a flat tensor"),
    ("'conv(8)'", "E034", "unknown block conv(8)", "write `- conv: [8]`"),
    ("'conv(8, k=3)'", "E034", "unknown block conv(8, k=3)", "write `- conv: [out, k]`"),
    ("null", "E033", "empty", "- ReLU"),
    ("conv: [1, 2, 3]", "E038", "takes 2 arguments, not 3", None),
    ("up: [1, 2]", "E038", "takes 1 argument, not 2", None),
    # a layer's name is no value, and a value no layer's name
    ("ReLU: {name: enc4}, up: {skip: enc4}", "E021", "unknown name enc4", "enc4 is a step, not a value; write `from: enc4`"),
    ("group: {name: g, layers: [ReLU: {name: enc4}]}, up: {skip: enc4}", "E021", "unknown name enc4", "enc4 is a step"),
    ("ReLU: {name: enc4}, up: {skip: 4}", "E055", "no earlier step is named skip", 'skip is a value here, 4, and no step; in braces a name may hold it: "enc{skip}"'),
    # the same padding, and the lists of a family
    ("ConvTranspose2d: {out_channels: 8, kernel_size: 3, padding: same}", "E021", "unknown name same", "a padding that Conv1d, Conv2d, Conv3d"),
    ("ReLU: {repeat: 'depths[2]'}", "E024", "index 2 is out of range: depths has 2 items", "depths needs at least 3 items here"),
    ("ReLU: {repeat: 'depths[-3]'}", "E024", "index -3 is out of range: depths has 2 items", None),
    ("ReLU: {repeat: '[1, 2][2]'}", "E024", "index 2 is out of range: the list has 2 items", None),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "code", "message", "way_out"), WAYS_OUT)
def test_ways_out(steps: str, code: str, message: str, way_out: str | None) -> None:
    error = refusal(steps)
    assert error.code == code
    assert message in error.message
    assert way_out is None or way_out in (error.help or "")


def test_braces_hold_a_value_in_from() -> None:
    top = TOP.replace("[input, skip]", "[input, 'enc{skip}']")
    graph = parse(f"{top}layers: [ReLU: {{name: enc4}}, Tanh, up: {{skip: 4}}]\n", "net.yaml").graph()
    assert [graph.nodes[index].name for index in graph.nodes[-1].inputs] == ["input", "enc4"]


INPUTS = [
    # sizes, whether they look like height, width, channels
    ("[32, 32, 3]", "did you mean [3, 32, 32]?"),
    ("[28, 28, 1]", "did you mean [1, 28, 28]?"),
    ("[3, 3, 3]", "a larger input"),
    ("[1, 4, 3]", "a larger input"),
    ("[64, 4, 4]", "a larger input"),
]


@pytest.mark.parametrize(("sizes", "way_out"), INPUTS)
def test_an_input_with_its_channels_last_is_pointed_out_where_nothing_fits(sizes: str, way_out: str) -> None:
    error = refusal("Conv2d: {out_channels: 8, kernel_size: 7}", f"input: {sizes}\n")
    assert way_out in (error.help or "")


def test_torch_has_no_layer_that_is_neither_here_nor_known_to_be_absent() -> None:
    nn = pytest.importorskip("torch.nn")
    layers = [name for name in dir(nn) if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)]
    assert [name for name in layers if name not in OPS and absent(name) is None] == []


def test_what_is_absent_is_neither_an_operator_nor_a_synonym_of_one() -> None:
    absent_names = {name.lower() for name in (*_FAMILIES, *_OTHER_FAMILIES)}
    assert absent_names.isdisjoint(name.lower() for name in OPS)
    assert absent_names.isdisjoint(OPERATORS)
    assert set(_WAYS_OUT) <= absent_names


@pytest.mark.parametrize("family", sorted({*_FAMILIES.values(), *_OTHER_FAMILIES.values()} - {""}))
def test_each_family_has_operators(family: str) -> None:
    assert any(op.__module__ == f"archcalc.ops.{family}" for op in OPS.values())


@pytest.mark.parametrize("name", [name for name, way_out in _WAYS_OUT.items() if "`" in way_out])
def test_steps_in_the_ways_out_are_steps(name: str) -> None:
    for step in steps_in(_WAYS_OUT[name]):
        assert parse(f"{TOP}layers: ['{step}']".replace("'", ""), "net.yaml").graph().nodes[1].inputs == (0,)


def others() -> dict:
    """Layers as other libraries have them, for 8 channels: what torch.nn builds them from, and how that is called."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid())
    return {
        "LayerNorm2d": (nn.LayerNorm(8), lambda module, x: module(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
        "LayerScale": (nn.ParameterList([torch.ones(8, 1, 1)]), lambda module, x: module[0] * x),
        "SqueezeExcitation": (gate, lambda module, x: module(x) * x),
        "InstanceNorm2d": (nn.InstanceNorm2d(8), nn.Module.__call__),
        "DepthwiseConv2D": (nn.Conv2d(8, 8, 3, groups=8), nn.Module.__call__),
    }


@pytest.mark.parametrize("name", ["LayerNorm2d", "LayerScale", "SqueezeExcitation", "InstanceNorm2d", "DepthwiseConv2D"])
def test_a_step_in_the_way_out_has_the_parameters_and_the_shape_of_the_layer(name: str) -> None:
    torch = pytest.importorskip("torch")
    module, call = others()[name]
    step = steps_in(absent(name)[1])[0]
    report = analyse(parse(f"{TOP}layers: [{step}]\n", "net.yaml").graph())
    assert report.totals.params == sum(parameter.numel() for parameter in module.parameters())
    assert report.layers[-1].output_shape == tuple(call(module, torch.ones(1, 8, 16, 16)).shape)


SEQUENCE = "input: [8, 100]\n"


@pytest.mark.parametrize(("kernel", "dilation", "stride"), [(2, 1, 1), (2, 8, 1), (3, 4, 1), (5, 1, 2), (3, 2, 3)])
def test_the_way_out_of_causal_padding_is_causal(kernel: int, dilation: int, stride: int) -> None:
    torch = pytest.importorskip("torch")
    conv = f"Conv1d: {{out_channels: 8, kernel_size: {kernel}, dilation: {dilation}, stride: {stride}, padding: %s}}"
    help = refusal(conv % "causal", SEQUENCE).help
    padding = re.search("`padding: (.*?)`", help)[1]
    graph = parse(f"{SEQUENCE}layers: [{conv % padding}]\n", "net.yaml").graph()
    padded = torch.nn.functional.pad(torch.ones(1, 8, 100), (dilation * (kernel - 1), 0))
    expected = torch.nn.Conv1d(8, 8, kernel, stride, dilation=dilation)(padded)
    assert graph.nodes[-1].output == tuple(expected.shape)
    assert graph.nodes[-1].op.padding == (dilation * (kernel - 1), 0)


def test_the_way_out_of_powers_gives_them() -> None:
    step = "Conv1d: {repeat: 4, out_channels: %s, kernel_size: 1}"
    listed = re.search('for 2\\*\\*i (".*?")', refusal(step % "2**i", SEQUENCE).help)[1]
    graph = parse(f"{SEQUENCE}layers: [{step % listed}]\n", "net.yaml").graph()
    assert [node.op.out_channels for node in graph.layers] == [2**i for i in range(4)]


PADS = [name for name in _WAYS_OUT if "pad" in name and "itself" in _WAYS_OUT[name]]


@pytest.mark.parametrize("name", PADS)
def test_padding_that_a_convolution_takes_itself(name: str) -> None:
    axes, argument, value = re.search("a Conv([1-3])d takes `(padding|padding_mode): (.*?)` itself", _WAYS_OUT[name]).groups()
    sizes = [16] * int(axes)
    if argument == "padding":
        given, grown = [str(place) for place, _ in enumerate(value.split(", "))], (1, 5, 9)  # 0 + 1, 2 + 3, 4 + 5
        arguments = f"padding: [{', '.join(given)}]"
    else:
        arguments, grown = f"padding_mode: {value}, padding: 1", (2, 2, 2)
    text = f"input: {[8, *sizes]}\nlayers: [Conv{axes}d: {{out_channels: 8, kernel_size: 1, {arguments}}}]\n"
    assert list(parse(text, "net.yaml").graph().nodes[-1].output[2:]) == [
        size + more for size, more in zip(sizes, grown, strict=False)
    ]
