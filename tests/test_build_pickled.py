"""Built modules handed on whole: copied, pickled, saved, sent to another process. What comes out is what went in."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from torch import Tensor, nn

import archcalc
from archcalc.spec import parse
from tests.tiny_net import tiny

ROOT = Path(__file__).parent.parent
# Tied parameters, one of them in a module of its own; frozen ones; buffers; a head; layers whose classes the source carries.
EVERYTHING = """name: net
title: All of it
input: [3, 12, 12]
layers:
- Conv2d: {name: first, out_channels: 3, kernel_size: 3, padding: 1}
- Conv2d: {name: tied, out_channels: 3, kernel_size: 3, padding: 2, dilation: 2, share: first}
- BatchNorm2d: {name: bn}
- head: {name: side, weight: 0.5, layers: [Flatten, {Linear: {out_features: 4}}]}
- group: {name: old, frozen: true, layers: [{Conv2d: {out_channels: 4, kernel_size: 1}}]}
- TrainableSubsample2d: {kernel_size: 2}
- Flatten
- RBF: {name: rbf, out_features: 10}
"""


def doubled(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output * 2


def model() -> nn.Module:
    """A model after a step of training, with a hook, and with one layer in another mode than the rest."""
    torch.manual_seed(0)
    module = archcalc.build(parse(EVERYTHING, "net.yaml").graph())
    module.first.register_forward_hook(doubled)
    module(image())
    module.bn.eval()
    return module


def image() -> Tensor:
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


Facts = tuple[dict[str, Any], dict[str, Tensor]]


def facts(module: nn.Module) -> Facts:
    """What a module is: its classes, modes and parameters, of which tied ones are one, and its tensors, with what it answers."""
    plain = {
        "classes": [f"{type(part).__module__}.{type(part).__qualname__}" for part in module.modules()],
        "training": {name: part.training for name, part in module.named_modules()},
        "learned": {name: parameter.requires_grad for name, parameter in module.named_parameters()},
        "heads": module.head_weights,
    }
    with torch.no_grad():
        main, side = module(image())
        return plain, {**module.state_dict(), "main": main, "side": side, "answer": module.eval()(image())}


def through_a_file(module: nn.Module, folder: Path) -> Facts:
    """The facts as a fresh process has them, which has never built anything."""
    torch.save(module, folder / "model.pt")
    script = (
        "import torch; from tests.test_build_pickled import facts\n"
        f"module = torch.load(r'{folder / 'model.pt'}', weights_only=False)\n"
        f"torch.save(facts(module), r'{folder / 'facts.pt'}')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    found: Facts = torch.load(folder / "facts.pt")
    return found


def through_a_process(module: nn.Module, folder: Path) -> Facts:
    with torch.multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(facts, (module,))


WAYS: dict[str, Callable[[nn.Module, Path], Facts]] = {
    "copy": lambda module, _: facts(copy.deepcopy(module)),
    "pickle": lambda module, _: facts(pickle.loads(pickle.dumps(module))),
    "old pickle": lambda module, _: facts(pickle.loads(pickle.dumps(module, protocol=0))),
    "file": through_a_file,
    "process": through_a_process,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_comes_out_as_it_went_in(way: str, tmp_path: Path) -> None:
    module = model()
    plain, tensors = WAYS[way](module, tmp_path)
    expected, values = facts(module)
    assert plain == expected
    assert list(tensors) == list(values)
    assert all(torch.equal(tensors[name], values[name]) for name in values)


def test_the_model_has_all_that_could_be_lost() -> None:
    plain, values = facts(model())
    assert (plain["training"][""], plain["training"]["bn"]) == (True, False)
    assert [name for name, learned in plain["learned"].items() if not learned] == ["old.conv1.weight", "old.conv1.bias"]
    assert {"first.weight", "tied.weight"} <= values.keys()
    assert "tied.weight" not in plain["learned"]
    assert values["bn.num_batches_tracked"] == 1
    unhooked = model()
    unhooked.first._forward_hooks.clear()
    assert not torch.equal(facts(unhooked)[1]["answer"], values["answer"])


def test_a_copy_is_of_its_models_classes() -> None:
    module = model()
    for again in (copy.deepcopy(module), copy.copy(module)):
        assert [type(part) for part in again.modules()] == [type(part) for part in module.modules()]


def test_what_is_pickled_together_has_one_source() -> None:
    module = model()
    content = pickle.dumps([module, copy.deepcopy(module), module.rbf])
    assert content.count(b"class AllOfIt(nn.Module)") == 1
    first, second, layer = pickle.loads(content)
    assert type(first) is type(second)
    assert first is not second
    assert layer is first.rbf


def test_a_layer_may_go_alone() -> None:
    layer = pickle.loads(pickle.dumps(model().rbf))
    assert type(layer).__module__ == "archcalc_built_AllOfIt"
    x = torch.ones(1, layer.centers.shape[1])
    assert torch.equal(layer(x), model().rbf(x))


class Derived(type(tiny())):
    """What others derive from a built class is theirs to pickle, by its name."""


def test_classes_that_are_derived_are_pickled_as_ever() -> None:
    module = Derived()
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(again) is Derived
        assert torch.equal(again.conv.weight, module.conv.weight)


def test_classes_go_with_their_last_module() -> None:
    module = model()
    classes = [weakref.ref(type(module)), weakref.ref(type(module.rbf))]
    again = copy.deepcopy(module)
    del module
    gc.collect()
    assert [made() for made in classes] == [type(again), type(again.rbf)]
    del again
    gc.collect()
    assert [made() for made in classes] == [None, None]
