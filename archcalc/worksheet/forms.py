"""The closed list of line forms: what one line of a page says, or that it says nothing that can be read.

A line is cut at the quantities it names (``memory: ... weights: ...``); what stands before the first is a layer line or a heading.
Each part must make sense to its last character: a number in a sentence is never taken for a claim.
"""

import re
from fractions import Fraction
from itertools import pairwise

from archcalc.errors import ArchcalcError
from archcalc.worksheet import words
from archcalc.worksheet.arithmetic import evaluate, summands
from archcalc.worksheet.chains import MOST_TERMS, chain, counted_as, operations
from archcalc.worksheet.compare import follows
from archcalc.worksheet.hints import window_in
from archcalc.worksheet.layerline import read_layer_line
from archcalc.worksheet.named_units import PERCENT, in_unit
from archcalc.worksheet.page import Claim, From, Item, Line, Said, Start, Term, Unread
from archcalc.worksheet.special import read_special, source_of, stated_layer
from archcalc.worksheet.terms import is_symbolic, read_term, sizes_in
from archcalc.worksheet.text import LONGEST_LINE

_CUT = re.compile(
    rf"(?<![a-z0-9_#\-])(?:(?P<total>{words.TOTAL})[\s\-:]*)?(?:(?P<scale>[kmgt]) ?(?=flop|mac))?(?P<quantity>{words.COUNTABLE})"
    rf"(?P<note>\s*\([^()=]{{0,40}}\))?(?P<after>\s+(?:in\s+)?total)?(?:\s*(?:은|는|이|가|の数|は))?\s*(?P<sign>[=:≈→]+)"
)
_TOTAL_ALONE = re.compile(rf"(?:{words.TOTAL})\s*[=:≈]+\s*(?P<rest>[^=]*[0-9][^=]*(?:=.*)?)")
_COUNTED = re.compile(
    rf"[(\[]?\s*(?:(?P<total>{words.TOTAL})\s*)?(?P<number>≈?\s*[0-9][0-9.,]*\s?[kmgb]?)\s*(?P<quantity>[^0-9\s(=:][^0-9=:()\[\]]{{0,40}}?)\s*[)\]]?[.]?"
)
_COUNT_BEFORE = re.compile(r"(?<![A-Za-z0-9])[0-9]+ $")
_NUMBER_BEFORE = re.compile(r"(?<=[0-9])\s*[kKMGT]?\s*$")
_STARTING = re.compile(r"(?P<quantity>[^0-9=:]{2,40}?)\s+(?P<rest>[\[(]?[0-9].*)")
_LIST_NUMBER = re.compile(r"\(?[0-9]{1,2}[.)]\s+(?=\S)|[①-⑳]\s*|step\s+[0-9]{1,2}\s*[.:)]\s*", re.IGNORECASE)
_FLAT = re.compile(
    rf"(?P<sizes>.*[0-9])\s*[(\[]\s*(?:{'|'.join(words._alternatives(words.QUANTITIES['flat']))})\s*[:=]?\s*(?P<flat>[0-9,]+)\s*[)\]]",
    re.IGNORECASE,
)
_FOR = re.compile(
    r"(?P<body>.*[0-9)\]])\s*[,(]?\s*(?:for|when|where|if|with)\s+(?P<names>[A-Za-z]\w{0,8}\s*=\s*[0-9.]+(?:\s*(?:,|and)\s*[A-Za-z]\w{0,8}\s*=\s*[0-9.]+)*)\s*\)?[.]?"
)
_FOR_FIRST = re.compile(r"(?:for\s+)?(?P<names>[A-Za-z]\s*=\s*[0-9]+(?:\s*,\s*[A-Za-z]\s*=\s*[0-9]+)*)\s*[:;→]\s*(?P<body>.*=.*)")
_INPUT_BEHIND = re.compile(rf"(?P<sizes>\[[0-9x\s]+\])\s*(?:{words.INPUT})", re.IGNORECASE)
_INPUT_WORD = re.compile(
    rf"\[?(?:{words.INPUT})(?:\s*(?:layer|image|layers|층|레이어|data))?\s*\]?\s*",
    re.IGNORECASE,
)
_FIELD = re.compile(r"receptive field|(?<![a-z])rf(?![a-z])|수용 ?영역|수용장|受容野|感受野")
_OF_FIELD = re.compile(r"[^0-9=:]{0,30}?(?:[a-z]+_?[0-9]{1,2})?\s*[:=≈]?\s*(?<![a-z0-9])(?P<body>[0-9(\[⌊][^,;]*)")
_NOT_TRAINED = re.compile(r"non-trainable params(?:eters)?\s*:\s*0(?:\s*\(.*\))?", re.IGNORECASE)
# A row that Keras, torchsummary or torchinfo prints: conv2d (Conv2D), Conv2d-1, ├─Conv2d: 1-1; then the output and the parameters.
_SUMMARY = re.compile(
    r"[│├└─|\s]*(?P<name>[A-Za-z_][\w.]*)\s*(?:\((?P<kind>[A-Za-z0-9_]+)\)?|-[0-9]+|: [0-9]+(?:-[0-9]+)*)\s+"
    r"(?P<shape>[(\[][0-9NoneB?,\s\-]+[)\]])\s+(?P<params>[0-9][0-9,]*|--?)(?:\s[^=]*)?"
)
_DIGIT = re.compile(r"[0-9]")
_SHAPE_IN = re.compile(
    r"[0-9]{1,9}\s*@\s*[0-9]{1,9}\s*[xX*]\s*[0-9]{1,9}|[(\[]?\s*[0-9]{1,9}(?:\s*[xX*]\s*[0-9]{1,9}){1,3}\s*[)\]]?|\(\s*[0-9]{1,9}(?:\s*,\s*[0-9]{1,9}){1,3}\s*\)"
)


def read_line(line: Line) -> list[Item]:
    """Return what the line says, in its order; nothing for a line without digits that names no layer."""
    plain = line.plain
    if not plain or len(line.text) > LONGEST_LINE:
        return [Unread(line.number, line.text)] if _DIGIT.search(plain) else []
    items = _read(line, plain)
    if items is None and (listed := _LIST_NUMBER.match(plain)):
        items = _read(line, plain[listed.end() :])
        if items is None and not _DIGIT.search(plain[listed.end() :]):
            return []
    if items is None:
        return [Unread(line.number, line.text)] if _DIGIT.search(plain) else []
    return items


def _read(line: Line, plain: str) -> list[Item] | None:
    if _NOT_TRAINED.fullmatch(plain):
        return []
    if receptive := _receptive(line, plain):
        return receptive
    if stated := stated_layer(line, plain):
        return [stated]
    cuts = list(_CUT.finditer(words.lower(plain)))
    if cuts:
        return _segments(line, plain, cuts)
    for form in (_special, _summary_row, _input, _layer, _shape, _counted, _total, _starting, _free):
        items = form(line, plain)
        if items is not None:
            return items
    return None


def _receptive(line: Line, plain: str) -> list[Item] | None:
    """``receptive field: 11 + (3-1)*4 = 19``: its arithmetic may be wrong; that it is right tells nothing of the layers."""
    small = words.lower(plain)
    field = _FIELD.search(small)
    found = _OF_FIELD.fullmatch(small, field.end()) if field and not re.search("[=:]", small[: field.start()]) else None
    terms = chain(plain[found.start("body") :]) if found else None
    if found is None or terms is None or len(terms[-1].shape or ()) > 1:
        return None
    grows = "→" in found["body"]  # 3 → 5 → 7, from layer to layer
    right = grows or all(follows(before, after) for before, after in pairwise(terms))
    return [Claim(line.number, line.text, "arithmetic", terms[-1:] if right else terms)]


def _segments(line: Line, plain: str, cuts: list["re.Match[str]"]) -> list[Item] | None:
    """Read a line that names its quantities: what stands before, and each quantity with its chain."""
    items: list[Item] = []
    if _COUNT_BEFORE.search(plain[: cuts[0].start()]):
        return None  # "10 outputs: ..." counts them, and says nothing of their sizes
    head = plain[: cuts[0].start()].strip(" :|,;-(")
    layer = ""
    if head:
        before = _layer(line, head)
        if before is None:
            before = _shape(line, head)
        if before is None and _is_filling(head):
            before = []
        if before is None:
            return None
        items += before
        layer = next((item.name for item in before if isinstance(item, Said)), "")
    for index, cut in enumerate(cuts):
        end = cuts[index + 1].start() if index + 1 < len(cuts) else len(plain)
        body = plain[cut.end() : end].strip(" |,;")
        word = re.sub(r"\s+", " ", cut["quantity"].lower())
        quantity = words.QUANTITY_WORDS.get(word, "biases")
        total = bool(cut["total"] or cut["after"] or word.startswith(("trainable", "model size", "모델", "模型")))
        if index and cuts[index - 1]["quantity"].lower() == word and quantity == "params" and not total:
            return None
        if index and "=" in cut["sign"] and _NUMBER_BEFORE.search(plain, 0, cut.start()) and operations(body) - {quantity}:
            return None  # 105M MACs = 211M FLOPs converts
        unit = cut["scale"] or plain[slice(*cut.span("note"))].strip(" ()")
        found = _claim(line, quantity, body, total, layer, unit)
        if found is None:
            return None
        items += found
    return items


def _claim(line: Line, quantity: str, body: str, total: bool, layer: str, unit: str) -> list[Item] | None:
    """Read the chain of one quantity; ``unit`` is what stands beside its name, as in ``memory (MB)``."""
    if quantity == "input" and not _DIGIT.search(body):
        return []
    source = source_of(body) if quantity == "input" else None
    if source:
        body = source[0]
    flat = _FLAT.fullmatch(body)
    if flat:
        body = flat["sizes"]
    quantity = counted_as(quantity, body, unit)
    terms = chain(body, quantity)
    if terms is None or unit == PERCENT:
        return None
    if quantity in ("input", "output", "flat") and total:
        total = False
    terms = in_unit(terms, quantity, unit)
    items: list[Item] = [Claim(line.number, line.text, quantity, terms, total, layer)]
    if flat:
        items.append(_flat(line, flat["flat"]))
    return [From(line.number, line.text, (source[1],)), *items] if source else items


def _flat(line: Line, text: str) -> Claim:
    term = read_term(text)
    assert term is not None
    return Claim(line.number, line.text, "flat", (term,))


def _special(line: Line, plain: str) -> list[Item] | None:
    return read_special(line, plain)


def _summary_row(line: Line, plain: str) -> list[Item] | None:
    found = _SUMMARY.fullmatch(plain)
    term = read_term(found["shape"]) if found else None
    if found is None or term is None or term.shape is None:
        return None
    kind = (found["kind"] or found["name"]).lower()
    name = found["name"] if found["kind"] else ""
    op = words.OPERATOR_WORDS.get(kind) or words.OPERATOR_WORDS.get(
        re.sub(r"_[0-9]+$", "", name).replace("_", "")
    )  # Keras cuts long kinds
    items: list[Item] = [Said(line.number, line.text, op, name=name, heading=True, row=True)]
    items.append(Claim(line.number, line.text, "output", (term,)))
    params = read_term(found["params"]) if found["params"][0] != "-" else None
    return [*items, Claim(line.number, line.text, "params", (params,))] if params is not None else items


def _input(line: Line, plain: str) -> list[Item] | None:
    """``input layer``, ``Input 32x32x1``."""
    if behind := _INPUT_BEHIND.fullmatch(plain):
        term = read_term(behind["sizes"])
        return None if term is None else [Start(line.number, line.text, term)]
    word = _INPUT_WORD.match(plain)
    if word is None:
        return None
    rest = plain[word.end() :].strip(" :|,")
    if not rest:
        return [Start(line.number, line.text, None)]
    term = _sizes_among_fillers(rest)
    return None if term is None else [Start(line.number, line.text, term)]


def _layer(line: Line, plain: str) -> list[Item] | None:
    found = read_layer_line(line.number, line.text, plain.rstrip(" :"), more=plain == line.plain)
    if found is None:
        return None
    items: list[Item] = []
    if found.given is not None:
        items.append(Claim(line.number, line.text, "input", (found.given,)))
    items.append(found.said)
    if found.output is not None:
        items.append(Claim(line.number, line.text, "output", (found.output,)))
    return items


def _shape(line: Line, plain: str) -> list[Item] | None:
    """A line that is nothing but sizes: ``55 x 55 x 96``, ``6 x 6 x 256 (Flat 9216)``."""
    flat = _FLAT.fullmatch(plain)
    body = flat["sizes"] if flat else plain
    term = _sizes_among_fillers(body)
    if term is None:
        return None
    items: list[Item] = [Claim(line.number, line.text, "output", (term,))]
    if flat:
        items.append(_flat(line, flat["flat"]))
    return items


def _sizes_among_fillers(text: str) -> Term | None:
    if sizes_in(text) is not None:
        return read_term(text)
    found = _SHAPE_IN.search(text)
    if found is None or not _is_filling(text[: found.start()].replace("@", " ")) or not _is_filling(text[found.end() :]):
        return None
    return read_term(found[0]) if sizes_in(found[0]) is not None else None


def _is_filling(text: str) -> bool:
    """Whether there is nothing in the text but signs and words that change nothing."""
    small = words.lower(text)
    place = 0
    while place < len(small):
        word = words.FILLER_LEXICON.at(small, place)
        if word is None and small[place] not in " ,.:;|":
            return False
        place += len(word) if word else 1
    return True


def _count(text: str) -> tuple[str, Term, bool] | None:
    """Return the quantity of ``34,944 parameters``, its figure, and whether it is a total."""
    found = _COUNTED.fullmatch(words.lower(text))
    quantity = words.QUANTITY_WORDS.get(found["quantity"]) if found else None
    if found is None or quantity not in ("params", "macs", "flops", "connections"):
        return None
    figure = text[found.start("number") : found.end("number")]
    term = read_term(figure.replace("≈", ""), "≈" in figure)
    return None if term is None else (quantity, term, bool(found["total"]))


def _counted(line: Line, plain: str) -> list[Item] | None:
    """``34,944 parameters``, ``conv1: 34,944 params``."""
    head, colon, rest = plain.partition(":")
    found = _count(plain)
    before: list[Item] | None = []
    if found is None and colon:
        found = _count(rest.strip())
        before = _layer(line, head.strip()) if found is not None else None
    if found is None or before is None:
        return None
    quantity, term, total = found
    return [*before, Claim(line.number, line.text, quantity, (term,), total)]


def _total(line: Line, plain: str) -> list[Item] | None:
    """``Total: 62,378,344``, ``sum = 8 + 8 = 16``; a single number that is not said to be anything else is parameters."""
    found = _TOTAL_ALONE.fullmatch(words.lower(plain))
    if found is None:
        return None
    rest = plain[found.start("rest") :]
    counted = _count(rest.strip())
    terms = chain(rest)
    if terms is None:
        return None
    is_sum = len(terms) > 1 and len(summands(terms[0].text)) > 1  # of the layers, or of anything
    return [Claim(line.number, line.text, counted[0] if counted else "arithmetic" if is_sum else "params", terms, True)]


def _starting(line: Line, plain: str) -> list[Item] | None:
    """``output 55x55x96``, ``parameters 34,944``: a quantity and its figure without a sign between."""
    found = _STARTING.fullmatch(plain)
    quantity = words.QUANTITY_WORDS.get(words.lower(found["quantity"])) if found else None
    if found is None or quantity is None:
        return None
    quantity = counted_as(quantity, found["rest"])
    terms = chain(found["rest"], quantity)
    if terms is None or (quantity in ("output", "input") and terms[-1].shape is None):
        return None
    return [Claim(line.number, line.text, quantity, terms)]


def _free(line: Line, plain: str) -> list[Item] | None:
    """``3*3*64 = 576``, ``L(L+1)/2 = 6 for L=3``: arithmetic by itself."""
    for form in (_FOR, _FOR_FIRST):
        found = form.fullmatch(plain)
        if found:
            terms = _with_names(found["body"], found["names"])
            return None if terms is None else [Claim(line.number, line.text, "arithmetic", terms)]
    if not re.search(r"[=≈]", plain):
        return None
    body = plain
    label, colon, rest = plain.partition(":")
    if colon and "=" not in label and len(label) <= 40:
        body = rest
    terms = chain(body)
    if terms is not None and body is rest and len(terms[-1].shape or ()) > 1 and window_in(terms[0]):
        layer = _layer(line, label)  # MaxPool(3x3, stride 2): (112-3)/2+1 = 55.5 → 55x55x64
        if layer and not any(isinstance(item, Claim) or (isinstance(item, Said) and item.heading) for item in layer):
            return [*layer, Claim(line.number, line.text, "output", terms)]
    if terms is None or len(terms) < 2 or not (re.search(r"[*/xX^+\-]", terms[0].text) or (terms[0].unit and terms[1].unit)):
        return None
    return [Claim(line.number, line.text, "arithmetic", terms)]


def _with_names(body: str, names: str) -> tuple[Term, ...] | None:
    values = {}
    for name, value in re.findall(r"([A-Za-z]\w{0,8})\s*=\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)", names):
        values[name] = Fraction(value)
    terms: list[Term] = []
    for part in re.split(r"[=≈→]+", body)[: MOST_TERMS + 1]:
        try:
            value = evaluate(part, values)
        except ArchcalcError:
            if terms or not is_symbolic(part):
                return None
            continue
        figure = read_term(part)
        terms.append(Term(part.strip(), value, figure.figure if figure else None))
    return tuple(terms) if len(terms) > 1 else None
