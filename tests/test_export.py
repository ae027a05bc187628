"""Exported programs and ONNX files against the module that they are made from, read by a process that has no archcalc."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import archcalc
from archcalc.errors import MissingError, UsageError
from archcalc.graph import Graph
from archcalc.pytorch import export
from archcalc.pytorch.export import Made, as_onnx, as_pt2, made
from archcalc.spec import index, parse

IMAGES = 3  # neither the 1 that could be taken for a fixed size nor the number in the example that is traced

# Loads exported programs by their names, runs each on the inputs beside it, and saves what comes out; archcalc cannot be imported.
STRANGER = """
import sys
sys.modules["archcalc"] = None
import torch
torch.set_num_threads(1)
for name in sys.argv[1:]:
    program = torch.export.load(name + ".pt2").module()
    torch.manual_seed(0)
    found = program(*torch.load(name + ".in", weights_only=True))
    torch.save({"output": found, "state": dict(program.state_dict())}, name + ".out")
"""


class Case(NamedTuple):
    """A network, with an input that is small enough for a quick run, or its own."""

    model: str
    input: tuple[int, int, int] | None = None

    def graph(self) -> Graph:
        return archcalc.load(self.model, input=self.input)


SOME = (
    Case("lenet5"),
    Case("alexnet", (3, 67, 67)),
    Case("googlenet"),
    Case("resnet18", (3, 48, 48)),
)
ALL = tuple(Case(name) for name in sorted(index()))


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def images(graph: Graph, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Images of a fixed seed for each input of the graph."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(IMAGES, *node.output[1:], generator=generator).to(dtype) for node in graph.inputs)


def settled(graph: Graph, start: Made) -> Made:
    """The module after it has seen the images: with its first statistics, a hundred layers of batch norm overflow in evaluation."""
    norms = [part for part in start.module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain mean, of one batch
    torch.manual_seed(0)
    with torch.no_grad():
        start.module.train()(*images(graph))
    for norm in norms:
        norm.momentum = 0.1
    start.module.train(start.mode == "train")
    return start


def stranger(folder: Path, names: list[str]) -> None:
    """Run the exported programs of these names in one fresh process."""
    command = [sys.executable, "-I", "-c", STRANGER, *(str(folder / name) for name in names)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr


def assert_programs_equal(cases: tuple[Case, ...], folder: Path, mode: str) -> None:
    """Export, run in another process, and compare bit for bit, with what training leaves behind in the buffers."""
    modules = {}
    for case in cases:
        graph = case.graph()
        start = settled(graph, made(graph, mode=mode))
        (folder / f"{case.model}.pt2").write_bytes(as_pt2(graph, start))
        torch.save(images(graph), folder / f"{case.model}.in")
        modules[case] = start.module
    stranger(folder, [case.model for case in cases])
    for case, module in modules.items():
        torch.manual_seed(0)  # for dropout
        expected = module(*images(case.graph()))
        found = torch.load(folder / f"{case.model}.out", weights_only=True)
        torch.testing.assert_close(found["output"], expected, rtol=0, atol=0, msg=lambda text, case=case: f"{case.model}: {text}")
        buffers = dict(module.named_buffers())
        assert all(torch.equal(found["state"][name], value) for name, value in buffers.items()), case.model


def test_exported_programs_give_what_the_modules_give(tmp_path) -> None:
    assert_programs_equal(SOME, tmp_path, "eval")


def test_a_program_for_training_has_the_heads_and_updates_the_statistics(tmp_path) -> None:
    cases = (Case("googlenet_aux"), Case("resnet18", (3, 48, 48)))
    assert_programs_equal(cases, tmp_path, "train")
    found = torch.load(tmp_path / "googlenet_aux.out", weights_only=True)["output"]
    assert [tuple(tensor.shape) for tensor in found] == [(IMAGES, 1000)] * 3
    state = torch.load(tmp_path / "resnet18.out", weights_only=True)["state"]
    assert state["bn1.num_batches_tracked"] == 2  # the images were seen once before


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.model)
def test_every_variant_as_an_exported_program(case: Case, tmp_path) -> None:
    assert_programs_equal((case,), tmp_path, "eval")


def run_onnx(content: bytes, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
    """The output of an ONNX model, in onnxruntime."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    (output,) = session.run(["output"], dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True)))
    return output


def assert_onnx_equal(graph: Graph) -> None:
    """Check the model as ONNX wants it, and its values for a batch that is not the traced one."""
    start = settled(graph, made(graph))
    content = as_onnx(graph, start)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", export.OPSET)]
    with torch.no_grad():
        expected = start.module(*images(graph)).numpy()
        exact = copy.deepcopy(start.module).double()(*images(graph, torch.float64)).numpy()
    found = run_onnx(content, images(graph))
    rounding = np.abs(exact - expected).max()  # a thousand layers round to the third digit, in PyTorch itself
    assert np.abs(found - exact).max() <= 1e-4 * np.abs(exact).max() + 5 * rounding
    assert rounding < 0.01 * np.abs(exact).max()
    assert expected.std() > 0


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.model)
def test_onnx_gives_what_the_module_gives(case: Case) -> None:
    assert_onnx_equal(case.graph())


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.model)
def test_every_variant_as_onnx(case: Case) -> None:
    assert_onnx_equal(case.graph())


TWO_INPUTS = """
name: two
input: {left: [3, 8, 8], right: [3, 8, 8]}
layers:
  - Add: {from: [left, right]}
  - Conv2d: {out_channels: 2, kernel_size: 3}
"""


def test_several_inputs_keep_their_names_and_share_the_batch(tmp_path) -> None:
    graph = parse(TWO_INPUTS, "two.yaml").graph()
    assert_onnx_equal(graph)
    model = onnx.load_from_string(as_onnx(graph, made(graph)))
    sizes = {one.name: [size.dim_param or size.dim_value for size in one.type.tensor_type.shape.dim] for one in model.graph.input}
    assert sizes == {"left_x": ["N", 3, 8, 8], "right_x": ["N", 3, 8, 8]}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types(dtype: str, tmp_path) -> None:
    graph = archcalc.load("resnet20", input=(3, 16, 16))
    start = made(graph, dtype=dtype)
    (tmp_path / "net.pt2").write_bytes(as_pt2(graph, start))
    inputs = images(graph, getattr(torch, dtype))
    torch.save(inputs, tmp_path / "net.in")
    stranger(tmp_path, ["net"])
    found = torch.load(tmp_path / "net.out", weights_only=True)["output"]
    assert torch.equal(found, start.module(*inputs))


@pytest.mark.parametrize(("dtype", "kind"), [("float16", onnx.TensorProto.FLOAT16), ("float64", onnx.TensorProto.DOUBLE)])
def test_other_types_in_onnx(dtype: str, kind: int) -> None:
    graph = archcalc.load("resnet20", input=(3, 16, 16))
    model = onnx.load_from_string(as_onnx(graph, made(graph, dtype=dtype)))
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.output[0].type.tensor_type.elem_type == kind


def test_a_type_that_onnx_cannot_convolve() -> None:
    graph = archcalc.load("resnet20", input=(3, 16, 16))
    with pytest.raises(MissingError, match=r"E322.*bfloat16"):
        as_onnx(graph, made(graph, dtype="bfloat16"))


def test_a_type_without_fractions() -> None:
    with pytest.raises(UsageError, match=r"E252.*int8 has none"):
        made(archcalc.load("lenet5"), dtype="int8")


@pytest.mark.parametrize("pool", [
    "kernel_size: [2, 3], stride: 2",
    "kernel_size: 3, stride: 2, padding: 1",
    "kernel_size: 3, stride: 2, padding: 1, count_include_pad: false",
    "kernel_size: 3, stride: 2, ceil_mode: true",
    "kernel_size: [2, 3], stride: 3, padding: 1, ceil_mode: true, count_include_pad: false",
])  # fmt: skip
def test_a_divisor_of_its_own_in_onnx(pool: str) -> None:
    """The exporter of torch 2.13 overlooks it, and a plain mean divides by fewer at the edges."""
    graph = parse(f"name: net\ninput: [3, 10, 8]\nlayers: [AvgPool2d: {{{pool}, divisor_override: 5}}, ReLU]", "net.yaml").graph()
    assert_onnx_equal(graph)
    size = onnx.load_from_string(as_onnx(graph, made(graph))).graph.output[0].type.tensor_type.shape.dim[0]
    assert size.dim_param == "N"


@pytest.mark.parametrize("name", ["lambda", "None", "ﬁ", "a(b", "a]b", "a,b", "a;b"])
def test_names_that_an_exported_program_does_not_bear(name: str) -> None:
    """PyTorch would write them, and could not read or run what it wrote."""
    for layers in (f"Conv2d: {{name: '{name}', out_channels: 3, kernel_size: 1}}", f"group: {{name: '{name}', layers: [ReLU]}}"):
        graph = parse(f"input: [3, 8, 8]\nlayers: [{layers}]\n", "net.yaml").graph()
        start = made(graph)  # the module itself bears it
        with pytest.raises(UsageError, match="E253: an exported program") as raised:
            as_pt2(graph, start)
        assert raised.value.layer is not None
        assert raised.value.layer.partition(".")[0] == name


def test_names_that_look_odd_and_are_borne(tmp_path) -> None:
    names = ["1x1", "5'", "reduce-3x3", "합성곱", "a:b", "½", "𐄇", "self", "None_"]
    layers = "\n".join(f'- Conv2d: {{name: "{name}", out_channels: 3, kernel_size: 1}}' for name in names)
    graph = parse(f"input: [3, 8, 8]\nlayers:\n{layers}\n", "net.yaml").graph()
    start = made(graph)
    (tmp_path / "net.pt2").write_bytes(as_pt2(graph, start))
    torch.save(images(graph), tmp_path / "net.in")
    stranger(tmp_path, ["net"])
    found = torch.load(tmp_path / "net.out", weights_only=True)["output"]
    assert torch.equal(found, start.module(*images(graph)))


def test_weights_are_converted_once(tmp_path) -> None:
    """Float64 is not cut to float32 on the way, and what float16 cannot hold does not become infinite in silence."""
    graph = archcalc.load("lenet5")
    state = made(graph, dtype="float64").module.state_dict()
    state["F6.bias"][:2] = torch.tensor([1 + 2**-40, 1e6], dtype=torch.float64)
    file = str(tmp_path / "weights.pt")
    torch.save(state, file)
    assert torch.equal(made(graph, dtype="float64", weights=file).module.F6.bias, state["F6.bias"])
    with pytest.raises(UsageError, match=r"E299: F6\.bias holds numbers beyond the range of float16") as raised:
        made(graph, dtype="float16", weights=file)
    assert raised.value.help == "--dtype float32, or bfloat16, which has its range"


def test_an_operator_that_onnx_lacks() -> None:
    graph = parse("name: net\ninput: [3, 7, 7]\nlayers: [AdaptiveMaxPool2d: {output_size: 4}]", "net.yaml").graph()
    with pytest.raises(MissingError, match=r"E322.*adaptive_max_pool2d.*pt2"):
        as_onnx(graph, made(graph))


def test_weights_beyond_what_an_onnx_file_holds(monkeypatch) -> None:
    monkeypatch.setattr(export, "MOST_ONNX", 60_000)
    graph = archcalc.load("lenet5")
    with pytest.raises(UsageError, match=r"E222.*60,000 bytes.*take 24"):
        as_onnx(graph, made(graph))
