"""What a caller gives beside the spec, params and sizes, as the values that a spec itself could hold."""

from collections.abc import Mapping
from typing import Any

from archcalc.errors import SpecError, UsageError, did_you_mean
from archcalc.spec.source import read
from archcalc.spec.values import read_value
from archcalc.spec.whitelist import shown

LARGEST_SIZE = 2**31 - 1


def by_name(given: Any, known: Mapping[str, Any], code: str, owner: str, what: str) -> dict[str, Any]:
    """Return values by the names that they are for. Raises UsageError unless they are a mapping of ``known`` names."""
    if not isinstance(given, Mapping):
        raise UsageError(code, f"each {what} is given by its name, not as {shown(given)}", help=f"a mapping: {what} -> value")
    for name in given:
        if name not in known:
            way_out = did_you_mean(str(name), list(known)) or f"{owner} declares no {what}s"
            raise UsageError(code, f"{owner} has no {what} {name}", help=way_out)
    return {name: plain(value) for name, value in given.items()}


def read_setting(name: str, text: str) -> Any:
    """Return the value of ``--set name=text``, read as a spec would read it."""
    try:
        return read_value(read(text, f"--set {name}")).evaluate({})
    except SpecError as error:
        if error.code != "E009":
            raise
        raise UsageError("E226", f"--set {name} has no value", help=f"for example --set {name}=10") from None


def plain(value: Any) -> Any:
    """Return a value as a spec holds it: lists for tuples, Python's own numbers for those of NumPy and PyTorch."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def size_problem(sizes: Any) -> str | None:
    """Return what keeps these from being the sizes of an input, None if nothing does."""
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= 4:
        return f"input must be a list of one to four whole numbers, not {shown(sizes)}"
    wrong = [size for size in sizes if type(size) is not int or not 1 <= size <= LARGEST_SIZE]
    if not wrong:
        return None
    return f"a size of an input is a whole number from 1 to {LARGEST_SIZE:,}, not {shown(wrong[0])} as in {shown(sizes)}"


def channels_first(inputs: list[tuple[int, ...]]) -> str | None:
    """Return the way out where an input's sizes look like height, width, channels, as other libraries have them."""
    for sizes in inputs:
        if len(sizes) == 3 and sizes[2] in (1, 3) and sizes[0] not in (1, 3):
            height, width, channels = sizes
            return f"sizes are channels, height, width: did you mean [{channels}, {height}, {width}]?"
    return None
