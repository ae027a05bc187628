"""The comments beside a listing's layers: ``nn.Linear(4, 10),  # 50 params`` claims what any other line does."""

import re

from archcalc.ops import Op
from archcalc.worksheet.forms import read_line
from archcalc.worksheet.page import Claim, Item, Line, Said, Start, Unread
from archcalc.worksheet.saying import details
from archcalc.worksheet.terms import read_term
from archcalc.worksheet.text import LONGEST_LINE, normalised

_COMMENT = re.compile(r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^'\"#])*#(?P<text>.*)")
_NUMBER = re.compile(r"\s*[0-9][0-9,]*\s*")
_FIELDS = {
    "kernel": ("kernel_size",),
    "count": ("out_channels", "out_features"),
    "stride": ("stride",),
    "padding": ("padding",),
    "groups": ("groups",),
    "bias": ("bias",),
}


def remarks(number: int, text: str, layers: list[Said]) -> list[tuple[int, Item]]:
    """Return what a line's comment says, each with how many of the line's layers stand before it; what cannot be read is unread."""
    found = _COMMENT.fullmatch(text) if "#" in text and len(text) <= LONGEST_LINE else None
    if found is None or not re.search("[0-9]", found["text"]):
        return []
    items = _read(number, text, found["text"])
    if layers and layers[-1].op in ("Flatten", "Linear") and _NUMBER.fullmatch(found["text"]):
        term = read_term(found["text"])
        items = [] if term is None else [Claim(number, text, "output", (term,))]
    if all(isinstance(item, Start) or _is_known(item, layers) for item in items):
        return []
    claims = [item for item in items if isinstance(item, Claim)]
    of_layers = [claim for claim in claims if not claim.total and claim.quantity != "arithmetic"]
    if len(claims) < len(items) or (of_layers and not layers):
        return [(len(layers), Unread(number, text, True))]
    places = [_place(claim, layers) for claim in claims]
    if None in places:
        return [(len(layers), Unread(number, text, True))]
    return [
        (place or 0, Claim(number, text, claim.quantity, claim.terms, claim.total, beside=True))
        for place, claim in zip(places, claims, strict=True)
    ]


def _read(number: int, text: str, comment: str) -> list[Item]:
    """Read the comment as one line, or as what its commas part: ``28x28x6, 156 params``."""
    whole = read_line(Line(number, text, normalised(comment), "code"))
    if not any(isinstance(item, Unread) for item in whole):
        return whole
    parts = [item for part in re.split(r"[,;]\s+", comment) for item in read_line(Line(number, text, normalised(part), "code"))]
    return whole if any(isinstance(item, Unread) for item in parts) else parts


def _is_known(item: Item, layers: list[Said]) -> bool:
    """Whether the item repeats what the code says itself: the name of a layer, its kernels."""
    return isinstance(item, Said) and (item.heading or any(_agrees(item, layer.built) for layer in layers))


def _agrees(said: Said, built: Op | None) -> bool:
    told = details(said)
    return all(any(getattr(built, field, None) == value for field in _FIELDS.get(name, ())) for name, value in told.items())


def _place(claim: Claim, layers: list[Said]) -> int | None:
    """Return behind how many of the line's layers the claim stands; None where it may be about several of them."""
    if claim.quantity in ("output", "flat", "memory", "neurons"):
        return len(layers)
    weighted = [index for index, layer in enumerate(layers, 1) if layer.built is None or hasattr(layer.built, "bias")]
    return (weighted[0] if weighted else len(layers)) if len(weighted) < 2 else None
