"""Figures as people print them, judged against decimal arithmetic; sizes in bytes against fractions."""

import contextlib
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.errors import UsageError
from archcalc.units import parse_bytes, parse_figure

SCALES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12}
SIZES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "gib": 2**30, "mb": 10**6}


@pytest.mark.parametrize(
    ("figure", "right", "wrong"),
    [
        ("62,378,344", [62_378_344], [62_378_343, 62_378_345]),
        ("25_557_032", [25_557_032], [25_557_031]),
        (11_689_512, [11_689_512], [11_689_513]),
        ("0", [0], [1]),
        ("7.0M", [6_950_000, 6_998_552, 7_000_000, 7_049_999, 7_099_999], [6_949_999, 7_100_000]),  # DenseNet (40, 12): 1.0M
        ("0.27M", [269_722, 272_474], [264_999, 280_000]),  # ResNet-20
        ("1.8e9", [1_814_073_344], [1_700_000_000, 1_900_000_000]),  # ResNet-18
        ("4.12G", [4_115_000_000, 4_129_999_999], [4_089_184_256, 4_130_000_000]),
        ("60M", [59_500_000, 60_965_224], [61_100_840, 59_499_999]),  # AlexNet
        ("138 M", [138_357_544], [137_000_000]),  # VGG-16
        ("15.3B", [15_346_630_656], [15_500_000_000]),
        ("1.2k", [1_199, 1_299], [1_149, 1_300]),
        ("2T", [1_500_000_000_000], [3_000_000_000_000]),
        ("7.5", [], [7, 8]),
        ("7.0", [7], [6, 8]),
        ("1500e-3", [], [1, 2]),
        ("2000e-3", [2], [1, 3]),
        (" 5K ", [4_500, 5_999], [4_499, 6_000]),
    ],
)
def test_a_figure_is_right_if_the_exact_number_rounds_or_truncates_to_it(
    figure: str | int, right: list[int], wrong: list[int]
) -> None:
    claim = parse_figure(figure)
    assert claim.text == str(figure).strip()
    assert [exact for exact in right if not claim.matches(exact)] == []
    assert [exact for exact in wrong if claim.matches(exact)] == []


def prints_as(exact: int, mantissa: str, scale: int) -> bool:
    """Whether one of the three usual roundings makes the printed digits of the exact number."""
    context = Context(prec=80)
    scaled = context.scaleb(Decimal(exact), -scale)
    printed = Decimal(mantissa)
    step = Decimal(1).scaleb(printed.as_tuple().exponent)  # type: ignore[arg-type]
    return any(scaled.quantize(step, rounding, context) == printed for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN))


@given(st.integers(0, 9999), st.integers(0, 4), st.sampled_from(sorted(SCALES)), st.integers(-24, 24), st.integers(-2, 2))
def test_figures_agree_with_decimal_rounding(digits: int, decimals: int, suffix: str, tenths: int, nudge: int) -> None:
    mantissa = str(Decimal(digits).scaleb(-decimals)) if decimals else str(digits)
    mantissa = f"{Decimal(mantissa):f}"
    unit = Fraction(10) ** (SCALES[suffix] - decimals)
    exact = max(0, int(unit * digits + unit * tenths / 10) + nudge)
    assert parse_figure(mantissa + suffix).matches(exact) is prints_as(exact, mantissa, SCALES[suffix])


@given(st.integers(0, 99), st.integers(0, 12), st.integers(-12, 12), st.integers(-2, 2))
def test_an_exponent_says_the_same_as_a_letter(digits: int, exponent: int, tenths: int, nudge: int) -> None:
    exact = max(0, digits * 10**exponent + tenths * 10**exponent // 10 + nudge)
    assert parse_figure(f"{digits}e{exponent}").matches(exact) is prints_as(exact, str(digits), exponent)


@pytest.mark.parametrize(
    "figure",
    ["", " ", "M", "7.0m", "7.0 g", "7,0M", "62,37,344", "1__0", "_1", "1.", ".5M", "-7", "+7", "1e999", "1.8e9M", "7 . 0", "٣",
    "nan", "7.0MB", "1" * 65, "x" * 500, -7, 10**64],
)  # fmt: skip
def test_what_is_no_figure_says_how_one_is_written(figure: str | int) -> None:
    with pytest.raises(UsageError) as raised:
        parse_figure(figure)
    assert raised.value.code == "E230"
    assert "62.4M" in (raised.value.help or "")
    assert len(raised.value.message) < 80


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GiB", 24 * 2**30), ("3 GB", 3 * 10**9), ("512MB", 512 * 10**6), ("1024", 1024), ("1.5GiB", 3 * 2**29), ("0.1kB", 100),
        ("80 gib", 80 * 2**30), ("1,024 KiB", 2**20), ("7B", 7), ("0.3", 0), ("0.7 KiB", 716), (" 2TiB ", 2**41),
        ("1_000kb", 10**6),
    ],
)  # fmt: skip
def test_decimal_and_binary_units_are_kept_apart(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(sorted(SIZES)), st.sampled_from(["", " "]))
def test_sizes_agree_with_fractions(digits: int, decimals: int, unit: str, space: str) -> None:
    number = f"{Decimal(digits).scaleb(-decimals):f}"
    assert parse_bytes(number + space + unit) == Fraction(digits, 10**decimals) * SIZES[unit] // 1


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("24G", "24GiB (powers of 1024) or 24GB (powers of 1000)"), ("1.5 m", "1.5MiB (powers of 1024) or 1.5MB"), ("8Gi", "8GiB"),
        ("", "24GiB"), ("GiB", "24GiB"), ("-3GB", "24GiB"), ("1e9", "24GiB"), ("24 xb", "24GiB"), ("3GBs", "24GiB"),
        ("1" * 65, "24GiB"),
    ],
)  # fmt: skip
def test_what_is_no_size_says_how_one_is_written(text: str, help: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_bytes(text)
    assert raised.value.code == "E230"
    assert help in (raised.value.help or "")


@given(st.text(max_size=80) | st.text("0123456789.,_eEkMGTBi +-", max_size=20))
def test_random_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_figure, parse_bytes):
        with contextlib.suppress(UsageError):
            parse(text)
