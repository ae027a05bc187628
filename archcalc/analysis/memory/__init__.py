"""The bytes that a run takes: every storage's life, what lives at once, and what an allocator makes of it."""

from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import Moment, Peak, Storage, Trace, curve, peak

__all__ = ["Moment", "Peak", "Plan", "Storage", "Trace", "curve", "peak", "simulate"]
