"""The rules of a simulated run, one by one: each operator, sums of gradients, autocast's lists, what is kept, and plans."""

from collections import Counter

import msgspec
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import archcalc
from archcalc.analysis.memory import Plan, curve, peak, simulate
from archcalc.analysis.memory.autocast import AS_IT_IS, FULL, WIDENED, policy
from archcalc.analysis.memory.simulate import recomputation
from archcalc.errors import UsageError
from archcalc.graph import Builder, Graph
from archcalc.ops import OPS
from archcalc.pytorch.build import build
from archcalc.shape import Shape
from archcalc.spec import parse
from archcalc.spec.zoo import index
from tests.memory_oracle import compare, tensors
from tests.op_cases import CASES, Case, ops
from tests.storage_tracer import StorageTracer, loss_of

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def alone(case: Case, before: str = "PReLU") -> Graph:
    """The operator behind one that learns for each input, so that a gradient is wanted of everything."""
    builder = Builder()
    inputs = [builder.input(f"input{number}", tuple(shape)) for number, shape in enumerate(case.inputs)]
    learned = [builder.add(f"before{number}", OPS[before](), (index,)) for number, index in enumerate(inputs)]
    return builder.graph("alone", {"output": builder.add("op", case.op, tuple(learned))})


# With one output map, the peak is where the padding's gradient is reckoned.
WRAPPED = [
    Case(ops.Conv2d(1, 3, padding=padding, padding_mode="circular"), Shape((2, 3, 9, 7)))
    for padding in (0, 1, [2, 0], [0, 4], [0, 3, 1, 2], [9, 7], "same")
]
PADDED_BY_TORCH = [
    Case(ops.Conv2d(1, 4, padding="same"), Shape((2, 3, 9, 7))),
    Case(ops.Conv1d(1, 2, padding="same", bias=False), Shape((2, 3, 9))),
    Case(ops.Conv2d(1, 4, 3, padding="same"), Shape((2, 3, 9, 7))),  # with a stride, padded by archcalc
]


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize(("amp", "before"), [(None, "PReLU"), ("bf16", "LayerNorm"), ("bf16", "PReLU")], ids=str)
@pytest.mark.parametrize("case", [*CASES, *WRAPPED, *PADDED_BY_TORCH], ids=str)
def test_each_operator(case, amp, before, train):
    """Behind float32 and, under autocast, behind both types: LayerNorm leaves float32 alone, PReLU lowers it.

    Circular padding first takes slices that leave nothing away, one for each axis; their gradients, as large as the input, are
    left out: they come after larger ones are gone.
    """
    sliced = getattr(case.op, "padding_mode", None) == "circular" and train
    compare(alone(case, before), Plan(train=train, rules="cpu", optimizer="sgd", amp=amp), all_made=not sliced)


@pytest.mark.parametrize("rules", ["cpu", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_keep_what_the_operator_says_is_kept(case, rules):
    op, x, y = case.op, case.x, case.y
    kernels = op.kernels(x, y, True, rules)
    assert {name for kernel in kernels for name in kernel.keeps} == {tensor.what for tensor in op.kept(x, y, rules)}
    inputs = [f"input {number}" for number in range(len(x))] if op.merges else ["input"]
    known = {*inputs, *(stored.name for stored in op.state(x))}
    for kernel in kernels:
        assert set(kernel.reads) <= known
        assert len(kernel.gradients) == len(kernel.reads)
        known |= {kernel.makes, *(tensor.what for tensor in (*kernel.beside, *kernel.copies))}
        assert {*kernel.keeps, *kernel.holds} <= known
    assert not kernels or (kernels[-1].makes, kernels[-1].elements) == ("output", y.elements)
    assert op.aliases() == all(kernel.alias for kernel in kernels[-1:])


# A case small enough to count by hand: a 1x1 convolution without bias of 2 images with 3x4x4 numbers, T = 384 bytes, W = 36 bytes.
#   h = conv(x); y = relu(h) + h; loss = mean(y)
# In the backward pass the sum's gradient goes to both branches as it is. The one that went to h is alone by the time that relu's
# backward has made a second one of T bytes, so that is added to it in place. Alive at the most, in relu's backward: x and relu's
# output that are kept, the gradient that came and the one that is made, 4 T, with W and the loss and its gradient, 4 bytes each.
# (The forward has its most in the sum: x, h, relu's output and the sum, 4 T and W.)
SMALL = """
input: [3, 4, 4]
layers:
- Conv2d: {name: h, out_channels: 3, kernel_size: 1, bias: false}
- Add: {main: [ReLU], skip: []}
"""
T, W, SCALAR = 2 * 3 * 4 * 4 * 4, 3 * 3 * 4, 4


def test_gradients_are_added_in_place() -> None:
    graph = parse(SMALL, "small.yaml").graph(batch=2)
    found = peak(simulate(graph, Plan(train=True, optimizer="sgd", rules="cpu")))
    assert (found.bytes, found.moment) == (4 * T + W + 2 * SCALAR, ("backward", "relu1"))


def test_pytorch_adds_in_place_what_its_dispatch_modes_see_as_a_third_tensor() -> None:
    graph = parse(SMALL, "small.yaml").graph(batch=2)
    model, (inputs, _) = build(graph), tensors(graph, torch.float32)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as free:
        loss_of(model(*inputs), None).backward()
    assert [event.name for event in free.events()].count("aten::add_") == 1
    for parameter in model.parameters():
        parameter.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched, StorageTracer():
        loss_of(model(*inputs), None).backward()
    assert [event.name for event in watched.events()].count("aten::add_") == 0


def test_gradients_that_are_shared_are_added_out_of_place() -> None:
    """x + x: both gradients are one tensor, so their sum needs a second one; a slice of a larger one is not dense either."""
    text = SMALL.replace("Add: {main: [ReLU], skip: []}", "Add: {main: [], skip: []}")
    graph = parse(text, "small.yaml").graph(batch=2)
    compare(graph, Plan(train=True, optimizer="sgd", rules="cpu"))
    trace = simulate(graph, Plan(train=True, optimizer="sgd", rules="cpu"))
    made = [
        trace.storages[storage].bytes
        for moment, storage, change in trace.events
        if change > 0 and trace.moments[moment][0] == "backward"
    ]
    assert made == [SCALAR, T, T, W]  # the loss's gradient, the sum's, twice that, the convolution's weight's


def test_a_slice_of_a_gradient_is_copied_where_a_kernel_wants_it_contiguous() -> None:
    text = "input: [2, 11, 6]\nlayers: [{Concat: {a: [{GroupNorm: {num_groups: 2}}], b: [], c: []}}]\n"
    for batch in (1, 2):  # the slices of one image are contiguous
        compare(parse(text, "small.yaml").graph(batch=batch), Plan(train=True, optimizer="sgd", rules="cpu"))


def made_in(graph: Graph, plan: Plan, phase: str, what: str) -> list[int]:
    """The sizes of what is made for one purpose in one phase."""
    trace = simulate(graph, plan)
    new = [storage for moment, storage, change in trace.events if change > 0 and trace.moments[moment].phase == phase]
    return [trace.storages[storage].bytes for storage in new if trace.storages[storage].what == what]


# Who copies a slice of a gradient on CUDA: what aten/src/ATen/native/cudnn and .../cuda do with .contiguous() (no CPU shows it).
PACKED = [
    ("Conv2d: {out_channels: 4, kernel_size: 1}", {}, True),
    ("Conv2d: {out_channels: 4, kernel_size: 1}", {"amp": "bf16"}, True),
    ("MaxPool2d: {kernel_size: 1}", {}, True),
    ("AvgPool2d: {kernel_size: 1}", {}, True),
    ("Softmax", {}, True),
    ("GroupNorm: {num_groups: 2}", {}, True),
    ("BatchNorm2d", {}, True),
    ("BatchNorm2d", {"amp": "fp16"}, True),
    ("BatchNorm2d", {"amp": "bf16"}, False),  # these are PyTorch's own kernels, which read any strides
    ("BatchNorm2d", {"dtype": "float16"}, False),
    ("BatchNorm2d: {affine: false}", {}, False),
    ("ReLU", {}, False),
    ("Dropout", {}, False),
]


SLICED = "input: [4, 6, 6]\nlayers:\n- Conv2d: {out_channels: 4, kernel_size: 1}\n- Concat:\n    a:\n    - %s\n    b: []\n"


@pytest.mark.parametrize(("step", "how", "packed"), PACKED, ids=str)
def test_who_copies_a_slice_of_a_gradient_on_cuda(step, how, packed):
    plan = Plan(train=True, optimizer="sgd", rules="cuda", **how)
    for batch in (1, 2):  # the slices of one image are contiguous
        graph = parse(SLICED % step, "small.yaml").graph(batch=batch)
        assert len(made_in(graph, plan, "backward", "scratch")) == (packed and batch == 2)


def test_a_softmax_reads_float16_and_writes_float32_on_cuda():
    """PyTorch knows on a machine without CUDA what runs there; autocast gives ``dtype`` (AT_FORALL_FP32_SET_OPT_DTYPE)."""
    found = {}
    for dtype in (torch.float16, torch.bfloat16):
        for function in (torch.softmax, torch.log_softmax):
            with FakeTensorMode(), torch.no_grad():
                x = torch.empty(2, 10, dtype=dtype, device="cuda")
                with Names() as names:
                    function(x, 1, dtype=torch.float32)
            found[dtype, function.__name__] = [name for name in names.called if not name.startswith("prim")]
    for name in ("softmax", "log_softmax"):
        assert found[torch.float16, name] == [f"aten._{name}.default"]
        assert policy(name, "cuda", "fp16") == WIDENED
        assert found[torch.bfloat16, name] == ["aten._to_copy.default", f"aten._{name}.default"]
        assert policy(name, "cuda", "bf16") == FULL


class Names(TorchDispatchMode):
    """The operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.called.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("amp", "casts"), [("fp16", [2 * 4, 2 * 16, 2 * 2 * 4]), ("bf16", [2 * 4, 2 * 16, 2 * 2 * 4, 4 * 2 * 4])])
def test_the_casts_of_a_softmax(amp, casts):
    """Those of the linear layer before it, bias, weight and input; its own for bfloat16 alone. What it makes is of float32."""
    graph = parse("input: [4]\nlayers: [{Linear: {out_features: 4}}, Softmax]\n", "small.yaml").graph(batch=2)
    plan = Plan(train=True, optimizer="sgd", rules="cuda", amp=amp)
    assert made_in(graph, plan, "forward", "cast") == casts
    assert made_in(graph, plan, "forward", "output") == [2 * 2 * 4, 4 * 2 * 4]
    assert not made_in(graph, plan, "backward", "scratch")  # its derivative reads float32 and writes 16 bits, or a cast's does


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("learning", ["padded", "padded after", "before padded", "before", "after"])
def test_what_is_kept_where_some_derivatives_are_not_wanted(learning, mode):
    """A mirrored input is kept for its own derivative alone: not where nothing before it learns (``learning`` names what does)."""
    builder, plain = Builder(), OPS["Conv2d"](3, 1)
    last = builder.input("input", (2, 3, 8, 8))
    for name, op in (("before", plain), ("padded", OPS["Conv2d"](3, 3, padding=1, padding_mode=mode)), ("after", plain)):
        last = builder.add(name, op, (last,), frozen=name not in learning.split())
    graph = builder.graph("small", {"output": last})
    model, (inputs, _) = build(graph).train(), tensors(graph, torch.float32)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, torch.Tensor] = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.setdefault(tensor.untyped_storage().data_ptr(), tensor), lambda tensor: tensor
    ):
        model(*inputs)
    expected = sum(tensor.untyped_storage().nbytes() for address, tensor in saved.items() if address not in own)
    assert recomputation(graph, Plan(train=True, rules="cpu")).saved_bytes_before == expected
    assert archcalc.analyse(graph, rules="cpu").totals.saved_bytes == expected
    compare(graph, Plan(train=True, rules="cpu"), all_made=mode != "circular")


def test_a_gradient_is_summed_before_it_is_brought_to_its_type():
    """A gate of 16 bits on a map of float32, stretched: product, sum and cast are a tensor each."""
    gate = "[GlobalAvgPool2d, {Conv2d: {out_channels: 3, kernel_size: 1}}]"
    text = f"input: [3, 6, 6]\nlayers: [LayerNorm, {{Multiply: {{map: [], gate: {gate}}}}}]\n"
    compare(parse(text, "small.yaml").graph(batch=2), Plan(train=True, optimizer="sgd", rules="cpu", amp="bf16"))


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("joined", ["conv, norm", "norm, conv", "first, norm, conv", "conv, norm, conv", "norm, norm"])
def test_branches_of_two_types_are_joined_in_the_wider(joined, train):
    """LocalResponseNorm works in float32 on the CPU, behind a convolution of 16 bits too."""
    layers = [f"{{Conv2d: {{name: {name}, out_channels: 4, kernel_size: 1}}}}" for name in ("first", "conv")]
    layers += ["{LocalResponseNorm: {name: norm, size: 3}}", f"{{Concat: {{from: [{joined}]}}}}"]
    graph = parse(f"input: [4, 12, 9]\nlayers: [{', '.join(layers)}]\n", "small.yaml").graph(batch=2)
    compare(graph, Plan(train=train, optimizer="sgd", rules="cpu", amp="bf16"))


def test_losses_of_two_types_are_added() -> None:
    """The gradient of their sum, a float32, is brought to the 16 bits of the head's."""
    text = "input: [3, 8, 8]\nlayers: [LayerNorm, {head: {name: side, layers: [{Conv2d: {out_channels: 4, kernel_size: 1}}]}}]\n"
    compare(parse(text, "small.yaml").graph(batch=2), Plan(train=True, optimizer="sgd", rules="cpu", amp="bf16"))


PLANS = [
    Plan(),
    Plan(dtype="int8"),
    Plan(train=True),
    Plan(train=True, amp="fp16", optimizer="adam"),
    Plan(train=True, optimizer="adamw", implementation="forloop", weight_decay=True),
    Plan(train=True, checkpoint=("layer*.*",), amp="bf16"),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("rules", ["cpu", "cuda"])
def test_books_balance(plan: Plan, rules: str) -> None:
    """Every storage comes once and goes at most once; what is left is what the caller holds; the curve's top is the peak."""
    plan = msgspec.structs.replace(plan, rules=rules)
    trace = simulate(archcalc.load("resnet18"), plan)
    live: set[int] = set()
    seen: set[int] = set()
    last = 0
    for moment, storage, change in trace.events:
        assert moment >= last
        last = moment
        if change > 0:
            assert storage not in seen
            seen.add(storage)
            live.add(storage)
        else:
            live.remove(storage)
    assert seen == set(range(len(trace.storages)))
    left = Counter(trace.storages[storage].what for storage in live)
    tensors = 62  # parameters of ResNet-18 (20 convolutions, 20 norms with two each, one layer with two)
    expected = {"parameter": tensors, "buffer": 60, "input": 1}
    if plan.train:
        scalars = tensors * (plan.optimizer.startswith("adam") and rules == "cpu")
        moments = {"momentum": 1, "adam": 2, "adamw": 2}[plan.optimizer]
        expected |= {"parameter gradient": tensors, "target": 1, "loss": 1, "optimizer state": tensors * moments + scalars}
    else:
        expected["output"] = 1
    assert left == expected
    assert max(curve(trace)) == peak(trace).bytes == sum(storage.bytes for storage in peak(trace).live)
    assert len(curve(trace)) == len(trace.moments)


@pytest.mark.parametrize("name", index())
@pytest.mark.parametrize("rules", ["cpu", "cuda"])
def test_what_is_kept_is_what_the_summary_says(name: str, rules: str) -> None:
    """Two ways to one number: the tape of a run, and the sum over layers that other tests hold against saved_tensors_hooks."""
    graph = archcalc.load(name, batch=2)
    report = archcalc.analyse(graph, rules=rules)
    assert recomputation(graph, Plan(train=True, rules=rules)).saved_bytes_before == report.totals.saved_bytes


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"optimizer": "adamW"}, "E260"),
        ({"implementation": "for"}, "E261"),
        ({"amp": "int8"}, "E262"),
        ({"amp": "bf16", "dtype": "float16"}, "E262"),
        ({"dtype": "float8"}, "E206"),
        ({"dtype": "int8", "train": True}, "E206"),
        ({"rules": "tpu"}, "E208"),
    ],
    ids=str,
)
def test_plans_that_cannot_be(wrong, code):
    with pytest.raises(UsageError) as caught:
        Plan(**wrong)
    assert caught.value.code == code


# The kernels' names, and PyTorch's own for them; autocast asks the dispatcher, which can be asked without a GPU too.
REGISTERED = {
    "convolution": ["conv1d", "conv2d", "conv3d", "conv_transpose2d.input"],
    "same_padding": ["conv1d.padding", "conv2d.padding", "conv3d.padding"],
    "linear": ["linear"],
    "prelu": ["prelu"],
    "batch_norm": ["batch_norm"],
    "layer_norm": ["layer_norm"],
    "group_norm": ["group_norm"],
    "softmax": ["softmax.int"],
    "log_softmax": ["log_softmax.int"],
    "pow": ["pow.Tensor_Scalar"],
    "upsample": ["upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"],
    "mirrored_padding": ["reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "replication_pad3d"],
    "max_pool2d": ["max_pool2d"],
    "avg_pool2d": ["avg_pool2d"],
    "avg_pool3d": ["avg_pool3d"],
    "adaptive_avg_pool2d": ["adaptive_avg_pool2d"],
    "adaptive_max_pool2d": ["adaptive_max_pool2d"],
    "mean": ["mean.dim"],
    "cat": ["cat"],
    "": "relu tanh gelu silu elu hardswish mul.Tensor add.Tensor div.Tensor sub.Tensor constant_pad_nd dropout".split(),
}


@pytest.mark.parametrize("rules", ["cpu", "cuda"])
@pytest.mark.parametrize("name", REGISTERED)
def test_autocast_casts_where_torch_has_a_rule(name, rules):
    key = f"Autocast{rules.upper()}"
    for operator in REGISTERED[name]:
        ruled = torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{operator}", key)
        assert ruled == (policy(name, rules) != AS_IT_IS), operator


def test_every_kernel_that_autocast_could_know_is_in_the_table():
    used = {kernel.name for case in CASES for kernel in case.op.kernels(case.x, case.y, True, "cpu")}
    assert used - {"sum"} == set(REGISTERED)  # CUDA casts to float32, of which the squares that are summed are already
