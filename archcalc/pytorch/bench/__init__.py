"""Timing in PyTorch: ``measure`` runs the cases that were asked for and hands over each as it ends."""

from archcalc.pytorch.bench.describe import known_device
from archcalc.pytorch.bench.distributed import process
from archcalc.pytorch.bench.environment import environment, threads
from archcalc.pytorch.bench.jobs import Options, measure

__all__ = ["Options", "environment", "known_device", "measure", "process", "threads"]
