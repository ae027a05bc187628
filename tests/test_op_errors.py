"""What operators refuse: each row an operator, its input or its arguments, the code, and words that the message must hold."""

import pytest

from archcalc.errors import ArgumentError, ShapeError
from archcalc.shape import Shape
from tests.op_cases import ops

MAP = (1, 6, 9, 7)

MISFITS = [
    (ops.Conv2d(4, 3), (1, 6), "E101", "Conv2d needs a feature map (channels, height, width), but its input is 6"),
    (ops.Conv1d(4, 3), MAP, "E101", "needs a sequence (channels, length)"),
    (ops.Conv3d(4, 3), MAP, "E101", "needs a volume (channels, depth, height, width), but its input is 6x9x7"),
    (ops.ConvTranspose2d(4, 3), (1, 6), "E101", "ConvTranspose2d needs a feature map"),
    (ops.Linear(4), MAP, "E101", "Linear needs a flat tensor (features), but its input is 6x9x7"),
    (ops.RBF(4), MAP, "E101", "RBF needs a flat tensor"),
    (ops.MaxPool2d(2), (1, 6), "E101", "MaxPool2d needs a feature map"),
    (ops.AdaptiveAvgPool2d(1), (1, 6, 9), "E101", "AdaptiveAvgPool2d needs a feature map"),
    (ops.GlobalAvgPool2d(), (1, 6), "E101", "GlobalAvgPool2d needs a feature map"),
    (ops.BatchNorm2d(), (1, 6), "E101", "BatchNorm2d needs a feature map"),
    (ops.BatchNorm1d(), MAP, "E101", "BatchNorm1d needs a flat tensor (features) or a sequence (channels, length)"),
    (ops.LocalResponseNorm(5), (1, 6), "E101", "LocalResponseNorm needs a sequence"),
    (ops.ZeroPad2d(1), (1, 6), "E101", "ZeroPad2d needs a feature map"),
    (ops.ChannelShuffle(2), (1, 6), "E101", "ChannelShuffle needs a sequence"),
    (ops.ShortcutA(8), (1, 6), "E101", "ShortcutA needs a feature map"),
    (ops.Upsample(scale_factor=2), (1, 6), "E101", "Upsample needs a feature map"),
    (ops.Resize(4), (1, 6), "E101", "Resize needs a feature map"),
    (ops.TrainableSubsample2d(2), (1, 6), "E101", "TrainableSubsample2d needs a feature map"),
    (ops.ConnectedConv2d([[0]], 2), (1, 6), "E101", "ConnectedConv2d needs a feature map"),
    (ops.Conv2d(4, 8), MAP, "E102", "spans 8 does not fit an input of 7: floor((7 + 0 + 0 - 8)/1) + 1 = 0 is below 1"),
    (ops.Conv2d(4, 5, padding=[0, 0, 1, 1], dilation=3), MAP, "E102", "spans 13 does not fit an input of 9: "),
    (ops.Conv2d(4, 12, padding=1), MAP, "E102", "does not fit an input of 9 padded to 11: floor((9 + 1 + 1 - 12)/1) + 1 = 0"),
    (ops.MaxPool2d(10, 2), MAP, "E102", "spans 10 does not fit an input of 9"),
    (ops.MaxPool2d(10, 1, ceil_mode=True), MAP, "E102", "ceil((9 + 0 + 0 - 10)/1) + 1 = 0 is below 1"),
    (ops.TrainableSubsample2d(8), MAP, "E102", "spans 8 does not fit an input of 7"),
    (ops.ConvTranspose2d(4, 2, padding=5), (1, 6, 4, 4), "E102", "(4 - 1)*1 + 2 - 2*5 + 0 = -5"),
    (ops.Upsample(scale_factor=0.1), MAP, "E102", "6x9x7 resampled by a scale_factor of 0.1x0.1 would be 0x0"),
    (ops.Conv2d(4, 3, groups=4), MAP, "E103", "6 input channels do not divide into 4 groups: 6 = 4*1 + 2"),
    (ops.Conv2d(4, 3, groups=3), MAP, "E103", "4 output channels do not divide into 3 groups: 4 = 3*1 + 1"),
    (ops.ConvTranspose2d(4, 3, groups=3), MAP, "E103", "4 output channels do not divide into 3 groups"),
    (ops.GroupNorm(4), MAP, "E103", "6 channels do not divide into 4 groups: 6 = 4*1 + 2"),
    (ops.ChannelShuffle(5), MAP, "E103", "6 channels do not divide into 5 groups"),
    (ops.ConvTranspose2d(4, 3, 2, output_padding=2), MAP, "E104", "output_padding 2 must be smaller than the stride 2"),
    (
        ops.MaxPool2d(2, padding=2),
        MAP,
        "E105",
        "2 before and 2 after is too much for a window of 2: at most 1, half",
    ),
    (
        ops.AvgPool2d(3, padding=[0, 3, 0, 0]),
        MAP,
        "E105",
        "0 before and 3 after is too much for a window of 3: at most 2, or",
    ),
    (
        ops.MaxPool2d(2, padding=[0, 0, 2, 2], dilation=3),
        MAP,
        "E105",
        "2 before and 2 after is too much for a window of 2: at most 1",
    ),
    (ops.Conv2d(4, 3, padding=9, padding_mode="reflect"), MAP, "E105", "reflect padding of 9 needs as many pixels"),
    (ops.Conv2d(4, 3, padding=[1, 8], padding_mode="circular"), MAP, "E105", "circular padding of 8 needs as many pixels"),
    (ops.PReLU(4), MAP, "E106", "4 slopes, but its input has 6 channels"),
    (ops.LayerNorm([9, 8]), MAP, "E106", "LayerNorm normalises 9x8, but its input is 6x9x7"),
    (ops.LayerNorm([1, 6, 9, 7]), MAP, "E106", "LayerNorm normalises 1x6x9x7"),
    (ops.ShortcutA(4), MAP, "E106", "out_channels 4 is less than the 6 of its input"),
    (ops.ConnectedConv2d([[0], [6]], 3), MAP, "E106", "names input map 6, but the input has 6 maps, 0 to 5"),
    (ops.Softmax(2), (1, 10), "E107", "dim 2 of Softmax is no dimension of an input of 10: with the batch it has 2"),
    (ops.LogSoftmax(-3), (1, 10), "E107", "dim -3 of LogSoftmax"),
    (ops.Flatten(0), MAP, "E107", "Flatten from dimension 0 to 3"),
    (ops.Flatten(3, 2), MAP, "E107", "Flatten from dimension 3 to 2"),
    (ops.Flatten(1, 4), MAP, "E107", "end_dim 4 of Flatten is no dimension"),
    (ops.Add(), [MAP, (1, 4, 9, 7)], "E110", "Add needs branches of one shape, but they are 6x9x7 and 4x9x7"),
    (ops.Add(), [MAP, (1, 6, 5, 4)], "E110", "6x9x7 and 6x5x4"),
    (ops.Add(), [MAP, (1, 12, 5, 4)], "E110", "6x9x7 and 12x5x4"),
    (ops.Add(), [MAP, (1, 6)], "E110", "6x9x7 and 6"),
    (ops.Add(), [MAP, (2, 6, 9, 7)], "E110", "6x9x7 and 6x9x7"),
    (ops.Multiply(), [(1, 6), MAP], "E111", "equally many dimensions, but they are 6 and 6x9x7"),
    (ops.Multiply(), [MAP, (1, 4, 1, 1)], "E111", "stretches a size of 1 and no other, but its branches are 6x9x7 and 4x1x1"),
    (ops.Multiply(), [MAP, (1, 6, 3, 7)], "E111", "6x9x7 and 6x3x7"),
    (ops.Multiply(), [MAP, (2, 6, 9, 7)], "E111", "Multiply stretches"),
    (ops.Concat(), [MAP, (1, 4, 9, 6)], "E112", "Concat needs branches of one height and width, but they are 6x9x7 and 4x9x6"),
    (ops.Concat(), [MAP, (1, 6)], "E112", "6x9x7 and 6"),
]


@pytest.mark.parametrize(("op", "x", "code", "words"), MISFITS, ids=[f"{row[0]} on {row[1]}" for row in MISFITS])
def test_misfits(op, x, code, words):
    with pytest.raises(ShapeError) as caught:
        op.output(tuple(map(Shape, x)) if op.merges else Shape(x))
    assert caught.value.code == code
    assert words in caught.value.message


def test_almost_every_misfit_has_a_way_out():
    helpless = set()
    for op, x, code, _ in MISFITS:
        with pytest.raises(ShapeError) as caught:
            op.output(tuple(map(Shape, x)) if op.merges else Shape(x))
        if not caught.value.help:
            helpless.add(code)
    assert helpless == {"E101"}  # which says what is needed


WAYS_OUT = [
    (ops.Linear(4), MAP, "put a Flatten before it"),
    (ops.Conv2d(4, 3, groups=4), MAP, "groups must divide both 6 input and 4 output channels"),
    (ops.Add(), [MAP, (1, 4, 9, 7)], "a 1x1 convolution from 4 to 6 channels"),
    (ops.Add(), [MAP, (1, 6, 5, 4)], "equal strides and padding"),
    (ops.Add(), [MAP, (1, 12, 5, 4)], "a projection"),
    (ops.Add(), [MAP, (1, 6)], "a Flatten or a pooling on one branch"),
    (ops.Add(), [MAP, (2, 6, 9, 7)], "one batch for all branches"),
    (ops.Multiply(), [(1, 6), MAP], "keep the other branch at 6x1x1"),
    (ops.LayerNorm([9, 8]), MAP, "it is then [6, 9, 7]"),
    (ops.LayerNorm(6), MAP, "GroupNorm: {num_groups: 1} has the same parameters and shape"),
    (ops.PReLU(4), MAP, "num_parameters: 1 (one slope for all) or 6"),
]


@pytest.mark.parametrize(("op", "x", "words"), WAYS_OUT, ids=[f"{row[0]} on {row[1]}" for row in WAYS_OUT])
def test_ways_out(op, x, words):
    with pytest.raises(ShapeError) as caught:
        op.output(tuple(map(Shape, x)) if op.merges else Shape(x))
    assert words in caught.value.help


BAD_ARGUMENTS = [
    ("Conv2d", {"out_channels": 0, "kernel_size": 3}, "out_channels", "a whole number of at least 1, not 0"),
    ("Conv2d", {"out_channels": True, "kernel_size": 3}, "out_channels", "not true"),
    ("Conv2d", {"out_channels": 2**31, "kernel_size": 3}, "out_channels", "not 2147483648"),
    ("Conv2d", {"out_channels": 4, "kernel_size": [3, 3, 3]}, "kernel_size", "or a list of 2 of them, not [3, 3, 3]"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 1.5}, "kernel_size", "not 1.5"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 3, "padding": -1}, "padding", "[top, bottom, left, right], or same, not -1"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 3, "padding": [1, 2, 3]}, "padding", "not [1, 2, 3]"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 3, "padding": "valid"}, "padding", "not valid"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 3, "bias": 1}, "bias", "true or false, not 1"),
    ("Conv2d", {"out_channels": 4, "kernel_size": 3, "padding_mode": "mirror"}, "padding_mode", "zeros or reflect or replicate"),
    ("Conv3d", {"out_channels": 4, "kernel_size": 3, "padding": [1, 2]}, "padding", "[depth, height, width] or [front, back, "),
    ("ConvTranspose2d", {"out_channels": 4, "kernel_size": 3, "padding": "same"}, "padding", "a whole number of at least 0"),
    ("MaxPool2d", {"kernel_size": 3, "stride": 0}, "stride", "null, or a whole number of at least 1"),
    ("AvgPool2d", {"kernel_size": 3, "divisor_override": 0}, "divisor_override", "null, or a whole number"),
    ("AdaptiveAvgPool2d", {"output_size": [0, 1]}, "output_size", "where null keeps the input's size, not [0, 1]"),
    ("AdaptiveAvgPool2d", {"output_size": [1, 2, 3]}, "output_size", "not [1, 2, 3]"),
    ("BatchNorm2d", {"eps": "small"}, "eps", "a number of at least 0, not small"),
    ("BatchNorm2d", {"eps": float("nan")}, "eps", "a number"),
    ("BatchNorm2d", {"momentum": "none"}, "momentum", "null, or a number"),
    ("LayerNorm", {"normalized_shape": []}, "normalized_shape", "up to four of them, not []"),
    ("Dropout", {"p": 1.5}, "p", "a number of at least 0 and of at most 1, not 1.5"),
    ("Dropout", {"p": -0.1}, "p", "not -0.1"),
    ("GELU", {"approximate": "erf"}, "approximate", "none or tanh, not erf"),
    ("Softmax", {"dim": -5}, "dim", "not -5"),
    ("ZeroPad2d", {"padding": "same"}, "padding", "[height, width] or [top, bottom, left, right], not same"),
    ("Upsample", {"scale_factor": 0}, "scale_factor", "a number above 0"),
    ("Upsample", {"scale_factor": [2, 2, 2]}, "scale_factor", "or a list of two of them, not [2, 2, 2]"),
    ("Upsample", {"scale_factor": 2, "mode": "linear"}, "mode", "nearest or bilinear or bicubic, not linear"),
    ("ConnectedConv2d", {"table": [], "kernel_size": 3}, "table", "the list of its input maps"),
    ("ConnectedConv2d", {"table": [[0], []], "kernel_size": 3}, "table", "not [[0], []]"),
    ("ConnectedConv2d", {"table": [[0, 0]], "kernel_size": 3}, "table", "each once"),
    ("ConnectedConv2d", {"table": [0], "kernel_size": 3}, "table", "not [0]"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "argument", "words"), BAD_ARGUMENTS, ids=[f"{row[0]} {row[1]}" for row in BAD_ARGUMENTS]
)
def test_bad_arguments(name, arguments, argument, words):
    with pytest.raises(ArgumentError) as caught:
        getattr(ops, name)(**arguments)
    assert (caught.value.code, caught.value.argument) == ("E120", argument)
    assert caught.value.message.startswith(f"{argument} of {name} must be ")
    assert words in caught.value.message


TOGETHER = [
    ({}, "size", "either size or scale_factor, but neither is given"),
    ({"size": 4, "scale_factor": 2}, "size", "but both are given"),
    ({"size": 4, "align_corners": False}, "align_corners", "no meaning with mode nearest"),
]


@pytest.mark.parametrize(("arguments", "argument", "words"), TOGETHER, ids=[str(row[0]) for row in TOGETHER])
def test_arguments_that_do_not_go_together(arguments, argument, words):
    with pytest.raises(ArgumentError, match=words) as caught:
        ops.Upsample(**arguments)
    assert (caught.value.code, caught.value.argument) == ("E121", argument)
