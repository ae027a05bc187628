"""Every form of line, in the languages that notes are written in: what is read of it, and that sentences are left alone."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.errors import ArchcalcError
from archcalc.worksheet import Claim, Said, read
from archcalc.worksheet.arithmetic import evaluate, summands, written
from archcalc.worksheet.page import Unread
from archcalc.worksheet.terms import sizes_in
from archcalc.worksheet.text import MOST_CHARACTERS, normalised


def only(text: str, kind: type):
    """The one item of that kind on a page of one line."""
    items = [item for item in read(text).items if isinstance(item, kind)]
    assert len(items) == 1, read(text).items
    return items[0]


SUMMANDS = [
    ("3*3*64 + (64 + 1)", (576, 65)),
    ("9,408+128", (9_408, 128)),
    ("2*(3 + 4)", (14,)),
    ("3 + ", ()),
    ("(3 + 4", ()),
]


@pytest.mark.parametrize(("text", "values"), SUMMANDS)
def test_what_a_sum_adds_up(text: str, values: tuple[int, ...]) -> None:
    assert summands(text) == values


ARITHMETIC = [
    ("364 x 96", 34_944),
    ("(224-11)/4+1", Fraction(217, 4)),
    ("11*11*3", 363),
    ("11^2 * 3", 363),
    ("2**3", 8),
    ("floor((224-11)/4)+1", 54),
    ("⌈213/4⌉ + 1", 55),
    ("5(6)", 30),
    ("(3)(4)", 12),
    ("1,234 + 1", 1_235),
    ("3.2M", 3_200_000),
    ("6000만", 60_000_000),
    ("[(224-11)/4]+1", Fraction(217, 4)),
    ("-3 + 5", 2),
    ("7 - -3", 10),
    ("7 --3", 10),
    ("7 - --3", None),
    ("1/0", None),
    ("9^9^9", None),
    ("2^65", None),
    ("3 +", None),
    ("(" * 60 + "1" + ")" * 60, None),
    ("x * 3", None),
    ("3 3", None),
]


@pytest.mark.parametrize(("text", "value"), ARITHMETIC)
def test_arithmetic(text: str, value: Fraction | None) -> None:
    if value is None:
        with pytest.raises(ArchcalcError):
            evaluate(text)
    else:
        assert evaluate(text) == value


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.data())
def test_arithmetic_is_exact(numbers: list[int], data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from("+-*")) for _ in numbers[1:]]
    text = "".join(f" {sign} {number}" for sign, number in zip(["", *signs], numbers, strict=True))[2:].strip()
    assert evaluate(text) == eval(text)  # the oracle: Python's own reading of numbers that this test has made


def test_numbers_that_do_not_end() -> None:
    assert [written(value) for value in (Fraction(217, 4), Fraction(1, 3), 34_944, Fraction(-1, 2))] == [
        "54.25",
        "0.333...",
        "34,944",
        "-0.5",
    ]


SIZES = [
    ("55 x 55 x 96", (55, 55, 96)),
    ("6@28x28", (6, 28, 28)),
    ("28x28@6", (6, 28, 28)),
    ("[224x224x64]", (224, 224, 64)),
    ("(None, 28, 28, 6)", (28, 28, 6)),
    ("[-1, 64, 55, 55]", (64, 55, 55)),
    ("1x3x224x224", (3, 224, 224)),
    ("28x28", (28, 28)),
    ("0x5x5", None),
    ("55 x", None),
    ("55 of 96", None),
]


@pytest.mark.parametrize(("text", "sizes"), SIZES)
def test_sizes(text: str, sizes: tuple[int, ...] | None) -> None:
    found = sizes_in(text)
    assert (found and found[0]) == sizes


NORMALISED = [
    ("- **prameter** = 364 × 96", "prameter = 364 x 96"),
    ("＊ ３６４ ✕ 96 ＝ ３４，９４４", "364 x 96 = 34,944"),
    ("11² * 3", "11^2 * 3"),
    ("## `55 x 55`", "55 x 55"),
    ("output:(224-11)/4+1=55>>55x55x96", "output:(224-11)/4+1=55→55x55x96"),
    (r"$\frac{224-11}{4}+1 \approx 54$", "((224-11)/(4))+1 ≈ 54"),
    (r"$(11 \times 11 \times 3 + 1) \cdot 96 = 34{,}944$", "(11 x 11 x 3 + 1) * 96 = 34,944"),
    ("2**3 = 8", "2^3 = 8"),
]


@pytest.mark.parametrize(("text", "plain"), NORMALISED)
def test_normalised(text: str, plain: str) -> None:
    assert normalised(text) == plain


LAYERS = [
    ("Convolution: 11 x 11 x 3, n=96, s=4, padding=none", "Conv2d", {"depth": 3, "count": 96, "padding": "valid"}),
    ("conv 3x3, 64, stride 2, pad 1, no bias", "Conv2d", {"kernel": (3, 3), "count": 64, "padding": (1, 1), "bias": False}),
    ("96kernels of size 11x11, stride=4, padding=0", None, {"kernel": (11, 11), "count": 96, "stride": (4, 4), "padding": (0, 0)}),
    ("384kerenls of size 3x3,stride=1,padding=1", None, {"kernel": (3, 3), "count": 384, "stride": (1, 1), "padding": (1, 1)}),
    ("[55x55x96] CONV1: 96 11x11 filters at stride 4, pad 0", "Conv2d", {"kernel": (11, 11), "count": 96, "stride": (4, 4)}),
    ("[4096] FC6: 4096 neurons", "Linear", {"name": "FC6", "count": 4096}),
    ("Pooling: 3 x 3, s=2", "MaxPool2d", {"kernel": (3, 3), "stride": (2, 2)}),
    ("3x3 max pool / 2", "MaxPool2d", {"kernel": (3, 3), "stride": (2, 2)}),
    ("average pooling 2x2", "AvgPool2d", {"kernel": (2, 2)}),
    ("fc1 4096", "Linear", {"name": "fc1", "count": 4096}),
    ("FC-4096", "Linear", {"count": 4096}),
    ("FC 9216 -> 4096", "Linear", {"x": 9216, "count": 4096}),
    ("Fully connected layer with 4096 neurons", "Linear", {"count": 4096}),
    ("fully connected layer with 1000-way softmax", "Linear", {"count": 1000}),
    ("7x7 conv, 64, /2", "Conv2d", {"kernel": (7, 7), "count": 64, "stride": (2, 2)}),
    ("합성곱: 11x11 커널 96개, 스트라이드 4, 패딩 0", "Conv2d", {"kernel": (11, 11), "count": 96, "stride": (4, 4)}),
    ("맥스풀링: 3x3, 보폭 2", "MaxPool2d", {"kernel": (3, 3), "stride": (2, 2)}),
    ("완전연결층 4096개 뉴런", "Linear", {"count": 4096}),
    ("畳み込み層: カーネルサイズ 5x5, フィルタ数 16, ストライド 1", "Conv2d", {"kernel": (5, 5), "count": 16, "stride": (1, 1)}),
    ("卷积层: 5x5, 16个卷积核, 步长 1, 填充 2", "Conv2d", {"kernel": (5, 5), "count": 16, "stride": (1, 1), "padding": (2, 2)}),
    ("Conv (in 3, out 64, kernel 7, stride 2, pad 3)", "Conv2d", {"x": 3, "count": 64, "kernel": (7, 7), "padding": (3, 3)}),
    ("Convolution: 7 x 7 x 3, n=96, s=2, padding=[0, 1, 0, 1]", "Conv2d", {"padding": (0, 1, 0, 1)}),
    ("Convolution: 7 x 7 x 3, n=96, s=2, padding=[1, 1, 1, 2]", "Conv2d", {"padding": (1, 1, 1, 2)}),
    ("Convolution: 7 x 7 x 3, n=96, bias: 1", "Conv2d", {"bias": True}),
    ("Convolution: 7 x 7 x 3, bias=0, n=96", "Conv2d", {"bias": False, "count": 96}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "op", "fields"), LAYERS)
def test_layer_lines(text: str, op: str | None, fields: dict) -> None:
    said = only(text, Said)
    assert said.op == op
    assert {name: getattr(said, name) for name in fields} == fields


CLAIMS = [
    ("prameter = 364 x 96 = 34,944", "params", [34_944, 34_944], False),
    ("파라미터 수 : (5*5*1+1)*6 = 156", "params", [156, 156], False),
    ("パラメータ数 = 156", "params", [156], False),
    ("参数量: 156", "params", [156], False),
    ("total prameter = 62,378,344", "params", [62_378_344], True),
    ("총 파라미터 = 61,706", "params", [61_706], True),
    ("Total params: 61,706", "params", [61_706], True),
    ("MACs = 96*55*55*11*11*3 = 105.4M", "macs", [105_415_200, 105_400_000], False),
    ("FLOPs ≈ 210M", "flops", [210_000_000], False),
    ("memory: 224*224*64=3.2M", "memory", [3_211_264, 3_200_000], False),
    ("Parameters: (F*F*D + 1)*K = (5*5*3 + 1)*10 = 760", "params", [760, 760], False),
    ("34,944 parameters", "params", [34_944], False),
    ("L(L+1)/2 = 6 for L=3", "arithmetic", [6, 6], False),
    ("3*3*64 = 576", "arithmetic", [576, 576], False),
    ("sum = 8 + 8 = 16", "arithmetic", [16, 16], True),
    ("연산량: 105,415,200 MACs", "macs", [105_415_200], False),
    ("연산량(MAC): 105,415,200", "macs", [105_415_200], False),
    ("연산량: 210.8M FLOPs", "flops", [210_800_000], False),
    ("FLOPs: 0.21 GFLOPs", "flops", [210_000_000], False),
    ("total GMACs = 0.105", "macs", [105_000_000], True),
    ("params (K): 34.9", "params", [34_900], False),
    ("MACs = 1.05 x 10^8", "macs", [105_000_000], False),
    ("memory: 173,056 B", "memory", [173_056], False),
    ("params: 7B", "params", [7_000_000_000], False),
    ("total params: 61,100,840 (61.1M)", "params", [61_100_840], True),
    ("total params: 61,100,840 (66.1M)", "params", [61_100_840, 66_100_000], True),
    ("params = 34944 (34848 weights + 96 biases)", "params", [34_944, 34_944], False),
    ("params = 5(6)", "params", [30], False),
    ("biases: 96", "biases", [96], False),
    ("receptive field: 11 + (3-1)*4 = 19", "arithmetic", [19], False),
    ("receptive field: 11 + (3-1)*4 = 18", "arithmetic", [19, 18], False),
]


@pytest.mark.parametrize(("text", "quantity", "values", "total"), CLAIMS)
def test_claims(text: str, quantity: str, values: list[int], total: bool) -> None:
    claim = only(text, Claim)
    assert (claim.quantity, [term.value for term in claim.terms], claim.total) == (quantity, values, total)


SENTENCES = """3.5 Overall Architecture
top1, top-5 error가 각각 1.4%, 1.2% 감소했다.
ImageNet: 22,000개의 카테고리, 150만개 라벨링 이미지 데이터셋
기존 이미지 크기가 다양하므로 256 x 256 크기의 이미지로 다운샘플링 작업 실시.
5개의 합성곱계층(pooling 계층 포함)
파라미터: 6000만 -> 데이터 120만개로는 overfit
0.9 * V(i) - 0.0005 * lr * W(i)
W(i+1) = W(i) - lr * G 과 비교
CNNModel(1024, 0.5),
https://www.youtube.com/watch?v=y1dBz6QPxBc&list=3x3
θ는 0 < θ <=1 범위이다.
2012 - 1998 = 14 years between them.
AlexNet: 5 conv + 3 fc = 8 layers
In 2012 a network of 60 million parameters won by 10.9 points.
learning rate 0.01, momentum 0.9, batch size 128""".splitlines()


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_number_in_a_sentence_is_unread(sentence: str) -> None:
    assert [type(item) for item in read(sentence).items] == [Unread]


def test_lines_without_digits_say_nothing() -> None:
    assert read("Abstract\n2. The dataset\n\n굳이 읽을 필요 없다.\n- 모델구조:\n").items == ()


def test_front_matter() -> None:
    page = read("---\nmodel: alexnet\nset: {towers: 2}\ntitle: my notes of 2012\n---\n\n227x227x3\n")
    assert (page.model, page.settings) == ("alexnet", {"towers": 2})
    page = read("---\nmodel: alexnet\nset: {towers: 10**9}\ntitle: R&D *of 2012*\n---\n")
    assert (page.model, page.settings) == ("alexnet", {"towers": "10**9"})  # a text: neither an anchor nor an alias


@pytest.mark.parametrize("matter", ["model: [", "model: &a x", "model: alexnet\nset: {a: *b}", "model: &a alexnet\nset: [*a, *a]"])
def test_front_matter_that_cannot_be_read(matter: str) -> None:
    with pytest.raises(ArchcalcError, match="E242"):
        read(f"---\n{matter}\n---\n")


@pytest.mark.parametrize(
    ("page", "message"), [(b"\xff\xfe4", "byte 0 cannot be read"), ("x" * (MOST_CHARACTERS + 1), "characters, and")]
)
def test_a_page_that_is_no_text_is_refused(page: str | bytes, message: str) -> None:
    with pytest.raises(ArchcalcError, match=f"E241.*{message}"):
        read(page)


@pytest.mark.parametrize("text", ["", "3 +", "(4", "2 / 0", "4 4", "9**9**9"])
def test_what_is_no_arithmetic(text: str) -> None:
    with pytest.raises(ArchcalcError, match="E240"):
        evaluate(text)
