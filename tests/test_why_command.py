"""``archcalc why`` on the screen and in its other forms, and what it says where nothing fits."""

import json

import pytest

from archcalc.analysis.why import why
from archcalc.analysis.why.differences import differences
from archcalc.analysis.why.measures import BY_KEY
from archcalc.analysis.why.search import NEAREST
from tests.test_why import BIASED, base, network


@pytest.mark.parametrize("measure", ["params", "params+statistics", "params-head", "macs-linear", "2*macs-convolutions"])
def test_what_is_off_by_one_comes_first_and_the_plain_count_stays(measure):
    number = BY_KEY[measure].value(network("resnet50")) + 1
    nearest = why(base("resnet50"), str(number)).nearest
    assert (nearest[0].model, nearest[0].steps, nearest[0].measure, nearest[0].off) == ("resnet50", (), measure, -1)
    if measure == "params+statistics":
        assert (nearest[1].steps, nearest[1].measure) == ((), "params")


def test_what_is_changed_has_to_be_much_nearer():
    ten, two = (BY_KEY["params"].value(network(model)) for model in ("resnet50", "resnet50_v1_a"))
    near_to_ten = ten - 990 * 2049  # classes 10 in place of 1000: 2048 weights and a bias fewer for each
    assert why(base("resnet50"), str(near_to_ten + 5)).nearest[0].steps == ("classes 1000 -> 10",)
    midway = (ten + two) // 2
    assert why(base("resnet50"), str(midway)).nearest[0].model == "resnet50"


@pytest.mark.parametrize(("model", "number"), [("alexnet", "7"), ("resnet50", "25557039"), ("vgg16", "528.1MB")])
def test_the_nearest_are_told_once(model, number):
    nearest = why(base(model), number).nearest
    assert len(nearest) == NEAREST
    told = [(BY_KEY[one.measure].base, one.value) for one in nearest]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(("unit", "words"), [(10**6, ""), (2**20, "MB taken as MiB")])
def test_the_nearest_say_how_a_unit_is_read(run, unit, words):
    number = f"{BY_KEY['param_bytes'].value(network('vgg16')) / unit + 0.1:.2f}MB"
    first = why(base("vgg16"), number).nearest[0]
    assert (first.measure, first.reading) == ("param_bytes", words)
    assert ("MB taken as MiB" in run("why", "vgg16", number).out.splitlines()[3]) == bool(words)


SCREEN = """\
60965224 is alexnet_two_towers, AlexNet, the paper's two towers: 60,965,224 parameters, exactly.

what                     value  difference  because
alexnet_two_towers  60,965,224              parameters; exact; towers 1 -> 2
"""


def test_the_screen_begins_with_the_answer(run):
    outcome = run("why", "alexnet", "60965224")
    assert outcome.code == 0
    assert outcome.out.startswith(SCREEN)
    assert "conv4                  663,936    -663,552  groups 1 -> 2\n" in outcome.out


@pytest.mark.parametrize(("number", "code"), [("25557032", 0), ("123456789", 1), ("many", 2)])
def test_exit_codes(run, number, code):
    assert run("why", "resnet50", number).code == code


def test_json(run):
    document = json.loads(run("why", "alexnet", "60965224", "--format", "json").out)
    assert document["schema"] == "archcalc.why/1"
    assert document["first"] + sum(item["difference"] for item in document["differences"]) == document["second"] == 60_965_224
    assert [answer["model"] for answer in document["answers"]] == ["alexnet_two_towers", "alexnet_224", "alexnet_caffenet"]
    assert document["answers"][0]["settings"] == ["towers 1 -> 2"]


@pytest.mark.parametrize("form", ["table", "md", "csv", "tsv", "latex", "jsonl", "html"])
def test_every_form_names_the_answer(run, form):
    outcome = run("why", "resnet50", "3.8e9", "--format", form)
    assert outcome.code == 0
    assert "v1" in outcome.out


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (24 * 9 + 24 + 24 * 24 + 24 + 5 * 24 + 5, BIASED),
        (24 * 24 * 9 + 24 * 24 + 24 + 5 * 24 + 5, "no groups: every kernel sees all channels"),
    ],
)
def test_arguments_of_all_layers_are_tried(tmp_path, number, step):
    file = tmp_path / "separable.yaml"
    file.write_text(
        """
        input: [24, 7, 7]
        layers:
          - Conv2d: {out_channels: 24, kernel_size: 3, groups: 24, bias: false}
          - Conv2d: {out_channels: 24, kernel_size: 1}
          - GlobalAvgPool2d
          - Flatten
          - Linear: {out_features: 5}
        """
    )
    best = why(base(str(file)), str(number)).answers[0]
    assert (best.steps, best.measure, best.fit) == ((step,), "params", "exact")


def test_a_papers_list_is_not_held_against_a_network_with_other_layers(tmp_path):
    file = tmp_path / "alexnet.yaml"
    file.write_text("name: alexnet\ninput: [3, 32, 32]\nlayers: [Flatten, Linear: {out_features: 9}]")
    answer = why(base(str(file)), "622312")
    assert answer.answers == ()
    assert not any("Fig. 2" in note for note in differences(answer).notes)


def test_a_file_of_ones_own_has_the_bundled_kin(run, tmp_path):
    file = tmp_path / "lenet5.yaml"
    file.write_text(
        "name: lenet5\ninput: [1, 32, 32]\nlayers: [Conv2d: {out_channels: 6, kernel_size: 5}, Flatten, Linear: {out_features: 9}]"
    )
    assert "60000 is lenet5, LeNet-5: 60,000 parameters, exactly." in run("why", str(file), "60000").out


FEW_DIGITS = [  # one digit fits much by chance: only the model itself, plainly counted, and near enough
    ("resnet18", "2G", "1,814,073,344 MACs"),
    ("vgg16", "0.5GB", "553,430,176 bytes of parameters in float32"),
    ("alexnet", "1e6", None),
    ("resnet18", "1M", None),
    ("resnet50", "2M", None),
]


@pytest.mark.parametrize(("model", "number", "told"), FEW_DIGITS)
def test_one_digit_says_little(model: str, number: str, told: str | None, run) -> None:
    first = run("why", model, number).out.splitlines()[0]
    assert f": {told}, " in first if told else "is no count of" in first


def test_a_layer_has_one_output(run) -> None:
    assert run("why", "resnet50", "1000").out.startswith("1000 is fc of resnet50: 1,000 numbers in the output, exactly.")
