"""Right lines of pages, each with its wrong twin: the one is no alarm, the other is found."""

import pytest

from archcalc.worksheet import judge, read
from tests.test_worksheet_judge import findings

ALEX = "Input: 227x227x3\nConv1: 11x11, 96 filters, stride 4\n"


MADE = ALEX + "Output: 55x55x96\n"
WIDE = "Input: 224x224x3\nConv1: 11x11, 96 filters, stride 4, padding 0\n"
POOL = "input: 13x13x256\npool5: max pooling 3x3, stride 2, padding 0\n"
LATE = "input: 112x112x64\nmax pooling 3x3, stride 2\n"
LAST = "input: 13x13x384\nConv5: 3x3, 256 filters, stride 1, padding 1\noutput: 13x13x256\n"
TWO = "input: 8x8x3\nconv1: 3x3, 8, padding 1\noutput: 8x8x8\nconv2: 3x3, 8, padding 1\noutput: 8x8x8\n"
UNITS = "input: 784\nfc1 100\n"
COLUMN = "input: 224x224x3\n\n| layer | output | {} |\n|---|---|---|\n| Conv1 3x3, n=64, s=1, padding=1 | 224x224x64 | {} |\n"


def rows(header: str, *cells: str) -> tuple[str, str, str]:
    return ("", *(COLUMN.format(header, cell) for cell in cells))  # type: ignore[return-value]


TWINS = [
    # sizes, then how many numbers they are
    (POOL, "output: 6x6x256 = 9216", "output: 6x6x256 = 9261"),
    (POOL, "output: 6x6x256 -> 9216", "output: 7x7x256 -> 12544"),
    (POOL, "output: (13-3)/2+1 = 6 -> 6x6x256 = 9216", "output: (13-3)/2+1 = 6 -> 6x6x256 = 9126"),
    (ALEX, "output: 55 x 55 x 96 = 290,400 neurons", "output: 55 x 55 x 96 = 290,500 neurons"),
    (ALEX, "output: 55x55x96 = 290K", "output: 55x55x96 = 280K"),
    (ALEX, "output: 96@55x55 = 55x55x96", "output: 96@54x54 = 55x55x96"),
    ("input: 6x6x256\nFlatten\n", "output: 6x6x256 = 9216", "output: 6x6x256 = 9261"),
    ("input: 6x6x256\nfc6: 4096\n", "output: 9216 -> 4096", "output: 9126 -> 4096"),
    # what comes in, then what comes out
    (ALEX, "output: 227x227x3 -> 55x55x96", "output: 224x224x3 -> 55x55x96"),
    (ALEX, "output: 227x227x3 -> 55x55x96", "output: 227x227x3 -> 54x54x96"),
    (ALEX, "output: 227x227x3 -> (227-11)/4+1 = 55 -> 55x55x96", "output: 227x227x3 -> (227-11)/4+1 = 56 -> 55x55x96"),
    (ALEX, "output: 227 -> 55", "output: 227 -> 54"),
    # a decimal, then the whole number that it is rounded to
    (WIDE, "output: (224-11)/4+1 = 54.25 -> 54", "output: (224-11)/4+1 = 54.25 -> 55"),
    (WIDE, "output: (224-11)/4+1 = 54.25 (버림) → 54", "output: (224-11)/4+1 = 54.52 (버림) → 54"),
    (WIDE, "output: (224-11)/4+1 = 54.25 → 54x54x96", "output: (224-11)/4+1 = 54.25 → 55x55x96"),
    (WIDE, "output: (224-11)/4+1 = 54", "output: (224-11)/4+1 = 54.25"),
    (LATE, "output: (112-3)/2+1 = 55.5 -> 56", "output: (112-3)/2+1 = 55.5 -> 54"),
    (LATE, "output: (112-3)/2+1 = 55.5 -> 55x55x64", "output: (112-3)/2+1 = 55.5 -> 53x53x64"),
    ("", "(224-11)/4+1 = 54.25 -> 54", "(224-11)/4+1 = 54.25 -> 55"),
    ("", "pool: (112-3)/2+1 = 55.5 -> 55x55x64", "pool: (112-3)/2+1 = 55.5 -> 57x57x64"),
    ("", "225/2 = 112.5 -> 112", "225/2 = 112.5 -> 114"),
    ("", "225/2 = 112.5 -> 112", "225/2 = 112.5 = 112"),
    # units beside the name
    rows("Memory (MB)", "12.85", "13.85"),
    rows("Memory [MiB]", "12.25", "12.85"),
    rows("Memory, MB", "13", "14"),
    rows("Memory (B)", "12,845,056", "12,854,056"),
    rows("Params (K)", "1.79", "1.69"),
    rows("Params (M)", "0.0018", "0.0028"),
    rows("Params (x10^3)", "(3*3*3+1)*64 = 1.792", "(3*3*3+1)*64 = 1.729"),
    rows("파라미터 (천)", "1.79", "1.97"),
    rows("FLOPs (G)", "0.173", "0.183"),
    rows("GFLOPs", "0.173", "0.137"),
    rows("FLOPs (M)", "86.7 MMACs", "87.8 MMACs"),
    rows("Params (weights + biases)", "1,792", "1,729"),
    rows("Memory (MB)", "12.25 MiB", "12.85 MiB"),
    (MADE, "memory (MB): 1.16", "memory (MB): 1.26"),
    (MADE, "params (K) = 34.9", "params (K) = 39.4"),
    (MADE, "GFLOPs: 0.21", "GFLOPs: 0.22"),
    # bytes
    (LAST, "param memory: 884,992 * 4 B = 3.54 MB", "param memory: 884,992 * 4 B = 3.45 MB"),
    (LAST, "memory: 173,056 B", "memory: 173,065 B"),
    (LAST, "memory: 43,264 * 4 B = 173,056 B", "memory: 43,264 B"),
    (LAST, "memory = 173 KB", "memory = 174 KB"),
    ("", "7B * 2 B = 14 GB", "7B * 2 B = 16 GB"),
    ("", "884,992*4 = 3,539,968 B", "884,992*4 = 3,593,968 B"),
    # powers of ten
    (MADE, "MACs = 1.05 x 10^8", "MACs = 1.15 x 10^8"),
    (MADE, "MACs = 11*11*3*96*55*55 = 1.054 * 10⁸", "MACs = 11*11*3*96*55*55 = 1.044 * 10⁸"),
    (MADE, r"FLOPs: $2.1 \times 10^{8}$", r"FLOPs: $2.2 \times 10^{8}$"),
    (MADE, "MACs ≈ 10^8", "MACs ≈ 10^9"),
    ("", "2 x 10^2 = 200", "2 x 10^2 = 210"),
    # operations by their own names
    (MADE, "연산량: 105,415,200 MACs", "연산량: 105,415,300 MACs"),
    (MADE, "연산량(MAC): 105,415,200", "연산량(FLOPs): 105,415,200"),
    (MADE, "연산량: 210.8M FLOPs", "연산량: 211.8M FLOPs"),
    (MADE, "FLOPs: 0.21 GFLOPs", "FLOPs: 0.22 GFLOPs"),
    (MADE, "FLOPs: 211 MFLOPs", "FLOPs: 212 MFLOPs"),
    (MADE, "Total FLOPs: 0.21 GFLOPs", "Total FLOPs: 8.2 GFLOPs"),
    (MADE, "MACs: 105.4 MMACs, FLOPs: 210.8 MFLOPs", "MACs: 105.4 MMACs, FLOPs: 218.0 MFLOPs"),
    # a figure in brackets: the number before it, rounded or in another unit, or the sum that it is
    (MADE, "total params: 34,944 (34.9K)", "total params: 34,945 (34.9K)"),
    (MADE, "total params: 34,944 (34.9K)", "total params: 34,944 (39.4K)"),
    (MADE, "params: 35K (34,944)", "params: 35K (34,994)"),
    (MADE, "params = 364*96 = 34,944 (≈ 35K)", "params = 364*96 = 34,944 (≈ 39K)"),
    (MADE, "params = 364*96 = 34,944 (약 3.5만)", "params = 364*96 = 34,944 (약 3.9만)"),
    (MADE, "params = 34,944 (0.035M)", "params = 34,944 (0.35M)"),
    (MADE, "memory = 1,161,600 bytes (1.16 MB)", "memory = 1,161,600 bytes (1.61 MB)"),
    (MADE, "memory = 1.16 MB (1.11 MiB)", "memory = 1.11 MB (1.11 MiB)"),
    (MADE, "params = 34,944 (364*96)", "params = 34,944 (363*96)"),
    (MADE, "params = 34944 (34848 weights + 96 biases)", "params = 34944 (34848 weights + 69 biases)"),
    (MADE, "params = 34944 (34848 weights, 96 biases)", "params = 34848 (34848 weights, 96 biases)"),
    # weights and biases apart
    (MADE, "weights: 34848, biases: 96, params: 34944", "weights: 34848, biases: 69, params: 34944"),
    (MADE, "weights: 34848, biases: 96, params: 34944", "weights: 38448, biases: 96, params: 34944"),
    (MADE, "weights: 34848, bias: 96, params: 34944", "weights: 34848, bias: 96, params: 34494"),
    (MADE, "biases: 96", "biases: 1,056"),
    (MADE, "total biases: 96", "total biases: 69"),
    ("8x8x3\nBatchNorm\n", "weights: 3, biases: 3, params: 6", "weights: 3, biases: 4, params: 6"),
    ("8x8x3\nBatchNorm\n", "weights: 3, biases: 3, params: 6", "weights: 4, biases: 3, params: 6"),
    # megabytes that the arithmetic itself makes of 1024
    (MADE, "memory = 290,400*4 / 1024 / 1024 = 1.11 MB", "memory = 290,400*4 / 1024 / 1024 = 1.16 MB"),
    (MADE, "memory = 290,400*4 / 1024 / 1024 = 1.11 MB", "memory = 290,400*4 / 1000 / 1000 = 1.11 MB"),
    (MADE, "memory = 290,400*4/1024^2 = 1.11 MB", "memory = 290,400*8/1024^2 = 2.22 MB"),
    (MADE, "memory = 290,400*4/2^20 = 1.11 MB", "memory = 290,400*4/2^20 = 1.11 GB"),
    (MADE, "memory = 290,400*4/(1024*1024) = 1.11 MB", "memory = 290,400*4/(1024*1000) = 1.13 MB"),
    (MADE, "memory = 1,161,600 bytes / 1024 / 1024 = 1.11 MB", "memory = 1,161,600 bytes / 1024 / 1024 = 1.16 MB"),
    (MADE, "memory = 290,400 * 4 bytes = 1,161,600/1024/1024 = 1.11 MB", "memory = 290,400 * 4 bytes = 1,161,600/1024 = 1.11 MB"),
    (MADE, "memory = 1,161,600/1024 = 1,134.4 = 1.11 MB", "memory = 1,161,600/1024 = 1,134.4 = 1.16 MB"),
    (MADE, "memory = 290,400*4/1024 = 1134.4 KB", "memory = 290,400*4/1024 = 1161.6 KB"),
    (MADE, "memory (MB) = 290,400*4/1024/1024 = 1.11", "memory (MB) = 290,400*4/1024/1024 = 1.16"),
    (MADE, "memory = 290,400*4/1024/1024 = 1.11", "memory = 290,400/1024/1024 = 0.277"),
    rows("Memory (MB)", "3,211,264*4/1024/1024 = 12.25", "3,211,264*4/1024/1024 = 12.85"),
    # memory in bytes where no unit is told, and what the parameters of a fully connected layer take
    (MADE, "memory = 55*55*96*4 = 1,161,600", "memory = 55*55*96*8 = 2,323,200"),
    (UNITS, "memory: 78,500*4", "memory: 78,400*4"),
    (UNITS, "memory: 78,500*4 = 314 KB", "memory: 78,400*4 = 313.6 KB"),
    (UNITS, "memory: 100*4 = 400 bytes", "memory: 100*8 = 800 bytes"),
    (MADE, "memory = 1,161,600 bytes", "memory = 34,944*4 = 139,776 bytes"),
    # sums of the layers, and of anything else
    (TWO, "sum = 8 + 8 = 16", "sum = 8 + 8 = 17"),
    (TWO, "합: 36,864 + 36,864 = 73,728", "합: 36,864 + 36,864 = 73,782"),
    (TWO, "total = 576 + 8 = 584", "total = 576 + 8 = 594"),
    (TWO, "sum = 224 + 584 = 808", "sum = 216 + 576 = 792"),
    (TWO, "sum = 224 + 584 = 808", "total params = 8 + 8 = 16"),
]


@pytest.mark.parametrize(("above", "right", "wrong"), TWINS)
def test_a_right_line_is_right_and_its_wrong_twin_is_found(above: str, right: str, wrong: str) -> None:
    line = len((above + right).splitlines())
    verdicts = {finding.verdict for finding in judge(read(above + right)).findings if finding.line == line}
    assert verdicts == {"right"}
    found = findings(above + wrong)
    assert found
    assert {finding.line for finding in found} == {line}


def test_a_layer_line_goes_on_with_its_arithmetic() -> None:
    text = "input: 112x112x64\nMaxPool(3x3, stride 2): (112-3)/2+1 = 55.5 -> 55x55x64\nConv: 1x1, 8 filters\nparams = 520\n"
    assert judge(read(text)).counts == {"right": 3, "wrong": 0, "unread": 0}
    assert {finding.line for finding in findings(text.replace("55x55x64", "53x53x64"))} == {2}


UNJUDGED = [
    (MADE, "receptive field: 11 + (3-1)*8 = 27"),
    (MADE, "Receptive field of conv1 = 50"),
    (MADE, "Conv1 has a receptive field of 50 pixels."),
    (MADE, "수용 영역: 3 → 5 → 7"),
    (MADE, "FLOPs: 105,415,200 MACs = 210,830,400 FLOPs"),
    (MADE, "96*55*55*363 MACs = 210.8M FLOPs"),
    (MADE, "weights = 34848, biases = 96, total = 34944"),
    (MADE, "34,944 (34.9K) parameters"),
    (TWO + "conv3: 3x3, 16, padding 1\noutput: 8x8x16\n", "sum = 584 + 1,168 = 1,752"),  # of a part, or with conv1 left out
]


@pytest.mark.parametrize(("above", "line"), UNJUDGED)
def test_what_nothing_tells_is_neither_right_nor_wrong(above: str, line: str) -> None:
    text = above + line + "\nPool1: max pooling 3x3, stride 2, padding 0\nConv: 1x1, 2 filters\nparams = {}"
    number = len((above + line).splitlines())
    judged = judge(read(text.format(194 if above is MADE else 34))).findings
    assert [finding.verdict for finding in judged if finding.line == number] == ["unread"]
    assert [finding.verdict for finding in judged if finding.line > number] == ["right"]


def test_the_arithmetic_of_a_receptive_field_is_judged() -> None:
    (wrong,) = findings(MADE + "receptive field: 11 + (3-1)*4 = 18")
    assert wrong.because == "11 + (3 - 1)*4 = 19, not 18"
