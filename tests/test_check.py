"""``archcalc check``: every bundled variant agrees with PyTorch, and whatever is wrong in an operator is found at its layer."""

import gc
import json
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import archcalc
from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.ops import OPS
from archcalc.ops.base import Kept
from archcalc.ops.code import Code
from archcalc.pytorch import check as module_of_check
from archcalc.pytorch.build import build
from archcalc.pytorch.check import Difference, check
from archcalc.render.schemas import schema_text
from archcalc.spec import parse
from tests.variants import each_variant

# Something of everything that is compared: a frozen layer, running statistics, dropout, a pool, a head, a shared layer.
NET = """
input: [3, 12, 12]
layers:
- Conv2d: {name: conv, out_channels: 8, kernel_size: 3, frozen: true}
- group:
    name: stage
    layers:
    - BatchNorm2d: {name: norm}
    - ReLU: {name: relu}
    - Conv2d: {name: first, out_channels: 8, kernel_size: 3, padding: 1}
    - Conv2d: {name: again, out_channels: 8, kernel_size: 3, padding: 2, dilation: 2, share: first}
- head: {name: side, layers: [Flatten, {Linear: {name: fc, out_features: 5}}]}
- MaxPool2d: {name: pool, kernel_size: 2}
- Flatten
- Dropout: {name: drop}
- Linear: {name: fc, out_features: 10}
"""


def net(batch: int = 1) -> Graph:
    return parse(NET, "net.yaml").graph(batch=batch)


@each_variant
def test_every_bundled_variant_agrees_with_pytorch(variant: str) -> None:
    checked = check(archcalc.load(variant))
    assert checked.differences == ()
    assert [(one.device, one.batch) for one in checked.passes] == [("meta", 1), ("cpu", 1), ("cpu", 2)]


def test_each_quantity_is_looked_at_in_one_pass_or_another() -> None:
    meta, first, second = check(net(3)).passes
    assert (first.batch, second.batch) == (3, 4)
    assert {*meta.quantities, *first.quantities} == {"output_shape", "params", "trainable", "buffers", "macs", "saved_bytes"}
    assert first.found.totals.saved_bytes == archcalc.analyse(net(3), rules="cpu").totals.saved_bytes > 0
    assert meta.found.totals.trainable < meta.found.totals.params


def patched(name: str, method: str, change: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A slip in an operator: what its method returns is changed."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(OPS[name], method)
        monkeypatch.setattr(OPS[name], method, lambda *arguments: change(right(*arguments), *arguments))

    return patch


def changed_module(change: Callable[[nn.Module], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A slip in building: something is done to the module."""

    def built(graph: Graph) -> nn.Module:
        made = build(graph)
        change(made)
        return made

    return lambda monkeypatch: monkeypatch.setattr(module_of_check, "build", built)


def lost_when_two(kept: Any, op: Any, x: Any, *others: Any) -> Any:
    return () if x.n == 2 else kept


# What is broken, and what must be found: the layer (None: the whole), the quantity, on which devices.
SLIPS = {
    "params": (patched("BatchNorm2d", "params", lambda right, *_: right + 1), "stage.norm", "params", {"meta"}),
    "buffers": (patched("BatchNorm2d", "buffers", lambda right, *_: 0), "stage.norm", "buffers", {"meta"}),
    "MACs": (patched("Linear", "macs", lambda right, *_: 2 * right), "fc", "macs", {"meta"}),
    "shape": (patched("MaxPool2d", "code", lambda *_: Code("nn.MaxPool2d(2, 1)")), "pool", "output_shape", {"meta", "cpu"}),
    "kept": (patched("ReLU", "kept", lambda *_: ()), "stage.relu", "saved_bytes", {"cpu"}),
    "kept at one batch": (patched("Dropout", "kept", lost_when_two), "drop", "saved_bytes", {"cpu"}),
    "a layer too many": (
        patched("ReLU", "code", lambda *_: Code("nn.Sequential(nn.ReLU(), nn.BatchNorm2d(8))")), "stage.relu", "params", {"meta"},
    ),
    "frozen": (changed_module(lambda made: made.conv.requires_grad_(True)), "conv", "trainable", {"meta"}),
    "a stray parameter": (
        changed_module(lambda made: made.register_parameter("stray", nn.Parameter(torch.zeros(7)))), None, "params", {"meta"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found_at_its_layer(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = net()
    patch, layer, quantity, devices = SLIPS[slip]
    patch(monkeypatch)
    checked = check(graph)
    assert not checked.agrees
    found = {(difference.layer, difference.device) for difference in checked.differences if difference.quantity == quantity}
    assert {(layer, device) for device in devices} <= found
    if slip == "kept at one batch":
        assert [difference.batch for difference in checked.differences] == [2]


def test_unshared_parameters_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin with weights of its own counts them at its own layer."""
    untied = changed_module(lambda made: made.stage["again"].__setattr__("weight", nn.Parameter(torch.zeros(8, 8, 3, 3))))
    untied(monkeypatch)
    (params, trainable) = [one for one in check(net()).differences if one.device == "meta"]
    assert params == Difference("stage.again", "params", "meta", 1, 0, 8 * 8 * 3 * 3)
    assert trainable.quantity == "trainable"


def test_what_pytorch_refuses_is_told_with_its_words(monkeypatch: pytest.MonkeyPatch, run) -> None:
    monkeypatch.setattr(OPS["MaxPool2d"], "code", lambda *_: Code("nn.MaxPool2d(2, padding=5)"))
    checked = check(net())
    assert {(one.layer, one.device, one.found) for one in checked.differences} == {("pool", "meta", None), ("pool", "cpu", None)}
    assert "pad should be at most half of effective kernel size" in checked.differences[0].because
    ended = run("check", "lenet5_modern")  # without a MaxPool2d
    assert ended.code == 0
    ended = run("check", "alexnet")
    assert ended.code == 1
    assert "layers differ from PyTorch" in ended.out
    assert "pool1" in ended.out.split("differ from PyTorch")[1]
    assert "not reached" in ended.out


def test_the_command_names_the_layer_and_exits_1(monkeypatch: pytest.MonkeyPatch, run) -> None:
    right = OPS["Linear"].params
    monkeypatch.setattr(OPS["Linear"], "params", lambda op, x: right(op, x) - 1)
    ended = run("check", "resnet18", "--depth", "1")
    assert ended.code == 1
    assert "1 of 69 layers differ from PyTorch" in ended.out
    (row,) = [line for line in ended.out.splitlines() if line.startswith("fc ")]
    assert "params 513,000" in row
    ended = run("check", "resnet18", "--format", "json")
    document = json.loads(ended.out)
    assert (ended.code, document["agrees"]) == (1, False)
    assert {(one["layer"], one["quantity"], one["found"] - one["predicted"]) for one in document["differences"]} == {
        ("fc", "params", 1), ("fc", "trainable", 1),
    }  # fmt: skip
    (row,) = [row for row in document["layers"] if not row["agrees"]]
    assert (row["name"], row["differs"]) == ("fc", ["params", "trainable"])


def test_a_folded_row_names_the_layer_within(monkeypatch: pytest.MonkeyPatch, run) -> None:
    """Two slips that cancel in the sum do not cancel in the verdict."""
    norm, relu = OPS["BatchNorm2d"].kept, OPS["ReLU"].kept
    graph_of_one = archcalc.load("resnet20")
    monkeypatch.setattr(OPS["BatchNorm2d"], "kept", lambda op, x, y, rules: norm(op, x, y, rules)[1:])
    monkeypatch.setattr(OPS["ReLU"], "kept", lambda *_: (*relu(*_), Kept("input", _[1].elements)))
    assert not check(graph_of_one).agrees
    ended = run("check", "resnet20", "--depth", "1")
    assert ended.code == 1
    assert "layer1.0.bn1: saved bytes" in ended.out


def screen(outcome: Any) -> str:
    """What is printed, whatever PyTorch's version."""
    assert torch.__version__ in outcome.out
    return outcome.out.replace(torch.__version__, "VERSION")


def test_screens(run, golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well; one layer is wrong, in a folded row; PyTorch refuses a layer, and gets no further."""
    golden(screen(run("check", "lenet5", "--width", "100")), "check.txt")
    kept = OPS["Dropout"].kept
    monkeypatch.setattr(OPS["Dropout"], "kept", lambda *_: (*kept(*_), Kept("mask", 7)))
    golden(screen(run("check", "alexnet_torchvision", "--depth", "1", "--width", "100")), "check-differs.txt")
    monkeypatch.setattr(OPS["AvgPool2d"], "code", lambda *_: Code("nn.AvgPool2d(2, padding=5)"))
    golden(screen(run("check", "lenet5_modern", "--width", "100")), "check-refused.txt")


@pytest.mark.parametrize("model", ["lenet5", "googlenet_aux"])
def test_the_screen_adds_up(model: str, run) -> None:
    ended = run("check", model)
    assert ended.code == 0
    head, *body = ended.out.split("\n\n")[1].splitlines()
    assert head.split()[:3] == ["layer", "operator", "output"]
    assert all(line.endswith("agrees") for line in body)
    assert f"{len(body) - 1} layers and the totals agree with PyTorch {torch.__version__}" in ended.out
    *rows, totals = [[int(cell.replace(",", "")) for cell in line.split()[-6:-3]] for line in body]  # params, buffers, MACs
    assert [sum(column) for column in zip(*rows, strict=True)] == totals


@pytest.mark.parametrize("arguments", [("alexnet",), ("resnet18", "--depth", "2"), ("googlenet_aux", "--batch", "2")], ids=str)
def test_the_json_is_as_its_schema_says(arguments: tuple[str, ...], run) -> None:
    document = json.loads(run("check", *arguments, "--format", "json").out)
    jsonschema.validate(document, json.loads(schema_text("check")))
    assert document["schema"] == "archcalc.check/1"
    assert document["predicted"] == document["found"]
    assert all(row["predicted"] == row["found"] for row in document["layers"])
    assert sum(row["predicted"]["macs"] for row in document["layers"]) == document["predicted"]["macs"]


def test_the_caller_notices_nothing() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    assert check(net()).agrees
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]


AROUND = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode, "device": lambda: torch.device("meta")}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_what_the_caller_has_switched_on_changes_nothing(around: Callable[[], Any]) -> None:
    with around():
        checked = check(net())
    assert checked.agrees
    assert [one.device for one in checked.passes] == ["meta", "cpu", "cpu"]


def test_nothing_is_left_in_memory() -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    check(net())
    before = tensors()
    check(net())
    assert tensors() == before


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_other_types(dtype: str) -> None:
    default = torch.get_default_dtype()
    checked = check(net(), dtype=dtype)
    assert checked.differences == ()
    assert checked.passes[0].predicted.dtype == dtype
    assert torch.get_default_dtype() == default


def test_a_type_without_layers_is_refused(run) -> None:
    with pytest.raises(UsageError, match="no layers that compute in int8"):
        check(net(), dtype="int8")
    ended = run("check", "lenet5", "--dtype", "int8")
    assert (ended.code, "error[E252]" in ended.err) == (2, True)


def test_a_batch_that_pytorch_cannot_train_with_is_left_out(tmp_path, run) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("input: [4]\nlayers: [{Linear: {out_features: 3}}, {BatchNorm1d: {name: norm}}]\n")
    checked = check(archcalc.load(file))
    assert checked.agrees
    assert [(one.device, one.batch) for one in checked.passes] == [("meta", 1), ("cpu", 2)]
    ended = run("check", str(file))
    assert ended.code == 0
    assert "left out: in training PyTorch refuses a batch of 1, of which norm gets one number for each channel" in ended.out


@pytest.mark.parametrize("model", ["lenet5", "alexnet", "googlenet_torchvision_aux", "densenet_40_12", None])
def test_tensors_without_numbers_keep_the_same_storages(model: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in the place of a network that would take too much memory finds what real tensors find."""
    graph = net() if model is None else archcalc.load(model)
    real = check(graph)
    monkeypatch.setattr(module_of_check, "MOST_BYTES", 0)
    fake = check(graph)
    assert fake.differences == ()
    assert [one.device for one in fake.passes] == ["meta", "fake cpu", "fake cpu"]
    assert [one.found.layers for one in fake.passes] == [one.found.layers for one in real.passes]


def test_a_network_beyond_memory_is_checked_all_the_same(run) -> None:
    ended = run("check", "vgg16", "--batch", "512", "--depth", "1")
    assert ended.code == 0
    assert "at batch 512 and 513" in ended.out
    assert "so large a network ran there on tensors that hold no numbers" in ended.out


# What takes the room is kept for no gradient: 384 GiB are live at once in the first, 40 GB in the others.
LARGE = {
    "what is put together": "input: [1, 8, 8]\nlayers: [{Concat: {repeat: 30, a: [], b: []}}]\n",
    "what is enlarged": "input: [1, 1, 1]\nlayers: [{Upsample: {scale_factor: 100000}}, {AvgPool2d: {kernel_size: 100000}}]\n",
    "an input": "input: [1, 100000, 100000]\nlayers: [{AvgPool2d: {kernel_size: 1000}}]\n",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_nothing_large_is_allocated(text: str) -> None:
    checked = check(parse(text, "net.yaml").graph())
    assert checked.agrees
    assert [one.device for one in checked.passes] == ["meta", "fake cpu", "fake cpu"]


def test_no_more_is_allocated_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of_check, "free_bytes", lambda: 1000)
    assert check(net()).passes[-1].device == "fake cpu"


def test_a_slip_is_found_without_numbers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of_check, "MOST_MACS", 0)
    monkeypatch.setattr(OPS["ReLU"], "kept", lambda *_: ())
    assert {(one.layer, one.device) for one in check(net()).differences} >= {("stage.relu", "fake cpu")}


def test_progress_is_told_pass_by_pass() -> None:
    told: list[tuple[int, str]] = []

    def track(nodes, heading):
        told.append((len(nodes), heading))
        return nodes

    check(net(2), track=track)
    count = sum(1 for _ in net().layers)
    assert told == [(count, "MACs"), (count, "saved bytes, batch 2"), (count, "saved bytes, batch 3")]


def test_only_a_graph_can_be_checked() -> None:
    with pytest.raises(TypeError, match=r"check takes a Graph, not str: check\(archcalc.load\('resnet18'\)\)"):
        check("resnet18")


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch, run) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ended = run("check", "lenet5")
    assert ended.code == 3
    assert "error[E340]: checking a model needs PyTorch, which is not installed" in ended.err
    assert "pip install 'archcalc[torch]'" in ended.err
    assert run("check", "lenat5").code == 2  # what else is wrong is told first
