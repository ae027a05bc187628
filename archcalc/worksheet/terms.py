"""One side of an equals sign: arithmetic, a printed figure, or the sizes of a tensor."""

import re
from fractions import Fraction

from archcalc.errors import ArchcalcError
from archcalc.units import Figure, parse_figure
from archcalc.worksheet.arithmetic import NUMBER, SCALES, ArithmeticError, evaluate, number
from archcalc.worksheet.page import Sizes, Term

LARGEST_SIZE = 2**31 - 1

BYTE_UNITS: dict[str, int] = {
    "bytes": 8, "byte": 8, "바이트": 8, "バイト": 8, "字节": 8,
    "kb": 8 * 10**3, "mb": 8 * 10**6, "gb": 8 * 10**9, "tb": 8 * 10**12,
    "kib": 8 * 2**10, "mib": 8 * 2**20, "gib": 8 * 2**30, "tib": 8 * 2**40,
    "bits": 1, "bit": 1, "비트": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "kbits": 10**3, "mbits": 10**6, "gbits": 10**9,
}  # fmt: skip
# What is counted, said after its number: it changes nothing.
_NOUNS = (
    r"(?:trainable\s+|learnable\s+)?(?:parameters|parameter|params|param|weights|neurons|units|connections|elements|numbers|values|activations|"
    r"multiplications|multiply-adds|mult-adds|operations|ops|pixels|in\s+total|in\s+all|total|개의\s*파라미터|개|個|个|파라미터|매개변수|パラメータ|参数|뉴런|연결)"
)
_NOUN = re.compile(rf"(?<![A-Za-z])[\s-]*{_NOUNS}\s*$", re.IGNORECASE)
_PREFIXED = re.compile(
    r"(?<=[0-9.])\s*([KMGTkB]?)[\s-]*(?:macs?|flops?|madds?|mult-adds|multiply-adds|multiply-accumulates)\s*$", re.IGNORECASE
)
_UNIT = re.compile(rf"(?<=[0-9)\].])\s*({'|'.join(sorted(BYTE_UNITS, key=len, reverse=True))})\s*$", re.IGNORECASE)
_REMARK = re.compile(r"\s*[(\[](?=[^()\[\]]*(?:[A-Za-z]{2}|[\u3040-\uffef]))(?![^()\[\]]*(?:floor|ceil))[^()\[\]]{0,120}[)\]]?\s*$")
_PER = re.compile(r"\s*/\s*(?:image|img|sample|example)s?\b.*$", re.IGNORECASE)
_ENDS = " \t,;.|:·\"'!?"
# The B of 173,056 B and of 884,992 * 4 B: a whole number of bytes where bytes are counted, or more than anybody's billions.
_BYTES = re.compile(r"(?:(?<![0-9,.])(?P<number>[0-9][0-9,]*)|(?<=[)\]]))\s*B\s*$")
MOST_BILLIONS = 1_000
_SINGLE = re.compile(rf"\s*({NUMBER})\s*")
_SCIENTIFIC = re.compile(r"\s*(?:([0-9]{1,3}(?:\.[0-9]+)?)\s*[xX*]\s*)?10\s*(?:\^|\*\*)\s*[({]?([0-9]{1,2})[)}]?\s*")
_AT = re.compile(r"\(?\[?\s*([0-9]{1,9})\s*(?:개|maps?|feature maps)?\s*@\s*([0-9]{1,9})\s*[xX*,]\s*([0-9]{1,9})\s*[)\]]?")
_AT_BEHIND = re.compile(r"([0-9]{1,9})\s*[xX*]\s*([0-9]{1,9})\s*@\s*([0-9]{1,9})")
_BATCH = r"(?:(?:none|n|b|batch|-1|\?)\s*[,x*]\s*)?"
_CROSSED = re.compile(rf"([(\[{{])?\s*{_BATCH}([0-9]{{1,9}}(?:\s*[xX*]\s*[0-9]{{1,9}}){{1,4}})\s*(?(1)[)\]}}])", re.IGNORECASE)
_LISTED = re.compile(rf"[(\[{{]\s*{_BATCH}([0-9]{{1,9}}(?:\s*,\s*[0-9]{{1,9}}){{0,4}})\s*,?\s*[)\]}}]", re.IGNORECASE)
_SYMBOLS = re.compile(r"[A-Za-z_0-9αβθπ\s()\[\]{}*/+\-^.,⌊⌋⌈⌉'#]{1,200}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9']*")


def sizes_in(text: str) -> tuple[Sizes, str] | None:
    """Return the sizes that the whole text is, and where their channels stand.

    >>> sizes_in("6@28x28")
    ((6, 28, 28), 'first')
    >>> sizes_in("[None, 55, 55, 96]")
    ((55, 55, 96), 'unknown')
    """
    text = text.strip().strip("|").strip()
    if found := _AT.fullmatch(text):
        return tuple(map(int, found.groups())), "first"
    if found := _AT_BEHIND.fullmatch(text):
        return (int(found[3]), int(found[1]), int(found[2])), "first"
    if found := _CROSSED.fullmatch(text):
        sizes = tuple(int(size) for size in re.split(r"\s*[xX*]\s*", found[2]))
    elif found := _LISTED.fullmatch(text):
        sizes = tuple(int(size) for size in found[1].split(","))
    else:
        return None
    if not all(1 <= size <= LARGEST_SIZE for size in sizes):
        return None
    if len(sizes) == 4 and sizes[0] == 1:
        sizes = sizes[1:]  # a batch of one
    return sizes, "none" if len(sizes) == 2 else "unknown"


def read_term(text: str, loose: bool = False, in_bytes: bool = False) -> Term | None:
    """Return what the text says, None where it is neither number, arithmetic nor sizes; ``in_bytes`` where a B is bytes."""
    text = _trimmed(text)
    sizes = sizes_in(text)
    if sizes is not None:
        return Term(text, _product(sizes[0]), None, "", sizes[0], sizes[1], loose)
    body, unit = _without_unit(text, in_bytes)
    if scientific := _SCIENTIFIC.fullmatch(body):
        return Term(text, _value(body), printed(f"{scientific[1] or 1}e{scientific[2]}"), unit, None, "unknown", loose)
    single = _SINGLE.fullmatch(body)
    if single:
        value = _value(single[1])
        if value is None:
            return None
        shape = (int(value),) if value.denominator == 1 and 1 <= value <= LARGEST_SIZE and not unit else None
        return Term(text, value, printed(single[1]), unit, shape, "unknown", loose)
    value = _value(body)
    return None if value is None else Term(text, value, None, unit, None, "unknown", loose)


def is_symbolic(text: str) -> bool:
    """Whether the text is a formula in letters, as stands before the numbers: ``(K*K*C + 1)*N``, ``floor((W - F + 2P)/S) + 1``."""
    text = _trimmed(text)
    words = _WORD.findall(text)
    if not words or not _SYMBOLS.fullmatch(text) or any(len(word) > 12 for word in words):
        return False
    return bool(re.search(r"[*/+^\-]|\bx\b|[)\w]\(", text)) or len(words) == 1


def _trimmed(text: str) -> str:
    text = text.strip(_ENDS)
    text = _PER.sub("", text).strip(_ENDS)
    while True:
        shorter = _REMARK.sub("", text) if not _AT.search(text) else text
        shorter = _NOUN.sub("", shorter)
        shorter = _PREFIXED.sub(r"\1", shorter).strip(_ENDS)
        shorter = re.sub(r"^(?:about|approx\.?|approximately|ca\.|약|대략|約|约)\s*", "", shorter, flags=re.IGNORECASE)
        if shorter == text or not shorter:
            return text
        text = shorter


def _without_unit(text: str, in_bytes: bool) -> tuple[str, str]:
    if (found := _BYTES.search(text)) and (in_bytes or int((found["number"] or "0").replace(",", "")) >= MOST_BILLIONS):
        return text.rstrip()[:-1], "bytes"
    found = _UNIT.search(text)
    if found is None:
        return text, ""
    unit = found[1]
    if len(unit) == 2 and unit[1] == "b" and unit[0].isupper():
        unit = unit[0] + "bit"  # Mb is megabits, MB megabytes
    return text[: found.start()], unit


def unit_bits(unit: str) -> int:
    """Return how many bits a unit is, 8 for no unit but a count of bytes is meant by the caller."""
    return BYTE_UNITS.get(unit.lower(), 8)


def _value(text: str) -> Fraction | None:
    try:
        return evaluate(text)
    except ArchcalcError:
        return None


def printed(text: str) -> Figure | None:
    """Return the figure that one printed number is: what it may be rounded from follows from its digits."""
    text = text.replace(" ", "")
    try:
        return parse_figure(text)
    except ArchcalcError:
        pass
    try:
        value = number(text)
    except ArithmeticError:
        return None
    head = text.rstrip("".join(SCALES))
    decimals = len(head.partition(".")[2]) if "e" not in head.lower() else 0
    scale = SCALES.get(text[len(head) :], 1)
    power = len(str(scale)) - 1 - decimals
    digits = value / Fraction(10) ** power
    return Figure(text, int(digits), power) if digits.denominator == 1 and digits >= 0 else None


def _product(sizes: Sizes) -> Fraction:
    product = Fraction(1)
    for size in sizes:
        product *= size
    return product
