"""Which layer a line and its numbers belong to: pages that are right, and what is found when one line of them is not."""

import re
from pathlib import Path

import pytest

from archcalc.spec import load, read_spec
from archcalc.worksheet import Said, judge, read
from archcalc.worksheet.files import model_of
from archcalc.worksheet.layerline import read_layer_line
from archcalc.worksheet.write import worksheet

SPECS = sorted((Path(__file__).parent / "data" / "specs").glob("*.yaml"))

CONV1 = "Input: 227x227x3\nConv1: 11x11, 96 filters, stride 4\nOutput: 55x55x96\n"
POOL1 = "Pool1: 3x3 max pooling, stride 2\nOutput: 27x27x96\n"
CONV2 = "Conv2: 5x5, 256 filters, padding 2\nOutput: 27x27x256\n"
LENET = (
    "Input: 32x32x1\nC1: Convolution, 6 filters of 5x5\nOutput: 28x28x6\nS2: average pooling 2x2, stride 2\nOutput: 14x14x6\n{}\n"
    "C3: Convolution, 16 filters of 5x5\nOutput: 10x10x16\n{}\nS4: average pooling 2x2, stride 2\nOutput: 5x5x16\n{}\n"
    "C5: Convolution, 120 filters of 5x5\nOutput: 1x1x120\nparams = 48,120\n"
)
AHEAD = "13x13x256\nPooling: 3x3, s=2, padding=0\n6x6x256\n{}\nfc1 4096\n{}\nfc2 4096\n{}\nfc3 1000\n"
MLP = "Input: 784\nfc1 100\nparams = 78,500\n"


def lenet(*numbers: str) -> str:
    return LENET.format(*(f"params: {number}" for number in numbers))


def ahead(*numbers: str) -> str:
    return AHEAD.format(*(f"params: {number}" for number in numbers))


def about(model: str, *lines: str) -> str:
    return "\n".join(["---", f"model: {model}", "---", *lines])


def torch(*lines: str) -> str:
    return "\n".join(["```python", "nn.Sequential(", *lines, ")", "x = torch.randn(1, 1, 32, 32)", "```"])


def fenced(text: str) -> str:
    return f"```python\n{text}```\nTotal params: {{}}\n"


MODULE = fenced(
    "class Net(nn.Module):\n"
    "    def __init__(self, num_classes=10):\n"
    "        super().__init__()\n"
    "        self.features = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())\n"
    "        self.classifier = nn.Linear(6 * 14 * 14, num_classes)\n"
    "    def forward(self, x):\n"
    "        x = F.max_pool2d(self.features(x), 2)\n"
    "        return self.classifier(torch.flatten(x, 1))\n"
)
KERAS = (
    "```python\n"
    "model = Sequential([Conv2D(6, 5, input_shape=(32, 32, 1)), AveragePooling2D(), Conv2D(16, 5), Flatten(), Dense(10)])\n```\n"
    "| Layer (type) | Output Shape | Param # |\n|-|-|-|\n| conv2d (Conv2D) | (None, 28, 28, 6) | 156 |\n"
    "| average_pooling2d (AveragePooling2D) | (None, 14, 14, 6) | 0 |\n| conv2d_1 (Conv2D) | (None, 10, 10, 16) | {} |\n"
)

# A right page, the line that goes wrong, what it says then, and on which line that is found.
TWINS = [
    # a quantity that is said twice is the same layer's
    (CONV1 + "params = 34,944\nParams ≈ 35K\n" + POOL1 + CONV2, "35K", "38K", 5),
    (CONV1 + "params = 34,944\nParams ≈ 35K\n", "35K", "38K", 5),
    (CONV1 + "memory: 55*55*96\nmemory: 1.16 MB\n" + POOL1, "1.16", "1.26", 5),
    (CONV1 + "params = 34,944\nparams: 34.9K\n" + POOL1 + CONV2 + "params = 614,656\n", "614,656", "614,566", 10),
    # a number below a pool is the pool's, unless the page has its numbers ahead of the layers
    (lenet("0", "2,416", "0"), "params: 0\nC3", "params: 14\nC3", 6),
    (lenet("12", "2,416", "32"), "params: 12", "params: 13", 6),
    (lenet("12", "1,516", "32"), "1,516", "1,517", 9),
    (lenet("0", "2,416", "0"), "2,416", "2,400", 9),
    (ahead("37,752,832", "16,781,312", "4,097,000"), "16,781,312", "16,777,217", 6),
    (ahead("37,752,832", "16,781,312", "4,097,000"), "4,097,000", "4,096,001", 8),
    # sums take in no more than was read
    (MLP + "출력층 10\nparams = 1,010\nTotal params = 79,510\n", "79,510", "79,501", 6),
    (MLP + "Output layer: 10 units\nparams = 1,010\nTotal params = 79,510\n", "1,010", "1,000", 5),
    (MLP + "model size: 314 KB\n", "314", "341", 4),
    (MLP + "은닉층 50개\nparams = 5,050\n## 총합\nparams: 83,550\n", "83,550", "83,505", 7),
    # several layers, places and what is said again are no layers
    (CONV1 + "params = 34,944\nConv1 has 96 kernels of size 11x11 with stride 4\n" + POOL1, "27x27", "26x26", 7),
    (CONV1 + "## Layer 3 (FC)\n- 10 units\nparams: 2,904,010\n", "2,904,010", "2,904,001", 6),
    (CONV1 + "## Layer 2: Fully connected\n- 10 units\n- params: 2,904,010\n", "2,904,010", "2,904,001", 6),
    (CONV1 + "### FC layers\nFC6: 10 units\nparams: 2,904,010\n", "2,904,010", "2,904,001", 6),
    # lines that add to a heading
    ("227x227x3\nConv1\n11x11, 96, s4\n55x55x96\n34,944 params\n", "34,944", "34,848", 5),
    ("입력: 227x227x3\n## Conv1\n- 필터: 11×11×3, 96개\n- stride 4, padding 0\n- 출력: 55x55x96\n", "55x55", "54x54", 5),
    ("CONV1\nInput 227x227x3\nKernel size 11x11\nStride 4\nNumber of filters 96\n55x55x96\n34,944 params\n", "34,944", "34,848", 7),
    ("Input: 256\n## FC6\n256 -> 10\nparams: 2,570\n## FC7\n7\nparams: 77\n", "77", "70", 7),
    (CONV1 + "pool1: 3x3 max, stride 2, ceil\n27x27x96\npool2: 2x2 avg, stride 2\n13x13x96\n", "13x13", "15x15", 7),
    ("Input: 8x8x32\ndw: 3x3 conv, padding 1\n8x8x32\nparams = 320\n", "320", "9,248", 4),
    ("Input: 56x56x64\nlayer1.0.conv1 3x3 64 padding 1 bias=False -> 64x56x56\nparams = 36,864\n", "36,864", "36,846", 3),
    # tables
    ("Input: 784\n\n| layer | params |\n|:-:|-|\n| fc1 100 | 78,500 |\n", "78,500", "78,400", 5),
    (KERAS.format("2,416"), "2,416", "2,400", 8),
    # the layers of a model
    (about("resnet50", "fc: 1000", "params: 2,049,000"), "2,049,000", "2,048,000", 5),
    (about("vgg16", "fc6", "params: 102,764,544", "fc7", "params: 16,781,312"), "16,781,312", "16,777,216", 7),
    (about("lenet5_modern", "C5: 120", "params: 48,120", "F6: 84", "params: 10,164"), "10,164", "10,080", 7),
    (about("lenet5", "C5: 120", "params: 48,120", "F6: 84", "params: 10,164"), "48,120", "48,000", 5),
    (
        about("vgg16", "| layer | output | params |", "|-|-|-|", "| conv1_1 | 224x224x64 | 1,792 |", "| fc8 | 1000 | 4,097,000 |"),
        "4,097,000",
        "4,096,000",
        7,
    ),
    # comments and classes
    (torch("nn.Conv2d(1, 6, 5),  # 28x28x6, 156 params", "nn.ReLU(), nn.Conv2d(6, 8, 5))  # 1,208 params"), "156", "150", 3),
    (torch("nn.Conv2d(1, 6, 5),  # 28x28x6, 156 params", "nn.ReLU(), nn.Conv2d(6, 8, 5))  # 1,208 params"), "1,208", "1,200", 4),
    (torch("nn.Conv2d(1, 6, 5),  # C1: 6 filters 5x5", "nn.AvgPool2d(2),  # 14x14x6"), "14x14", "15x15", 4),
    (torch("nn.Conv2d(1, 6, 5),", "nn.Flatten(),  # 4,704", "nn.Linear(4704, 10)  # 10"), "4,704", "4,707", 4),
    (torch("nn.Conv2d(1, 6, 5),", "# Total params: 156"), "156", "150", 4),
    (MODULE.format("11,926"), "11,926", "11,916", 11),
]


@pytest.mark.parametrize(("text", "right", "wrong", "line"), TWINS)
def test_a_right_page_is_right_and_its_wrong_twin_is_found(text: str, right: str, wrong: str, line: int) -> None:
    def verdicts(page: str) -> list[tuple[int, str]]:
        opened = read(page)
        findings = judge(opened, model_of(opened, "")).findings
        return [(finding.line, finding.because) for finding in findings if finding.verdict != "right"]

    assert text.count(right) == 1
    assert verdicts(text) == []
    assert [number for number, _ in verdicts(text.replace(right, wrong))] == [line]


# What is not told, or contradicts what can be read, is neither right nor wrong; the lines that are shown as such.
UNREAD = [
    (CONV1 + "params = 34,944\nPooling layers 3\n" + POOL1, [5]),
    (CONV1 + "params = 34,944\n5 convolutional layers of size 3\n" + POOL1, [5]),
    (CONV1 + "## 3 FC layers\nFC6: 10 units\nparams: 2,904,010\n", [4]),
    (CONV1 + "stride 2, padding 1\n" + POOL1, [4]),
    (CONV1 + "params = 34,944\nthe shortcut\nparams = 16,384\n" + POOL1, [6]),
    (CONV1 + "params = 34,944\n1x1, 256 for the shortcut\nparams = 16,384\n" + POOL1, [5, 6]),
    (CONV1 + "params = 34,944\nparams (without biases) = 34,848\n" + POOL1, [5]),
    (MLP + "layer2 = 1,219,584\nTotal params = 78,500 + 1,219,584 = 1,298,084\n", [4, 5]),
    (MLP + "layer2 = 100,000\nmodel size: 714 KB\n", [4, 5]),
    (MLP + "fc = 100*10 + 10 = 1,010\nTotal params: 79,510\n", [5]),
    (MLP + "In 2012 this was new.\nTotal params: 78,500\n", [4]),
    ("```python\nnn.Sequential(nn.Linear(4, 10), nn.Linear(10, 2))  # 50 params\n```\n", [2]),
    (torch("nn.Conv2d(1, 6, 5),  # see 3.2"), [3]),
    (torch("nn.Conv2d(1, 6, 5),  # 8 filters"), [3]),
    (torch("# 156 params", "nn.Conv2d(1, 6, 5),"), [3]),
]


@pytest.mark.parametrize(("text", "lines"), UNREAD)
def test_what_is_not_told_is_no_error(text: str, lines: list[int]) -> None:
    found = [(finding.verdict, finding.line) for finding in judge(read(text)).findings if finding.verdict != "right"]
    assert found == [("unread", line) for line in lines]


def test_a_wrong_sum_is_found_beside_numbers_that_have_no_part_in_it() -> None:
    text = MLP + "fc2 10\nparams = 1,010\n3*3*64 = 576\nIn 2012 this was new.\nTotal params = {}\n"
    assert judge(read(text.format("79,510"))).wrong == ()
    (wrong,) = judge(read(text.format("80,510"))).wrong
    assert (wrong.expected, wrong.found) == (79_510, 80_510)


MORE = [
    ("stride 4, padding 0", {"stride": (4, 4), "padding": (0, 0)}),
    ("11x11, 96, s4", {"kernel": (11, 11), "count": 96, "stride": (4, 4)}),
    ("Kernel size 11*11", {"kernel": (11, 11)}),
    ("10 units", {"count": 10}),
    ("9216 → 4096", {"op": "Linear", "x": 9216, "count": 4096}),
    ("4096", {"op": "Linear", "count": 4096}),
]


@pytest.mark.parametrize(("text", "fields"), MORE)
def test_a_line_may_add_to_the_heading_above_and_says_nothing_by_itself(text: str, fields: dict[str, object]) -> None:
    assert read_layer_line(1, text, text) is None
    (said,) = read(text).items
    assert isinstance(said, Said)
    assert said.more
    assert {name: getattr(said, name) for name in fields} == fields
    assert [finding.verdict for finding in judge(read(text)).findings] == ["unread"]


@pytest.mark.parametrize("text", ["55x55x96", "5x5", "6 feature maps", "3 channels", "28x28, 6 maps"])
def test_what_comes_out_is_no_kernel(text: str) -> None:
    assert read_layer_line(1, text, text, more=True) is None


BLANKS = [
    ("parameter = ____", 1),
    ("- **total parameter** = `____`", 1),
    ("conv1 params: ?", 1),
    ("parameter = I don't know", 1),
    ("파라미터 = 모르겠음", 1),
    ("MACs = 55*55*____ = ____", 1),
    ("| layer | output | params |\n|---|---|---|\n| fc1 10 | ____ | ____ |", 2),
    ("Name: ____", 0),
    ("____", 0),
    ("Parameters:", 0),
    ("output = softmax", 0),
    ("Fill in each ____, then: archcalc verify PAGE.md", 0),
]


@pytest.mark.parametrize(("text", "count"), BLANKS)
def test_an_answer_that_is_empty_is_counted(text: str, count: int) -> None:
    judgement = judge(read(text))
    assert (len(judgement.empty), judgement.findings) == (count, ())


@pytest.mark.parametrize("model", ["alexnet", "resnet18", "lenet5"])
def test_every_answer_of_a_blank_sheet_is_counted(model: str) -> None:
    blank = worksheet(load(model), model, blank=True)
    assert len(judge(read(blank)).empty) == blank.count(" ____\n")
    assert judge(read(worksheet(load(model), model))).empty == ()


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_the_sheet_of_any_spec_is_right_and_a_wrong_answer_is_found(file: Path) -> None:
    """Convolutions along one and three axes, flat merges, shared layers, names that are not Latin."""
    spec, chosen = read_spec(str(file))
    graph = spec.graph(chosen)
    page = worksheet(graph, file.name)
    assert [finding for finding in judge(read(page), graph).findings if finding.verdict != "right"] == []
    alone = re.sub("^model: .*$", "about: nothing", page, count=1, flags=re.MULTILINE)
    assert [(finding.text, finding.because) for finding in judge(read(alone)).wrong] == []
    answers = [(line, text) for line, text in enumerate(page.splitlines(), 1) if text.startswith(("- output: ", "- parameter = "))]
    for line, text in answers[:: max(1, len(answers) // 5)]:
        digits = re.sub(r"[0-9](?=\D*$)", lambda found: str((int(found[0]) + 1) % 10 or 7), text)
        wrong = judge(read(page.replace(f"\n{text}\n", f"\n{digits}\n", 1)), graph).wrong
        assert line in {finding.line for finding in wrong} or page.count(f"\n{text}\n") > 1, digits
