"""What kernels move, against PyTorch's own dispatcher: the bytes of every tensor that its operators read and return."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archcalc import load
from archcalc.analysis.roofline.model import network
from archcalc.analysis.roofline.precision import PRECISIONS, RULES
from archcalc.analysis.roofline.traffic import Layer, Work
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS
from archcalc.shape import Shape
from tests.op_cases import CASES, Case, ops
from tests.torch_modules import module

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

FP32 = PRECISIONS["fp32"]


class Moves(TorchDispatchMode):
    """Adds up the bytes that operators read and return; views, and memory that nobody has written yet, are not moved."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        views = any(part.alias_info is not None and not part.alias_info.is_write for part in function._schema.returns)
        name = str(function)
        if not views and "empty" not in name and "_local_scalar_dense" not in name:
            read = {id(tensor): tensor for tensor in tensors((args, kwargs or {}))}
            self.bytes += sum(tensor.nbytes for tensor in (*read.values(), *tensors(result)))
        return result


def tensors(tree: object) -> Iterator[torch.Tensor]:
    """Those with numbers of a layer; batch norm's counter is an integer that nobody would call traffic."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and (leaf.dtype != torch.int64 or leaf.dim()))


def alone(case: Case) -> Graph:
    builder = Builder()
    inputs = tuple(builder.input(f"x{number}", tuple(shape)) for number, shape in enumerate(case.inputs))
    return builder.graph("alone", {"output": builder.add("layer", case.op, inputs)})


def at_work(case: Case, training: bool) -> Layer:
    graph = alone(case)
    node = graph.nodes[-1]
    return Layer(graph, node, (FP32.item_bytes,) * len(node.inputs), FP32, training)


def moved(works: list[Work]) -> int:
    return sum(work.moved for work in works)


def comparable(case: Case) -> bool:
    """Whether the oracle pads as archcalc's modules do: not piece by piece, and not after the maps were chosen."""
    if isinstance(case.op, ops.Conv2d) and case.op.padding_mode == "circular":
        return False
    return not (isinstance(case.op, ops.ConnectedConv2d) and any(case.op.padding))


COMPARED = [case for case in CASES if comparable(case)]


def unseen(case: Case, training: bool) -> int:
    """Bytes of kernels that the dispatcher does not show on the CPU: where CUDA runs two, the CPU runs one."""
    op, x, y = case.op, 4 * sum(shape.elements for shape in case.inputs), 4 * case.y.elements
    total = 0
    if type(op).__name__.startswith("Conv") and getattr(op, "bias", False):
        total += 2 * y  # cuDNN's convolution, then a sum with the bias
    if isinstance(op, (ops.BatchNorm1d, ops.BatchNorm2d)) and (training or not op.track_running_stats):
        total += x  # a pass for the statistics
    if isinstance(op, ops.GroupNorm):
        total += x
    if training and any(kept.what == "copy of the input" for kept in op.kept(case.x, case.y, RULES)):
        total += 2 * x  # taken only where a gradient is wanted
    return total


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("case", [case for case in COMPARED if not isinstance(case.op, ops.Dropout)], ids=str)
def test_forward(case: Case, training: bool) -> None:
    torch.manual_seed(0)
    net = module(case.op, case.x).train(training)
    inputs = [torch.randn(tuple(shape)) for shape in case.inputs]
    with Moves() as moves, torch.no_grad():
        net(*inputs)
    expected = moves.bytes + unseen(case, training)
    if training and isinstance(case.op, (ops.BatchNorm1d, ops.BatchNorm2d)):  # and updates of the running statistics, in place
        assert moved(list(at_work(case, training).forward())) == pytest.approx(expected, abs=32 * case.inputs[0].c)
        return
    # Softmax-like and normalising operators return a few numbers for each row besides: the dispatcher counts empty ones too.
    assert moved(list(at_work(case, training).forward())) == expected


# Operators whose backward pass is one kernel, or several that the dispatcher shows as they are.
DERIVED = [
    case
    for case in COMPARED
    if isinstance(case.op, (
        ops.ReLU, ops.Sigmoid, ops.Tanh, ops.Softmax, ops.LogSoftmax, ops.GELU, ops.SiLU, ops.Hardswish, ops.Hardsigmoid, ops.ELU,
        ops.LeakyReLU, ops.ReLU6, ops.Concat, ops.Add, ops.Flatten, ops.Identity, ops.Multiply,
    )) and not getattr(case.op, "inplace", False)
]  # fmt: skip


def differentiated(case: Case) -> int:
    torch.manual_seed(0)
    net = module(case.op, case.x).train()
    inputs = [torch.randn(tuple(shape), requires_grad=True) for shape in case.inputs]
    y = net(*inputs)
    gradient = torch.randn_like(y)
    with Moves() as moves:
        torch.autograd.grad(y, [*inputs, *net.parameters()], gradient)
    return moves.bytes


@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_backward(case: Case) -> None:
    assert moved(list(at_work(case, True).backward({}))) == differentiated(case)


MULTIPLYING = [case for case in COMPARED if isinstance(case.op, (ops.Conv1d, ops.Conv2d, ops.Conv3d, ops.ConvTranspose2d))]


@pytest.mark.parametrize("case", MULTIPLYING, ids=str)
def test_backward_of_convolutions(case: Case) -> None:
    """PyTorch's one operator is three kernels on CUDA, each of which reads the gradient for itself."""
    y = 4 * case.y.elements
    unread = 4 * case.inputs[0].elements if getattr(case.op, "padding_mode", "") in ("reflect", "replicate") else 0  # for its sizes
    assert moved(list(at_work(case, True).backward({}))) == differentiated(case) + y * (1 + case.op.bias) - unread


@pytest.mark.parametrize("case", [case for case in COMPARED if "Norm" in type(case.op).__name__], ids=str)
def test_backward_of_normalisations(case: Case) -> None:
    """Five passes: one over gradient and input for sums, then both again, and the input's gradient."""
    ours = moved(list(at_work(case, True).backward({})))
    if isinstance(case.op, (ops.BatchNorm1d, ops.BatchNorm2d, ops.GroupNorm)):
        assert ours == 5 * 4 * case.inputs[0].elements
    elif isinstance(case.op, ops.LocalResponseNorm):
        assert ours == pytest.approx(differentiated(case), rel=0.35)
    else:
        assert 3 * 4 * case.inputs[0].elements <= ours <= 5.5 * 4 * case.inputs[0].elements


def test_dropout() -> None:
    """Which CUDA has a kernel of its own for."""
    case = Case(ops.Dropout(), Shape((2, 6, 9, 7)))
    e = case.y.elements
    assert moved(list(at_work(case, True).forward())) == e * (4 + 4 + 1)  # input, output, and a mask of bools
    assert moved(list(at_work(case, True).backward({}))) == e * (4 + 1 + 4)
    assert list(at_work(case, False).forward()) == []


def test_indices_of_a_pooling_are_written_and_read_back() -> None:
    case = Case(ops.MaxPool2d(2), Shape((2, 6, 8, 8)))
    x, y = case.inputs[0].elements, case.y.elements
    assert moved(list(at_work(case, False).forward())) == 4 * x + (4 + 8) * y
    assert moved(list(at_work(case, True).backward({}))) == 4 * x + (4 + 8) * y


@pytest.mark.parametrize("case", [case for case in CASES if case.op.macs(case.x, case.y)], ids=str)
def test_products_are_the_operators_macs(case: Case) -> None:
    layer = at_work(case, True)
    products = [work.product for work in layer.forward() if work.product is not None]
    assert sum(product.macs for product in products) == case.op.macs(case.x, case.y)
    assert all(product.macs % (product.c_in * product.c_out) == 0 for product in products)
    back = [work.product for work in layer.backward({}) if work.product is not None]
    assert sum(product.macs for product in back) == 2 * case.op.macs(case.x, case.y)
    only_weights = [work.product.macs for work in layer.backward({"input": False}) if work.product is not None]
    assert sum(only_weights) == case.op.macs(case.x, case.y)


def test_every_operator_says_what_it_moves() -> None:
    still = {type(case.op).__name__ for case in CASES if not any(work.moved for work in at_work(case, False).forward())}
    assert still == {"Flatten", "Identity", "Dropout"}  # in evaluation
    assert {type(case.op) for case in CASES} == set(OPS.values())


@pytest.mark.parametrize("amp", ["amp-fp16", "amp-bf16"])
def test_autocast_casts_what_products_read(amp: str) -> None:
    works = dict(network(load("resnet18"), PRECISIONS[amp], "infer"))
    image, weights, outputs = 3 * 224 * 224, 3 * 64 * 49, 64 * 112 * 112
    assert [(work.what, work.moved) for work in works["conv1"]] == [
        ("cast", image * (4 + 2)),
        ("cast", weights * (4 + 2)),
        ("convolution", 2 * (image + weights + outputs)),
    ]
    assert [work.moved for work in works["bn1"]] == [2 * 2 * outputs + 4 * 4 * 64]  # its parameters and statistics stay float32
    assert [work.what for work in works["layer1.0.conv1"]] == ["cast", "convolution"]  # its input is of 16 bits already


def test_autocast_keeps_some_operators_in_float32() -> None:
    works = dict(network(load("alexnet"), PRECISIONS["amp-fp16"], "infer"))
    power = [work for work in works["norm1"] if work.what in ("cast", "pow")]
    maps = 96 * 55 * 55
    assert [(work.what, work.moved) for work in power] == [("cast", maps * (2 + 4)), ("pow", maps * (4 + 4))]


def test_a_gradient_that_several_layers_hand_back_is_summed() -> None:
    works = dict(network(load("resnet18"), FP32, "fwd-bwd"))
    maps = 64 * 56 * 56
    summed = [work.moved for work in works["maxpool"] if work.what == "sum of gradients"]
    assert summed == [3 * 4 * maps]  # the block and its shortcut
    assert not [work for work in works["layer1.0.conv1"] if work.what == "sum of gradients"]


def test_the_first_layer_gives_no_gradient_to_the_image() -> None:
    works = dict(network(load("resnet18"), FP32, "fwd-bwd"))
    assert sum(1 for work in works["conv1"] if work.product) == 2
    assert sum(1 for work in works["layer1.0.conv1"] if work.product) == 3


def test_side_heads_run_in_training_alone() -> None:
    graph = load("googlenet_aux")
    heads = [node.name for node in graph.layers if node.name.startswith("aux")]
    assert heads
    assert not set(heads) & set(dict(network(graph, FP32, "infer")))
    assert set(heads) <= set(dict(network(graph, FP32, "fwd-bwd")))
