"""From what a user names, a bundled model or a file, to its spec and its graph."""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from archcalc.errors import UsageError, nearest
from archcalc.graph import Graph
from archcalc.spec.document import Spec, parse
from archcalc.spec.source import MOST_BYTES
from archcalc.spec.zoo import index


def load(
    model: str | os.PathLike[str],
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
    spec, chosen = read_spec(os.fspath(model))
    if input is not None and not isinstance(input, Mapping):
        names = list(spec.variant(variant or chosen).inputs)
        if len(names) > 1:
            raise UsageError("E204", f"{spec.name} has {len(names)} inputs: {', '.join(names)}", help="give a mapping: name -> sizes")
        input = {names[0]: input}
    return spec.graph(variant or chosen, set, input, batch)


def read_spec(model: str) -> tuple[Spec, str | None]:
    """Return the spec that a bundled name or a path stands for, and the variant that the name chose.

    Raises UsageError if there is neither, SpecError if the file cannot be read as a spec.
    """
    name = model.lower().replace("-", "_")
    path = index().get(name)
    if path is not None:
        return bundled(path), name
    if not model.endswith((".yaml", ".yml")) and not any(separator in model for separator in "/\\"):
        meant = nearest(name, list(index()))
        help = f"did you mean {meant}?" if meant else "archcalc list shows the bundled models; a path to a spec ends in .yaml"
        raise UsageError("E201", f"there is no model {model}", help=help)
    return parse(_content(model), model), None


def _content(path: str) -> bytes:
    """Return the start of a file, up to more than a spec may have. Raises UsageError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("E200", f"there is no file {path}", help="archcalc list shows the bundled models") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError("E200", f"cannot read {path}: {reason}") from None


@lru_cache(maxsize=16)
def bundled(path: str) -> Spec:
    """Return a bundled spec, read once."""
    return parse(_content(path), os.path.basename(path))
