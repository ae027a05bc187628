"""Why a number: known numbers find their reason, exact ones their own, and nothing is called a fit that is not printed so."""

import json
import subprocess
import sys
from contextlib import suppress
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import lru_cache
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.analysis import analyse
from archcalc.analysis.conventions import CONVENTIONS, count
from archcalc.analysis.why import MOST_ANSWERS, why
from archcalc.analysis.why.changes import Base, comment
from archcalc.analysis.why.differences import REST, differences
from archcalc.analysis.why.measures import BY_KEY, MEASURES, Network
from archcalc.analysis.why.printed import FILES, LISTS
from archcalc.analysis.why.reading import readings
from archcalc.errors import UsageError
from archcalc.render.why import explanation
from archcalc.spec import read_spec
from archcalc.spec.zoo import index

few = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def base(model, **options):
    spec, variant = read_spec(model)
    return Base(spec, variant or spec.name, **options)


@lru_cache(maxsize=8)
def network(model):
    return Network(base(model).graph())


# model, number, who has it, what is changed of that, what is counted, how it fits
BIASED = "a bias in every convolution and linear layer"
CASES = [
    ("alexnet", "60965224", "alexnet_two_towers", (), "params", "exact"),
    ("alexnet", "60M", "alexnet_two_towers", (), "params", "truncates"),
    ("alexnet", "61,100,840", "alexnet_torchvision", (), "params", "exact"),
    ("alexnet", "50844008", "alexnet_224_floor", (), "params", "exact"),
    ("alexnet", "659272", "alexnet", (), "neurons", "exact"),
    ("alexnet", "650000", "alexnet", (), "neurons", "truncates"),
    ("alexnet", "622312", "alexnet", (), "neurons", "printed"),
    ("alexnet", "253440", "alexnet", (), "neurons", "printed"),
    ("alexnet", "34944", "alexnet", (), "params", "exact"),
    ("resnet50", "3800M", "resnet50_v1", (), "macs", "truncates"),
    ("alexnet", "0.72G", "alexnet_two_towers", (), "macs", "rounds"),
    ("alexnet_two_towers", "62378344", "alexnet", (), "params", "exact"),
    ("alexnet_two_towers", "244MB", "alexnet_two_towers", (), "param_bytes", "rounds"),
    ("alexnet_torchvision", "233MB", "alexnet_torchvision", (), "param_bytes", "rounds"),
    ("alexnet_torchvision", "0.72G", "alexnet_torchvision", (), "ptflops", "rounds"),
    ("alexnet_keras", "58324746", "alexnet_keras", (), "params+statistics", "exact"),
    ("densenet121", "8M", "densenet121", (), "params", "rounds"),
    ("densenet121", "20M", "densenet201", (), "params", "rounds"),
    ("densenet121", "2.88G", "densenet121", (), "ptflops-once", "rounds"),
    ("googlenet", "13M", "googlenet_aux", (), "params", "rounds"),
    ("googlenet_aux", "6998552", "googlenet_aux", (), "params-side-heads", "exact"),
    ("googlenet_aux", "1582671872", "googlenet_aux", (), "macs-side-heads", "exact"),
    ("googlenet_aux", "3165343744", "googlenet_aux", (), "torch", "exact"),  # FlopCounterMode, in evaluation
    ("googlenet_aux", "25817280 bytes", "googlenet_aux", (), "2*weighted", "exact"),  # torchinfo: forward/backward pass size
    ("googlenet", "6624904", "googlenet_torchvision", (), "params", "exact"),
    ("googlenet_torchvision_aux", "49.7MiB", "googlenet_torchvision_aux", (), "state_dict", "rounds"),
    ("lenet5", "61706", "lenet5_modern", (), "params", "exact"),
    ("lenet5", "340908", "lenet5", (), "connections", "exact"),
    ("lenet5_modern", "60000", "lenet5", (), "params", "exact"),
    ("lenet5_modern", "44426", "lenet5_modern", ("input 1x28x28 -> 1x24x24",), "params", "exact"),
    ("preact_resnet1001", "10.2M", "preact_resnet1001", (), "params-norms", "rounds"),
    ("resnet18", "11181642", "resnet18", ("classes 1000 -> 10",), "params", "exact"),
    ("resnet50", "25.6M", "resnet50", (), "params", "rounds"),
    ("resnet50", "4.09G", "resnet50", (), "macs", "rounds"),
    ("resnet50", "4.11 GFLOPs", "resnet50", (), "fvcore", "rounds"),
    ("resnet50", "4.12G", "resnet50", (), "ptflops-once", "rounds"),
    ("resnet50", "4.13G", "resnet50", (), "ptflops", "rounds"),
    ("resnet50", "3.8e9", "resnet50_v1", (), "macs", "truncates"),
    ("resnet50", "8.2e9", "resnet50", (), "torch", "rounds"),
    ("resnet50", "5.34G", "resnet50", ("input 3x224x224 -> 3x256x256",), "macs", "rounds"),
    ("resnet50", "97.8MiB", "resnet50", (), "file", "printed"),
    ("resnet50", "98 MB", "resnet50", (), "state_dict", "rounds"),
    ("resnet50", "23508032", "resnet50", (), "params-head", "exact"),
    ("resnet50", "25583592", "resnet50", (BIASED,), "params", "exact"),  # Keras: trainable
    ("resnet50", "25636712", "resnet50", (BIASED,), "params+statistics", "exact"),  # Keras: total
    ("resnet50", "23587712", "resnet50", (BIASED,), "params+statistics-head", "exact"),  # Keras: without its top
    ("resnet50", "177.83MB", "resnet50", (), "2*weighted", "rounds"),  # torchinfo: forward/backward pass size
    ("resnet101", "25557032", "resnet50", (), "params", "exact"),
    ("vgg16", "138M", "vgg16", (), "params", "rounds"),
    ("vgg16", "15.3G", "vgg16", (), "macs-convolutions", "rounds"),
    ("vgg16", "528MB", "vgg16", (), "param_bytes", "rounds"),
    ("vgg16", "14714688", "vgg16", (), "params-convolutions", "exact"),  # Keras: without its top
    ("vgg16", "990.1G", "vgg16", ("a batch of 64",), "macs", "rounds"),
]  # fmt: skip
NOTHING = [("resnet50", "12345678"), ("alexnet", "7"), ("lenet5", "98765"), ("vgg16", "1.23MB"), ("densenet121", "8123456789")]


@pytest.mark.parametrize(("model", "number", "who", "steps", "measure", "fit"), CASES)
def test_known_numbers(model, number, who, steps, measure, fit):
    best = why(base(model), number).answers[0]
    assert (best.model, best.steps, best.measure, best.fit) == (who, steps, measure, fit)


@pytest.mark.parametrize(("model", "number"), NOTHING)
def test_numbers_of_nothing(model, number):
    answer = why(base(model), number)
    assert (answer.answers, answer.nearest[0].fit) == ((), "")


@pytest.mark.parametrize(("model", "number"), [*((case[0], case[1]) for case in CASES), *NOTHING])
def test_differences_add_up(model, number):
    answer = why(base(model), number)
    best = (answer.answers or answer.nearest)[0]
    told = differences(answer)
    assert all(item.difference == (item.second or 0) - (item.first or 0) for item in told.items if item.second != item.first)
    assert told.first + sum(item.difference for item in told.items) == told.second
    if best.layer is None and "batch" not in str(best.steps):
        assert told.second == best.value - (0 if best.fit else best.off)


@pytest.mark.parametrize(
    ("model", "number", "items"),
    [
        ("alexnet", "60965224", {"conv2": -307_200, "conv4": -663_552, "conv5": -442_368}),
        ("lenet5", "61706", {"S2 / pool1": -12, "C3 / conv2": 900, "S4 / pool2": -32, "output / fc3": 850}),
        ("resnet50", "3.8e9", {f"layer{stage}.0.conv1": -77_070_336 for stage in (2, 3, 4)}),
        ("vgg16", "15.3G", {"linear": -123_633_664}),
        ("alexnet", "622312", {"conv1": 55 * 48 * 96 - 55 * 55 * 96}),
        ("resnet50", "4.11G", {"BatchNorm": 22_227_968, "pooling": 100_352}),
        ("resnet50", "25610152", {"BatchNorm": 53_120}),
        ("googlenet_aux", "1582671872", {"side heads": -8_372_224}),
        ("googlenet_aux", "1585899032", {"convolution bias": 3_226_160, "linear bias": 1000, "side heads": -8_372_224}),
    ],
)
def test_differences_are_itemised(model, number, items):
    assert {item.name: item.difference for item in differences(why(base(model), number)).items} == items


def test_what_is_changed_is_told_in_the_words_of_the_spec():
    notes = differences(why(base("resnet50"), "3.8e9")).notes
    assert notes == (f"stride_on_3x3: {comment(read_spec('resnet50')[0], 'stride_on_3x3')}",)
    assert "v1, the paper's, halves in the first 1x1" in notes[0]


def test_a_stride_is_among_what_differs():
    first = differences(why(base("resnet50"), "3.8e9")).items[0]
    assert first.differs["stride"] == ((1, 1), (2, 2))


def test_both_tools_that_print_a_figure_are_named():
    assert [one.measure for one in why(base("resnet50"), "4.12G").answers] == ["ptflops-once", "onnx-tool"]
    assert [one.measure for one in why(base("resnet50"), "8.21G").answers] == ["calflops", "deepspeed"]


# Benchmark table of https://github.com/sovrasov/flops-counter.pytorch, README.md, in 1e9
PTFLOPS = {
    "alexnet_torchvision": "0.72", "vgg11": "7.63", "vgg13": "11.34", "vgg16": "15.50", "vgg19": "19.67", "vgg11_bn": "7.64",
    "vgg13_bn": "11.36", "vgg16_bn": "15.53", "vgg19_bn": "19.70", "resnet18": "1.82", "resnet34": "3.68", "resnet50": "4.12",
    "resnet101": "7.85", "resnet152": "11.58", "densenet121": "2.88", "densenet161": "7.82", "densenet169": "3.42",
    "densenet201": "4.37",
}  # fmt: skip


@pytest.mark.parametrize("model", PTFLOPS)
def test_the_readme_of_ptflops_is_met(model):
    assert f"{BY_KEY['ptflops-once'].value(network(model)) / 1e9:.2f}" == PTFLOPS[model]


@pytest.mark.parametrize(
    "model", ["lenet5", "lenet5_modern", "alexnet_two_towers", "googlenet_aux", "resnet50", "densenet121", "vgg16_bn"]
)
def test_measures_are_those_of_the_analysis(model):
    found, totals = network(model), analyse(base(model).graph()).totals
    plain = ("params", "trainable", "macs", "neurons", "connections", "output_bytes", "saved_bytes")
    assert {name: BY_KEY[name].value(found) for name in plain} == {name: getattr(totals, name) for name in plain}
    assert BY_KEY["params+buffers"].value(found) == totals.params + totals.buffers
    tools = [name for name in CONVENTIONS if name != "macs"]
    assert {name: BY_KEY[name].value(found) for name in tools} == {name: count(found.graph, name).total for name in tools}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["googlenet_aux", "tests/data/specs/siamese.yaml"])
def test_the_bytes_of_torchinfo_are_those_that_it_prints(model):
    torchinfo = pytest.importorskip("torchinfo", reason="torchinfo 1.8.0 is not installed")
    graph = base(model).graph()
    sizes = [tuple(node.output) for node in graph.inputs]
    printed = torchinfo.summary(archcalc.build(graph), sizes, verbose=0, mode="eval", device="cpu").total_output_bytes
    assert BY_KEY["2*weighted"].value(network(model)) == printed


@pytest.mark.parametrize("number", ["138357544", "15470264320", str(64 * 15_470_264_320)])
def test_a_network_without_heads_is_not_told_of_as_if_it_had_some(number):
    measures = [one.measure for one in why(base("vgg16"), number).answers]
    assert measures[0] in ("params", "macs")
    assert not any(measure.endswith("side-heads") for measure in measures)


def test_every_convention_is_a_measure():
    assert set(CONVENTIONS) <= set(BY_KEY)
    assert len(BY_KEY) == len(MEASURES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.model)
def test_published_files_hold_the_state_dict_and_little_else(file):
    found = network(file.model)
    tensors = sum(1 for _, part in found.parts if part.params) * 5
    more = file.thousandths * 2**20 / 1000 - BY_KEY["state_dict"].value(found)
    assert -2 * 2**10 < more < 400 * tensors + 2**13


@pytest.mark.parametrize("one", LISTS, ids=lambda one: one.spec)
def test_printed_lists_are_about_layers(one):
    layers = {name for name, _ in network(one.spec).parts}
    assert {layer for layer, _ in one.rows} - {"input"} <= layers
    assert one.measure in BY_KEY


VARIANTS = sorted(set(index()) - {"resnet1202", "preact_resnet1001"})
variants = st.sampled_from(VARIANTS)


@few
@given(variants, st.sampled_from(MEASURES))
def test_an_exact_number_is_the_models_own(model, measure):
    value = measure.value(network(model))
    text = f"{value:,} bytes" if measure.byte else str(value)
    if value:
        answer = why(base(model), text)
        assert all(
            (one.model, one.steps, one.fit, one.value) == (model, (), "exact", value) for one in answer.answers if not one.layer
        )
        assert answer.answers[0].value == value
        assert answer.answers[0].model == model
        assert explanation(answer).document.sentence.endswith("exactly.")


@few
@given(variants, st.sampled_from([measure for measure in MEASURES if not measure.byte]), st.integers(2, 6), st.sampled_from("eKMG"))
def test_a_rounded_number_is_found(model, measure, digits, unit):
    value = measure.value(network(model))
    rounded = Decimal(f"{Decimal(value):.{digits}e}")
    scaled = rounded.scaleb(-{"e": 0, "K": 3, "M": 6, "G": 9}[unit])
    text = f"{rounded:e}" if unit == "e" or scaled.as_tuple().exponent > 0 else f"{scaled:f}{unit}"
    answers = why(base(model), text).answers
    assert answers or not value
    assert all(one.model == model for one in answers)
    plainest = min((BY_KEY[one.measure].plainness for one in answers if one.measure in BY_KEY), default=9)
    assert value in [one.value for one in answers] or len(answers) == MOST_ANSWERS or plainest < measure.plainness or not value


numbers = st.one_of(
    st.integers(0, 10**11).map(str),
    st.integers(0, 10**11).map("{:,}".format),
    st.builds("{:.{}e}".format, st.floats(1e3, 1e12), st.integers(0, 4)),
    st.builds(
        "{}{}".format, st.decimals(1, 999, places=1), st.sampled_from(["K", "M", "G", " MACs", "M params", "MB", "GiB", "KiB"])
    ),
)


@settings(few, max_examples=12)
@given(variants, numbers)
def test_nothing_is_called_a_fit_that_is_not_printed_so(model, number):
    answer = why(base(model), number)
    assert not (answer.answers and answer.nearest)
    for one in answer.answers:
        assert any(reading.fit(one.value) for reading in readings(number))
    for one in answer.nearest:
        assert one.fit == ""
        assert readings(number)[0].fit(one.value) is None
    json.loads(json.dumps(str(explanation(answer).document)))
    assert explanation(answer).table().rows or not answer.nearest


@given(st.integers(1, 10**13), st.integers(0, 11), st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN]))
def test_a_reading_fits_what_is_printed_as_it_and_nothing_a_unit_away(value, power, rounding):
    unit = 10**power
    printed = int(Decimal(value).scaleb(-power).quantize(Decimal(1), rounding=rounding))
    (reading, *_) = readings(f"{printed}e{power}")
    assert reading.fit(value) == ("exact" if power == 0 else reading.fit(value))
    assert reading.fit(value) is not None
    assert reading.fit(value + 2 * unit) is None
    assert reading.fit(value - 2 * unit) is None


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("60965224", [60_965_224, 60_965_224]),
        ("61,100,840", [61_100_840, 61_100_840]),
        ("650000", [650_000, 650_000, 650_000]),
        ("3800M", [3.8e9, 3.8e9, 3800 * 2**20, 3800 * 2**20]),
        ("1.5K", [1500, 1536, 1536]),
        ("97.5MiB", [97.5 * 2**20]),
        ("98 MB", [98 * 10**6, 98 * 2**20]),
        ("1 bytes", [1]),
        ("8.2 GFLOPs", [8_200_000_000, 8.2 * 2**30, 8.2 * 2**30]),
        ("25.6M params", [25_600_000, 25.6 * 2**20, 25.6 * 2**20]),
    ],
)
def test_readings(text, targets):
    assert [float(reading.target) for reading in readings(text)] == pytest.approx(targets)


@pytest.mark.parametrize(
    "text", ["", "many", "-5", "1e-", "MiB", "4.12 parsecs", "9" * 65, "1e40", "9e18 GiB", "\x1b[31m7", "1" * 10**6]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(UsageError):
        readings(text)


@few
@given(st.text(max_size=30) | st.text("0123456789.,_eEkKMGTiBb -+", max_size=20))
def test_any_text_is_a_number_or_refused(text):
    with suppress(UsageError):
        why(base("lenet5"), text)


def test_what_is_left_is_named_and_explained_where_a_sum_does_it():
    found = network("resnet50")
    value = BY_KEY["params"].value(found) + 2 * 26_560 + 7
    told = differences(why(base("resnet50"), str(value)))
    assert REST in [item.name for item in told.items]
    merged = BY_KEY["macs"].value(found) + sum(part.elements for _, part in found.parts if part.kind in ("activation", "addition"))
    assert any(
        note.startswith(f"{merged:,} = MACs 4,089,184,256 + ") for note in differences(why(base("resnet50"), str(merged))).notes
    )


def test_settings_of_the_command_line_are_where_the_search_starts():
    asked = base("resnet50", settings={"classes": 10}, inputs={"input": (3, 64, 64)}, batch=4)
    value = BY_KEY["macs"].value(Network(asked.graph()))
    best = why(asked, str(value)).answers[0]
    assert (best.model, best.steps, best.value) == ("resnet50", (), value)


def test_bytes_are_those_of_the_dtype():
    halves = why(base("vgg16", dtype="float16"), "57402320 bytes").answers[0]
    assert (halves.measure, 2 * halves.value) == ("output_bytes", BY_KEY["output_bytes"].value(network("vgg16")))


@pytest.mark.parametrize("model", ["resnet50", "densenet201"])
@pytest.mark.parametrize("number", ["123456789", "8123456789"])
def test_a_search_that_finds_nothing_ends_soon(model, number):
    """Held against one look at the model itself in all ways of counting, on this machine at this moment: some hundred networks."""
    once = min(timed(lambda: [measure.value(Network(base(model).graph())) for measure in MEASURES[:20]]) for _ in range(3))
    assert min(timed(lambda: why(base(model), number)) for _ in range(2)) < 60 * once


def timed(work):
    start = perf_counter()
    work()
    return perf_counter() - start


def test_torch_and_rich_stay_out():
    program = (
        "import sys; from archcalc.cli import main\ntry: main()\nexcept SystemExit: print({'torch', 'rich'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, "why", "resnet50", "4.12G", "--format", "json"]
    assert subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60).stdout.endswith("set()\n")
