"""The bundled specs: found by name without reading more than the one that holds it."""

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache

from archcalc.errors import UsageError, nearest
from archcalc.spec.document import Spec, parse
from archcalc.spec.source import MOST_BYTES

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Inside an installed package the specs stand beside the code, in a checkout at the top level. (pathlib would cost 2 ms of start-up.)
FOLDER = next(filter(os.path.isdir, (os.path.join(folder, "specs") for folder in (_PACKAGE, os.path.dirname(_PACKAGE)))), _PACKAGE)


@lru_cache(maxsize=1)
def index() -> dict[str, str]:
    """Return every bundled model and variant with its file, by a look at the lines that name them (tests hold it to the full reading)."""
    found: dict[str, str] = {}
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".yaml"):
            path = os.path.join(FOLDER, file)
            with open(path, encoding="utf-8") as lines:
                found.update(dict.fromkeys(_names(lines), path))
    return found


def _names(lines: Iterable[str]) -> Iterator[str]:
    """Return the name of a bundled spec and those of its variants, which stand at two spaces under ``variants:``."""
    section = ""
    for line in lines:
        if line[:1] not in (" ", "#", "\n"):
            section = line.partition(":")[0]
            if section == "name":
                yield line.partition(":")[2].strip()
        elif section == "variants" and line[:2] == "  " and line[2:3] not in (" ", "#", "\n"):
            yield line[2:].partition(":")[0]


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
