"""archcalc, the architecture calculator: what a neural network's layers are, cost and remember.

>>> import archcalc
>>> archcalc.analyse(archcalc.load("alexnet")).totals.params
62378344
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archcalc.analysis import Report, analyse
    from archcalc.errors import ArchcalcError
    from archcalc.graph import Graph
    from archcalc.pytorch.build import build
    from archcalc.spec import load

__version__ = "0.1.0"
__all__ = ["ArchcalcError", "Graph", "Report", "analyse", "build", "load"]

_HOMES = {
    "load": "archcalc.spec.loading",
    "analyse": "archcalc.analysis",
    "build": "archcalc.pytorch.build",
    "Report": "archcalc.analysis",
    "Graph": "archcalc.graph",
    "ArchcalcError": "archcalc.errors",
}


def __dir__() -> list[str]:
    """Return the names that are meant for use, imported or not yet."""
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``archcalc --help`` imports next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module archcalc has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
