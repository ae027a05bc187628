"""The published numbers of a spec: what ``expect`` claims of the whole network and of single layers."""

import msgspec

from archcalc.errors import Place, SpecError, UsageError, did_you_mean
from archcalc.spec.source import Mapping, Scalar, Sequence, Tree
from archcalc.units import Figure, parse_figure

TOTALS = ("params", "trainable", "macs", "neurons", "connections")
LAYER = ("output", "params", "macs")


class Expectation(msgspec.Struct, frozen=True):
    """One published number: ``quantity`` of ``layer`` (None for the whole network) is ``figure``, or for an output ``sizes``."""

    layer: str | None
    quantity: str
    place: Place
    figure: Figure | None = None
    sizes: tuple[int, ...] | None = None


def read_expectations(tree: Tree | None) -> tuple[Expectation, ...]:
    """Read an ``expect`` section. Raises SpecError for what is no figure or no known quantity."""
    if tree is None or (isinstance(tree, Scalar) and tree.value is None):
        return ()
    if not isinstance(tree, Mapping):
        raise SpecError("E043", f"expect must be a mapping, not {tree.kind}", place=tree.place())
    found: list[Expectation] = []
    for key, value in tree.entries:
        if isinstance(value, Mapping):
            found += [_layer(key.text, quantity, claim) for quantity, claim in value.entries]
        elif key.text in TOTALS:
            found.append(Expectation(None, key.text, value.place(), figure=_figure(value)))
        else:
            way_out = did_you_mean(key.text, TOTALS) or "for a layer write its name, then {output: [...], params: ...}"
            raise SpecError("E050", f"expect has no total {key.text[:60]}", help=way_out, place=key.place())
    return tuple(found)


def _layer(layer: str, quantity: Scalar, value: Tree) -> Expectation:
    if quantity.text not in LAYER:
        help = did_you_mean(quantity.text, LAYER)
        raise SpecError("E050", f"expect of a layer has no {quantity.text[:60]}", help=help, place=quantity.place())
    if quantity.text != "output":
        return Expectation(layer, quantity.text, value.place(), figure=_figure(value))
    sizes = [item.value if isinstance(item, Scalar) else None for item in value.items] if isinstance(value, Sequence) else []
    if not sizes or not all(type(size) is int for size in sizes):
        raise SpecError("E050", f"the output of {layer} must be a list of sizes", help="output: [96, 55, 55]", place=value.place())
    return Expectation(layer, "output", value.place(), sizes=tuple(int(size) for size in sizes))  # type: ignore[arg-type]


def _figure(value: Tree) -> Figure:
    if not isinstance(value, Scalar):
        raise SpecError(
            "E050", f"a published number is one figure, not {value.kind}", help="7.0M, 1.8e9 or 62_378_344", place=value.place()
        )
    try:
        return parse_figure(value.text)
    except UsageError as error:
        raise SpecError("E050", error.message, help=error.help, place=value.place()) from None
