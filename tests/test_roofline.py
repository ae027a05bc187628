"""The roofline: hand-countable cases, what bounds what, the command and its screens."""

import csv
import json
from math import inf

import jsonschema
import pytest

from archcalc import load
from archcalc.analysis.devices import DEVICES, Device, find
from archcalc.analysis.roofline import LAYOUTS, MODES, PRECISIONS, roofline
from archcalc.analysis.roofline import model as roofline_model
from archcalc.analysis.roofline.limits import (
    BOUND,
    ESTIMATE,
    HIGH,
    LOW,
    Limits,
    arithmetic_time,
    fourier_macs,
    intensity,
    moving_time,
    tiled_macs,
    winograd_macs,
)
from archcalc.analysis.roofline.points import picture
from archcalc.analysis.roofline.traffic import Product, Work, moved_bytes
from archcalc.cli import roofline as command
from archcalc.errors import UsageError
from archcalc.formula.printed import letters, text
from archcalc.render.chart import svg_chart, text_chart
from archcalc.render.schemas import schema_text
from archcalc.spec import parse

# A device with round numbers: 1 TFLOP/s on ordinary cores, 10 on matrix units, 100 GB/s, no cache.
ROUND = Device(
    name="round",
    peaks={"fp32": 10**12, "fp16": 10**13},
    memory_bytes=2**30,
    bandwidth=10**11,
    cache_bytes=0,
    source="none",
    verified=True,
)


@pytest.mark.parametrize(
    ("formula", "values", "with_letters", "with_numbers"),
    [
        (moved_bytes, {"e": 1000, "w": 2}, "e*w", "1000*2"),
        (intensity, {"macs": 300, "moved": 200}, "2*macs/moved", "2*300/200"),
        (moving_time, {"moved": 500, "bandwidth": 100}, "moved/bandwidth", "500/100"),
        (arithmetic_time, {"macs": 300, "peak": 100}, "2*macs/peak", "2*300/100"),
        (winograd_macs, {"macs": 900, "k": 3}, "ceil(macs*(k + 3)/(4*k))", "ceil(900*(3 + 3)/(4*3))"),
        (fourier_macs, {"macs": 900, "k": 3, "points": 8}, "ceil(macs*points/(k*(points - k + 1)))", "ceil(900*8/(3*(8 - 3 + 1)))"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_formulas(formula, values, with_letters, with_numbers) -> None:
    assert letters(formula) == with_letters
    assert text(formula, values) == with_numbers
    assert formula(**values) == eval(with_numbers, {"ceil": lambda value: int(-(-value // 1)), "max": max})


def test_channels_fill_lanes_and_tiles() -> None:
    assert tiled_macs(macs=3 * 64 * 1000, c_in=3, c_out=64, lane=8, tile=64) == 8 * 64 * 1000
    assert tiled_macs(macs=128 * 32 * 7, c_in=128, c_out=32, lane=8, tile=64) == 128 * 64 * 7


def limits(shares=BOUND, precision: str = "fp32", layout: str = "nchw", device: Device = ROUND) -> Limits:
    return Limits(device, PRECISIONS[precision], layout, shares)


def test_a_kernel_is_bound_by_the_slower_of_bytes_and_arithmetic() -> None:
    plain = Product(macs=10**9, c_in=64, c_out=64)
    heavy, light = Work("product", 10**6, plain), Work("product", 10**9, plain)
    assert limits().spent(heavy).bound == "arithmetic"
    assert limits().spent(heavy).seconds == pytest.approx(2 * 10**9 / (1.25 * 10**12))
    assert limits().spent(light).bound == "bytes"
    assert limits().spent(light).seconds == pytest.approx(10**9 / 10**11)
    assert limits(ESTIMATE).spent(Work("nothing", 8)).bound == "launch"
    assert limits(ESTIMATE).spent(Work("nothing", 8)).seconds == ESTIMATE.floor_seconds


def test_a_bound_lets_the_cache_hold_what_it_can() -> None:
    from msgspec.structs import replace

    cached = replace(ROUND, cache_bytes=10**6)
    assert limits(device=cached).spent(Work("copy", 2 * 10**6)).seconds == 0
    assert limits(device=cached).spent(Work("copy", 5 * 10**6)).seconds == pytest.approx(3 * 10**6 / 10**11)
    assert limits(ESTIMATE, device=cached).spent(Work("copy", 5 * 10**6)).seconds == pytest.approx(5 * 10**6 / (0.9 * 10**11))


@pytest.mark.parametrize(
    ("k", "tile", "products"),
    [
        (3, 2, 4**2),  # Lavin and Gray 2016, tables 1 and 4: F(2x2, 3x3) and F(4x4, 3x3)
        (3, 4, 6**2),
        (5, 28, 3 * 32 * 17),  # 32x32 points of a Fourier transform: 17 columns tell all, a complex product takes three
        (31, 64, 3 * 94 * 48),
    ],
)
def test_on_ordinary_cores_no_common_algorithm_for_windows_is_faster_than_the_bound(k: int, tile: int, products: int) -> None:
    window = Product(macs=k**2 * tile**2 * 10**6, c_in=64, c_out=64, k=(k, k), slides=True)
    bound, direct = limits().spent(Work("conv", 1, window)), limits().spent(Work("conv", 1, window._replace(slides=False)))
    assert tile**2 / products <= direct.seconds / bound.seconds / k**2 <= 1  # a product for each output is the least that there is


def test_maps_are_turned_for_matrix_units_where_they_lie_channel_by_channel() -> None:
    window = Work("conv", 10**8, Product(1, 8, 64, (3, 3)), turned=10**8)
    pointwise = Work("conv", 10**8, Product(1, 8, 64, (1, 1)), turned=10**8)
    once = 10**8 / (0.9 * 10**11)
    assert limits(ESTIMATE, "fp16", "nhwc").spent(window).seconds == pytest.approx(once)
    assert limits(ESTIMATE, "fp16", "nchw").spent(window).seconds == pytest.approx(3 * once)
    assert limits(ESTIMATE, "fp16", "nchw").spent(pointwise).seconds == pytest.approx(once)
    assert limits(ESTIMATE, "fp32", "nchw").spent(window).seconds == pytest.approx(once)  # no matrix units, no need


def test_depthwise_convolutions_run_where_they_waste_least() -> None:
    depthwise = Product(macs=10**9, c_in=1, c_out=1, k=(3, 3))  # a tile of 64 by a lane of 8 would do 512 times the work
    assert limits(ESTIMATE, "fp16", "nhwc").spent(Work("conv", 1, depthwise)).seconds == pytest.approx(2 * 10**9 / (0.9 * 10**12))


TINY = """
input: [8, 4, 4]
layers:
  - Conv2d: {name: conv, out_channels: 64, kernel_size: 1, bias: false}
  - ReLU: {name: relu}
  - Flatten: {name: flat}
"""


def test_a_network_by_hand() -> None:
    graph = parse(TINY, "tiny.yaml").graph(batch=1000)
    found = roofline(graph, ROUND)
    conv, relu, flat = found.rows
    x, y, weights = 1000 * 8 * 16, 1000 * 64 * 16, 8 * 64
    assert conv.macs == 1000 * 16 * 8 * 64
    assert conv.moved_bytes == 4 * (x + y + weights)
    assert conv.intensity == 2 * conv.macs / conv.moved_bytes
    assert conv.least_seconds == pytest.approx(max(conv.moved_bytes / 10**11, 2 * conv.macs / (1.25 * 10**12)))
    assert relu.moved_bytes == 4 * 2 * y
    assert (relu.bound, relu.least_seconds) == ("bytes", pytest.approx(4 * 2 * y / 10**11))
    assert (flat.kernels, flat.bound, flat.estimate_seconds) == (0, None, 0)
    assert found.estimate_seconds == pytest.approx(conv.estimate_seconds + relu.estimate_seconds)
    assert found.bound_seconds == pytest.approx(conv.least_seconds + relu.least_seconds)
    trained = roofline(graph, ROUND, mode="train")
    assert trained.macs == 2 * conv.macs  # the first layer has no gradient to give
    assert trained.step is not None
    assert trained.step.moved_bytes == 5 * 4 * weights


def test_small_batches_are_bound_by_launches() -> None:
    found = roofline(load("resnet50"), find("h100"), precision="fp16", layout="nhwc")
    assert found.estimate_seconds == found.dispatch_seconds == found.kernels * ESTIMATE.dispatch_seconds
    large = roofline(load("resnet50", batch=256), find("h100"), precision="fp16", layout="nhwc")
    assert large.estimate_seconds > large.dispatch_seconds == found.dispatch_seconds


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["alexnet", "googlenet_aux", "densenet_40_12", "lenet5", "preact_resnet164"])
def test_the_ends_stand_in_order(name: str, precision: str, mode: str) -> None:
    for layout in LAYOUTS:
        found = roofline(load(name, batch=8), find("h200"), precision=precision, layout=layout, mode=mode)
        assert 0 <= found.bound_seconds <= found.low_seconds <= found.estimate_seconds <= found.high_seconds < inf
        for row in found.rows:
            assert row.least_seconds <= row.estimate_seconds
            assert (row.bound is None) == (row.kernels == 0)


def test_training_takes_longer_and_faster_devices_less() -> None:
    graph = load("resnet18", batch=64)
    infer, back, train = (roofline(graph, find("a100"), mode=mode).estimate_seconds for mode in MODES)
    assert infer < back < train
    slow, fast = (roofline(graph, find(name)).estimate_seconds for name in ("t4", "h200"))
    assert fast < slow


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_every_device_has_a_roofline_in_fp32(device: Device) -> None:
    assert roofline(load("alexnet", batch=32), device).estimate_seconds > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp23"}, r"E287.*no precision fp23"),
        ({"layout": "chwn"}, r"E287.*no layout chwn"),
        ({"mode": "training"}, r"E287.*no mode training"),
        ({"precision": "bf16"}, r"E286.*GTX 580 3GB has no peak in bf16"),
    ],
)
def test_what_there_is_not(options, message) -> None:
    with pytest.raises(UsageError, match=message):
        roofline(load("lenet5"), find("gtx580"), **options)


def test_the_command_s_choices_are_those_of_the_analysis() -> None:
    assert tuple(PRECISIONS) == command.PRECISIONS
    assert (roofline_model.LAYOUTS, roofline_model.MODES) == (command.LAYOUTS, command.MODES)


BATCHED = ("resnet18", "--gpu", "a100", "--batch", "32", "--precision", "amp-bf16", "--layout", "nhwc")


def test_json(run) -> None:
    outcome = run("roofline", *BATCHED, "--mode", "train", "--format", "json")
    document = json.loads(outcome.out)
    jsonschema.validate(document, json.loads(schema_text("roofline")))
    rows = [*document["layers"], document["step"]]
    assert document["schema"] == "archcalc.roofline/1"
    assert document["gpu"] == "A100 SXM 40GB"
    assert document["bound_seconds"] == pytest.approx(sum(row["least_seconds"] for row in rows))
    assert document["moved_bytes"] == sum(row["moved_bytes"] for row in rows)
    assert document["estimate_seconds"] == pytest.approx(
        max(sum(row["estimate_seconds"] for row in rows), document["dispatch_seconds"])
    )


def test_a_table_for_machines_is_not_rounded(run) -> None:
    rows = list(csv.DictReader(run("roofline", *BATCHED, "--format", "csv").out.splitlines()))
    layers = json.loads(run("roofline", *BATCHED, "--format", "json").out)["layers"]
    for row, layer in zip(rows, layers, strict=True):
        for key in ("least_seconds", "estimate_seconds"):
            assert (float(row[key]) if row[key] else 0.0) == layer[key]
        assert (float(row["intensity"]) if row["intensity"] else 0.0) == layer["intensity"]


def test_a_network_of_views_takes_no_time(run, tmp_path) -> None:
    (tmp_path / "flat.yaml").write_text("input: [3, 8, 8]\nlayers: [Flatten]\n", encoding="utf-8")
    outcome = run("roofline", str(tmp_path / "flat.yaml"), "--gpu", "t4")
    assert outcome.code == 0
    assert "views take no time, and nothing else runs" in outcome.out
    assert "images/s" not in outcome.out
    assert "bound by launches" not in outcome.out


@pytest.mark.parametrize("columns", ["80", "100"])
def test_screen(run, golden, columns: str) -> None:
    outcome = run("roofline", *BATCHED, "--width", columns)
    assert (outcome.code, outcome.err) == (0, "")
    golden(outcome.out, f"roofline-{columns}.txt")


def test_chart_of_a_terminal(run, golden) -> None:
    outcome = run("roofline", *BATCHED, "--chart", "--width", "80")
    assert max(map(len, outcome.out.splitlines())) <= 80
    golden(outcome.out, "roofline-chart.txt")


def test_chart_as_svg(run, golden) -> None:
    import xml.etree.ElementTree as ET

    outcome = run("roofline", *BATCHED, "--chart", "--format", "svg")
    root = ET.fromstring(outcome.out)
    circles = [circle for circle in root.iter("{http://www.w3.org/2000/svg}circle") if len(circle)]
    assert len(circles) == 21  # 20 convolutions and a matrix product
    golden(outcome.out, "roofline-chart.svg")


def test_every_layer_with_arithmetic_is_in_the_chart_under_the_roof() -> None:
    drawn = picture(roofline(load("vgg16", batch=64), find("v100"), precision="fp16", layout="nhwc"))
    assert len(drawn.points) == 16
    assert all(point.rate <= drawn.roof(point.intensity) for point in drawn.points)
    chart = text_chart(drawn, "", 80)
    crowds = "".join(line.partition("|")[2] for line in chart.splitlines() if "|" in line)
    assert sum(int(digit) for digit in crowds if digit.isdigit()) == 16
    assert "<script" not in svg_chart(drawn, "<script>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "E289]: no device is named"),
        (["--gpu", "a100", "--profile", "cpu.json"], "E289]: --gpu and --profile both name a device"),
        (["--profile", "nowhere.json"], "E288]: nowhere.json cannot be read"),
        (["--gpu", "a100", "--dtype", "float64"], "E287]: no device's peak in float64 is known here\n  = help: --dtype float32,"),
        (["--gpu", "a100", "--dtype", "float16", "--precision", "bf16"], "E232]: --dtype has no effect here"),
        (["--gpu", "a100", "--chart", "--format", "json"], "E232]: --chart has no effect here"),
        (["--gpu", "a10"], "E285]: there is no device a10"),
    ],
)
def test_refusals(run, arguments: list[str], message: str) -> None:
    outcome = run("roofline", "lenet5", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


def test_neither_torch_nor_rich_is_imported(run_process) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from archcalc.cli import main\n"
        "try: main(['roofline', 'alexnet', '--gpu', 'h100', '--format', 'json'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'rich', 'numpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_low_and_high_surround_the_estimate_s_shares() -> None:
    assert LOW.bandwidth > ESTIMATE.bandwidth > HIGH.bandwidth
    assert BOUND.arithmetic >= LOW.arithmetic > ESTIMATE.arithmetic > HIGH.arithmetic
