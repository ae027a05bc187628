"""The bundled specs: found by name without reading more than the one that holds it."""

import re
from functools import lru_cache
from pathlib import Path

from archcalc.errors import UsageError, nearest
from archcalc.spec.document import Spec, parse

_HERE = Path(__file__).resolve()
# Inside an installed package the specs stand beside the code, in a checkout at the top level.
FOLDER = next((folder for folder in (_HERE.parents[1] / "specs", _HERE.parents[2] / "specs") if folder.is_dir()), _HERE.parents[1] / "specs")

_DEFAULT = re.compile(r"^name: *(\w+)", re.MULTILINE)
_SECTION = re.compile(r"^variants:.*\n((?:(?:[ #].*)?\n)*)", re.MULTILINE)
_VARIANT = re.compile(r"^  (\w+):", re.MULTILINE)


@lru_cache(maxsize=1)
def index() -> dict[str, Path]:
    """Return every bundled model and variant with its file, by a look at the lines that name them (tests hold it to the full reading)."""
    found: dict[str, Path] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        found.update(dict.fromkeys(_DEFAULT.findall(text)[:1], path))
        for section in _SECTION.findall(text):
            found.update(dict.fromkeys(_VARIANT.findall(section), path))
    return found


def read_spec(model: str) -> tuple[Spec, str | None]:
    """Return the spec that a bundled name or a path stands for, and the variant that the name chose.

    Raises UsageError if there is neither, SpecError if the file cannot be read as a spec.
    """
    name = model.lower().replace("-", "_")
    path = index().get(name)
    if path is not None:
        return bundled(path), name
    path = Path(model)
    looks_like_path = path.suffix in (".yaml", ".yml") or "/" in model or "\\" in model
    if not looks_like_path:
        meant = nearest(name, list(index()))
        help = f"did you mean {meant}?" if meant else "archcalc list shows the bundled models; a path to a spec ends in .yaml"
        raise UsageError("E201", f"there is no model {model}", help=help)
    try:
        return parse(path.read_bytes(), model), None
    except FileNotFoundError:
        raise UsageError("E200", f"there is no file {model}", help="archcalc list shows the bundled models") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError("E200", f"cannot read {model}: {reason}") from None


@lru_cache(maxsize=16)
def bundled(path: Path) -> Spec:
    """Return a bundled spec, read once."""
    return parse(path.read_bytes(), path.name)
