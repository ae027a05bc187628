"""Counting conventions: what each tool counts, as data, and the ledgers that take one total to another."""

from archcalc.analysis.conventions.count import (
    BIAS,
    HEADS,
    KINDS,
    Count,
    Difference,
    Ledger,
    convention,
    count,
    layer_counts,
    ledger,
    ledgers,
)
from archcalc.analysis.conventions.data import CONVENTIONS

__all__ = [
    "BIAS",
    "CONVENTIONS",
    "HEADS",
    "KINDS",
    "Count",
    "Difference",
    "Ledger",
    "convention",
    "count",
    "layer_counts",
    "ledger",
    "ledgers",
]
