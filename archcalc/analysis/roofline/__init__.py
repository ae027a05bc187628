"""How long a network takes on a device: the bytes it moves, the arithmetic it does, and the roof over both."""

from archcalc.analysis.roofline.model import LAYOUTS, MODES, Cases, Roofline, Row, roofline
from archcalc.analysis.roofline.precision import PRECISIONS

__all__ = ["LAYOUTS", "MODES", "PRECISIONS", "Cases", "Roofline", "Row", "roofline"]
