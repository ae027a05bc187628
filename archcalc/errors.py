"""The one family of exceptions that archcalc raises for what its user can mend.

Inner code raises with the numbers; the graph adds the layer; the loader adds file, line and column; the command line prints it
once. Anything else that escapes is a bug.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """Where in a file: 1-based line and column, the text of that line, and how many characters the caret underlines."""

    file: str
    line: int
    column: int
    text: str = ""
    width: int = 1


class ArchcalcError(Exception):
    """Something the user can mend: a code, a sentence with the numbers in it, where, and the way out."""

    exit_code = 2

    def __init__(self, code: str, message: str, *, help: str | None = None, layer: str | None = None, place: Place | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.layer = layer
        self.place = place

    def __str__(self) -> str:
        where = f" (layer {self.layer})" if self.layer else ""
        return f"{self.code}: {self.message}{where}"


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

    by_lower = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: "list[str] | tuple[str, ...] | set[str]", synonyms: dict[str, str] | None = None) -> str | None:
    """Return the help line for an unknown ``word``: the nearest known name, or all of them when they are few."""
    meant = nearest(word, known, synonyms)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"known here: {', '.join(sorted(known))}" if 0 < len(known) <= 16 else None
