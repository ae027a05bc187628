"""Every operator on a page that names no model: by its own name, and as ``worksheet`` writes it."""

import re

import pytest

from archcalc.graph import Builder, Graph
from archcalc.ops import OPS, Op
from archcalc.shape import Shape
from archcalc.worksheet import Finding, Said, judge, read
from archcalc.worksheet.stated import read_stated, stated
from archcalc.worksheet.write import layer_line, worksheet
from tests.op_cases import CASES, Case

WORDS = "archcalc/worksheet/words.py"
READINGS = "archcalc/worksheet/operators.py (what a layer line can mean) or archcalc/worksheet/write.py (what it says)"
IMAGES = [case for case in CASES if all(len(x) in (2, 4) for x in case.inputs)]  # without a model 7 x 4 is an image of no channels
# The last layer of units is called by its softmax: what such a line makes of 10 features may be 11.
FOUND = [case for case in IMAGES if not (isinstance(case.op, OPS["Softmax"]) and len(case.x) == 2)]
OTHERS = [case for case in CASES if case not in IMAGES]


def network(case: Case) -> Graph:
    """The operator behind one input, or, if it merges, behind a branch for each of its own."""
    builder = Builder()
    if not case.op.merges:
        ends = [builder.input("input", (1, *case.x[1:]))]
    else:
        start = builder.input("input", (1, *case.inputs[0][1:]))
        ends = [_branch(builder, f"branch{index}", start, x) for index, x in enumerate(case.inputs)]
    return builder.graph("net", {"output": builder.add("last", case.op, tuple(ends))})


def _branch(builder: Builder, name: str, start: int, x: Shape) -> int:
    if len(x) == 2:
        return builder.add(name, OPS["Linear"](out_features=x.c), (start,))
    sized = builder.add(f"{name}.size", OPS["AdaptiveAvgPool2d"](output_size=x.axes), (start,))
    return builder.add(name, OPS["Conv2d"](out_channels=x.c, kernel_size=1), (sized,))


def sheet(case: Case) -> str:
    return worksheet(network(case), None)


def judged(page: str) -> list[Finding]:
    return list(judge(read(page)).findings)


@pytest.mark.parametrize("case", IMAGES, ids=str)
def test_the_sheet_of_every_operator_is_read_by_itself_and_right(case: Case) -> None:
    amiss = [(finding.verdict, finding.text, finding.because) for finding in judged(sheet(case)) if finding.verdict != "right"]
    assert amiss == [], f"{type(case.op).__name__} cannot be read as worksheet writes it: mend {READINGS}"


@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_the_sheet_of_an_operator_along_other_axes_has_nothing_wrong(case: Case) -> None:
    assert [finding for finding in judged(sheet(case)) if finding.verdict == "wrong"] == []


@pytest.mark.parametrize("case", FOUND, ids=str)
def test_a_wrong_answer_of_every_operator_is_found(case: Case) -> None:
    lines = sheet(case).splitlines()
    last = lines.index("## last")
    for number in range(last, lines.index("## Totals")):
        found = re.fullmatch(r"- (output:|parameter =|MACs =).*?([0-9][0-9,]*)( x [0-9]+)*", lines[number])
        if found is None:
            continue
        more = f"{int(found[2].replace(',', '')) + 1:,}"
        wrong = f"{lines[number][: found.start(2)]}{more}{lines[number][found.end(2) :]}"
        page = "\n".join([*lines[:number], wrong, *lines[number + 1 :]])
        verdicts = {finding.verdict for finding in judged(page) if finding.line == number + 1}
        assert "wrong" in verdicts, f"{wrong!r} passes for {type(case.op).__name__}: mend {READINGS}"


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_every_operator_is_known_by_its_own_name(op: type[Op]) -> None:
    said = [item for item in read(f"input: 8 x 8 x 4\n{op.__name__}\n").items if isinstance(item, Said)]
    named = [item.op for item in said]
    if op.merges or op.__name__ in ("Resize", "Upsample"):
        assert named == []  # words of prose too
    else:
        assert named == [op.__name__], f"{op.__name__} is no word of a layer line: mend {WORDS}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_operator_is_read_as_it_is_stated_in_full(case: Case) -> None:
    arguments = {name: getattr(case.op, name) for name in case.op.__struct_fields__}
    line = stated(case.op, arguments)
    assert read_stated(line) == ((case.op, arguments) if arguments else None)
    if arguments:
        (said,) = (item for item in read(f"input: 8 x 8 x 4\n{line}\n").items if isinstance(item, Said))
        assert dict(said.arguments or ()) == arguments


STATED = [
    ("LayerNorm: normalized_shape=[9, 7], bias=false", {"normalized_shape": (9, 7), "bias": False}),
    ("ChannelShuffle: groups=3", {"groups": 3}),
    ("Conv2d: out_channels=4, kernel_size=3", {"out_channels": 4, "kernel_size": (3, 3)}),
    ("Flatten: start_dim=2", {"start_dim": 2}),
    ("Conv2d: out_channels=4", None),  # an argument is missing
    ("ChannelShuffle: groups=three", None),
    ("ChannelShuffle: groups=3 groups=3", None),
    ("ChannelShuffle: groups=3, pieces=4", None),
    ("ChannelShuffle: groups=3 of them", None),
    ("Shuffle: groups=3", None),
    ("ReLU: [[[", None),
]


@pytest.mark.parametrize(("line", "arguments"), STATED)
def test_lines_that_state_an_operator(line: str, arguments: dict[str, object] | None) -> None:
    found = read_stated(line)
    assert (found and found[1]) == arguments


def test_a_sheet_uses_the_words_of_hand_calculations_where_they_say_enough() -> None:
    x = Shape((1, 6, 9, 7))
    lines = [layer_line(op, x) for op in (OPS["MaxPool2d"](3, 2), OPS["MaxPool2d"](3, 2, dilation=2), OPS["LeakyReLU"](0.2))]
    assert lines == [
        "Max pooling: 3 x 3, s=2",
        "MaxPool2d: kernel_size=[3, 3], stride=[2, 2], dilation=[2, 2]",
        "LeakyReLU",  # the slope changes no number of the page
    ]
