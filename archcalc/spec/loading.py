"""From what a user names, a bundled model or a file, to its spec and its graph."""

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TextIO

from archcalc.errors import UsageError, nearest
from archcalc.graph import Graph
from archcalc.spec.document import Spec, parse
from archcalc.spec.source import MOST_BYTES
from archcalc.spec.zoo import SUFFIXES, address, index

STDIN = "-"  # stands for standard input, as a path does for a file


def load(
    model: str | os.PathLike[str],
    *,
    variant: str | None = None,
    set: Mapping[str, Any] | None = None,
    input: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
    batch: int = 1,
) -> Graph:
    """Return the graph of a bundled model (``resnet50``) or of a spec file (``net.yaml``, with a variant ``net.yaml:deep``).

    ``set`` changes declared params, ``input`` the input's sizes without the batch: (channels, height, width), or a mapping of them
    by name where there are several. Raises ArchcalcError for whatever is not there or does not fit, TypeError for a model that is
    neither a name nor a path.
    """
    if not isinstance(model, (str, bytes, os.PathLike)):
        raise TypeError(f"load takes a model's name or a path, not {type(model).__name__}: archcalc.load('resnet18')")
    spec, chosen = read_spec(os.fsdecode(model), variant)
    if input is not None and not isinstance(input, Mapping):
        names = list(spec.variant(chosen).inputs)
        if len(names) > 1:
            message = f"{spec.name} has {len(names)} inputs: {', '.join(names)}"
            raise UsageError("E204", message, help="give a mapping: name -> sizes")
        input = {names[0]: input}
    return spec.graph(chosen, set, input, batch)


def read_spec(model: str, variant: str | None = None) -> tuple[Spec, str | None]:
    """Return the spec that a bundled name or a path (``-``: standard input) stands for, and the variant that is chosen.

    That is ``variant``, or the one of the name (``resnet50``, ``net.yaml:deep``); None for the file's default. Raises UsageError if
    there is no such model or variant, or two are chosen; SpecError if the file cannot be read as a spec.
    """
    found = address(model)
    spec = bundled(found.file) if found.bundled else _own(found.file)
    chosen = list(dict.fromkeys(spec.variant(one).name for one in (*found.variants, variant) if one))
    if len(chosen) > 1:
        stem = spec.name if found.bundled else found.file
        raise UsageError("E233", f"{model} is asked for as {' and as '.join(chosen)}", help=f"name one: {stem}:{chosen[-1]}")
    return spec, chosen[0] if chosen else None


def _own(file: str) -> Spec:
    """Return the spec in a file. Raises as ``read_spec`` does."""
    if file == STDIN:
        return parse(_content(file), "stdin")
    if not file.lower().endswith(SUFFIXES) and not any(separator in file for separator in "/\\"):
        raise UsageError("E201", f"there is no model {file}", help=_way_to(file))
    return parse(_content(file), file)


def _way_to(model: str) -> str:
    """Return what was probably meant: a file that lies here, or a bundled model of a like name."""
    if os.path.isfile(model):
        return f"for the file of this name write ./{model}"
    files = (model + suffix for suffix in SUFFIXES)
    meant = next(filter(os.path.isfile, files), None) or nearest(model.replace("-", "_"), list(index()))
    return f"did you mean {meant}?" if meant else "archcalc list shows the bundled models; a path to a spec ends in .yaml"


def _content(path: str) -> bytes:
    """Return the start of a file, up to more than a spec may have. Raises UsageError if it cannot be read."""
    try:
        if path == STDIN:
            return _standard_input(sys.stdin)
        with open(path, "rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("E200", f"there is no file {path}", help="archcalc list shows the bundled models") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError("E200", f"cannot read {path}: {reason}") from None


@lru_cache(maxsize=1)
def _standard_input(stream: TextIO | None) -> bytes:
    """Return the start of standard input, which can be read only once, however often it is named; nothing where it is closed."""
    return stream.buffer.read(MOST_BYTES + 1) if stream else b""


@lru_cache(maxsize=16)
def bundled(path: str) -> Spec:
    """Return a bundled spec, read once."""
    return parse(_content(path), os.path.basename(path))
