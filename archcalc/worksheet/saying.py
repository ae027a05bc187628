"""Two lines about a layer beside each other: whether the second says more of it, says the same again, or begins the next one."""

import re

from msgspec.structs import replace

from archcalc.worksheet.page import Said

# Operators that a heading such as S2 or C3 may mean.
_FAMILIES = (
    frozenset({"MaxPool2d", "AvgPool2d", "TrainableSubsample2d"}),
    frozenset({"Conv2d", "Conv1d", "Conv3d", "ConnectedConv2d", "ConvTranspose2d"}),
)
_DETAILS = ("kernel", "depth", "count", "stride", "padding", "dilation", "groups", "bias", "rounding", "x")
_OF_LINEAR = frozenset(("count", "bias", "x"))
# A layer's own name, as Conv1 and fc6 are; the same words with another number are a kind and its size (CONV3-64, Dense 10).
_OWN_NAME = re.compile(r"[A-Za-z]+_?[0-9]{1,2}(?:[_.][0-9]{1,2})*[a-z]?")


def details(said: Said) -> dict[str, object]:
    """Return what the line says beside the layer's name and kind."""
    return {name: value for name in _DETAILS if (value := getattr(said, name)) is not None}


def has_own_name(said: Said) -> bool:
    """Whether the layer is called by a name of its own, as Conv1 is, and not by its kind."""
    return said.op is not None and _OWN_NAME.fullmatch(said.name) is not None


def continues(before: Said, said: Said) -> bool:
    """Whether a line says more of the layer that an open line named, and not of the next one."""
    if before.built is not None or said.built is not None or said.line == before.line:
        return False
    if said.op is None:
        told = details(said)
        fits = before.op != "Linear" or told.keys() <= _OF_LINEAR
        return not said.heading and fits and not told.keys() & details(before).keys()
    if not before.heading or (said.name and before.name and said.name.lower() != before.name.lower()):
        return False
    return (
        before.op in (said.op, None)
        or any({before.op, said.op} <= family for family in _FAMILIES)
        or (before.op == "Conv2d" and said.name == before.name)
    )


def repeats(before: Said, said: Said) -> bool:
    """Whether a line names an earlier layer again, and what both say is alike: ``Conv1 has 96 kernels of size 11x11``."""
    if said.heading:
        return True
    if before.built is not None or not has_own_name(said) or said.op not in (before.op, None):
        return False
    told, known = details(said), details(before)
    both = told.keys() & known.keys()
    return bool(both) and all(told[name] == known[name] for name in both)


def merged(first: Said, more: Said) -> Said:
    """Return what both lines say, the second being the fuller one; the name stays the heading's."""
    said = {name: getattr(more, name) for name in more.__struct_fields__ if getattr(more, name) not in (None, "")}
    said.update(name=first.name or more.name, op=more.op or first.op, heading=False, more=False)
    return replace(first, **said)
