"""Training: the examples of docs/training.md as they stand, and a few steps of every family of networks."""

import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import archcalc
from archcalc.pytorch.initial import initialise
from archcalc.spec import index

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def example(heading: str) -> dict[str, Any]:
    """What is defined after the code under a heading has run."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(code, f"docs/training.md: {heading}", "exec"), namespace)
    return namespace


def test_every_block_of_the_page_is_run() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings == ["The recipe of AlexNet's paper", "GoogLeNet's side heads", "LeNet-5 reads digits"]
    assert PAGE.count("```python\n") == len(headings)


def test_the_recipe_of_alexnets_paper() -> None:
    found = example("The recipe of AlexNet's paper")
    (group,) = found["optimizer"].param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.0005)
    assert found["errors"][-1] < 0.25  # by chance 3 in 4 are wrong
    assert found["losses"][-1] < found["losses"][0] / 2
    rates = []
    for _ in range(12):  # a plateau
        found["schedule"].step(1.0)
        rates.append(group["lr"])
    assert sorted(set(rates), reverse=True)[-3:] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_googlenets_side_heads() -> None:
    found = example("GoogLeNet's side heads")
    assert dict(found["model"].head_weights) == {"aux1": 0.3, "aux2": 0.3}
    assert len(found["heads"]) == 2
    assert found["losses"][-1] < found["losses"][0]


def test_lenet5_reads_digits() -> None:
    start = time.monotonic()
    found = example("LeNet-5 reads digits")
    assert found["accuracy"] > 0.95
    assert time.monotonic() - start < 120
    held_out, seen = found["unseen"].flatten(1), found["images"].flatten(1)
    assert torch.cdist(held_out, seen).min() > 1  # no image is in both


class Family(NamedTuple):
    """A member of a family of networks, with sizes for a few quick steps, and the length of a step that suits it."""

    model: str
    input: tuple[int, int, int]
    rate: float
    settings: dict[str, Any] = {}


FEW = {"classes": 4}
FAMILIES = (
    Family("lenet5", (1, 32, 32), 0.01),
    Family("lenet5_modern", (1, 32, 32), 1.0),
    Family("alexnet", (3, 67, 67), 0.01, FEW),
    Family("alexnet_keras", (3, 67, 67), 0.03, FEW),
    Family("alexnet_torchvision", (3, 64, 64), 0.1, FEW),
    Family("zfnet", (3, 67, 67), 0.3, FEW),
    Family("vgg_a", (3, 32, 32), 0.03, FEW),
    Family("vgg11_bn", (3, 32, 32), 0.01, FEW),
    Family("googlenet_aux", (3, 224, 224), 0.1, FEW),
    Family("googlenet_torchvision_aux", (3, 224, 224), 0.1, FEW),
    Family("resnet18", (3, 32, 32), 0.01, FEW),
    Family("resnet20", (3, 16, 16), 0.03, FEW),
    Family("preact_resnet164", (3, 16, 16), 0.1, FEW | {"depths": [2, 2, 2]}),
    Family("densenet121", (3, 32, 32), 0.3, FEW),
    Family("densenet_40_12", (3, 16, 16), 0.03, FEW),
)


def test_every_bundled_file_has_a_member_here() -> None:
    """Each spec of the zoo, that is each family, is trained below."""
    files = {name: archcalc.load(name).file for name in index()}
    assert {files[family.model] for family in FAMILIES} == set(files.values())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model)
def test_a_few_steps_lower_the_loss(family: Family) -> None:
    graph = archcalc.load(family.model, input=family.input, set=family.settings)
    module = archcalc.build(graph)
    initialise(module, graph, seed=0)
    labels = torch.arange(4)
    images = torch.rand(4, *family.input) + 0.5 * labels[:, None, None, None]
    optimizer = torch.optim.SGD(module.parameters(), lr=family.rate, momentum=0.9)
    losses = []
    for _ in range(8):
        torch.manual_seed(0)  # the same dropout at every step, so that losses can be compared
        loss = total_loss(module, images, labels, distances=family.model == "lenet5")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)  # VGG's paper begins with a loss of 160,000
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0], losses


def total_loss(module: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, distances: bool) -> torch.Tensor:
    """Cross entropy of the output and of each head, which counts what the module says."""
    outputs = module(images)
    main, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = nn.functional.cross_entropy(-main if distances else main, labels)
    for head, weight in zip(heads, module.head_weights.values() if heads else (), strict=True):
        loss = loss + weight * nn.functional.cross_entropy(head, labels)
    return loss
