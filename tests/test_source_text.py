"""The source of a built module: it needs neither torch to be written nor archcalc to run, and formatters leave it as it is."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

import archcalc
from archcalc.graph import Graph
from archcalc.pytorch.source import class_name, source
from archcalc.spec import parse
from tests.variants import LARGE, SMALL

SEED = 11
# Run in a process of its own: imports each file, builds its class from the seed, and tells what comes out of it, bit by bit.
ALONE = """
import importlib.util, json, sys
from hashlib import sha256
sys.modules["archcalc"] = None
sys.path += json.loads(sys.argv[1])
import torch
torch.set_num_threads(1)
for name, cls, sizes, batches in json.loads(sys.stdin.read()):
    spec = importlib.util.spec_from_file_location("alone", name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed({seed})
    net = getattr(module, cls)()
    for training, batch in batches:
        x = torch.randn(batch, *sizes)
        with torch.no_grad():
            made = net.train(training)(x)
        made = made if isinstance(made, tuple) else (made,)
        print(sha256(b"".join(bytes(y.contiguous().untyped_storage()) for y in made)).hexdigest())
assert not [one for one in sys.modules if one.startswith("archcalc.")]
""".replace("{seed}", str(SEED))

Batches = list[tuple[bool, int]]  # whether in training, and how many images


def here(graph: Graph, batches: Batches) -> list[str]:
    """The same of the module in memory."""
    torch.manual_seed(SEED)
    net, found = archcalc.build(graph), []
    for training, batch in batches:
        x = torch.randn(batch, *graph.nodes[0].output[1:])
        with torch.no_grad():
            made = net.train(training)(x)
        made = made if isinstance(made, tuple) else (made,)
        found.append(hashlib.sha256(b"".join(bytes(y.contiguous().untyped_storage()) for y in made)).hexdigest())
    return found


def alone(graphs: Iterable[Graph], batches: Batches, folder: Path) -> list[str]:
    """What the files do in a process that has no archcalc: isolated, without site packages but for the folder that holds torch."""
    jobs = []
    for number, graph in enumerate(graphs):
        file = folder / f"net{number}.py"
        file.write_text(source(graph), encoding="utf-8")
        jobs.append((str(file), class_name(graph), list(graph.nodes[0].output[1:]), batches))
    paths = json.dumps([str(Path(torch.__file__).parent.parent)])
    command = [sys.executable, "-I", "-S", "-c", ALONE, paths]
    ended = subprocess.run(command, input=json.dumps(jobs), capture_output=True, encoding="utf-8", timeout=1200)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.fixture
def one_thread():
    """Threads change the order of sums, and so their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def equal_alone(variants: list[str], folder: Path) -> None:
    graphs = [archcalc.load(variant) for variant in variants]
    batches: Batches = [(False, 1), (True, 2)]
    expected = [bits for graph in graphs for bits in here(graph, batches)]
    assert alone(graphs, batches, folder) == expected
    assert len(set(expected)) > len(variants)  # the outputs are not all nothing


def test_the_source_runs_without_archcalc_bit_for_bit(tmp_path: Path, one_thread: None) -> None:
    equal_alone(SMALL, tmp_path)


@pytest.mark.slow
def test_the_source_of_the_large_ones_too(tmp_path: Path, one_thread: None) -> None:
    equal_alone(LARGE, tmp_path)


def test_source_is_written_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import archcalc\nfrom archcalc.pytorch.source import source\n"
        "print(len(source(archcalc.load('lenet5'))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) == len(source(archcalc.load("lenet5")))


def wide(branches: int) -> list[str]:
    """Specs with so many branches, heads and inputs."""
    joined = ", ".join(f"b{number}: [ReLU]" for number in range(branches + 1))
    merges = [f"input: [3, 8, 8]\nlayers:\n- {merge}: {{{joined}}}\n" for merge in ("Add", "Multiply", "Concat")]
    heads = "\n".join(f"- head: {{name: side{number}, layers: [Tanh]}}" for number in range(branches))
    inputs = ", ".join(f"eye{number}: [3]" for number in range(branches))
    names = ", ".join(f"eye{number}" for number in range(branches))
    return [*merges, f"input: [3]\nlayers:\n{heads}\n- ReLU\n", f"input: {{{inputs}}}\nlayers:\n- Add: {{from: [eye0, {names}]}}\n"]


NAMES = ["합성곱", "1x1", "reduce-3x3", "5'", "𐄇", "lambda", "x", "self", "ﬁ", "ㅎ" * 14, "a" * 32]
TITLES = [
    "torch.nn and F.pad",
    "Pair of Tensors",
    ' "quoted" ',
    "back\\slash\\",
    "tie(me)",
    "합성곱 신경망",
    "a" * 100,
    "ends with'",
]


def odd() -> list[str]:
    """Specs with names and titles that a formatter might see otherwise."""
    found = []
    for name in NAMES:
        quoted = "'" + name.replace("'", "''") + "'"
        conv = f"Conv2d: {{name: {quoted}, out_channels: 3, kernel_size: [3, 5], padding: [1, 2], groups: 3, bias: false}}"
        group = f"group: {{name: {quoted}, layers: [{{{conv}}}, ScaledTanh, {{Add: {{name: last, a: [], b: []}}}}]}}"
        head = "head: {name: h, layers: [Flatten, ReLU]}"
        found.append(f"input: [3, 8, 8]\nlayers:\n- {conv}\n- group: {{layers: [{{{group}}}]}}\n- {head}\n- ReLU\n")
    for name in (*NAMES, '5"', "\"'", "back\\slash"):  # a layer cannot bear these, an input can
        quoted = "'" + name.replace("'", "''") + "'"
        found.append(f"input: {{{quoted}: [3, 8, 8], other: [3, 8, 8]}}\nlayers:\n- Multiply: {{from: [other, {quoted}]}}\n")
    for title in TITLES:
        quoted = "'" + title.replace("'", "''") + "'"
        found.append(f"title: {quoted}\nsource: {quoted}\ninput: [3, 8, 8]\nlayers: [ReLU, {{MaxPool2d: {{kernel_size: 2}}}}]\n")
    return found


def test_formatters_and_linters_leave_the_source_as_it_is(tmp_path: Path) -> None:
    """With their own defaults, 88 columns, for every variant, and for names, titles and widths that no bundled one has."""
    texts = {variant: source(archcalc.load(variant)) for variant in (*SMALL, *LARGE)}
    others = [*odd(), *(spec for branches in (1, 5, 9, 17, 18, 40) for spec in wide(branches))]
    texts |= {f"other{number}": source(parse(f"name: net\n{spec}", "net.yaml").graph()) for number, spec in enumerate(others)}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    for command in (["format", "--diff"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        ended = subprocess.run(ruff, capture_output=True, encoding="utf-8", timeout=120)
        assert ended.returncode == 0, ended.stdout[:3000]


def test_only_what_is_used_stands_in_the_file() -> None:
    text = source(parse("name: net\ntitle: torch.F Pair tie\ninput: [3]\nlayers: [ReLU]\n", "net.yaml").graph())
    assert "import torch\n" not in text
    assert "functional" not in text
    assert "Pair =" not in text
    assert text.count("class ") == 1
    assert "class RBF" in source(archcalc.load("lenet5"))
    assert "PaddedAvgPool2d" not in source(archcalc.load("lenet5"))


READ = """        x = self.conv1(x)  # 64x112x112
        x = self.bn1(x)  # 64x112x112
        x = self.relu(x)  # 64x112x112
        x = self.maxpool(x)  # 64x56x56
        layer1 = self.layer1
        layer1_0 = layer1["0"]
        x1 = layer1_0["conv1"](x)  # 64x56x56
        x1 = layer1_0["bn1"](x1)  # 64x56x56
        x1 = layer1_0["relu1"](x1)  # 64x56x56
        x1 = layer1_0["conv2"](x1)  # 64x56x56
        x1 = layer1_0["bn2"](x1)  # 64x56x56
        x = x1 + x  # layer1.0.add1: 64x56x56
        del x1
        x = layer1_0["relu2"](x)  # 64x56x56
"""


def test_it_reads_as_the_network_is_read() -> None:
    text = source(archcalc.load("resnet18"))
    assert text.startswith('"""ResNet-18: 11,689,512 parameters.\n')
    assert READ in text
    assert "        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)\n" in text
