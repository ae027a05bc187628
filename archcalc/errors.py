"""The one family of exceptions that archcalc raises for what its user can mend.

Inner code raises with the numbers; the graph adds the layer; the loader adds file, line and column; the command line prints it
once. Anything else that escapes is a bug.
"""

import copyreg
from typing import Any, NamedTuple

# Every code, and what it stands for; a test holds the table against the code.
CODES: dict[str, str] = {
    # The YAML of a spec
    "E001": "the file is too large",
    "E002": "the file is not UTF-8, or holds a character that no text needs",
    "E003": "the file is not YAML",
    "E004": "anchors and aliases are not let in",
    "E005": "tags and merge keys are not let in",
    "E006": "a key or a block stands twice",
    "E007": "nested too deep",
    "E008": "a second document in one file",
    "E009": "the file is empty",
    "E010": "a key is missing, or is not a name",
    # Expressions
    "E020": "an expression cannot be read",
    "E021": "a name that has no value here",
    "E022": "something that expressions do not know",
    "E023": "a division that leaves a rest",
    "E024": "an operation on values that it cannot take",
    "E025": "an expression or its value is too large",
    # Steps
    "E030": "a value of the wrong form",
    "E031": "a name of the wrong form",
    "E032": "a list of steps was expected",
    "E033": "a step that is not one operator or block",
    "E034": "an unknown operator or block",
    "E035": "arguments that have no names",
    "E036": "an argument is missing",
    "E037": "a merge, or what only a merge can have, that does not add up",
    "E038": "an unknown argument, or one too many",
    # The sections of a spec
    "E040": "an input that is no list of sizes",
    "E041": "a spec that is not a mapping",
    "E042": "a section that every spec needs is missing",
    "E043": "a section that should be a mapping",
    "E044": "an unknown section",
    "E045": "a text was expected",
    "E046": "a param without a name or a value of its own",
    "E047": "a block's header that cannot be read",
    "E048": "a block that calls itself",
    "E049": "a variant that sets what it cannot",
    "E050": "a published number that cannot be read",
    # Running the steps
    "E051": "too much work for one spec",
    "E052": "a repeat that is no count",
    "E053": "a condition that is neither true nor false",
    "E054": "a name that is taken",
    "E055": "no earlier step of this name",
    "E056": "arguments that define each other",
    "E057": "several inputs, and none chosen",
    "E058": "a network without layers",
    # How parameters begin, and what heads count
    "E062": "an init of a parameter that is not there",
    "E063": "a distribution that cannot be read",
    "E064": "a number that a distribution cannot have",
    "E065": "an init of what another step holds",
    "E066": "a head's weight that is no number of at least 0",
    # Shapes
    "E101": "a tensor with too many or too few axes",
    "E102": "a size that would be 0 or less",
    "E103": "channels that do not divide into groups",
    "E104": "an output_padding that no stride allows",
    "E105": "more padding than the window allows",
    "E106": "channels that do not fit the operator",
    "E107": "a dimension that the tensor does not have",
    "E108": "a tensor too large to exist",
    "E110": "branches of different shapes in a sum",
    "E111": "branches that a product cannot stretch to each other",
    "E112": "branches of different sizes side by side",
    "E120": "an argument's value that it cannot take",
    "E121": "arguments that exclude each other",
    # What was asked for
    "E200": "a file that cannot be read",
    "E201": "no bundled model of this name",
    "E202": "no such variant",
    "E203": "no such param",
    "E204": "an input that the network cannot have",
    "E205": "a setting of another kind than its default",
    "E206": "no such dtype",
    "E207": "a batch that is no count",
    "E208": "no such rules",
    "E209": "no such counting convention",
    "E210": "no such layer",
    "E211": "several layers of this name",
    "E212": "two nodes of one name",
    "E213": "too many nodes",
    "E214": "parameters that cannot be shared",
    "E220": "a command line that cannot be read",
    "E221": "no such command",
    "E222": "a file that cannot be written",
    "E223": "a file name that says no format",
    "E224": "no such column",
    "E225": "sizes of an input that cannot be read",
    "E226": "a setting that cannot be read",
    "E227": "too few models to compare",
    "E228": "too many models to compare",
    "E229": "no such schema",
    "E230": "a figure that cannot be read",
    "E231": "a quantity that has no total",
    "E232": "an option that could change nothing here",
    "E233": "two variants of one model",
    "E240": "a claim's arithmetic that cannot be read",
    "E241": "a page that cannot be read",
    "E242": "the head of a page that cannot be read",
    "E243": "a page about a model that is not there",
    "E250": "a name that PyTorch keeps for itself",
    "E251": "a name that a layer and a scope both have",
    "E252": "a dtype in which PyTorch has no layers",
    "E253": "a name that would break the code that PyTorch writes",
    # How a network is run
    "E260": "no such optimizer",
    "E261": "no such way of stepping",
    "E262": "a type that autocast does not lower to",
    "E263": "no such block to compute again",
    "E264": "a block that cannot be computed again by itself",
    "E266": "channels, or their groups, that do not divide among devices",
    "E267": "several ways of stepping",
    "E268": "a device's bytes that are not given, or twice",
    "E269": "values to vary that cannot be read, or too many",
    "E275": "a way of timing that the device does not have",
    "E276": "no report of a benchmark",
    "E278": "times of sampling that exclude each other",
    "E279": "what several processes do not time together",
    "E280": "a profile of another device",
    "E281": "nothing that learns, and a mode of training",
    "E285": "no such device",
    "E286": "a precision that the device does not have",
    "E287": "no such precision, layout or mode",
    "E288": "a profile that cannot be read",
    "E289": "a device that is named in no way, or in two",
    "E295": "a file of weights that is damaged",
    "E296": "a file that holds no weights",
    "E297": "weights of another model",
    "E298": "a file that unpickling could run code from",
    "E299": "weights that are infinite or no numbers",
    "E310": "PyTorch is needed for weights",
    "E311": "safetensors is needed for its files",
    "E320": "PyTorch is needed to build a model",
    "E321": "the ONNX packages are needed for its files",
    "E322": "an operator that ONNX or its exporter does not have",
    "E323": "not enough memory to build a model with its weights",
    "E330": "PyTorch is needed to measure a device",
    "E340": "PyTorch is needed to check a model",
    "E350": "no CUDA device here",
    "E351": "PyTorch is needed to time a model",
    "E352": "one of several processes that cannot go on",
}

MOST_COMPARED = 1_000  # names that a misspelt one is held against
CLOSE, VERY_CLOSE = 0.6, 0.8  # of two names' letters, the share that they have in common


class Place(NamedTuple):
    """Where in a file: 1-based line and column, the text of that line, and how many characters the caret underlines."""

    file: str
    line: int
    column: int
    text: str = ""
    width: int = 1


def one_line(text: str) -> str:
    r"""Return the text with what would break its line, or command a terminal, as an escape: a name from a file may hold anything.

    >>> one_line("Conv2d\nReLU")
    'Conv2d\\nReLU'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class ArchcalcError(Exception):
    """Something the user can mend: a code, a sentence with the numbers in it, where, and the way out."""

    exit_code = 2

    def __init__(self, code: str, message: str, *, help: str | None = None, layer: str | None = None, place: Place | None = None):
        super().__init__(message)
        self.code = code
        self.message = one_line(message)
        self.help = None if help is None else one_line(help)
        self.layer = layer
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes it again in another process, where a pool that cannot is broken; no ``__init__`` is asked again."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        where = f"{one_line(self.place.file)}:{self.place.line}:{self.place.column}: " if self.place else ""
        layer = f" (layer {one_line(self.layer)})" if self.layer else ""
        return f"{where}{self.code}: {self.message}{layer}" + (f"; {self.help}" if self.help else "")


class SpecError(ArchcalcError):
    """The spec's language: what is written cannot be read (E0xx)."""


class ShapeError(ArchcalcError):
    """The numbers do not fit together: sizes, channels, groups (E1xx)."""


class ArgumentError(ArchcalcError):
    """An operator's argument has a value it cannot take (E12x); ``argument`` names it."""

    def __init__(self, code: str, message: str, *, argument: str, help: str | None = None):
        super().__init__(code, message, help=help)
        self.argument = argument


class UsageError(ArchcalcError):
    """What was asked for on the command line or in a call does not exist (E2xx)."""


class MissingError(ArchcalcError):
    """Something that is needed is not installed or not there (E3xx)."""

    exit_code = 3


def nearest(word: str, known: "list[str] | tuple[str, ...] | set[str]", synonyms: dict[str, str] | None = None) -> str | None:
    """Return the known name that ``word`` was most likely meant to be, or None.

    A synonym (``filters`` for ``out_channels``) wins over spelling distance, but only where its meaning is known here.
    """
    meant = (synonyms or {}).get(word.lower())
    if meant in known:
        return meant
    import difflib  # deferred: only error paths pay for it

    # Of very many names, those of about the same length are looked at.
    near = sorted(known, key=lambda name: (abs(len(name) - len(word)), name))[:MOST_COMPARED]
    by_lower = {name.lower(): name for name in sorted(near)}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=CLOSE)
    if not found:
        return None
    # Few slips are in the first letter: mobilenet is not meant to be lenet5, nor net zfnet.
    slip = found[0][0] == word[:1].lower() or difflib.SequenceMatcher(None, word.lower(), found[0]).ratio() >= VERY_CLOSE
    return by_lower[found[0]] if slip else None


def did_you_mean(word: str, known: "list[str] | tuple[str, ...] | set[str]", synonyms: dict[str, str] | None = None) -> str | None:
    """Return the help line for an unknown ``word``: the nearest known name, or all of them when they are few."""
    meant = nearest(word, known, synonyms)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"known here: {', '.join(sorted(known))}" if 0 < len(known) <= 16 else None
