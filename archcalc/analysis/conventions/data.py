"""The counting conventions, as data: for every operator the sum that a tool counts, or that the tool does not know it.

Read from the tools' sources and held against what the tools print (see tests/test_conventions.py). A rule is a sum of terms,
``2*macs + bias``; ``/n`` is for one image of the batch; 0 is a zero that the tool means; UNKNOWN is an operator that the tool
passes over or warns about, so that its total says nothing of it. The terms are explained in terms.py. Networks are in
evaluation mode, their activations and poolings modules of torch.nn, their residual additions written ``x + y``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

UNKNOWN = None
ByMode = Mapping[str, "str | int | None"]  # the rule for each interpolation mode
Rule = str | int | ByMode | None


class Slip(NamedTuple):
    """A count of the tool's that is not what it means to count, for some operators (where ``when`` holds)."""

    operators: str
    sentence: str
    when: Callable[[Any], bool] = lambda op: True


class Convention(NamedTuple):
    """How one tool counts: what it calls one ``multiply_add``, and its ``rules`` by operators, which stand apart by spaces.

    A tool meets a network in evaluation mode, without its side heads; ``heads`` says that they are counted all the same.
    """

    name: str
    tool: str
    version: str
    checked: str
    multiply_add: int
    sentence: str
    rules: Mapping[str, Rule]
    slips: tuple[Slip, ...] = ()
    heads: bool = False


CHECKED = "2026-11"

CONVS = "Conv1d Conv2d Conv3d"
BATCH_NORMS = "BatchNorm1d BatchNorm2d"
POOLS = "MaxPool2d AvgPool2d"
ADAPTIVE_POOLS = "AdaptiveAvgPool2d AdaptiveMaxPool2d"
ALL_POOLS = f"{POOLS} {ADAPTIVE_POOLS} GlobalAvgPool2d"
NORMS = f"{BATCH_NORMS} LayerNorm GroupNorm LocalResponseNorm"
ACTIVATIONS = "ReLU ReLU6 LeakyReLU PReLU ELU GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh"
SOFTMAXES = "Softmax LogSoftmax"
RESAMPLINGS = "Upsample Resize"
# The layers of 1998 are no layers of any tool: what it would count depends on how they are written.
OF_1998 = "ScaledTanh TrainableSubsample2d RBF"
# Moving numbers is no arithmetic, whether a tool knows the operator or not.
MOVES = {"Flatten Identity Dropout ZeroPad2d ChannelShuffle ShortcutA Concat": 0}
# Tools that look for products of matrices mean their zeros.
NO_PRODUCTS = {f"{ALL_POOLS} {NORMS} {ACTIVATIONS} {SOFTMAXES} {RESAMPLINGS} Add Multiply {OF_1998}": 0, **MOVES}


def same(op: Any) -> bool:
    """Whether a convolution leaves its padding to be worked out."""
    return bool(op.padding == "same")


def fractional(op: Any) -> bool:
    """Whether an upsampling has a scale factor that is no whole number."""
    return any(factor % 1 for factor in op.scale_factor or ())


PADDING_SAME = Slip(CONVS, "a module that itself says padding='same' is not counted; the same padding in numbers is", same)
OUTPUT_GRID = Slip(
    "ConvTranspose2d", "transposed convolutions are reckoned on the output grid, stride times too much along each axis"
)
BORROWED_SLIPS = (
    Slip(f"{CONVS} Linear", "a convolution's bias counts, a linear layer's does not", lambda op: bool(op.bias)),
    Slip("ReLU6 Sigmoid Tanh", "ReLU6, Sigmoid and Tanh count nothing, where ReLU counts its elements"),
    Slip("Add Multiply", "x + y and x * y count nothing, where torch.add(x, y) and torch.mul(x, y) count their elements"),
    Slip(RESAMPLINGS, "where a size is given, its pixels count once for all channels and images", lambda op: op.size is not None),
)
BORROWED = {
    "Linear": "2*macs",
    CONVS: "2*macs + bias",
    POOLS: "pooled",
    ADAPTIVE_POOLS: "x",
    BATCH_NORMS: "y + affine + 3*untracked",
    "LayerNorm GroupNorm": "4*y + affine",
    "LocalResponseNorm": "3*y + padded",
    "ReLU LeakyReLU PReLU ELU GELU SiLU Softmax": "y",
    "ReLU6": 0,
    "GlobalAvgPool2d Hardswish Hardsigmoid Sigmoid Tanh LogSoftmax Add Multiply": UNKNOWN,
    f"ConnectedConv2d {OF_1998}": UNKNOWN,
    **MOVES,
}

_ALL = (
    Convention(
        "macs", "archcalc", "", CHECKED, 1,
        "multiply-accumulates of convolutions and linear layers, bias not counted",
        {f"{CONVS} ConvTranspose2d Linear ConnectedConv2d": "macs", **NO_PRODUCTS},
        heads=True,
    ),
    Convention(
        "torch", "torch.utils.flop_counter", "2.13.0", CHECKED, 2,
        "two for each multiply-accumulate of convolutions and linear layers, nothing else",
        {f"{CONVS} ConvTranspose2d Linear ConnectedConv2d": "2*macs", **NO_PRODUCTS},
    ),
    Convention(
        "fvcore", "fvcore.nn.FlopCountAnalysis", "0.1.5.post20221221", CHECKED, 1,
        "multiply-accumulates, normalisations and adaptive average pools; mmengine counts alike",
        {
            f"{CONVS} ConvTranspose2d Linear ConnectedConv2d": "macs",
            "AdaptiveAvgPool2d": "x",
            BATCH_NORMS: "y + affine + 3*untracked",
            "LayerNorm GroupNorm": "4*y + affine",
            RESAMPLINGS: {"nearest": "y", "bilinear": "4*y", "bicubic": UNKNOWN},
            "ReLU": 0,
            f"{POOLS} AdaptiveMaxPool2d GlobalAvgPool2d LocalResponseNorm {SOFTMAXES} Add Multiply {OF_1998}": UNKNOWN,
            "ReLU6 LeakyReLU PReLU ELU GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh": UNKNOWN,
            **MOVES,
        },
        (PADDING_SAME,),
    ),
    Convention(
        "ptflops", "ptflops, pytorch backend", "0.7.5", CHECKED, 1,
        "multiply-accumulates, biases and what modules and functions do element by element",
        {
            f"{CONVS} ConvTranspose2d Linear": "macs/n + bias/n",
            POOLS: "pooled/n + pooled",
            ADAPTIVE_POOLS: "x/n + x",
            f"{BATCH_NORMS} GroupNorm": "y/n + affine/n",
            "LayerNorm": "y/n",
            "LocalResponseNorm": "3*y + padded",
            "ReLU PReLU ELU GELU": "y/n + y",
            "Upsample": "first_image/n + by_whole_factor",
            "ReLU6 LeakyReLU": "y/n",
            "SiLU Softmax Resize": "y",
            f"GlobalAvgPool2d Hardswish Hardsigmoid Sigmoid Tanh LogSoftmax Add Multiply ConnectedConv2d {OF_1998}": UNKNOWN,
            **MOVES,
        },
        (
            Slip(
                f"ReLU PReLU ELU GELU {POOLS} {ADAPTIVE_POOLS} Upsample",
                "activations, pools and upsamplings count twice: as a module and again as the function in it",
            ),
            Slip(
                f"ReLU PReLU ELU GELU SiLU Softmax LocalResponseNorm {POOLS} {ADAPTIVE_POOLS} {RESAMPLINGS}",
                "modules are counted for one image, functions for the whole batch",
            ),
            Slip("Upsample", "the module is counted for one image and divided by the batch once more"),
            Slip("Upsample", "fractions of scale factors are cut off", fractional),
        ),
    ),
    Convention(
        "ptflops-aten", "ptflops, aten backend", "0.7.5", CHECKED, 1,
        "multiply-accumulates and biases of convolutions and linear layers",
        {f"{CONVS} ConvTranspose2d Linear": "macs + bias", "ConnectedConv2d": UNKNOWN, **NO_PRODUCTS},
    ),
    Convention(
        "thop", "thop", "0.1.1.post2209072238", CHECKED, 1,
        "multiply-accumulates, normalisations, average pools and softmaxes",
        {
            f"{CONVS} Linear": "macs",
            "ConvTranspose2d": "output_grid",
            "AvgPool2d": "y",
            "AdaptiveAvgPool2d": "x + y",
            f"{BATCH_NORMS} LayerNorm": "2*y + 2*affine",
            "PReLU": "y",
            "Softmax": "3*y - rows",
            "Upsample": {"nearest": "y", "bilinear": "11*y", "bicubic": "259*y"},
            "MaxPool2d AdaptiveMaxPool2d ReLU ReLU6 LeakyReLU": 0,
            "GlobalAvgPool2d GroupNorm LocalResponseNorm ELU GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh LogSoftmax": UNKNOWN,
            f"Resize Add Multiply ConnectedConv2d {OF_1998}": UNKNOWN,
            **MOVES,
        },
        (
            Slip(BATCH_NORMS, "BatchNorm counts 4 for each element, twice its 2"),
            OUTPUT_GRID,
        ),
    ),
    Convention(
        "torchinfo", "torchinfo", "1.8.0", CHECKED, 1,
        "each parameter, times the positions of a convolution; layers without parameters are free",
        {
            f"{CONVS} Linear": "macs + bias",
            "ConvTranspose2d": "output_grid + bias",
            f"{BATCH_NORMS} LayerNorm GroupNorm PReLU": "params",
            f"{ALL_POOLS} LocalResponseNorm {SOFTMAXES} {RESAMPLINGS} Add Multiply": 0,
            "ReLU ReLU6 LeakyReLU ELU GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh ScaledTanh": 0,
            "ConnectedConv2d TrainableSubsample2d RBF": UNKNOWN,
            **MOVES,
        },
        (
            Slip(f"{BATCH_NORMS} LayerNorm GroupNorm PReLU", "parameters count once for each image, not once for each position"),
            OUTPUT_GRID,
        ),
    ),
    Convention(
        "calflops", "calflops, FLOPs", "0.3.2", CHECKED, 2,
        "two for each multiply-accumulate, convolutions' biases, and what functions do element by element",
        {"ConvTranspose2d": "2*twice_grouped + shrunk_bias", RESAMPLINGS: "unscaled + one_map", **BORROWED},
        (
            *BORROWED_SLIPS,
            Slip(RESAMPLINGS, "scale factors are forgotten", lambda op: op.size is None),
            Slip("ConvTranspose2d", "biases are counted on a map that shrank where it should grow", lambda op: bool(op.bias)),
            Slip("ConvTranspose2d", "the output channels are divided by the groups twice", lambda op: op.groups > 1),
        ),
    ),
    Convention(
        "deepspeed", "DeepSpeed flops profiler, FLOPs", "0.19.8", CHECKED, 2,
        "two for each multiply-accumulate, convolutions' biases, and what functions do element by element",
        {"ConvTranspose2d": "2*macs + bias", RESAMPLINGS: "by_factor + one_map", **BORROWED},
        BORROWED_SLIPS,
    ),
    Convention(
        "torchprofile", "torchprofile", "0.1.0", CHECKED, 1,
        "multiply-accumulates, products, scales of normalisations, averages",
        {
            f"{CONVS} Linear ConnectedConv2d": "macs",
            "ConvTranspose2d": "output_grid_groupless",
            "AvgPool2d AdaptiveAvgPool2d GlobalAvgPool2d": "y",
            "LeakyReLU": "out_of_place",
            f"{BATCH_NORMS} LayerNorm GroupNorm": "affine",
            "LocalResponseNorm": "3*y",
            "Multiply": "pairs",
            RESAMPLINGS: {"nearest": 0, "bilinear": "4*y", "bicubic": UNKNOWN},
            f"MaxPool2d AdaptiveMaxPool2d ReLU ReLU6 GELU SiLU Sigmoid Tanh {SOFTMAXES} Add": 0,
            f"PReLU ELU Hardswish Hardsigmoid {OF_1998}": UNKNOWN,
            **MOVES,
        },
        (
            PADDING_SAME,
            OUTPUT_GRID,
            Slip("ConvTranspose2d", "groups are forgotten unless input and output have as many channels", lambda op: op.groups > 1),
        ),
    ),
    Convention(
        "onnx-tool", "onnx-tool, on what torch.onnx exports at opset 20, BatchNorm folded", "1.0.1", CHECKED, 1,
        "every ONNX node at the cost of its instructions: a division 4, a root 24, an exponential 32, a logarithm 43",
        {
            CONVS: "macs + folded_bias",
            "ConvTranspose2d": "output_grid_turned + bias",
            "Linear": "macs + bias",
            POOLS: "window",
            "AdaptiveAvgPool2d": "tiles + 4*whole_map",
            "AdaptiveMaxPool2d": "tiles",
            "GlobalAvgPool2d": "x",
            BATCH_NORMS: "31*unfolded + 5*untracked",
            "LayerNorm": "7*y + 29*one_axis_rows",
            "GroupNorm": "9*y",
            "LocalResponseNorm": "37*y + span",
            "ReLU": "y",
            "ReLU6 LeakyReLU PReLU": "2*y",
            "Hardsigmoid": "4*y",
            "Hardswish": "5*y",
            "Sigmoid": "32*y",
            "SiLU": "33*y",
            "GELU": "34*y",
            "ELU": "35*y",
            "Softmax": "36*y",
            "Tanh": "76*y",
            "LogSoftmax": "80*y",
            RESAMPLINGS: {"nearest": 0, "bilinear": "4*y", "bicubic": "8*y"},
            "Add Multiply": "pairs",
            f"ConnectedConv2d {OF_1998}": UNKNOWN,
            **MOVES,
        },
        (
            Slip("ConvTranspose2d", "reckoned on the output grid, with input and output channels exchanged"),
            Slip("LayerNorm", "the root is counted for every row of the first normalised dimension alone"),
            Slip("Tanh", "Tanh counts 76 for each element, twice its 38"),
            Slip("LocalResponseNorm", "LocalResponseNorm counts as ONNX's own node; torch exports others, at which the tool stops"),
        ),
    ),
    Convention(
        "netscope", "netscope (dgschwend), macc", "8ae36d8 (read, not run)", CHECKED, 1,
        "the macc column: products and BatchNorm's scale, a layer in Caffe; no comparisons, additions, divisions, exponentials",
        {
            "Conv2d Linear": "macs",
            "ConvTranspose2d": "output_grid_strided",
            BATCH_NORMS: "affine",
            "LocalResponseNorm": "span",
            f"{ALL_POOLS} ReLU ReLU6 LeakyReLU PReLU ELU Softmax Add": 0,
            "Conv1d Conv3d LayerNorm GroupNorm GELU SiLU Hardswish Hardsigmoid Sigmoid Tanh LogSoftmax": UNKNOWN,
            f"{RESAMPLINGS} Multiply ConnectedConv2d {OF_1998}": UNKNOWN,
            **MOVES,
        },
        (
            Slip("ConvTranspose2d", "each output counts k/s kernel elements along an axis, fewer at no edge; groups are forgotten"),
        ),
    ),
    Convention(
        "full", "archcalc", "", CHECKED, 2,
        "every operation: two for each multiply-accumulate, and all element-wise work; nothing is free",
        {
            f"{CONVS} ConvTranspose2d Linear": "2*macs + bias",
            f"ConnectedConv2d {ALL_POOLS} {NORMS} {ACTIVATIONS} {SOFTMAXES} {OF_1998}": "2*macs + elementwise",
            f"{RESAMPLINGS} Add Multiply {' '.join(MOVES)}": "elementwise",
        },
        heads=True,
    ),
)  # fmt: skip
CONVENTIONS: dict[str, Convention] = {convention.name: convention for convention in _ALL}
