"""What is timed, on the CPU: steps that do what their mode says, and runs taken apart layer by layer."""

from pathlib import Path

import pytest
import torch

from archcalc import load
from archcalc.analysis import analyse
from archcalc.analysis.timing import plan
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.result import Run
from archcalc.analysis.timing.sampling import Limits
from archcalc.analysis.timing.work import layer_macs, step_macs
from archcalc.pytorch.bench import Options, measure
from archcalc.pytorch.bench.layers import ACCUMULATE, BACKWARD, GRADIENTS, LOSS, OUTSIDE, UPDATE, Seen, times
from archcalc.pytorch.bench.segments import Marker, segments
from archcalc.pytorch.bench.workload import Workload
from archcalc.pytorch.build import build
from archcalc.spec import parse

SHORT = Limits(min_seconds=0.05, max_seconds=0.3, warm_seconds=0.02, relative_interval=0.05)


def configuration(**changed: object) -> Configuration:
    usual = {"mode": "infer", "device": "cpu", "batch": 1, "dtype": "fp32", "layout": "nchw", "exec": "eager"}
    return Configuration(**{"model": "lenet5"} | usual | changed)


def case(model: str = "lenet5", **changed: object) -> Case:
    return Case(configuration(model=model, **changed), load(model, batch=changed.get("batch", 1)))


@pytest.mark.parametrize("mode", plan.MODES)
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "amp-bf16"])
@pytest.mark.parametrize("layout", plan.LAYOUTS)
def test_every_mode_runs(mode: str, dtype: str, layout: str) -> None:
    kept: list[Run] = []
    options = Options(limits=Limits(min_seconds=0.01, max_seconds=0.1, warm_seconds=0.01))
    measure([case(mode=mode, dtype=dtype, layout=layout)], options, kept.append)
    assert kept[0].statistics.median_seconds > 0


def test_a_step_does_what_its_mode_says() -> None:
    before = {}
    for mode in plan.MODES:
        workload = Workload(case(mode=mode), torch.device("cpu"))
        old = workload.network.C1.weight.detach().clone()
        workload.step()
        weight = workload.network.C1.weight
        before[mode] = (weight.grad is not None, not torch.equal(old, weight), workload.network.training)
    assert before == {"infer": (False, False, False), "fwd-bwd": (True, False, True), "train": (True, True, True)}


def test_heads_count_in_the_loss_with_their_weights() -> None:
    graph = load("googlenet_aux")
    workload = Workload.__new__(Workload)
    workload.weights = [1.0, *(graph.head_weights[name] for name in graph.outputs if name != "output")]
    workload.targets, workload.device = torch.tensor([1]), torch.device("cpu")
    same = torch.tensor([[0.0, 1.0, 2.0]])
    one = torch.nn.functional.cross_entropy(same, workload.targets)
    assert float(workload.loss((same, same, same))) == pytest.approx(float(one) * (1 + 0.3 + 0.3))


def test_activations_keep_their_size_however_deep() -> None:
    """The data are those of a network at work: no denormal numbers, no infinities, in evaluation too."""
    for model in ("resnet50", "vgg11"):
        graph = load(model, input=(3, 64, 64))
        workload = Workload(Case(configuration(model=model), graph), torch.device("cpu"))
        with torch.inference_mode():
            found = workload.network(*workload.inputs)
        assert 1e-2 < float(found.abs().mean()) < 1e3, model


def test_macs_of_a_step() -> None:
    """Backward: twice the forward's, but the first layer wants no gradient of its input."""
    graph = load("alexnet")
    forward = {layer.name: layer.macs for layer in analyse(graph).layers}
    assert layer_macs(graph, "infer") == forward
    first, second = [name for name, macs in forward.items() if macs][:2]
    train = layer_macs(graph, "train")
    assert (train[first], train[second]) == (2 * forward[first], 3 * forward[second])
    assert step_macs(graph, "fwd-bwd") == step_macs(graph, "train") == sum(train.values())
    heads = load("googlenet_aux")
    assert step_macs(heads, "infer") < analyse(heads).totals.macs  # the side heads do not run


@pytest.mark.parametrize("model", ["lenet5", "alexnet_two_towers", "googlenet_aux", "resnet18", "densenet_40_12"])
@pytest.mark.parametrize("training", [False, True])
def test_every_layer_has_its_stretch(model: str, training: bool) -> None:
    """The modules are entered in the order that the graph says, in evaluation and with the heads of training."""
    graph = load(model, input=(3, 96, 96) if model == "resnet18" else None)
    mode = "fwd-bwd" if training else "infer"
    workload = Workload(Case(configuration(model=model, mode=mode), graph), torch.device("cpu"))
    wanted = segments(graph, training)
    seen: list[int] = []
    with Marker(workload.network, wanted, seen.append).listening():
        workload.step()
        workload.step()
    assert seen == list(range(len(wanted) + 1)) * 2
    assert not workload.network._forward_hooks
    layers = [node.name for segment in wanted for node in segment.layers]
    assert len(layers) == len(set(layers))


def test_a_profile_is_attributed_by_place_and_by_number() -> None:
    """Forward by the stretch that an operation stands in, backward by the operation that it undoes; the rest by what it is."""
    found = times(
        [
            Seen("segment 0", 1.0, 0, (5, 5, 6)),  # the first operation bears the number of the second: autograd skips it
            Seen("segment 1", 2.0, 1, (7,)),
            Seen("aten::cross_entropy_loss", 0.5, None, (8,)),
            Seen(BACKWARD + "NllLossBackward0", 0.25, None, (8,)),
            Seen(BACKWARD + "AddmmBackward0", 4.0, None, (7,)),
            Seen(ACCUMULATE, 0.125, None, ()),
            Seen(BACKWARD + "ConvolutionBackward0", 8.0, None, (6,)),
            Seen(BACKWARD + "ReluBackward0", 16.0, None, (5,)),
            Seen("Optimizer.step#SGD.step", 32.0, None, ()),
            Seen(OUTSIDE, 64.0, None, ()),
        ]
    )
    assert found.forward == {0: 1.0, 1: 2.0}
    assert found.backward == {1: 4.0, 0: 24.0}
    assert found.other == {LOSS: 0.75, GRADIENTS: 0.125, UPDATE: 32.0, OUTSIDE: 64.0}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own, when it imports its compiler
def test_a_compiled_run_is_told_by_its_kernels(tmp_path: Path) -> None:
    """What is fused is one row under the compiler's name, and belongs to no layer alone."""
    kept: list[Run] = []
    measure([case(exec="compile")], Options(limits=SHORT, per_layer=True), kept.append)
    rows = kept[0].breakdown.layers
    assert any(row.op == "fused" for row in rows)
    assert all(row.layers == () and row.macs in (None, 0) for row in rows)


def of(text: str, layout: str) -> Workload:
    graph = parse(text, "net.yaml").graph(batch=2)
    return Workload(Case(case(layout=layout, batch=2).configuration, graph), torch.device("cpu"))


MAPS = "input: [3, 8, 8]\nlayers: [{Conv2d: {out_channels: 4, kernel_size: 3}}, BatchNorm2d, Flatten, {Linear: {out_features: 2}}]"
VOLUMES = "input: [3, 8, 8, 8]\nlayers: [{Conv3d: {out_channels: 4, kernel_size: 3}}]"


def test_channels_last_is_pytorchs() -> None:
    """Weights and inputs lie as ``Module.to`` and ``Tensor.to`` lay them."""
    workload = of(MAPS, "nhwc")
    theirs = build(workload.graph).to(memory_format=torch.channels_last)
    strides = [tensor.stride() for tensor in workload.network.state_dict().values()]
    assert strides == [tensor.stride() for tensor in theirs.state_dict().values()]
    assert strides != [tensor.stride() for tensor in build(workload.graph).state_dict().values()]
    (images,) = workload.inputs
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_volumes_have_no_channels_last() -> None:
    """``Module.to`` refuses them: what has five dimensions stays as it is."""
    with pytest.raises(RuntimeError, match="rank 4"):
        build(of(VOLUMES, "nchw").graph).to(memory_format=torch.channels_last)
    workload = of(VOLUMES, "nhwc")
    assert all(tensor.is_contiguous() for tensor in (*workload.network.state_dict().values(), *workload.inputs))
    workload.step()
