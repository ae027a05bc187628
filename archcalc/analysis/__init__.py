"""Walks over a graph: cost and receptive field; plain data out."""

from archcalc.analysis.cost import DTYPE_BYTES, analyse
from archcalc.analysis.report import Layer, Report, Totals

__all__ = ["DTYPE_BYTES", "Layer", "Report", "Totals", "analyse"]
