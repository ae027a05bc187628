"""Specs: YAML in, graphs out. The names are imported when they are asked for: completing a model's name needs no loader."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archcalc.spec.document import Spec, parse
    from archcalc.spec.loading import load, read_spec
    from archcalc.spec.zoo import index

__all__ = ["Spec", "index", "load", "parse", "read_spec"]

_HOMES = {"Spec": "document", "parse": "document", "load": "loading", "read_spec": "loading", "index": "zoo"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module archcalc.spec has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(f"archcalc.spec.{_HOMES[name]}"), name)
