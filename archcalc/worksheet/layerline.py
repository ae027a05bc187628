"""A line that describes a layer: ``Convolution: 11 x 11 x 3, n=96, s=4``, ``96 kernels of size 11x11``, ``fc1 4096``.

The line is read only if every word of it is one that such lines have (``words``): a sentence about a layer is no layer line.
"""

import re
from typing import Any, NamedTuple

from archcalc.worksheet import words
from archcalc.worksheet.page import Said, Sizes, Term
from archcalc.worksheet.terms import read_term, sizes_in

MOST_CHARACTERS = 240

_SIZES = (
    r"[0-9]{1,9}\s*@\s*[0-9]{1,9}\s*[xX*]\s*[0-9]{1,9}|[0-9]{1,9}\s*[xX*]\s*[0-9]{1,9}\s*@\s*[0-9]{1,9}|"
    r"\[\s*[0-9]{1,9}\s*\]|[(\[]\s*[0-9]{1,9}(?:(?:\s*[xX*]\s*[0-9]{1,9}){1,3}|(?:\s*,\s*[0-9]{1,9}){1,3})\s*[)\]]|[0-9]{1,9}(?:\s*[xX*]\s*[0-9]{1,9}){1,3}(?![0-9])"
)
_TOKEN = re.compile(
    rf"(?P<space>[\s,;.]+)|(?P<vgg>[cC][oO][nN][vV](?P<vgg_k>[1-9])-(?P<vgg_n>[0-9]{{2,4}})(?![0-9]))|(?P<lenet>[CSF][1-9](?![0-9A-Za-z=]))|"
    rf"(?P<sizes>{_SIZES})|(?P<number>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]{{1,9}}(?![0-9.]))"
)
_SIGN = re.compile(r"[-=:/→@()\[\]+|]")
_INDEX = re.compile(r"[-_ #]?[0-9]{1,3}(?:[._-][0-9]{1,3})*[a-z]?(?![0-9a-z]|\s*[x*@]\s*[0-9])")
_LENET = re.compile(r"(?P<letter>[CSF])(?P<index>[1-9][0-9]?)(?=\s*(?:[:.,(|]|layer\b|층|$|\s[0-9a-z]))")
_LENET_OPERATORS = {"C": "Conv2d", "S": "AvgPool2d", "F": "Linear"}
_POOLS = ("MaxPool2d", "AvgPool2d")
_BESIDE = (
    "ReLU",
    "Tanh",
    "Sigmoid",
    "LeakyReLU",
    "Softmax",
    "Dropout",
    "BatchNorm2d",
    "LocalResponseNorm",
    "Flatten",
)  # may be named in another layer's line


class LayerLine(NamedTuple):
    """What a layer line says, and the sizes that it says come in and out."""

    said: Said
    given: Term | None
    output: Term | None


class _Token(NamedTuple):
    kind: str
    text: str
    sizes: Sizes = ()
    at: bool = False  # brackets or an @ stand with the sizes: a tensor's, not a kernel's


def read_layer_line(number: int, text: str, plain: str) -> LayerLine | None:
    """Return what the line says about a layer, or None if it is not one of these lines."""
    if len(plain) > MOST_CHARACTERS or not plain:
        return None
    fields: dict[str, Any] = {}
    start = 0
    lenet = _LENET.match(plain)
    if lenet:
        fields.update(name=lenet[0].strip())
        start = lenet.end()
    tokens = _tokens(plain, start, fields)
    if tokens is None:
        return None
    if lenet and not any(token.text.lower() in words.OPERATOR_WORDS for token in tokens):
        fields["op"] = _LENET_OPERATORS[lenet["letter"]]
    reader = _Reader(tokens, fields)
    if not reader.read():
        return None
    said = Said(number, text, fields.pop("op", None), heading=reader.is_heading(), **fields)
    return LayerLine(said, reader.given, reader.output)


def _tokens(plain: str, start: int, fields: dict[str, Any]) -> list[_Token] | None:
    tokens: list[_Token] = []
    small = words.lower(plain)
    place = start
    while place < len(plain):
        found = _TOKEN.match(plain, place)
        if found is None:
            place = _word(plain, small, place, tokens)
            if place < 0:
                return None
            continue
        kind, text = str(found.lastgroup), found[0]
        place = found.end()
        if found["space"]:
            continue
        if found["vgg"]:
            k = int(found["vgg_k"])
            if "op" in fields:
                return None
            fields.update(op="Conv2d", name=text, kernel=(k, k), count=int(found["vgg_n"]))
        elif found["lenet"]:
            tokens.append(_Token("index", text))
        elif found["sizes"]:
            sizes = sizes_in(text)
            if sizes is None:
                listed = tuple(int(number) for number in re.findall("[0-9]+", text))
                if text[0] not in "[(":
                    return None
                tokens.append(_Token("list", text, listed))
                continue
            tokens.append(_Token("sizes", text, sizes[0], "@" in text or text[0] == "["))
        else:
            tokens.append(_Token(kind, text))
    return tokens


def _word(plain: str, small: str, place: int, tokens: list[_Token]) -> int:
    """Take the word or sign at this place, with the number behind an operator's; return where it ends, -1 if there is none."""
    operator = words.OPERATOR_LEXICON.at(small, place)
    if operator is not None:
        end = place + len(operator)
        index = _INDEX.match(small, end)
        if index is not None:
            tokens += _named(plain[place:end], plain[end : index.end()])
            return index.end()
    word = words.LAYER_LEXICON.at(small, place)
    if word is not None:
        tokens.append(_Token("word", word))
        return place + len(word)
    sign = _SIGN.match(plain, place)
    if sign is None:
        return -1
    tokens.append(_Token("sign", sign[0]))
    return sign.end()


def _named(operator: str, index: str) -> list[_Token]:
    """Return the tokens of an operator's word with a number behind it: a name (``fc1``) or a count (``FC 4096``)."""
    bare = index.lstrip("-_ #")
    counted = index[0] in "- " and bare.isdigit() and int(bare) > 20
    tokens = [_Token("word", operator)]
    if counted:
        return [*tokens, _Token("number", bare)]
    return [
        *tokens,
        _Token("index", operator + index, (int(bare),) if index[0] == " " and bare.isdigit() and int(bare) >= 10 else ()),
    ]


class _Reader:
    """Walks over the tokens and fills in the fields of what is said."""

    def __init__(self, tokens: list[_Token], fields: dict[str, Any]):
        self.tokens, self.fields = tokens, fields
        self.place = 0
        self.numbers: list[int] = []
        self.shapes: list[_Token] = []
        self.given: Term | None = None
        self.output: Term | None = None
        self.behind_name: Sizes = ()  # the 10 of Dense 10, which may be a name or a count
        self.arrow_at: int | None = None  # how many shapes and numbers stood before an arrow

    def is_heading(self) -> bool:
        """Whether the line names a layer and says nothing else about it."""
        return not any(key not in ("op", "name") for key in self.fields) and self.output is None

    def read(self) -> bool:
        """Return whether the whole line makes sense."""
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if not self._token(token):
                return False
        if not self._settle():
            return False
        said = [key for key in ("kernel", "count", "stride", "padding") if key in self.fields]
        if self.fields.get("op") is None:
            return len(said) >= 2 and "kernel" in said  # more about the layer that a heading named
        return True

    def _token(self, token: _Token) -> bool:
        if token.kind == "list":
            return False  # zeros are nobody's sizes
        if token.kind == "sizes":
            self.shapes.append(token)
            return True
        if token.kind == "number":
            return self._number(int(token.text.replace(",", "")))
        if token.kind == "index":
            self.fields.setdefault("name", token.text)
            self.behind_name = token.sizes
            return True
        if token.kind == "sign":
            return self._sign(token.text)
        return self._word(token.text.lower())

    def _sign(self, sign: str) -> bool:
        if sign == "→":
            if self.arrow_at is not None:
                return False
            self.arrow_at = len(self.shapes)
            self.numbers_before = len(self.numbers)
        if sign == "/" and self._peek("number") and "stride" not in self.fields:
            stride = int(self.tokens[self.place].text)
            self.place += 1
            return self._set("stride", (stride, stride))
        return sign != "="

    def _number(self, number: int) -> bool:
        place = self.place
        while place < len(self.tokens) and self.tokens[place].kind in ("word", "sign", "sizes"):
            token = self.tokens[place]
            word = token.text.lower()
            if token.kind == "word" and word in words.COUNTED_WORDS:
                if place + 1 < len(self.tokens) and self.tokens[place + 1].text == "=":
                    break
                self.place = place + 1 if all(t.kind == "word" for t in self.tokens[self.place : place]) else self.place
                return self._set("count", number)
            if token.kind == "sign" and token.text != "-":
                break
            if token.kind == "word" and (word not in words.FILLER_WORDS or word in words.ARGUMENT_WORDS):
                break
            place += 1
        self.numbers.append(number)
        return len(self.numbers) <= 3

    def _word(self, word: str) -> bool:
        word = re.sub(r"\s+", " ", word)
        if word in words.OPERATOR_WORDS and not self._assigned(word):
            return self._operator(words.OPERATOR_WORDS[word])
        if word in ("no", "without") and self._peek("word") and self.tokens[self.place].text.lower() in ("bias", "biases"):
            self.place += 1
            return self._set("bias", False)
        if word in words.ROUNDING_WORDS:
            return self._set("rounding", words.ROUNDING_WORDS[word])
        if word in words.ARGUMENT_WORDS and self._argument(words.ARGUMENT_WORDS[word]):
            return True
        if word in words.PADDING_WORDS and (word not in words.NO_WORDS or "padding" in word):
            return self._set("padding", words.PADDING_WORDS[word])
        return word in words.FILLER_WORDS or word in words.COUNTED_WORDS or (word in words.ARGUMENT_WORDS and len(word) > 2)

    def _assigned(self, word: str) -> bool:
        return word in words.ARGUMENT_WORDS and self.place < len(self.tokens) and self.tokens[self.place].text in "=:"

    def _operator(self, op: str) -> bool:
        before = self.fields.get("op")
        if before is None or before == op:
            self.fields["op"] = op
            return True
        if op in _BESIDE or (before in _POOLS and op in _POOLS):
            return True
        if before in _BESIDE and not self.shapes and not self.numbers and len(self.fields) == 1:
            self.fields["op"] = op
            return True
        return False

    def _argument(self, argument: str) -> bool:
        """Read ``argument = value``; False leaves the word to be an ordinary one."""
        place = self.place
        while place < len(self.tokens) and (
            self.tokens[place].text in ("=", ":", "(", ")", "-")
            or self.tokens[place].text.lower() in ("of", "is", "은", "는", "が", "は", "size")
        ):
            place += 1
        if place >= len(self.tokens):
            return False
        token = self.tokens[place]
        if argument == "padding" and token.kind == "word" and token.text.lower() in words.PADDING_WORDS:
            self.place = place + 1
            return self._set("padding", words.PADDING_WORDS[token.text.lower()])
        if argument == "bias" and token.kind == "word" and token.text.lower() in words.YES_WORDS | words.NO_WORDS:
            self.place = place + 1
            return self._set("bias", token.text.lower() in words.YES_WORDS)
        if token.kind == "number":
            self.place = place + 1
            return self._numeric(argument, int(token.text.replace(",", "")))
        if token.kind in ("sizes", "list") and argument == "padding" and len(token.sizes) in (2, 4):
            self.place = place + 1
            return self._set("padding", token.sizes)
        if token.kind == "sizes" and argument in ("kernel", "stride", "dilation"):
            self.place = place + 1
            if argument == "kernel":
                return self._kernel(token.sizes)
            return len(token.sizes) == 2 and self._set(argument, token.sizes)
        return False

    def _numeric(self, argument: str, number: int) -> bool:
        if argument in ("kernel", "stride", "padding", "dilation"):
            return self._set(argument, (number, number))
        if argument == "in":
            return self._set("x", number)
        if argument == "bias":
            return number in (0, 1) and self._set("bias", bool(number))
        return self._set(argument, number)

    def _kernel(self, sizes: Sizes) -> bool:
        if len(sizes) == 3:
            self.fields["depth"] = sizes[2]
        return len(sizes) in (2, 3) and self._set("kernel", tuple(sizes[:2]))

    def _set(self, field: str, value: Any) -> bool:
        if field in self.fields and self.fields[field] != value:
            return False
        self.fields[field] = value
        return True

    def _peek(self, kind: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place].kind == kind

    def _settle(self) -> bool:
        """Give the sizes and numbers that no word introduced their meaning, by the operator."""
        op = self.fields.get("op")
        if self.arrow_at is not None:
            behind = self.shapes[self.arrow_at :]
            self.shapes = self.shapes[: self.arrow_at]
            if len(behind) > 1:
                return False
            if behind:
                self.output = read_term(behind[0].text)
            entering = self.shapes and len(self.shapes[0].sizes) == 3
            if entering and (len(self.shapes) > 1 or "kernel" in self.fields or op == "Linear"):
                self.given = read_term(self.shapes.pop(0).text)
        for token in self.shapes:
            if not self._shape(token, op):
                return False
        return self._loose_numbers(op)

    def _shape(self, token: _Token, op: str | None) -> bool:
        counted = "count" in self.fields or bool(self.numbers)
        is_kernel = (
            op in ("Conv2d", "ConvTranspose2d", "TrainableSubsample2d", *_POOLS, None)
            and "kernel" not in self.fields
            and not token.at
        )
        if is_kernel and op in ("Conv2d", "ConvTranspose2d"):
            is_kernel = counted or (len(token.sizes) == 2 and max(token.sizes) <= 15)
        elif is_kernel and op in _POOLS:
            is_kernel = len(token.sizes) == 2 and (max(token.sizes) <= 8 or "stride" in self.fields)
        if is_kernel:
            return self._kernel(token.sizes)
        if op == "Linear" and len(token.sizes) == 2 and not token.at and "count" not in self.fields:
            self.fields.update(x=token.sizes[0], count=token.sizes[1])
            return True
        if self.output is not None:
            return False
        self.output = read_term(token.text)
        return self.output is not None

    def _loose_numbers(self, op: str | None) -> bool:
        numbers = self.numbers
        if op == "Linear" and len(numbers) == 2 and self.arrow_at is not None and "count" not in self.fields:
            self.fields["count"] = numbers[1]
            if numbers[0] != numbers[1]:  # FC(10) -> 10 says the same twice
                self.fields["x"] = numbers[0]
            return True
        if not numbers:
            if op == "Linear" and self.behind_name and "count" not in self.fields and self.output is None:
                self.fields["count"] = self.behind_name[0]
            return True
        if len(numbers) > 1:
            return False
        if op in ("Linear", "RBF") or (op == "Conv2d" and "kernel" in self.fields):
            return self._set("count", numbers[0])
        if op in _POOLS and "kernel" not in self.fields:
            return self._set("kernel", (numbers[0], numbers[0]))
        return False
