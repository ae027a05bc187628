"""The text of a page as lines that the forms can read: one way to write a number, a sign, a bullet.

The text as it stands is kept beside each line, for remarks and annotated copies.
"""

import re
import unicodedata
from collections.abc import Iterator

from archcalc.errors import ArchcalcError
from archcalc.worksheet.page import Line

MOST_CHARACTERS = 4_000_000
LONGEST_LINE = 1_000  # a line beyond this is no hand calculation; it is kept, and read as one without forms

# Before NFKC, which would make 112 of 11².
_SUPERSCRIPTS = str.maketrans({sign: f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("×✕✖⨯╳", "x"),
        **dict.fromkeys("∗⋅·∙•*", "*"),
        **dict.fromkeys("−–—‐‑‒﹣", "-"),
        **dict.fromkeys("÷∕⁄", "/"),
        **dict.fromkeys("→⟶➔➜⇒⟹▶", "→"),
        **dict.fromkeys("≈≒≃≅∼〜~", "≈"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’′", "'"),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad\u2060\u200e\u200f", None),
        "、": ",",
        "。": ".",
        "【": "[",
        "】": "]",
        "「": '"',
        "」": '"',
    }
)
_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|,|;|!|quad|qquad)(?![A-Za-z])"), " "),
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|operatorname)\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\times(?![A-Za-z])"), " x "),
    (re.compile(r"\\(?:cdot|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\(?:lfloor)(?![A-Za-z])"), "⌊"),
    (re.compile(r"\\(?:rfloor)(?![A-Za-z])"), "⌋"),
    (re.compile(r"\\(?:lceil)(?![A-Za-z])"), "⌈"),
    (re.compile(r"\\(?:rceil)(?![A-Za-z])"), "⌉"),
    (re.compile(r"\\(?:approx|simeq|sim)(?![A-Za-z])"), "≈"),
    (re.compile(r"\\(?:to|rightarrow|Rightarrow)(?![A-Za-z])"), "→"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\^\{([0-9]{1,3})\}"), r"^\1"),
    (re.compile(r"\\[\\#%&_]"), " "),
    (re.compile(r"\$+"), " "),
)
_TAGS = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_ENTITIES = {"&nbsp;": " ", "&times;": "x", "&gt;": ">", "&lt;": "<", "&amp;": "&"}
_ARROWS = re.compile(r"-+>|=>|>>+")
_BULLET = re.compile(r"\s*(?:>\s?)*(?:[-*+•◦▪■□●○◆◇※☞✔✓]+(?=\s)\s+|#{1,6}\s+)*")
_SPACES = re.compile(r"[\s\u3000]+")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_ROW_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")


def lines(text: str | bytes) -> tuple[Line, ...]:
    """Return the page's lines. Raises ArchcalcError for what is no text, or too much of it."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ArchcalcError(
                "E241", f"the page is not UTF-8 text: byte {error.start:,} cannot be read", help="save it as UTF-8"
            ) from None
    if len(text) > MOST_CHARACTERS:
        message = f"the page has {len(text):,} characters, and {MOST_CHARACTERS:,} is the most that is read"
        raise ArchcalcError("E241", message, help="split it into several pages")
    rows = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return tuple(_with_roles(rows))


def _with_roles(rows: list[str]) -> Iterator[Line]:
    matter = _matter_end(rows)
    fence = ""
    table_from = _table_rows(rows)
    for number, row in enumerate(rows, 1):
        opening = _FENCE.match(row)
        if number <= matter:
            yield Line(number, row, row.strip(), "matter")
        elif fence:
            if opening and opening[1].startswith(fence):
                fence = ""
                yield Line(number, row, "", "fence")
            else:
                yield Line(number, row, row.rstrip(), "code")
        elif opening:
            fence = opening[1][:3]
            yield Line(number, row, "", "fence")
        else:
            yield Line(number, row, normalised(row), "row" if number in table_from else "prose")


def _matter_end(rows: list[str]) -> int:
    """Return the number of the line that ends the front matter, 0 where there is none."""
    if not rows or rows[0].strip() != "---":
        return 0
    for number, row in enumerate(rows[1:60], 2):
        if row.strip() in ("---", "..."):
            return number
    return 0


def _table_rows(rows: list[str]) -> set[int]:
    """Return the numbers of the lines that stand in Markdown tables: a header, a rule of dashes, and what follows with bars."""
    found: set[int] = set()
    index = 1
    while index < len(rows):
        rule = rows[index]
        if "|" in rule and len(rule) < LONGEST_LINE and _ROW_RULE.fullmatch(rule) and "|" in rows[index - 1]:
            end = index + 1
            while end < len(rows) and "|" in rows[end]:
                end += 1
            found.update(range(index, end + 1))
            index = end
        index += 1
    return found


def normalised(row: str) -> str:
    """Return the line as the forms read it.

    >>> normalised("- **파라미터** ＝ ３６４ × 96 = 34,944")
    '파라미터 = 364 x 96 = 34,944'
    """
    if len(row) > LONGEST_LINE:
        return _SPACES.sub(" ", row).strip()
    plain = row.translate(_SUPERSCRIPTS)
    plain = unicodedata.normalize("NFKC", plain)
    if "\\" in plain or "$" in plain:
        for pattern, replacement in _LATEX:
            plain = pattern.sub(replacement, plain)
    if "&" in plain:
        for entity, sign in _ENTITIES.items():
            plain = plain.replace(entity, sign)
    plain = _TAGS.sub(" ", plain)
    plain = _ARROWS.sub("→", plain)
    bullet = _BULLET.match(plain)
    plain = plain[bullet.end() :] if bullet else plain
    plain = plain.replace("**", "\0").replace("__", "\0")
    plain = _emphasis(plain).replace("`", "").translate(_SIGNS).replace("≈=", "≈").replace("=≈", "≈").replace("≈≈", "≈")
    return _SPACES.sub(" ", plain).strip()


def _emphasis(plain: str) -> str:
    """Drop the double signs of bold print, but keep ``2**3``, a power, and single stars, which multiply."""
    power = re.sub(r"(?<=[0-9)])\0(?=[0-9(])", "^", plain)
    if plain.count("\0") % 2 == 0 and re.search(r"\0[^\0]*[^\s0-9\0(][^\0]*\0|^\0[^\0]*\0$", plain):
        return plain.replace("\0", "")
    return power.replace("\0", "")
