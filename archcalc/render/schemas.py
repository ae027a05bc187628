"""The published JSON Schemas: of specs, and of what the commands print with ``--format json``."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from archcalc.errors import UsageError, did_you_mean
from archcalc.spec.schema import DIALECT, spec_schema


def _summary() -> type[msgspec.Struct]:
    from archcalc.render.summary import Summary

    return Summary


def _list() -> type[msgspec.Struct]:
    from archcalc.render.listing import Models

    return Models


def _show() -> type[msgspec.Struct]:
    from archcalc.render.show import ShowDocument

    return ShowDocument


def _compare() -> type[msgspec.Struct]:
    from archcalc.render.compare import CompareDocument

    return CompareDocument


def _counts() -> type[msgspec.Struct]:
    from archcalc.render.counts import CountsDocument

    return CountsDocument


def _verify() -> type[msgspec.Struct]:
    from archcalc.render.verify import VerifyDocument

    return VerifyDocument


def _explain() -> type[msgspec.Struct]:
    from archcalc.render.explain import Explained

    return Explained


def _why() -> type[msgspec.Struct]:
    from archcalc.render.why import WhyDocument

    return WhyDocument


def _weights() -> type[msgspec.Struct]:
    from archcalc.render.weights import WeightsDocument

    return WeightsDocument


def _memory() -> type[msgspec.Struct]:
    from archcalc.render.memory import MemoryDocument

    return MemoryDocument


def _fit() -> type[msgspec.Struct]:
    from archcalc.render.fit import FitDocument

    return FitDocument


def _roofline() -> type[msgspec.Struct]:
    from archcalc.render.roofline import RooflineDocument

    return RooflineDocument


def _check() -> type[msgspec.Struct]:
    from archcalc.render.check import CheckDocument

    return CheckDocument


def _bench() -> type[msgspec.Struct]:
    from archcalc.analysis.timing.result import BenchDocument

    return BenchDocument


def _bench_plan() -> type[msgspec.Struct]:
    from archcalc.render.bench_plan import PlanDocument

    return PlanDocument


# Command -> the struct that it prints, imported when its schema is asked for.
DOCUMENTS: dict[str, Callable[[], type[msgspec.Struct]]] = {
    "list": _list,
    "show": _show,
    "summary": _summary,
    "compare": _compare,
    "counts": _counts,  # --count all, of summary and of compare
    "verify": _verify,
    "explain": _explain,
    "why": _why,
    "check": _check,
    "memory": _memory,
    "fit": _fit,
    "roofline": _roofline,
    "weights": _weights,
    "bench": _bench,
    "bench-plan": _bench_plan,  # bench --dry-run
}


def schema_text(name: str | None = None) -> str:
    """Return the JSON Schema of a command's JSON, or of specs for None. Raises UsageError for a command that has none."""
    if name is None:
        schema = spec_schema()
    elif name in DOCUMENTS:
        schema = _document_schema(name)
    else:
        raise UsageError("E229", f"there is no schema of {name}", help=did_you_mean(name, list(DOCUMENTS)))
    return json.dumps(schema, indent=2, ensure_ascii=False).replace("``", "`") + "\n"  # docstrings mark code the way of reST


def _document_schema(name: str) -> dict[str, Any]:
    document = DOCUMENTS[name]()
    schema = msgspec.json.schema(document, ref_template="#/$defs/{name}")
    properties = schema["$defs"][document.__name__]["properties"]
    properties["schema"] = {"const": f"archcalc.{name}/1"}
    return {"$schema": DIALECT, "title": f"archcalc {name} --format json"} | schema
