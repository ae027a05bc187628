"""How much arithmetic one timed step is: forward, and backward where gradients are wanted."""

from archcalc.analysis.timing.plan import Mode
from archcalc.graph import Graph


def step_macs(graph: Graph, mode: Mode) -> int:
    """Return the multiply-accumulates of one step over the batch.

    Backward costs as many as forward for the gradient of the weights, and as many again for that of the input: the first layer
    has no such. Side heads run in training only.
    """
    return sum(layer_macs(graph, mode).values())


def layer_macs(graph: Graph, mode: Mode) -> dict[str, int]:
    """Return the same for each layer that runs, by its name."""
    training = mode != "infer"
    running = _running(graph, training)
    learning = [False] * len(graph.nodes)
    found = {}
    for index, node in enumerate(graph.nodes):
        if not node.inputs or index not in running:
            continue
        x = graph.x(node)
        trained = not node.frozen and node.op.params(x) > 0
        wanted = any(learning[i] for i in node.inputs)
        learning[index] = trained or wanted
        found[node.name] = node.op.macs(x, node.output) * (1 + (trained + wanted if training else 0))
    return found


def _running(graph: Graph, training: bool) -> set[int]:
    """Return the nodes that run: in evaluation those that the main output needs."""
    ends = [index for name, index in graph.outputs.items() if training or name == "output"]
    found: set[int] = set()
    while ends:
        index = ends.pop()
        if index not in found:
            found.add(index)
            ends += graph.nodes[index].inputs
    return found
