"""Published weights: the keys of the state_dict against torchvision's own, and files that are held against them."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from safetensors.torch import load_model, save_file, save_model
from torch import Tensor, nn

from archcalc import Graph, load
from archcalc.errors import ArchcalcError
from archcalc.pytorch import files, weights
from archcalc.pytorch.build import build
from archcalc.pytorch.state import state
from archcalc.spec import index, parse
from tests.strategies import specs
from tests.tiny_net import TINY, tiny, tiny_state

DATA = json.loads((Path(__file__).parent / "data" / "state_dict_keys.json").read_text(encoding="utf-8"))["models"]
OURS = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision_aux"}  # torchvision's by the names that it gives them


def published(name: str) -> dict[str, tuple[int, ...]]:
    """The keys of one of torchvision's models in their order, each with its sizes."""
    found = {}
    for line in DATA[name]:
        layer, *entries = line.split()
        for entry in entries:
            tensor, _, sizes = entry.partition(":")
            axes = tuple(map(int, sizes.split("x"))) if sizes else ()
            if tensor == "bn":
                found |= {f"{layer}.{part}": axes for part in ("weight", "bias", "running_mean", "running_var")}
                found[f"{layer}.num_batches_tracked"] = ()
            else:
                found[f"{layer}.{tensor}"] = axes
    return found


def graph_of(name: str) -> Graph:
    return load(OURS.get(name, name))


def on_meta(graph: Graph) -> nn.Module:
    with torch.device("meta"):
        return build(graph)


def made(keys: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of these sizes, each of a single number that says which it is: a file of them is small."""
    return {
        key: (torch.tensor(number) if key.endswith("num_batches_tracked") else torch.tensor(float(number))).expand(sizes)
        for number, (key, sizes) in enumerate(keys.items())
    }


# The keys


@pytest.mark.parametrize("name", DATA)
def test_keys_order_and_sizes_are_torchvisions(name: str) -> None:
    graph = graph_of(name)
    assert [(key, entry.sizes) for key, entry in state(graph).items()] == list(published(name).items())


@pytest.mark.parametrize("name", index())
def test_the_state_is_the_modules(name: str) -> None:
    graph = load(name)
    assert_state(graph, on_meta(graph))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(specs())
def test_the_state_of_random_networks(text: str) -> None:
    try:
        graph = parse(text, "drawn.yaml").graph()
    except ArchcalcError:
        assume(False)
    assert_state(graph, build(graph))


def assert_state(graph: Graph, module: nn.Module) -> None:
    expected = state(graph)
    found = module.state_dict()
    assert [(key, tuple(tensor.shape)) for key, tensor in found.items()] == [(key, entry.sizes) for key, entry in expected.items()]
    assert {key for key, entry in expected.items() if entry.learned} == {
        key for key, _ in module.named_parameters(remove_duplicate=False)
    }
    assert [not tensor.is_floating_point() for tensor in found.values()] == [entry.whole for entry in expected.values()]
    kept = module.state_dict(keep_vars=True)
    assert all(kept[key] is kept[entry.holder] for key, entry in expected.items())
    assert len({id(tensor) for tensor in kept.values()}) == len({entry.holder for entry in expected.values()})


@pytest.mark.parametrize("name", DATA)
def test_a_file_with_torchvisions_keys_loads_strictly(name: str, tmp_path: Path) -> None:
    torch.save(made(published(name)), tmp_path / "file.pt")
    found = weights.load(on_meta(graph_of(name)), str(tmp_path / "file.pt"))
    assert (found.differences, found.counters, found.notes) == ((), 0, ())
    assert found.names == {key: key for key in published(name)}


@pytest.mark.parametrize("format", ["safetensors", "pt", "legacy"])
def test_every_tensor_gets_its_own_numbers(format: str, tmp_path: Path) -> None:
    values = made(published("resnet18"))
    path = str(tmp_path / "file")
    if format == "safetensors":
        save_file({key: tensor.contiguous() for key, tensor in values.items()}, path)
    else:
        torch.save(values, path, _use_new_zipfile_serialization=format == "pt")
    module = build(load("resnet18"))
    weights.load(module, path)
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, values[key]), key


# Files

WRAPPED = [
    # what is saved, words of the notes
    (lambda values: {"state_dict": values, "epoch": 3}, "under state_dict"),
    (lambda values: {"model": values, "optimizer": {"lr": 0.1}}, "under model"),
    (lambda values: {"model": {"state_dict": values}}, "under model|under state_dict"),
    (lambda values: {f"module.{key}": tensor for key, tensor in values.items()}, "begin with module."),
    (lambda values: {f"_orig_mod.module.{key}": tensor for key, tensor in values.items()}, "begin with _orig_mod.module."),
    (
        lambda values: {"state_dict": {f"model.{key}": tensor for key, tensor in values.items()}},
        "under state_dict|begin with model.",
    ),
    (
        lambda values: {f"model._orig_mod.backbone.{key}": tensor for key, tensor in values.items()},
        "begin with model._orig_mod.backbone.",
    ),
    (lambda values: {f"model.model.{key}": tensor for key, tensor in values.items()}, "begin with model.model."),
    (lambda values: {"epoch": 3, "model_ema": {f"module.{key}": tensor for key, tensor in values.items()}}, "under model_ema"),
    (lambda values: values | {"steps": 17}, "no plain tensor: steps"),
]


@pytest.mark.parametrize(("wrap", "words"), WRAPPED)
def test_what_stands_around_the_tensors_is_recognised(wrap: Callable[..., Any], words: str, tmp_path: Path) -> None:
    torch.save(wrap(tiny_state()), tmp_path / "file.pt")
    module = tiny()
    found = weights.load(module, str(tmp_path / "file.pt"))
    assert all(any(word in note for note in found.notes) for word in words.split("|")), found.notes
    assert torch.equal(module.get_parameter("conv.weight"), torch.full((3, 2, 1, 1), 2.0))
    assert weights.compare(parse(TINY, "tiny.yaml").graph(), str(tmp_path / "file.pt")).fits


def test_two_tensors_never_get_one_key(tmp_path: Path) -> None:
    """Where a file has the weights of two models, those without a prefix are meant; of parts of a model no other is made up."""
    values = tiny_state()
    others = {f"model.{key}": tensor * 3 for key, tensor in values.items()}
    torch.save(values | others, tmp_path / "both.pt")
    assert weights.load(tiny(), str(tmp_path / "both.pt")).names == {key: key for key in values}
    torch.save({"conv.bias": values["conv.bias"]} | others, tmp_path / "more.pt")
    found = weights.attempt(tiny(), str(tmp_path / "more.pt"))
    assert (found.names, found.fits) == ({"conv.bias": "conv.bias"}, False)


def test_old_densenets_have_other_names_and_no_counters(tmp_path: Path) -> None:
    keys = published("densenet121")
    old = {
        key.replace(".norm1.", ".norm.1.")
        .replace(".norm2.", ".norm.2.")
        .replace(".conv1.", ".conv.1.")
        .replace(".conv2.", ".conv.2.")
        for key in keys
        if not key.endswith("num_batches_tracked")
    }
    changed = old - keys.keys()
    assert len(changed) == 58 * (2 * 4 + 2)  # in each of 58 layers two norms with four tensors, two convolutions with one
    names = {key: key.replace("norm.", "norm").replace("conv.", "conv") if key in changed else key for key in old}
    torch.save(made({key: keys[name] for key, name in names.items()}), tmp_path / "old.pth")
    found = weights.load(on_meta(load("densenet121")), str(tmp_path / "old.pth"))
    assert found.counters == sum(key.endswith("num_batches_tracked") for key in keys) == 121
    assert found.notes == (f"{len(changed):,} keys are an old DenseNet's: norm.1 for norm1",)
    assert found.names == names


def test_what_does_not_fit_is_told_and_not_loaded(tmp_path: Path) -> None:
    values = tiny_state()
    del values["bn.bias"]
    values |= {"conv.weight": torch.ones(3, 2, 3, 3), "conv.bias": torch.ones(3, dtype=torch.int8), "fc.weight": torch.ones(2)}
    torch.save(values, tmp_path / "file.pt")
    module = tiny()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    with pytest.raises(ArchcalcError, match=r"3 are missing or differ: conv\.weight \(mismatched\)") as raised:
        weights.load(module, str(tmp_path / "file.pt"))
    assert raised.value.code == "E297"
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
    found = weights.attempt(module, str(tmp_path / "file.pt"))
    assert [(difference.key, difference.verdict) for difference in found.differences] == [
        ("conv.weight", "mismatched"),
        ("conv.bias", "mismatched"),
        ("bn.bias", "missing"),
        ("fc.weight", "unexpected"),
    ]


def test_what_the_model_does_not_have_is_left(tmp_path: Path) -> None:
    torch.save(made(published("googlenet")), tmp_path / "file.pt")
    found = weights.load(on_meta(load("googlenet_torchvision")), str(tmp_path / "file.pt"))
    assert {difference.key.partition(".")[0] for difference in found.differences} == {"aux1", "aux2"}


def test_narrower_numbers_are_widened(tmp_path: Path) -> None:
    torch.save(
        {key: tensor.half() if tensor.is_floating_point() else tensor.int() for key, tensor in tiny_state().items()},
        tmp_path / "h.pt",
    )
    module = tiny()
    weights.load(module, str(tmp_path / "h.pt"))
    assert module.get_parameter("conv.weight").dtype == torch.float32
    assert int(module.get_buffer("bn.num_batches_tracked")) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_counts_that_were_cast_too(dtype: torch.dtype, tmp_path: Path) -> None:
    values = {key: tensor.to(dtype) for key, tensor in tiny_state().items()}
    torch.save(values, tmp_path / "file.pt")
    module, expected = tiny(), tiny()
    found = weights.load(module, str(tmp_path / "file.pt"))
    assert (found.differences, found.counters) == ((), 0)
    expected.load_state_dict(values)
    assert all(torch.equal(tensor, expected.state_dict()[key]) for key, tensor in module.state_dict().items())


def test_a_count_beyond_float16_is_the_most_that_it_holds(tmp_path: Path) -> None:
    values = tiny_state() | {"bn.num_batches_tracked": torch.tensor(100_000).half()}
    torch.save(values, tmp_path / "file.pt")
    module = tiny()
    weights.load(module, str(tmp_path / "file.pt"))
    assert module.get_buffer("bn.num_batches_tracked") == 65_504


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_none_are_refused(value: float, tmp_path: Path) -> None:
    values = tiny_state()
    values["bn.weight"] = torch.tensor([1, value, 1], dtype=torch.float64)
    torch.save(values, tmp_path / "file.pt")
    module = tiny()
    with pytest.raises(ArchcalcError, match=r"bn\.weight") as raised:
        weights.load(module, str(tmp_path / "file.pt"))
    assert raised.value.code == "E299"
    assert not torch.equal(module.get_parameter("conv.bias"), torch.full((3,), 2.0))  # nothing was loaded before it


@pytest.mark.parametrize("name", ["after", "twin"])  # safetensors keeps the first by the alphabet: the twin, or the convolution
def test_tied_parameters_stand_in_a_file_once(name: str, tmp_path: Path) -> None:
    text = TINY + f"  - Conv2d: {{name: {name}, out_channels: 3, kernel_size: 1, stride: 2, from: input, share: conv}}\n"
    graph = parse(text, "tied.yaml").graph()
    module, ours, theirs = build(graph), build(graph), build(graph)
    path = str(tmp_path / "file.safetensors")
    save_model(module, path)
    left = {"after": "conv", "twin": "twin"}[name]
    for found in (weights.compare(graph, path), weights.load(ours, path)):
        assert (found.fits, found.differences, len(found.names)) == (True, (), 7)
        assert found.notes == (f"tied to others, under whose keys they stand there: {left}.weight, {left}.bias",)
    assert load_model(theirs, path) == (set(), [])
    assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in ours.state_dict().items())
    torch.save(
        {key: tensor for key, tensor in module.state_dict().items() if name not in key and "conv" not in key}, tmp_path / "none.pt"
    )
    without = weights.compare(graph, str(tmp_path / "none.pt"))
    assert sorted(difference.key for difference in without.differences) == sorted(
        f"{layer}.{part}" for layer in ("conv", name) for part in ("bias", "weight")
    )


@pytest.mark.parametrize(("shift", "fits"), [(0, True), (1, False)])
def test_weights_that_were_not_tied_are_not_taken_for_tied_ones(shift: int, fits: bool, tmp_path: Path) -> None:
    module = build(
        parse(
            TINY + "  - Conv2d: {name: twin, out_channels: 3, kernel_size: 1, stride: 2, from: input, share: conv}\n", "tied.yaml"
        ).graph()
    )
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    written = before | {"twin.bias": before["conv.bias"] + shift}
    torch.save(written, tmp_path / "file.pt")
    if fits:
        assert weights.load(module, str(tmp_path / "file.pt")).fits
    else:
        with pytest.raises(ArchcalcError, match=r"conv\.bias and twin\.bias are one tensor in the model, but differ in"):
            weights.load(module, str(tmp_path / "file.pt"))
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    text = TINY + "  - Conv2d: {name: twin, out_channels: 3, kernel_size: 1, stride: 2, from: input, share: conv}\n"
    graph = parse(text, "tied.yaml").graph()
    module, other = build(graph), build(graph)
    path = tmp_path / "file.safetensors"
    path.write_bytes(files.packed(module.state_dict()))
    assert weights.load(other, str(path)).differences == ()
    assert all(torch.equal(tensor, module.state_dict()[key]) for key, tensor in other.state_dict().items())
    assert files.packed(other.state_dict()) == path.read_bytes()


# The command


def saved(name: str, folder: Path) -> str:
    path = str(folder / f"{name}.safetensors")
    save_file({"layer." + key: tensor for key, tensor in tiny_state().items()} if name == "other" else tiny_state(), path)
    return path


def test_a_dry_run_of_safetensors_imports_no_torch(tmp_path: Path) -> None:
    keys = published("lenet5" if "lenet5" in DATA else "resnet18")
    save_file({key: torch.zeros(sizes) if sizes else torch.tensor(0) for key, sizes in keys.items()}, tmp_path / "net.safetensors")
    script = (
        "import sys; from archcalc.cli import group\n"
        f"group(['weights', 'resnet18', r'{tmp_path / 'net.safetensors'}', '--dry-run'], standalone_mode=False)\n"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules), 'imported'\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "safetensors, only its header was read: 122 tensors" in ended.stdout


def test_the_command_loads(run, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    path = saved("tiny", tmp_path)
    ended = run("weights", str(tmp_path / "tiny.yaml"), path)
    assert (ended.code, ended.err) == (0, "")
    assert "7 of the model's 7 tensors fit" in ended.out
    assert ended.out.rstrip().endswith("loaded")
    dry = run("weights", str(tmp_path / "tiny.yaml"), path, "--dry-run")
    assert (dry.code, dry.out.rstrip().splitlines()[-1]) == (0, "it can be loaded")


def test_the_command_fails_where_something_is_missing(run, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    path = saved("other", tmp_path)
    for options in ((), ("--dry-run",)):
        ended = run("weights", str(tmp_path / "tiny.yaml"), path, "--format", "json", *options)
        document = json.loads(ended.out)
        assert (ended.code, document["fits"], document["loaded"], document["matched"]) == (1, False, False, 0)
        verdicts = [row["verdict"] for row in document["differences"]]
        assert (verdicts.count("missing"), verdicts.count("unexpected"), document["counters"]) == (6, 7, 1)
    assert "it does not fit" in run("weights", str(tmp_path / "tiny.yaml"), path).out


def test_what_kind_of_numbers_is_shown(run, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    values = tiny_state() | {"conv.bias": torch.ones(3, dtype=torch.int8), "bn.num_batches_tracked": torch.tensor(True)}
    save_file(values, tmp_path / "file.safetensors")
    lines = run("weights", str(tmp_path / "tiny.yaml"), str(tmp_path / "file.safetensors")).out.splitlines()
    assert [line.split() for line in lines if "mismatched" in line] == [
        ["conv.bias", "mismatched", "3", "real", "3", "int8"],
        ["bn.num_batches_tracked", "mismatched", "whole", "bool"],
    ]


def test_the_totals_are_those_of_the_model(run, tmp_path: Path) -> None:
    """The tensors that a report speaks of are all of the model's, and no other."""
    torch.save(made(published("densenet121")), tmp_path / "file.pt")
    document = json.loads(run("weights", "densenet121", str(tmp_path / "file.pt"), "--dry-run", "--format", "json").out)
    assert document["expected"] == document["matched"] == len(published("densenet121"))
    learned = sum(prod(entry.sizes) for entry in state(load("densenet121")).values() if entry.learned)
    assert learned == 7_978_856
