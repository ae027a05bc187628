"""``archcalc memory``: its numbers against the trace and the rest of archcalc, its rows added up again, its screens."""

import json
import subprocess
import sys
from collections import Counter

import jsonschema
import pytest

import archcalc
from archcalc.analysis import analyse
from archcalc.analysis.cost import RULES
from archcalc.analysis.explain import explain
from archcalc.analysis.memory.explained import RULES as RULES_OF_THE_PEAK
from archcalc.analysis.memory.plan import AMP_BYTES, IMPLEMENTATIONS, OPTIMIZERS, Plan
from archcalc.analysis.memory.report import GROUPS, usage
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.terms import CUBLAS, CUBLAS_HOPPER, MIB, terms
from archcalc.analysis.memory.trace import curve, peak
from archcalc.cli import plan as options
from archcalc.render.memory import told
from archcalc.render.schemas import schema_text
from archcalc.render.sparkline import ASCII, BLOCKS, signs_for, sparkline
from archcalc.spec import index, parse

PLANS = {
    "inference": Plan(),
    "training": Plan(train=True),
    "adam": Plan(train=True, optimizer="adam", weight_decay=True),
    "amp": Plan(train=True, amp="bf16"),
    "cpu": Plan(train=True, rules="cpu", implementation="forloop"),
}
NETWORKS = ["lenet5", "alexnet", "googlenet_aux", "resnet18", "densenet_40_12"]


def document(run, *arguments: str) -> dict:
    outcome = run("memory", *arguments, "--format", "json")
    assert (outcome.code, outcome.err) == (0, "")
    told = json.loads(outcome.out)
    jsonschema.validate(told, json.loads(schema_text("memory")))
    return told


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", index())
def test_saved_bytes_are_those_of_the_summary(name: str, rules: str) -> None:
    """Two ways to the same number: which tensors live between the passes, and which ones operators say that they keep."""
    graph = archcalc.load(name)
    found = usage(graph, Plan(train=True, rules=rules))
    totals = analyse(graph, rules=rules).totals
    assert found.saved_bytes == totals.saved_bytes == sum(layer.saved_bytes for layer in found.layers)
    assert found.param_bytes == 4 * totals.params


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_report_is_what_the_trace_says(name: str, plan: Plan) -> None:
    graph = archcalc.load(name, batch=4)
    trace, found = simulate(graph, plan), usage(graph, plan)
    top = peak(trace)
    assert (found.peak_bytes, found.peak_at) == (top.bytes, top.moment)
    assert [(live.what, live.layer, live.bytes) for live in found.peak] == list(top.live)
    assert [instant.peak_bytes for instant in found.timeline] == curve(trace)
    if plan.rules == "cuda":
        assert found.peak_bytes <= found.allocated_peak_bytes <= found.reserved_peak_bytes
    else:
        assert found.allocated_peak_bytes is found.reserved_peak_bytes is None
        assert found.terms == ()


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_and_moments_add_up(name: str, plan: Plan) -> None:
    found = usage(archcalc.load(name, batch=2), plan)
    for quantity in ("param", "buffer", "gradient", "optimizer", "saved"):
        assert sum(getattr(layer, f"{quantity}_bytes") for layer in found.layers) == getattr(found, f"{quantity}_bytes")
    assert found.peak_bytes == sum(live.bytes for live in found.peak) == max(instant.peak_bytes for instant in found.timeline)
    live = 0
    for instant in found.timeline:
        assert sum(instant.groups.values()) == instant.peak_bytes >= max(live, instant.live_bytes)
        live += instant.allocated_bytes - instant.released_bytes
        assert live == instant.live_bytes
    by_group: Counter[str] = Counter()
    for one in found.peak:
        by_group[GROUPS[one.what]] += one.bytes
    top = next(instant for instant in found.timeline if instant.peak_bytes == found.peak_bytes)
    assert top.groups == by_group


def test_a_network_counted_by_hand() -> None:
    """One linear layer of 10 -> 4 over 2 images, trained with momentum: what lives when, in bytes.

    W and b are 4*10*4 + 4*4 = 176, so is the momentum; x is 2*10*4 = 80, the targets 2*8 = 16, y 2*4*4 = 32.
    """
    graph = parse("input: [10]\nlayers:\n  - Linear: {name: fc, out_features: 4}\n", "net.yaml").graph(batch=2)
    found = usage(graph, Plan(train=True))
    assert (found.param_bytes, found.optimizer_bytes, found.gradient_bytes, found.saved_bytes) == (176, 176, 176, 80)
    start, forward = found.timeline[:2]
    assert (start.live_bytes, forward.peak_bytes) == (176 + 176 + 80 + 16, 176 + 176 + 80 + 16 + 32)
    (layer,) = (row for row in found.layers if row.name == "fc")
    # Backward: beside what the step finds, the gradients of W and b among it, the gradient of y, and that of the loss, a one.
    assert found.timeline[-1].live_bytes == start.live_bytes + 176 + 4
    assert layer.backward_peak_bytes == found.timeline[-1].live_bytes + 32 + 4


# Terms that no shape gives


def test_workspaces_depend_on_what_runs_and_where() -> None:
    graph = archcalc.load("alexnet")

    def cublas(plan: Plan, gpu: str | None) -> tuple[int, int | None]:
        return next((term.low_bytes, term.high_bytes) for term in terms(graph, plan, gpu) if term.name == "cuBLAS workspace")

    assert CUBLAS == 8_519_680
    assert cublas(Plan(), "RTX 3090") == (CUBLAS, CUBLAS)
    assert cublas(Plan(), "H100 SXM") == (CUBLAS_HOPPER, CUBLAS_HOPPER) == (32 * MIB, 32 * MIB)
    assert cublas(Plan(), None) == (CUBLAS, CUBLAS_HOPPER)
    assert cublas(Plan(train=True), "RTX 3090") == (CUBLAS, 2 * CUBLAS)


@pytest.mark.parametrize(
    ("name", "plan", "names"),
    [
        ("resnet18", Plan(train=True), {"cuBLAS workspace", "cuDNN workspace", "BatchNorm reserve", "CUDA context"}),
        ("resnet18", Plan(), {"cuBLAS workspace", "cuDNN workspace", "CUDA context"}),
        ("vgg11", Plan(train=True), {"cuBLAS workspace", "cuDNN workspace", "CUDA context"}),
        ("resnet18", Plan(train=True, rules="cpu"), set()),
    ],
)
def test_only_terms_that_can_arise_are_named(name: str, plan: Plan, names: set[str]) -> None:
    found = terms(archcalc.load(name), plan)
    assert {term.name for term in found} == names
    assert all(term.because for term in found)
    assert not any(term.measured for term in found)


# The command


def test_json_is_what_the_contract_says(run) -> None:
    told = document(run, "resnet18", "--batch", "8", "--train", "--optimizer", "adam", "--amp", "bf16")
    contract = """schema mode rules param_bytes buffer_bytes gradient_bytes optimizer_bytes saved_bytes peak_bytes peak_at
        allocated_peak_bytes reserved_peak_bytes layers""".split()
    assert set(contract) <= set(told)
    assert (told["schema"], told["mode"], told["rules"]) == ("archcalc.memory/1", "train", "cuda")
    assert told["input"] == [8, 3, 224, 224]
    assert told["gradient_bytes"] == told["param_bytes"] == told["optimizer_bytes"] // 2


def test_inference_keeps_nothing(run) -> None:
    told = document(run, "alexnet")
    assert (told["mode"], told["saved_bytes"], told["gradient_bytes"], told["optimizer_bytes"]) == ("infer", 0, 0, 0)
    assert told["optimizer"] is told["implementation"] is None


@pytest.mark.parametrize("rules", RULES)
def test_the_way_of_stepping_is_pytorchs_own_unless_told(run, rules: str) -> None:
    usual = document(run, "lenet5", "--train", "--rules", rules)["implementation"]
    assert usual == {"cuda": "foreach", "cpu": "forloop"}[rules]
    for option, way in (("--foreach", "foreach"), ("--fused", "fused"), ("--for-loop", "forloop")):
        assert document(run, "lenet5", "--train", "--rules", rules, option)["implementation"] == way


def test_computing_a_block_again_saves_bytes_for_macs(run) -> None:
    told = document(run, "resnet18", "--batch", "4", "--train", "--checkpoint", "layer1.*")
    plain = document(run, "resnet18", "--batch", "4", "--train")
    assert plain["checkpoint"] is None
    assert told["checkpoint"]["blocks"] == ["layer1.*"]
    assert told["checkpoint"]["saved_bytes_before"] == plain["saved_bytes"]
    assert told["checkpoint"]["saved_bytes_after"] == told["saved_bytes"] < plain["saved_bytes"]
    macs = {layer.name: layer.macs for layer in analyse(archcalc.load("resnet18", batch=4)).layers}
    assert told["checkpoint"]["macs"] == sum(number for name, number in macs.items() if name.startswith("layer1."))


def test_the_screens(run, golden) -> None:
    training = ("memory", "alexnet", "--batch", "128", "--train")
    golden(run(*training, "--width", "100").out, "memory-alexnet-100.txt")
    golden(run(*training, "--width", "60").out, "memory-alexnet-60.txt")
    golden(run("memory", "lenet5_modern", "--train", "--timeline", "--width", "120").out, "memory-timeline.txt")
    golden(run("memory", "resnet18", "--batch", "32").out, "memory-resnet18-pipe.txt")


@pytest.mark.parametrize("form", ["md", "csv", "tsv", "latex", "jsonl", "html", "svg"])
@pytest.mark.parametrize("timeline", [(), ("--timeline",)])
def test_every_form_has_the_layers(run, form: str, timeline: tuple[str, ...]) -> None:
    outcome = run("memory", "lenet5_modern", "--train", *timeline, "--format", form)
    assert outcome.code == 0
    assert "conv1" in outcome.out
    if form == "csv":
        rows = outcome.out.splitlines()
        assert ("phase,layer,peak_bytes" if timeline else "name,op,param_bytes") in rows[0]


def test_the_word_memory_never_stands_alone(run) -> None:
    """What people read says which bytes: the vocabulary has no "memory"."""
    for arguments in (
        ("memory", "alexnet", "--train"),
        ("memory", "alexnet", "--timeline"),
        ("fit", "alexnet", "--memory", "8GiB"),
    ):
        assert "memory" not in run(*arguments).out.lower()


IDLE = [
    ("--optimizer", "adam"),
    ("--weight-decay",),
    ("--checkpoint", "conv1"),
    ("--fused",),
    ("--for-loop",),
]


@pytest.mark.parametrize("arguments", IDLE, ids=" ".join)
def test_options_of_training_are_refused_in_inference(run, arguments: tuple[str, ...]) -> None:
    outcome = run("memory", "alexnet", *arguments)
    assert outcome.code == 2
    assert f"error[E232]: {arguments[0]} has no effect here" in outcome.err
    assert "add --train" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (("--gpu", "t4", "--rules", "cpu"), "by the rules of the CPU"),
        (("--context", "1MiB", "--rules", "cpu"), "by the rules of the CPU"),
        (("--gpu", "t4", "--format", "csv"), "csv has only the rows"),
        (("--timeline", "--format", "json"), "json has the layers and the moments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_change_nothing_are_refused(run, arguments: tuple[str, ...], because: str) -> None:
    outcome = run("memory", "alexnet", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"error[E232]: {arguments[0]} has no effect here: {because}" in outcome.err


def test_two_ways_of_stepping_exclude_each_other(run) -> None:
    outcome = run("memory", "alexnet", "--train", "--fused", "--for-loop")
    assert outcome.code == 2
    assert "error[E267]: --fused and --for-loop exclude each other" in outcome.err


def test_literal_choices_are_those_of_the_floors_below() -> None:
    assert options.OPTIMIZERS == OPTIMIZERS
    assert tuple(AMP_BYTES) == options.AMPS
    assert options.RULES == RULES
    assert options.IMPLEMENTATIONS == IMPLEMENTATIONS
    assert set(options.USUAL) == set(RULES)


# The peak in other commands


@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_is_explained_storage_by_storage(name: str) -> None:
    graph = archcalc.load(name, batch=2)
    (found,) = explain(graph, quantities=["peak"])
    top = peak(simulate(graph, Plan(train=True)))
    assert found.result == top.bytes == sum(term.result for term in found.terms)
    for term in found.terms:
        numbers = [int(word.replace(",", "")) for word in term.numbers.split() if word[0].isdigit()]
        assert sum(numbers) == term.result
    assert top.moment.node in found.notes[0]
    assert len(found.notes) > len({storage.what for storage in top.live})  # a rule for each kind


@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_of_a_layer_is_the_most_that_lives_while_it_runs(name: str) -> None:
    graph = archcalc.load(name)
    rows = usage(graph, Plan(train=True)).layers
    for row in rows[1 :: max(1, len(rows) // 8)]:
        (found,) = explain(graph, row.name, ["peak"])
        assert found.result == max(row.forward_peak_bytes or 0, row.backward_peak_bytes or 0)
        assert found.result == sum(term.result for term in found.terms)


def test_every_kind_of_storage_has_its_rule_and_its_group() -> None:
    kinds = {
        storage.what for name in NETWORKS for plan in PLANS.values() for storage in simulate(archcalc.load(name), plan).storages
    }
    assert kinds <= set(RULES_OF_THE_PEAK)
    assert kinds <= set(GROUPS)
    assert {"cast", "scratch", "saved", "gradient"} <= kinds


def test_an_input_has_no_peak_of_its_own(run) -> None:
    outcome = run("explain", "alexnet", "input", "--quantity", "peak")
    assert outcome.code == 2
    assert "error[E231]: input is given, and nothing runs there" in outcome.err


def test_the_peak_on_the_screen(run, golden) -> None:
    golden(run("explain", "alexnet", "--quantity", "peak", "--batch", "128", "--width", "100").out, "explain-alexnet-peak.txt")


@pytest.mark.parametrize(
    ("model", "layer", "sentence"),
    [
        ("resnet18", "layer1.0.relu1", "it keeps its output, which layer1.0.conv2 (Conv2d) needs too: one storage, counted once"),
        ("resnet18", "layer1.0.relu2", "it keeps its output, which layer1.1.conv1 (Conv2d) needs too: one storage, counted once"),
        (
            "resnet50",
            "layer1.2.relu3",
            "it keeps its output, which layer2.0.conv1 (Conv2d) and 1 more need too: one storage, counted once",
        ),
        ("resnet18", "layer1.0.bn1", "it keeps its input"),
        ("resnet18", "layer1.0.conv2", "it needs its input, which layer1.0.relu1 keeps: counted there"),
    ],
)
def test_what_is_kept_says_for_whom_else(model: str, layer: str, sentence: str) -> None:
    (found,) = explain(archcalc.load(model), layer, ["saved"])
    assert sentence in found.notes


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_summary_tells_both_peaks_where_asked(run, dtype: str) -> None:
    totals = json.loads(run("summary", "resnet18", "--batch", "4", "--dtype", dtype, "--peak", "--format", "json").out)["totals"]
    graph = archcalc.load("resnet18", batch=4)
    assert totals["infer_peak_bytes"] == peak(simulate(graph, Plan(dtype=dtype))).bytes
    if dtype == "int8":
        assert "train_peak_bytes" not in totals
    else:
        assert totals["train_peak_bytes"] == peak(simulate(graph, Plan(train=True, dtype=dtype))).bytes
    table = run("summary", "resnet18", "--batch", "4", "--dtype", dtype, "--peak").out
    assert f"peak bytes: inference {told(totals['infer_peak_bytes'])} in the forward pass at" in table
    assert "peak" not in run("summary", "resnet18", "--format", "json").out


@pytest.mark.parametrize("arguments", [("--format", "csv"), ("--format", "jsonl"), ("--count", "all")], ids=" ".join)
def test_a_summary_without_totals_has_no_peak(run, arguments: tuple[str, ...]) -> None:
    outcome = run("summary", "alexnet", "--peak", *arguments)
    assert outcome.code == 2
    assert "error[E232]: --peak has no effect here" in outcome.err


# The curve


@pytest.mark.parametrize(
    ("numbers", "width", "line"),
    [
        ([], 10, ""),
        ([0, 0], 10, "  "),
        ([1], 10, "@"),
        ([1, 10**12], 10, ".@"),  # what is there is seen
        ([9, 0, 0, 0, 0, 9], 3, "@ @"),
        (list(range(100)), 10, ".:-=+*#%@@"),
    ],
)
def test_a_sparkline(numbers: list[int], width: int, line: str) -> None:
    assert sparkline(numbers, width, ASCII) == line
    assert len(sparkline(numbers, width, BLOCKS)) == len(line)


@pytest.mark.parametrize("model", ["lenet5", "densenet201"])
@pytest.mark.parametrize("width", [40, 80])
def test_the_curves_fit_and_tell_the_peak(run, model: str, width: int) -> None:
    *_, heading, forward, backward, step = run("memory", model, "--train", "--width", str(width)).out.splitlines()
    found = document(run, model, "--train")
    assert heading == "live bytes over time, the most per phase"
    assert [line.split()[0] for line in (forward, backward, step)] == ["forward", "backward", "step"]
    assert len(forward) == len(backward) == len(step) <= width
    for line, phase in ((forward, "forward"), (backward, "backward"), (step, "step")):
        most = max(instant["peak_bytes"] for instant in found["timeline"] if instant["phase"] == phase)
        assert line.endswith(f"  {told(most, found['peak_bytes'])}")


class Stream:
    def __init__(self, encoding: str):
        self.encoding = encoding


@pytest.mark.parametrize(
    ("encoding", "terminal", "environ", "signs"),
    [
        ("utf-8", True, {}, BLOCKS),
        ("UTF8", True, {"LANG": "de_DE.UTF-8"}, BLOCKS),
        ("utf-8", False, {}, ASCII),  # a pipe
        ("ascii", True, {}, ASCII),
        ("utf-8", True, {"LANG": "ko_KR.UTF-8"}, ASCII),  # where a block may be two cells wide
        ("utf-8", True, {"LC_ALL": "C.UTF-8", "LANG": "ja_JP.UTF-8"}, BLOCKS),
    ],
)
def test_blocks_only_where_they_are_one_cell_wide(encoding: str, terminal: bool, environ: dict, signs: str) -> None:
    assert signs_for(Stream(encoding), terminal, environ) == signs


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 KiB"), (1, "<0.1 KiB"), (9999 * 1024, "9,999.0 KiB"), (10**9, "953.7 MiB")])
def test_bytes_in_sentences(size: int, text: str) -> None:
    assert told(size) == text


@pytest.mark.parametrize("command", [("memory", "alexnet", "--train"), ("fit", "alexnet", "--memory", "8GiB")], ids=lambda c: c[0])
def test_torch_and_rich_stay_out(command: tuple[str, ...]) -> None:
    program = (
        "import sys; from archcalc.cli import main\ntry: main()\nexcept SystemExit: print({'torch', 'rich'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, encoding="utf-8", timeout=60)
    assert ended.stdout.endswith("set()\n")
