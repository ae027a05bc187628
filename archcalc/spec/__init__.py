"""Specs: YAML in, graphs out."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from archcalc.errors import UsageError
from archcalc.graph import Graph
from archcalc.spec.document import Spec, parse
from archcalc.spec.zoo import index, read_spec

__all__ = ["Spec", "index", "load", "parse", "read_spec"]


def load(
    model: str | PathLike[str],
    *,
    variant: str | None = None,
    set: Mapping[str, Any] | None = None,
    input: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
    batch: int = 1,
) -> Graph:
    """Return the graph of a bundled model (``resnet50``) or of a spec file (``net.yaml``).

    ``set`` changes declared params, ``input`` the input's sizes without the batch: (channels, height, width), or a mapping of them
    by name where there are several. Raises ArchcalcError for whatever is not there or does not fit.
    """
    spec, chosen = read_spec(fspath(model))
    if input is not None and not isinstance(input, Mapping):
        names = list(spec.variant(variant or chosen).inputs)
        if len(names) > 1:
            raise UsageError("E204", f"{spec.name} has {len(names)} inputs: {', '.join(names)}", help="give a mapping: name -> sizes")
        input = {names[0]: input}
    return spec.graph(variant or chosen, set, input, batch)
