"""Where a spec is: a bundled one, found by name without reading more than the one that holds it, or a file."""

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Inside an installed package the specs stand beside the code, in a checkout at the top level. (pathlib would cost 2 ms.)
FOLDER = next(filter(os.path.isdir, (os.path.join(folder, "specs") for folder in (_PACKAGE, os.path.dirname(_PACKAGE)))), _PACKAGE)

SUFFIXES = (".yaml", ".yml")


class Address(NamedTuple):
    """The file of a spec, whether it is bundled, and the variants that are chosen: at most one makes sense."""

    file: str
    bundled: bool
    variants: tuple[str, ...]


def address(model: str) -> Address:
    """Return where the spec is that ``resnet50``, ``net.yaml`` or, with a variant behind a colon, ``net.yaml:deep`` stands for.

    Where a file's own name holds the colon it is that file, and so is what has no spec before the colon: ``C:net``.
    """
    behind: tuple[str, ...] = ()
    if ":" in model and not os.path.exists(model):
        before, _, variant = model.rpartition(":")
        if _find(before) or before.lower().endswith(SUFFIXES) or os.path.isfile(before):
            model, behind = before, (variant,)
    path = _find(model)
    if path is None:
        return Address(model, False, behind)
    named = _plain(model)
    own = os.path.basename(path) == f"{named}.yaml"  # the name of a file's default chooses the file alone
    return Address(path, True, behind if own else (named, *behind))


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


def _plain(model: str) -> str:
    """Return a bundled model's name as its file writes it: ResNet-CIFAR is resnet_cifar."""
    return model.lower().replace("-", "_")


def _find(model: str) -> str | None:
    """Return the file that holds a bundled model or variant. A file's own default bears its name, and is found without reading."""
    name = _plain(model)
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
