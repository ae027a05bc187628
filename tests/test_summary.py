"""The summary: its columns, how it tells arguments, what it marks, and what its rows add up to."""

import msgspec
import pytest

import archcalc
from archcalc.analysis import analyse
from archcalc.analysis.conventions import count
from archcalc.analysis.fold import fold as fold_layers
from archcalc.analysis.report import Layer
from archcalc.ops import OPS
from archcalc.render.formats import Result
from archcalc.render.notation import arguments
from archcalc.render.summary import COLUMNS, DEFAULT_COLUMNS, chosen_columns, summary
from archcalc.render.tables import Marked, texts
from archcalc.render.terminal import PIPE, lay_out


def result(model: str, **options: object) -> Result:
    graph = archcalc.load(model)
    return summary(model, graph, analyse(graph), **options)


NOTED = [  # a layer -> how the papers and torchvision write it
    ("Conv2d", {"out_channels": 96, "kernel_size": 11, "stride": 4}, "11x11, 96, /4"),
    (
        "Conv2d",
        {"out_channels": 64, "kernel_size": (3, 5), "stride": (1, 2), "padding": (0, 1, 0, 1)},
        "3x5, 64, /1x2, pad [0, 1, 0, 1]",
    ),
    ("Conv2d", {"out_channels": 64, "kernel_size": 3, "padding": (1, 0)}, "3x3, 64, pad 1x0"),  # top and bottom, no more
    ("Conv1d", {"out_channels": 64, "kernel_size": 3, "padding": (1, 0)}, "3, 64, pad [1, 0]"),  # the start alone
    ("Conv1d", {"out_channels": 64, "kernel_size": 3, "padding": (1, 1)}, "3, 64, pad 1"),
    ("Conv3d", {"out_channels": 64, "kernel_size": 3, "padding": (2, 1, 0)}, "3x3x3, 64, pad 2x1x0"),
    ("Conv3d", {"out_channels": 64, "kernel_size": 3, "padding": (1, 0, 0, 0, 0, 0)}, "3x3x3, 64, pad [1, 0, 0, 0, 0, 0]"),
    ("ZeroPad2d", {"padding": (0, 1, 0, 1)}, "pad [0, 1, 0, 1]"),
    ("Conv2d", {"out_channels": 64, "kernel_size": 3, "padding": "same", "groups": 2}, "3x3, 64, same, groups 2"),
    ("Conv2d", {"out_channels": 64, "kernel_size": 3, "dilation": 2, "bias": False}, "3x3, 64, dilation 2, no bias"),
    ("Conv2d", {"out_channels": 64, "kernel_size": 3, "padding": (0, 0, 0, 0)}, "3x3, 64"),
    ("Conv2d", {"out_channels": 64, "kernel_size": 3, "padding_mode": "reflect"}, "3x3, 64, padding_mode=reflect"),
    ("ConvTranspose2d", {"out_channels": 8, "kernel_size": 4, "stride": 2, "output_padding": 1}, "4x4, 8, /2, output_padding=1"),
    ("MaxPool2d", {"kernel_size": 3, "stride": 2, "ceil_mode": True}, "3x3, /2, ceil_mode=true"),
    ("AdaptiveAvgPool2d", {"output_size": 7}, "output_size=7"),
    ("AdaptiveAvgPool2d", {"output_size": (None, 7)}, "output_size=[null, 7]"),
    ("AdaptiveAvgPool2d", {"output_size": None}, "output_size=null"),
    ("LayerNorm", {"normalized_shape": 10}, "normalized_shape=10"),
    ("LayerNorm", {"normalized_shape": (10, 10)}, "normalized_shape=10x10"),
    ("Linear", {"out_features": 1000}, "1000"),
    ("ReLU", {}, ""),
]


@pytest.mark.parametrize(("op", "given_arguments", "told"), NOTED)
def test_arguments_are_told_as_papers_tell_them(op: str, given_arguments: dict, told: str) -> None:
    assert arguments(OPS[op](**given_arguments)) == told


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (None, DEFAULT_COLUMNS),
        ("all", tuple(COLUMNS)),
        ("params,macs", ("name", "params", "macs")),
        ("+saved-bytes, params", (*DEFAULT_COLUMNS, "saved_bytes")),
        ("params,name", ("name", "params")),
        ("+all", tuple(COLUMNS)),
    ],
)
def test_columns_can_be_chosen(text: str | None, keys: tuple[str, ...]) -> None:
    assert chosen_columns(text) == keys


def test_every_quantity_of_the_json_is_a_column() -> None:
    from archcalc.render.summary import LayerRow

    assert LayerRow.__struct_fields__ == (*Layer.__struct_fields__, "counted", "layers")
    assert set(LayerRow.__struct_fields__) <= set(COLUMNS)


def test_shared_parameters_are_marked_where_they_are_used_and_the_note_says_where_they_count() -> None:
    def marked(model: str, depth: int | None) -> tuple[list[str], list[str]]:
        table = result(model, depth=depth).table()
        place = [column.key for column in table.columns].index("params")
        rows = [row[0] for row in table.rows if isinstance(row[place], Marked)]
        return rows, [note for note in texts(table).notes if note.startswith("^ ")]

    rows, notes = marked("tests/data/specs/siamese.yaml", None)
    assert rows == ["second.conv1", "second.conv2", "second.bn1", "second.linear1"]
    assert notes == ["^ uses parameters of an earlier layer, which count there: second.conv1 those of first.conv1, ..."]
    assert marked("tests/data/specs/siamese.yaml", 1) == (["second"], [notes[0].removesuffix(", ...")])
    assert marked("alexnet", None) == ([], [])
    totals = result("tests/data/specs/siamese.yaml", columns=("name", "macs")).table()
    assert not any(note.startswith("^ ") for note in texts(totals).notes)


@pytest.mark.parametrize("convention", ["macs", "torch", "fvcore", "thop", "full"])
@pytest.mark.parametrize("depth", [None, 1])
@pytest.mark.parametrize("model", ["alexnet", "resnet18", "googlenet_aux"])
def test_what_the_rows_count_adds_up_to_the_total(model: str, depth: int | None, convention: str) -> None:
    document = result(model, depth=depth, counted=count(archcalc.load(model), convention)).document
    assert sum(row.counted or 0 for row in document.layers) == document.totals.counted
    if convention == "macs":
        assert all(row.counted == row.macs for row in document.layers)
    if depth is None:  # what the tool does not know is not 0
        assert sum(row.counted is None for row in document.layers) == sum(document.unsupported.values())


def test_layers_whose_paths_disagree_are_marked_and_the_note_says_why() -> None:
    report = analyse(archcalc.load("densenet121"))
    table = result("densenet121", columns=("name", "receptive_field")).table()
    marked = [row[0] for row in table.rows if isinstance(row[1], Marked)]
    assert marked == [layer.name for layer in report.layers if not layer.paths_agree]
    noted = any(note.startswith("* ") for note in texts(table).notes)
    assert noted is bool(marked)
    assert not any(note.startswith("* ") for note in texts(result("alexnet", columns=("name", "receptive_field")).table()).notes)


def test_a_field_that_was_not_followed_is_marked_and_said_to_be_so() -> None:
    report = analyse(archcalc.load("lenet5_modern"))
    unknown = {"receptive_field": None, "jump": None, "padding": None, "paths_agree": False}
    layers = (msgspec.structs.replace(report.layers[0], **unknown), *report.layers[1:])
    table = summary(
        "net", archcalc.load("lenet5_modern"), msgspec.structs.replace(report, layers=layers), columns=("receptive_field",)
    )
    shown = texts(table.table())
    assert shown.rows[0] == ("?",)
    assert [note for note in shown.notes if note.startswith(("?", "*"))] == [
        "? nothing is claimed: too many paths of different strides lead here, or one from an input without axes"
    ]


@pytest.mark.parametrize("depth", [1, 2, 3, 99])
@pytest.mark.parametrize("model", ["resnet50", "googlenet_aux", "densenet121", "alexnet"])
def test_folding_keeps_every_sum(model: str, depth: int) -> None:
    report = analyse(archcalc.load(model))
    folds = fold_layers(report, depth)
    assert sum(folded.layers for folded in folds) == len(report.layers)
    for quantity in report.totals.__struct_fields__:
        assert sum(getattr(folded.layer, quantity) for folded in folds) == getattr(report.totals, quantity)
    assert all(folded.layer.name.count(".") < depth for folded in folds)
    names = {folded.layer.name for folded in folds} | set(report.input)
    for folded in folds:
        assert set(folded.layer.inputs) <= names - {folded.layer.name}
        assert len(folded.layer.inputs) == len(folded.layer.input_shapes) or folded.layers == 1


def test_a_folded_row_shows_what_goes_in_and_out() -> None:
    layer4 = next(folded for folded in fold_layers(analyse(archcalc.load("resnet50")), 1) if folded.layer.name == "layer4")
    assert layer4.layer.op == "group"
    assert layer4.layer.inputs == ("layer3",)
    assert layer4.layer.input_shapes == ((1, 1024, 14, 14),)
    assert layer4.layer.output_shape == (1, 2048, 7, 7)
    assert f"{layer4.layers} layers" in lay_out(result("resnet50", depth=1).table(), PIPE)
