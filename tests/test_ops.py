"""Every operator against PyTorch: one table of cases (op_cases), one test for each question that an operator answers."""

import inspect
from fractions import Fraction
from math import ceil, floor, gcd

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from archcalc.errors import ShapeError
from archcalc.formula.printed import text
from archcalc.formula.traced import Derived, Given
from archcalc.graph import Builder
from archcalc.ops import OPS, Input, Kept, Op
from archcalc.ops.base import brief, defaults, kinds, required
from archcalc.pytorch.build import build
from archcalc.shape import Shape
from tests.copying import copy_layer, randomise
from tests.op_cases import CASES, Case, ops
from tests.torch_modules import MODULES, module

# torch warns of the copy that archcalc counts.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def network(case: Case, training: bool = False) -> nn.Module:
    torch.manual_seed(0)
    return module(case.op, case.x).train(training)


def tensors(case: Case) -> list[torch.Tensor]:
    """Random inputs that no parameter or leaf stands behind, so that even an operator in place may have them."""
    torch.manual_seed(1)
    return [torch.randn(tuple(shape), requires_grad=True).clone() for shape in case.inputs]


def test_every_operator_has_a_case_and_a_module():
    assert {type(case.op) for case in CASES} == set(OPS.values()) == set(MODULES)


def test_every_name_is_the_classes_own():
    assert all(name == op.__name__ for name, op in OPS.items())


@each_case
def test_output(case):
    assert tuple(network(case)(*tensors(case)).shape) == case.y


@each_case
def test_params(case):
    assert sum(p.numel() for p in network(case).parameters()) == case.op.params(case.x)


@each_case
def test_buffers(case):
    assert sum(b.numel() for b in network(case).buffers()) == case.op.buffers(case.x)


@each_case
def test_macs(case):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(case)(*tensors(case))
    assert counter.get_total_flops() == 2 * case.op.macs(case.x, case.y)


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def saved_by_torch(case: Case, dtype: torch.dtype) -> list[tuple[str, int]]:
    """Autograd's saved tensors, each storage once, as (whose, bytes)."""
    net, x = network(case, training=True).to(dtype), [tensor.to(dtype) for tensor in tensors(case)]
    ours = {storage(tensor) for tensor in (*net.parameters(), *net.buffers())}
    owners = {storage(tensor): f"input {number}" for number, tensor in enumerate(x)}
    saved: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved[storage(tensor)] = tensor  # which also keeps it alive, and its address its own
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = net(*x)
    owners |= {storage(y): owners.get(storage(y), "output")}
    return sorted((owners.get(key, "own"), tensor.untyped_storage().nbytes()) for key, tensor in saved.items() if key not in ours)


@each_case
def test_kept(case):
    kept = case.op.kept(case.x, case.y, "cpu")
    assert saved_by_torch(case, torch.float32) == sorted(owner_and_bytes(case.op, tensor, 4) for tensor in kept)


def built(case: Case) -> nn.Module:
    """The module that archcalc builds of a network that is the operator alone."""
    builder = Builder()
    inputs = tuple(builder.input(f"input{number}", tuple(shape)) for number, shape in enumerate(case.inputs))
    return build(builder.graph("one", {"output": builder.add("layer", case.op, inputs)}))


@each_case
def test_the_code_does_what_pytorch_does(case):
    made, net = built(case).eval(), network(case)
    randomise(made)
    copy_layer(made, net)
    y, expected = made(*tensors(case)), net(*tensors(case))
    assert tuple(y.shape) == case.y
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    assert tuple(made.train()(*tensors(case)).shape) == case.y


@each_case
def test_the_code_holds_what_the_operator_says(case):
    made = built(case)
    named = [(name.removeprefix("layer."), tuple(tensor.shape), True) for name, tensor in made.named_parameters()]
    named += [(name.removeprefix("layer."), tuple(tensor.shape), False) for name, tensor in made.named_buffers()]
    assert named == [(stored.name, stored.sizes, stored.learned) for stored in case.op.state(case.x)]
    assert sum(p.numel() for p in made.parameters()) == case.op.params(case.x)
    assert sum(b.numel() for b in made.buffers()) == case.op.buffers(case.x)


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.op, ops.Multiply)], ids=str)
def test_a_product_keeps_what_the_derivative_of_one_factor_needs(case):
    for position in range(len(case.x)):
        factors = [torch.randn(tuple(shape), requires_grad=number == position) for number, shape in enumerate(case.x)]
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor, into=saved: into.append(tensor.numel()), lambda none: none):
            network(case)(*factors)
        assert sorted(saved) == sorted(kept.elements for kept in case.op.kept(case.x, case.y, "cpu") if position in kept.wanted_by)


NORMS = (ops.BatchNorm1d, ops.BatchNorm2d, ops.LayerNorm, ops.GroupNorm)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.op, NORMS)], ids=str)
def test_statistics_are_as_wide_as_torch_keeps_them(case, dtype):
    kept = case.op.kept(case.x, case.y, "cpu")
    assert saved_by_torch(case, dtype) == sorted(owner_and_bytes(case.op, tensor, dtype.itemsize) for tensor in kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_statistics_on_cuda_are_as_wide_as_torch_says(dtype):
    """PyTorch knows the types of a CUDA operator's results on a machine without CUDA (not those of batch normalisation)."""
    x = Shape((2, 4, 6, 6))
    with FakeTensorMode():
        tensor, scale = (torch.empty(sizes, dtype=dtype, device="cuda") for sizes in (tuple(x), (4,)))
        layers = torch.ops.aten.native_layer_norm(tensor, list(x[1:]), None, None, 1e-5)
        groups = torch.ops.aten.native_group_norm(tensor, scale, scale, 2, 4, 36, 2, 1e-5)
    for op, (_, *statistics) in ((ops.LayerNorm(), layers), (ops.GroupNorm(2), groups)):
        kept = op.kept(x, x, "cuda")[1:]
        assert [tensor.width(dtype.itemsize) for tensor in kept] == [tensor.dtype.itemsize for tensor in statistics]


def owner_and_bytes(op: Op, kept: Kept, item_bytes: int) -> tuple[str, int]:
    """Whose storage is kept: an alias's output is its input's."""
    owner = kept.what if kept.what.startswith("input ") or kept.what == "output" else "own"
    if kept.what == "input" or (kept.what == "output" and op.aliases()):
        owner = "input 0"
    return owner, kept.elements * kept.width(item_bytes)


@each_case
def test_what_cuda_keeps_in_float32_differs_only_for_dropout(case):
    def told(rules: str) -> list[tuple[str, int, int]]:
        return [(tensor.what, tensor.elements, tensor.width(4)) for tensor in case.op.kept(case.x, case.y, rules)]

    masked = isinstance(case.op, ops.Dropout) and 0 < case.op.p < 1 and not case.op.inplace
    assert told("cuda") == ([("mask", case.y.elements, 1)] if masked else told("cpu"))


@each_case
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_aliases(case, training):
    x = tensors(case)
    addresses = [storage(tensor) for tensor in x]  # before an operator in place could change what x is
    assert (storage(network(case, training)(*x)) == addresses[0]) == case.op.aliases(training)


HOLD_WEIGHTS = (ops.Conv1d, ops.Conv2d, ops.Conv3d, ops.ConvTranspose2d, ops.Linear, ops.ConnectedConv2d)


@each_case
def test_connections_are_the_weights_multiplied_and_the_biases_added(case):
    op, x = case
    if isinstance(op, HOLD_WEIGHTS):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(case)(*tensors(case))
        biased = any(name.endswith("bias") for name, _ in network(case).named_parameters())
        assert op.neurons(x, case.y) * case.y.n == case.y.elements
        assert op.connections(x, case.y) * case.y.n == counter.get_total_flops() // 2 + biased * case.y.elements
    elif not isinstance(op, (ops.TrainableSubsample2d, ops.RBF)):
        assert (op.neurons(x, case.y), op.connections(x, case.y)) == (0, 0)


# LeCun et al. 1998, section II.B: trainable parameters and connections; F6's and the output's connections follow from their text.
TABLE_I = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()
LENET5 = [
    ("C1", ops.Conv2d(6, 5), (1, 1, 32, 32), 156, 122_304, 4_704),
    ("S2", ops.TrainableSubsample2d(2), (1, 6, 28, 28), 12, 5_880, 1_176),
    ("C3", ops.ConnectedConv2d([list(map(int, column)) for column in TABLE_I], 5), (1, 6, 14, 14), 1_516, 151_600, 1_600),
    ("S4", ops.TrainableSubsample2d(2), (1, 16, 10, 10), 32, 2_000, 400),
    ("C5", ops.Conv2d(120, 5), (1, 16, 5, 5), 48_120, 48_120, 120),
    ("F6", ops.Linear(84), (1, 120), 10_164, 10_164, 84),
    ("output", ops.RBF(10), (1, 84), 0, 840, 10),
]


@pytest.mark.parametrize(("name", "op", "x", "params", "connections", "neurons"), LENET5, ids=[row[0] for row in LENET5])
def test_lenet5_as_printed(name, op, x, params, connections, neurons):
    x = Shape(x)
    y = op.output(x)
    assert (op.params(x), op.connections(x, y), op.neurons(x, y)) == (params, connections, neurons)


def test_lenet5_totals_as_printed():
    sums = [(op.params(Shape(x)), op.connections(Shape(x), op.output(Shape(x)))) for _, op, x, *_ in LENET5]
    assert tuple(map(sum, zip(*sums, strict=True))) == (60_000, 340_908)


QUESTIONS = ("params", "buffers", "macs", "elementwise", "neurons", "connections")


def given_everywhere(value):
    """The same value with every whole number under explanation."""
    if isinstance(value, Shape):
        return Shape(Given(size, "shape") for size in value)
    if isinstance(value, tuple):
        return tuple(map(given_everywhere, value))
    return Given(value, "field") if isinstance(value, int) and not isinstance(value, bool) else value


def traced(case: Case) -> Case:
    fields = {name: given_everywhere(getattr(case.op, name)) for name in case.op.__struct_fields__}
    return Case(type(case.op)(**fields), given_everywhere(case.x))


def answers(case: Case) -> dict[str, int]:
    op, x, y = case.op, case.x, case.y
    return {name: getattr(op, name)(*((x,) if name in ("params", "buffers") else (x, y))) for name in QUESTIONS}


@each_case
def test_every_number_has_a_formula(case):
    explained = traced(case)
    assert explained.op == case.op
    found = answers(explained)
    assert found == answers(case)
    assert {name: type(number) for name, number in found.items() if number} == {
        name: Derived for name, number in found.items() if number
    }
    fixed = isinstance(case.op, (ops.GlobalAvgPool2d, ops.ConnectedConv2d))  # 1x1, and as many maps as the table has rows
    assert {type(size) for size in explained.y} <= {Derived, Given} | ({int} if fixed else set())
    assert all(type(number) is int for number in (*answers(case).values(), *case.y))


def derivations(number) -> list[Derived]:
    """A number's derivation and those of what went into it."""
    if isinstance(number, tuple):
        return [step for part in number for step in derivations(part)]
    if not isinstance(number, Derived):
        return []
    return [number, *(step for value in number.values.values() for step in derivations(value))]


@each_case
def test_what_is_shown_is_what_was_computed(case):
    """The printed arithmetic, worked out by Python, gives the number."""
    explained = traced(case)
    for step in derivations((*answers(explained).values(), *explained.y)):
        shown = text(step.formula, step.values)
        functions = {"floor": floor, "ceil": ceil, "gcd": lambda a, b: gcd(int(a), int(b)), "F": Fraction, "min": min, "max": max}
        words = shown.replace("(", " ( ").replace(")", " ) ").replace("*", " * ").replace("/", " / ").replace(",", " , ")
        exact = " ".join(f"F('{word}')" if word[0].isdigit() else word for word in words.split())
        assert eval(exact, {"__builtins__": {}}, functions) == step, shown


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_a_default_reads_back_as_briefly_as_it_is_written(op):
    assert [*required(op), *defaults(op)] == list(kinds(op))
    for name, value in defaults(op).items():
        written = brief(value)
        assert kinds(op)[name].read(written) == value
        assert not isinstance(written, (list, tuple)) or len(set(written)) > 1


def test_operators_are_values():
    assert ops.Conv2d(96, 11, 4) == ops.Conv2d(out_channels=96, kernel_size=(11, 11), stride=[4, 4])
    assert hash(ops.Conv2d(96, 11, 4)) == hash(ops.Conv2d(Given(96, "here"), 11, 4))
    assert ops.Conv2d(96, 11) != ops.Conv2d(96, 11, bias=False)
    with pytest.raises(AttributeError):
        ops.Conv2d(96, 11).out_channels = 3


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_every_operator_says_what_it_is(op):
    assert op.__doc__.strip().endswith((".", ")", "``"))
    assert "torch.nn" in op.__doc__ or not hasattr(nn, op.__name__)
    assert op.short.isidentifier()
    assert op.short.islower()


@pytest.mark.parametrize("op", [op for op in OPS.values() if hasattr(nn, op.__name__)], ids=lambda op: op.__name__)
def test_defaults_are_those_of_torch(op):
    """Wherever torch.nn has a default for an argument of ours, ours is the same; softmax's dim is the one that differs."""
    torchs = inspect.signature(getattr(nn, op.__name__)).parameters
    skipped = len(required(op))
    for name, default in zip(op.__struct_fields__[skipped:], op.__struct_defaults__, strict=True):
        if name == "normalized_shape" or (name, default) == ("dim", 1):
            continue
        theirs = torchs[name].default
        assert default == theirs or (isinstance(default, tuple) and set(default) == {theirs}), name


def test_the_input_is_no_operator_of_the_language():
    image = Input((1, 3, 32, 32))
    y = image.output(Shape(()))
    assert y == (1, 3, 32, 32)
    assert (image.kept(y, y, "cuda"), image.window(y), image.elementwise(y, y), image.aliases()) == ((), None, 0, False)
    assert "Input" not in OPS


def test_shared_parameters_may_differ_in_geometry_only():
    assert ops.Conv2d(8, 3, 2, padding=1).shares_with(ops.Conv2d(8, 3))
    assert not ops.Conv2d(8, 3).shares_with(ops.Conv2d(8, 5))
    assert not ops.Conv2d(8, 3).shares_with(ops.ConvTranspose2d(8, 3))


@pytest.mark.parametrize(
    ("op", "x", "connections"),
    [
        (OPS["TrainableSubsample2d"](kernel_size=(2, 3)), (2, 6, 4, 6), 6 * 2 * 2 * (2 * 3 + 1)),
        (OPS["RBF"](out_features=10), (2, 84), 84 * 10),
    ],
)
def test_connections_are_those_of_one_image(op: Op, x: tuple[int, ...], connections: int) -> None:
    shape = Shape(x)
    assert op.connections(shape, op.output(shape)) == connections


def test_a_transposed_convolution_of_size_0_is_refused() -> None:
    op = OPS["ConvTranspose2d"](out_channels=1, kernel_size=1, padding=1)
    with pytest.raises(ShapeError, match=r"\(2 - 1\)\*1 \+ 1 - 2\*1 \+ 0 = 0"):
        op.output(Shape((1, 1, 2, 2)))


@pytest.mark.parametrize(("op", "x"), [(ops.TrainableSubsample2d(2), (2, 6, 4, 6)), (ops.RBF(10), (2, 84))], ids=str)
def test_neurons_are_those_of_one_image(op: Op, x: tuple[int, ...]) -> None:
    y = op.output(Shape(x))
    assert op.neurons(Shape(x), y) == y.elements // 2


LEARNS = [case for case in CASES if not case.op.merges and case.op.params(case.x)]


@pytest.mark.parametrize("learning", [(True, False), (False, True)], ids=["of the input", "of the parameters"])
@pytest.mark.parametrize("case", LEARNS, ids=str)
def test_what_is_kept_for_one_derivative_alone(case: Case, learning: tuple[bool, bool]) -> None:
    image, parameters = learning
    net = network(case, training=True).requires_grad_(parameters)
    x = torch.randn(tuple(case.x), requires_grad=image)
    own = {storage(tensor) for tensor in (*net.parameters(), *net.buffers())}
    saved: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # so that no storage has the address of another

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        saved[storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(x)
    kept = [
        tensor.elements * tensor.width(4)
        for tensor in case.op.kept(case.x, case.y, "cpu")
        if tensor.wanted_by is None or any(learning[position] for position in tensor.wanted_by)
    ]
    assert sorted(size for key, size in saved.items() if key not in own) == sorted(kept)
