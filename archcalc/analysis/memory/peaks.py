"""The two peaks that a summary tells of: of a forward pass, and of a training step."""

from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import Peak, peak
from archcalc.graph import Graph


def peaks(graph: Graph, dtype: str) -> tuple[Peak, Peak | None]:
    """Return the peak of inference, and that of training with SGD and momentum; None in a type that cannot be trained."""
    inference = peak(simulate(graph, Plan(dtype=dtype)))
    return inference, None if dtype == "int8" else peak(simulate(graph, Plan(train=True, dtype=dtype)))
