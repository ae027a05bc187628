"""From what a user names, a bundled model or a file, to its spec and its graph."""

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from archcalc.errors import UsageError, nearest
from archcalc.graph import Graph
from archcalc.spec.document import Spec, parse
from archcalc.spec.source import MOST_BYTES
from archcalc.spec.zoo import find, index

SUFFIXES = (".yaml", ".yml")
STDIN = "-"  # stands for standard input, as a path does for a file


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
    by name where there are several. Raises ArchcalcError for whatever is not there or does not fit, TypeError for a model that is
    neither a name nor a path.
    """
    if not isinstance(model, (str, bytes, os.PathLike)):
        raise TypeError(f"load takes a model's name or a path, not {type(model).__name__}: archcalc.load('resnet18')")
    spec, chosen = read_spec(os.fsdecode(model))
    if input is not None and not isinstance(input, Mapping):
        names = list(spec.variant(variant or chosen).inputs)
        if len(names) > 1:
            message = f"{spec.name} has {len(names)} inputs: {', '.join(names)}"
            raise UsageError("E204", message, help="give a mapping: name -> sizes")
        input = {names[0]: input}
    return spec.graph(variant or chosen, set, input, batch)


def read_spec(model: str) -> tuple[Spec, str | None]:
    """Return the spec that a bundled name or a path (``-``: standard input) stands for, and the variant that the name chose.

    Raises UsageError if there is neither, SpecError if the file cannot be read as a spec.
    """
    name = model.lower().replace("-", "_")
    path = find(name)
    if path is not None:
        return bundled(path), name
    if model == STDIN:
        return parse(_content(model), "stdin"), None
    if not model.lower().endswith(SUFFIXES) and not any(separator in model for separator in "/\\"):
        raise UsageError("E201", f"there is no model {model}", help=_way_to(model, name))
    return parse(_content(model), model), None


def _way_to(model: str, name: str) -> str:
    """Return what was probably meant: a file that lies here, or a bundled model of a like name."""
    if os.path.isfile(model):
        return f"for the file of this name write ./{model}"
    files = (model + suffix for suffix in SUFFIXES)
    meant = next(filter(os.path.isfile, files), None) or nearest(name, list(index()))
    return f"did you mean {meant}?" if meant else "archcalc list shows the bundled models; a path to a spec ends in .yaml"


def _content(path: str) -> bytes:
    """Return the start of a file, up to more than a spec may have. Raises UsageError if it cannot be read."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""
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
