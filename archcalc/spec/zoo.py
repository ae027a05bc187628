"""The bundled specs: found by name without reading more than the one that holds it."""

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Inside an installed package the specs stand beside the code, in a checkout at the top level. (pathlib would cost 2 ms.)
FOLDER = next(filter(os.path.isdir, (os.path.join(folder, "specs") for folder in (_PACKAGE, os.path.dirname(_PACKAGE)))), _PACKAGE)


@lru_cache(maxsize=1)
def index() -> dict[str, str]:
    """Return every bundled model and variant with its file, by a look at the lines that name them."""
    found: dict[str, str] = {}
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".yaml"):
            path = os.path.join(FOLDER, file)
            with open(path, encoding="utf-8") as lines:
                found.update(dict.fromkeys(_names(lines), path))
    return found


def find(name: str) -> str | None:
    """Return the file that holds a bundled model or variant. A file's own default bears its name, and is found without reading."""
    path = os.path.join(FOLDER, f"{name}.yaml")
    return path if name.isidentifier() and os.path.isfile(path) else index().get(name)


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
