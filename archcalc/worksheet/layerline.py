"""A line that describes a layer: ``Convolution: 11 x 11 x 3, n=96, s=4``, ``96 kernels of size 11x11``, ``fc1 4096``.

The line is read only if every word of it is one that such lines have (``words``): a sentence about a layer is no layer line.
"""

import re
from typing import Any, NamedTuple

from archcalc.worksheet import words
from archcalc.worksheet.page import Said, Sizes, Term
from archcalc.worksheet.terms import read_term
from archcalc.worksheet.tokens import Token, tokens_of

MOST_CHARACTERS = 240

_LENET = re.compile(r"(?P<name>(?P<letter>[CSF])[1-9][0-9]?)(?=\s*(?:[:.,(|]|layer\b|층|$|\s[0-9a-z]))")
_LENET_OPERATORS = {"C": "Conv2d", "S": "AvgPool2d", "F": "Linear"}
_KERAS = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,60})\s*\((?P<kind>[A-Z][A-Za-z0-9]{1,40})\)(?=[\s,]|$)")  # conv2d_1 (Conv2D)
_DOTTED = re.compile(r"(?P<name>[A-Za-z_]\w{0,60}(?:\.[A-Za-z0-9_]{1,60}){1,8})(?=[\s:,]|$)")  # layer1.0.conv1
_LAST = re.compile(r"[A-Za-z]+")
_BRANCH = re.compile(r"downsample|shortcut|skip|identity|branch|proj", re.IGNORECASE)  # their input is not the layer above
_LEAST_HIDDEN = 10
_MOST_COUNTED_LAYERS = 20  # a smaller number before a kind of layer counts them: 3 FC
_POOLS = ("MaxPool2d", "AvgPool2d")
_CONVOLUTIONS = ("Conv2d", "ConvTranspose2d", "Conv1d", "Conv3d")
_AXES = {"Conv1d": 1, "Conv3d": 3}  # of a kernel; all others have 2
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


def read_layer_line(number: int, text: str, plain: str, more: bool = False) -> LayerLine | None:
    """Return what the line says about a layer, or None if it is not one of these lines.

    ``more`` takes lines too that can only add to the layer that a heading names: ``stride 4, padding 0``.
    """
    if len(plain) > MOST_CHARACTERS or not plain:
        return None
    fields: dict[str, Any] = {}
    name = _name(plain)
    if name:
        if _BRANCH.search(name["name"]):
            return None
        fields.update(name=name["name"])
    tokens = tokens_of(plain, name.end() if name else 0, fields)
    if tokens is None:
        return None
    if name and not any(token.text.lower() in words.OPERATOR_WORDS for token in tokens):
        op = _named_operator(name)
        if op is None:
            return None
        fields["op"] = op
    reader = _Reader(tokens, fields)
    if not reader.read() or (fields.get("more") and not more):
        return None
    said = Said(number, text, fields.pop("op", None), heading=reader.is_heading(), **fields)
    return LayerLine(said, reader.given, reader.output)


def _name(plain: str) -> "re.Match[str] | None":
    keras = _KERAS.match(plain)
    if keras and keras["kind"].lower() in words.OPERATOR_WORDS:
        return keras
    return _DOTTED.match(plain) or _LENET.match(plain)


def _named_operator(name: "re.Match[str]") -> str | None:
    """Return the kind of layer that a name tells: LeNet's letters, Keras's kind behind it, the last word of a path."""
    told = name.groupdict()
    if "letter" in told:
        return _LENET_OPERATORS[told["letter"]]
    word = told["kind"] if "kind" in told else (_LAST.match(told["name"].rpartition(".")[2]) or [""])[0]
    return words.OPERATOR_WORDS.get(word.lower())


class _Reader:
    """Walks over the tokens and fills in the fields of what is said."""

    def __init__(self, tokens: list[Token], fields: dict[str, Any]):
        self.tokens, self.fields = tokens, fields
        self.place = 0
        self.numbers: list[int] = []
        self.shapes: list[Token] = []
        self.given: Term | None = None
        self.output: Term | None = None
        self.behind_name: Sizes = ()  # the 10 of Dense 10, which may be a name or a count
        self.least_units: int | None = None  # an output or a hidden layer is one of so many units or more; fewer are its place
        self.counted = ""  # what is counted: kernels, units
        self.named_kernel = False  # as in kernel size 3x3
        self.arrow_at: int | None = None  # how many shapes and numbers stood before an arrow

    @property
    def name(self) -> str:
        """The layer's name, empty if it has none."""
        return str(self.fields.get("name", ""))

    def is_heading(self) -> bool:
        """Whether the line names a layer and says nothing else about it."""
        return not any(key not in ("op", "name", "depthwise") for key in self.fields) and self.output is None

    def read(self) -> bool:
        """Return whether the whole line makes sense."""
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if not self._token(token):
                return False
        if not self._settle():
            return False
        if self.fields.get("op") is None:
            return self._says_more()
        return True

    def _says_more(self) -> bool:
        """Whether the line describes a layer that a heading named: by a kernel and more, or by anything else that has its word."""
        said = self.fields.keys() & {"kernel", "count", "stride", "padding", "x"}
        if self.output is not None or self.given is not None or self.counted in words.COUNTED_MAPS_WORDS:
            return False
        if not said - {"kernel"} and not (said and self.named_kernel):
            return False  # 5x5 alone is what comes out
        self.fields["more"] = said == {"kernel"} or "kernel" not in said or bool(self.numbers)
        if said <= {"count", "x"} and self.numbers:
            self.fields["op"] = "Linear"  # 9216 -> 4096, or 4096 alone
        return True

    def _token(self, token: Token) -> bool:
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
        if self.place > 1 and self.tokens[self.place - 2].text.lower() in words.LAYERS_WORDS:
            return True  # layer 3 is a place, and no size
        if number < _MOST_COUNTED_LAYERS and self._peek("word") and self.tokens[self.place].text.lower() in words.OPERATOR_WORDS:
            return False
        place = self.place
        while place < len(self.tokens) and self.tokens[place].kind in ("word", "sign", "sizes"):
            token = self.tokens[place]
            word = token.text.lower()
            if token.kind == "word" and word in words.COUNTED_WORDS:
                if place + 1 < len(self.tokens) and self.tokens[place + 1].text == "=":
                    break
                self.place = place + 1 if all(t.kind == "word" for t in self.tokens[self.place : place]) else self.place
                self.counted = word
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
        if word == "layers":
            return False  # of several layers no sizes are told
        if word in words.UNITS_WORDS:
            self.least_units = 1
        if word in words.HIDDEN_WORDS:
            self.least_units = _LEAST_HIDDEN
        if word in words.DEPTHWISE_WORDS:
            return self._set("depthwise", True)
        if word in words.POOLED:
            return self.fields.get("op") in _POOLS and self._pooled(words.POOLED[word])
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

    def _pooled(self, op: str) -> bool:
        self.fields["op"] = op
        return True

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
        if token.kind in ("sizes", "list") and argument == "padding":
            sides = tuple(map(int, re.findall("[0-9]+", token.text)))  # a first 1 is no batch
            if len(sides) in (2, self._axes, 2 * self._axes):
                self.place = place + 1
                return self._set("padding", sides)
        if token.kind == "sizes" and argument in ("kernel", "stride", "dilation"):
            self.place = place + 1
            if argument == "kernel":
                self.named_kernel = True
                return self._kernel(token.sizes, token.text)
            return len(token.sizes) == self._axes and self._set(argument, token.sizes)
        return False

    def _numeric(self, argument: str, number: int) -> bool:
        if argument in ("kernel", "stride", "padding", "dilation"):
            return self._set(argument, (number,) * self._axes)
        if argument == "in":
            return self._set("x", number)
        if argument == "bias":
            return number in (0, 1) and self._set("bias", bool(number))
        return self._set(argument, number)

    def _kernel(self, sizes: Sizes, text: str) -> bool:
        axes = self._axes
        if axes == 3:
            sizes = tuple(int(size) for size in re.findall("[0-9]+", text))  # a first 1 is no batch
        if len(sizes) == axes + 1:
            self.fields["depth"] = sizes[axes]
        return axes <= len(sizes) <= axes + 1 and self._set("kernel", tuple(sizes[:axes]))

    @property
    def _axes(self) -> int:
        return _AXES.get(str(self.fields.get("op")), 2)

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

    def _shape(self, token: Token, op: str | None) -> bool:
        counted = "count" in self.fields or bool(self.numbers)
        is_kernel = op in (*_CONVOLUTIONS, "TrainableSubsample2d", *_POOLS, None) and "kernel" not in self.fields and not token.at
        if is_kernel and op in _CONVOLUTIONS:
            is_kernel = counted or (len(token.sizes) == 2 and max(token.sizes) <= 15)
        elif is_kernel and op in _POOLS:
            is_kernel = len(token.sizes) == 2 and (max(token.sizes) <= 8 or "stride" in self.fields)
        if is_kernel:
            return self._kernel(token.sizes, token.text)
        if op == "Linear" and len(token.sizes) == 2 and not token.at and "count" not in self.fields:
            self.fields.update(x=token.sizes[0], count=token.sizes[1])
            return True
        if self.output is not None:
            return False
        self.output = read_term(token.text)
        return self.output is not None

    def _tells_units(self) -> bool:
        """Whether the line is about an output or a hidden layer, and says how many units that has."""
        if self.least_units is None or "kernel" in self.fields:
            return False
        if "count" in self.fields:
            return not self.numbers
        return len(self.numbers) == 1 and self.numbers[0] >= self.least_units

    def _loose_numbers(self, op: str | None) -> bool:
        numbers = self.numbers
        if op is None and self._tells_units():
            op = self.fields["op"] = "Linear"
        if op in ("Linear", None) and len(numbers) == 2 and self.arrow_at is not None and "count" not in self.fields:
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
        if op in ("Linear", "RBF", None) or (op == "Conv2d" and ("kernel" in self.fields or _LENET.match(f"{self.name}:"))):
            return self._set("count", numbers[0])
        if op in _POOLS and "kernel" not in self.fields:
            return self._set("kernel", (numbers[0], numbers[0]))
        return False
