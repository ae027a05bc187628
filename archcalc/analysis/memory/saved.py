"""What autograd keeps from the forward pass into the backward pass, each storage at the layer that made it."""

from archcalc.analysis.cost import Storages
from archcalc.analysis.memory.autocast import LOWER, policy
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import LOSS
from archcalc.analysis.memory.trace import BACKWARD, FORWARD, Trace
from archcalc.graph import Graph, Node, needed_by
from archcalc.ops import Input, Kept


def saved_bytes(graph: Graph, plan: Plan, trace: Trace) -> dict[str, int]:
    """Return the bytes that live on because a derivative needs them, by the layer that made them; none in inference.

    What only the loss keeps is not the network's.
    """
    if not plan.train:
        return {}
    moments = trace.moments
    kept: dict[int, None] = {}
    for moment, storage, change in trace.events:
        if moments[moment].phase == BACKWARD:
            break
        if change > 0 and moments[moment].phase == FORWARD:
            kept[storage] = None
        elif change < 0:
            kept.pop(storage, None)
    found = kept_inputs(graph, plan)
    for storage in kept:
        _, node, size = trace.storages[storage]
        if node != LOSS:
            found[node] = found.get(node, 0) + size
    return found


def kept_inputs(graph: Graph, plan: Plan) -> dict[str, int]:
    """Return the bytes of the network's inputs that autograd keeps too; the caller holds them anyway, so no trace tells."""
    storages = Storages(graph, plan.item_bytes)
    answers: dict[object, tuple[int, tuple[Kept, ...]]] = {}
    needed = needed_by(graph, list(graph.outputs.values()))  # what is kept for others has gone
    for index, node in enumerate(graph.nodes):
        if node.inputs and needed[index]:
            x = graph.x(node)
            if (node.op, x) not in answers:
                kept = () if _casts(graph, node, plan) else node.op.kept(x, node.output, plan.rules)
                answers[node.op, x] = node.op.params(x), kept
            storages.first_kept(index, node, *answers[node.op, x])
    inputs = {index: node for index, node in enumerate(graph.nodes) if isinstance(node.op, Input)}
    return {node.name: node.output.elements * plan.item_bytes for index, node in inputs.items() if index in storages.keeper}


def _casts(graph: Graph, node: Node, plan: Plan) -> bool:
    """Whether autocast hands the node a copy of its input, which is kept in the input's stead."""
    if plan.amp is None:
        return False
    kernels = node.op.kernels(graph.x(node), node.output, True, plan.rules)
    return any(policy(kernel.name, plan.rules) == LOWER for kernel in kernels)
