"""What is said of right and wrong claims, of the five real notes, and of pages that nobody should have to read."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.analysis import analyse
from archcalc.errors import ArchcalcError
from archcalc.spec import load
from archcalc.worksheet import Finding, judge, read
from archcalc.worksheet.arithmetic import evaluate

PAGES = Path(__file__).parent / "data" / "pages"


def findings(text: str, verdict: str = "wrong") -> list[Finding]:
    return [finding for finding in judge(read(text)).findings if finding.verdict == verdict]


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


# --- the five notes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "wrong", "right"), [("000", 0, 2), ("001", 0, 18), ("002", 0, 0), ("003", 1, 24), ("004", 0, 0)])
def test_the_notes_have_the_findings_of_a_careful_reader(name: str, wrong: int, right: int) -> None:
    counts = judge(read(page(name))).counts
    assert (counts["wrong"], counts["right"]) == (wrong, right)


@pytest.mark.parametrize("name", ["000", "001", "002", "003", "004"])
def test_the_notes_have_their_findings_line_by_line(name: str) -> None:
    found = []
    for finding in judge(read(page(name))).findings:
        carried = f"from {finding.carried_from}" if finding.carried_from else ""
        found.append(" ".join(f"{finding.line} {finding.verdict} {finding.quantity} {carried}".split()))
    assert found == (PAGES / f"{name}.labels").read_text(encoding="utf-8").splitlines()


def test_the_notes_of_001_are_right_in_every_layer_and_in_total() -> None:
    found = judge(read(page("001"))).findings
    params = [finding.found for finding in found if finding.quantity == "params"]
    assert all(finding.verdict == "right" for finding in found if finding.quantity == "params")
    assert params == [34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000, 62_378_344]
    assert [finding.line for finding in found if finding.verdict == "right"] == [
        62, 63, 65, 67, 68, 70, 72, 73, 75, 76, 78, 79, 81, 81, 82, 84, 86, 88,
    ]  # fmt: skip


def test_the_notes_of_003_are_told_what_would_make_55_right() -> None:
    (wrong,) = findings(page("003"))
    assert (wrong.line, wrong.because) == (30, "(224 - 11)/4 + 1 = 54.25, not 55")
    assert wrong.hints == ("55 needs input 227 (exact), or padding 2 (floor), or rounding up",)
    later = [finding for finding in judge(read(page("003"))).findings if finding.line > 30 and finding.verdict == "right"]
    assert len(later) == 22
    assert {finding.carried_from for finding in later} <= {30, None}
    assert later[0].carried_from == 30


def test_the_listings_of_004_become_layers() -> None:
    text = page("004")
    lenet = text.split("이것이 LeNet의 구조이며", 1)[0]
    for listing, total in ((lenet, 61_706), (text, 58_323_530)):
        assert findings(f"{listing}\nTotal params: {total:,}\n") == []
        (wrong,) = findings(f"{listing}\nTotal params: {total + 1:,}\n")
        assert (wrong.expected, wrong.found) == (total, total + 1)


def test_keras_counts_the_statistics_of_batch_norm() -> None:
    assert findings(page("004") + "\nTotal params: 58,324,746\n") == []


# --- slips --------------------------------------------------------------------------------------------------------------------

CONV = "227x227x3\nConvolution: 11x11x3, n=96, s=4, padding=0\n"
GROUPED = "27x27x96\nConvolution: 5x5x48, n=256, s=1, padding=2, groups=2\n"
FLAT = "13x13x256\nPooling: 3x3, s=2, padding=0\n6x6x256\nfc1 4096\n"
SLIPS = [
    (CONV + "params = 363 x 96 = 34,848", "no_bias", 34_944),
    (CONV + "params = 34,849", "bias_per_layer", 34_944),
    (CONV + "params = (11*11+1)*96 = 11,712", "input_channels", 34_944),
    (CONV + "params = 105,705,600", "unshared", 34_944),
    (CONV + "params = (11*11*96+1)*3 = 34,851", "swapped", 34_944),
    (CONV + "params = 39,444", "digits_swapped", 34_944),
    (CONV + "params = 364 x 96 = 35,000", "product", 34_944),
    (CONV + "MACs = 210,830,400", "mac_or_flop", 105_415_200),
    (CONV + "FLOPs = 105,415,200", "mac_or_flop", 210_830_400),
    (CONV + "MACs = 227*227*96*363 = 1,795,682,592", "input_size", 105_415_200),
    (CONV + "memory = 1.108 MB", "mb_or_mib", 1_161_600),
    (CONV + "memory = 9,292,800 bytes", "bits_or_bytes", 1_161_600),
    (CONV + "56x56x96", None, (55, 55, 96)),
    (GROUPED + "params = (5*5*96+1)*256 = 614,656", "groups", 307_456),
    ("27x27x96\nConvolution: 5x5x96, n=256, s=1, padding=same\n23x23x256", "valid_or_same", (27, 27, 256)),
    ("28x28x32\nPooling: 3x3, s=2, padding=0\n14x14x32", "floor_or_ceil", (13, 13, 32)),
    (FLAT + "params = (13*13*256+1)*4096 = 177,213,440", "flattened_early", 37_752_832),
    ("28x28x32\nBatchNorm\n28x28x32\nparams = 128", "batch_norm", 64),
    (CONV + "params = 34,944\n55x55x96\nfc1 10\nparams = 2,904,010\ntotal params = 2,904,010", "missing_layer", 2_938_954),
]


@pytest.mark.parametrize(("text", "slip", "expected"), SLIPS)
def test_a_slip_is_found_on_its_line_and_named(text: str, slip: str | None, expected: int | tuple[int, ...]) -> None:
    (wrong,) = findings(text)
    assert (wrong.line, wrong.slip, wrong.expected) == (len(text.splitlines()), slip, expected)


WHOLE = "27x27x96\nConvolution: 5x5, n=256, s=1, padding=2\n"
GROUPS = [
    (WHOLE + "params = 307,456", "307,456 is what you get if it is counted as if in 2 groups, not 1"),
    (GROUPED + "params = 614,656", "614,656 is what you get if the 2 groups are forgotten"),
    (GROUPED + "params = 153,856", "153,856 is what you get if the 2 groups are taken twice"),
    (GROUPED + "MACs = 447,897,600", "447,897,600 is what you get if the 2 groups are forgotten"),
]


@pytest.mark.parametrize(("text", "remark"), GROUPS)
def test_it_is_said_how_groups_are_taken_wrongly(text: str, remark: str) -> None:
    assert [finding.remark for finding in findings(text)] == [remark]


@pytest.mark.parametrize(("product", "hints"), [("363 x 96", ("364 in place of 363",)), ("16 x 24", ()), ("43,178 x 96", ())])
def test_a_factor_is_only_named_if_it_may_have_been_meant(product: str, hints: tuple[str, ...]) -> None:
    (wrong,) = findings(CONV + f"params = {product} = {evaluate(product)}")
    assert wrong.hints == hints


def test_an_error_is_named_once_and_carried() -> None:
    text = CONV + "54x54x96\nPooling: 3x3, s=2, padding=0\n26x26x96\nConvolution: 3x3x96, n=8, s=1, padding=1\n26x26x8"
    (wrong,) = findings(text)
    assert wrong.line == 3
    assert [finding.carried_from for finding in findings(text, "right")] == [3, 3]


def test_no_biases_anywhere_is_said_once() -> None:
    text = CONV + "params = 34,848\n55x55x96\nfc1 10\nparams = 2,904,000\nfc2 10\nparams = 100\ntotal params = 2,938,948"
    judgement = judge(read(text))
    assert judgement.wrong == ()
    assert len(judgement.conventions) == 1
    assert "biases" in judgement.conventions[0]


def test_units_that_leave_no_doubt_do_not_speak_against_megabytes_of_1024() -> None:
    text = CONV + "memory = 1.108 MB\n55x55x96\nPooling: 3x3, s=2, padding=0\n27x27x96\nmemory = 273 KB\n"
    judged = judge(read(text + "ReLU\n27x27x96\nmemory = 273 KiB\nReLU\n27x27x96\nmemory = 279,936 bytes\n"))
    assert (judged.counts["wrong"], len(judged.conventions)) == (0, 1)
    assert judge(read(text + "ReLU\n27x27x96\nmemory = 280 KB\nReLU\n27x27x96\nmemory = 280 KB\n")).counts["wrong"] == 2


def test_a_total_over_an_unread_layer_is_no_alarm() -> None:
    text = (
        CONV
        + "params = 34,944\n55x55x96\nConv of the 2nd kind, in some 7 words nobody knows\nparams = 5,000\ntotal params = 39,944"
    )
    assert findings(text) == []


def test_a_page_is_held_against_its_model() -> None:
    (wrong,) = judge(read("---\nmodel: alexnet\n---\nconv1: 11x11, 64 filters, stride 4\n")).wrong
    assert (wrong.quantity, wrong.expected, wrong.found) == ("count", "96", "64")
    assert judge(read("conv2: 307,456 parameters"), load("alexnet_two_towers")).counts["right"] == 1


@pytest.mark.parametrize("model", ["alexnet_two_towers", "lenet5", "resnet18"])
def test_totals_are_the_models_own(model: str) -> None:
    totals = analyse(load(model)).totals
    claims = [f"total {name} = {getattr(totals, name.lower()):,}" for name in ("params", "MACs", "connections")]
    text = "\n".join(["---", f"model: {model}", "---", *claims])
    assert judge(read(text)).counts == {"right": 3, "wrong": 0, "unread": 0}
    wrong = text.replace(f"{totals.connections:,}", f"{totals.connections + 1:,}")
    assert [finding.expected for finding in judge(read(wrong)).wrong] == [totals.connections]


def test_a_page_cannot_make_archcalc_read_files(tmp_path: Path) -> None:
    with pytest.raises(ArchcalcError, match="E243"):
        judge(read(f"---\nmodel: {tmp_path}/secret.yaml\n---\n"))


# --- listings -----------------------------------------------------------------------------------------------------------------

TORCH = """```python
net = nn.Sequential(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
    nn.Linear({features}, 10))
x = torch.randn(1, 3, 227, 227)
```
"""


def test_a_listing_is_held_against_itself() -> None:
    assert findings(TORCH.format(features=69_984)) == []
    (wrong,) = findings(TORCH.format(features=6_400))
    assert (wrong.line, wrong.expected, wrong.found) == (3, 69_984, 6_400)


def test_a_listing_is_never_run() -> None:
    abort = '__import__("os").abort()'
    text = f"```python\nmodel = Sequential([{abort}, Dense(10, input_shape=(4,))])\nmodel.add(Dense({abort}))\n```\n"
    assert judge(read(text)).counts["wrong"] == 0


# --- hostile ------------------------------------------------------------------------------------------------------------------

WORDS = (
    "55 x 55 x 96|parameter =|= |->|(|)|[|]|9|0|1e99|^9|/0|Convolution: 3x3, n=0|fc1 4096|Pooling: 0x0|Conv1|input:|output:|total|"
    "MACs|"
    "MB|×|²|groups=3|nn.Sequential(|model.add(Conv2D(|)))|---|\n|\n|\n|```|model: alexnet|from conv1|Add: 5 x 5 x 5 + 5 x 5 x 5|≈|"
    "파라미터 =|L(L+1)/2 = 6|2147483647x2147483647x2147483647|\\frac{1}{2}|\0|\x1b[31m"
)
PIECES = st.sampled_from([*WORDS.split("|"), "| a | Output |", "|---|---|"])


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join), st.binary(max_size=200)))
def test_any_page_gives_a_judgement_or_our_error(text: str | bytes) -> None:
    with suppress(ArchcalcError):
        judge(read(text))


HOSTILE = [
    "(" * 100_000,
    "parameter = " + "9" * 900,
    "parameter = 9^" + "9" * 20,
    "5x" * 400 + "5",
    "parameter = " + "(" * 400 + "1" + ")" * 400 + " = 1",
    "|" * 5_000,
    "```\n" + "nn.Sequential(" * 3_000,
    "model.add(" + "[" * 5_000,
    "---\n" + "a: " * 100 + "\n---\n",
    "\\frac{" * 300,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_pages(text: str) -> None:
    with suppress(ArchcalcError):
        assert judge(read(text)).wrong == ()


REPEATED = [
    "Convolution: 3 x 3 x 3, n=3, s=1, padding=same\nparameter = 28 x 3 = 84\n227 x 227 x 3\n",
    "conv 3x3, 3, s=1, p=1\ntotal parameter = 84\n\n",
    "model.add(Conv2D(3, 3))\n\n\n",
]


@pytest.mark.parametrize("piece", REPEATED, ids=["layers", "totals", "listing"])
def test_ten_thousand_lines_take_linear_time(piece: str) -> None:
    def seconds(count: int) -> float:
        text = "227x227x3\n" + piece * count
        start = time.process_time()
        judge(read(text))
        return time.process_time() - start

    seconds(10)
    short, long = seconds(400), seconds(3_400)
    assert long < 3 * 8.5 * short + 0.5
