"""The weights that a module begins with: as the paper says where it does, and as PyTorch has it otherwise."""

import torch
from torch import Tensor, nn

from archcalc.graph import Graph, Node
from archcalc.ops.initial import Draw, Init, Numbers, draw


def initialise(module: nn.Module, graph: Graph, seed: int = 0) -> None:
    """Give a module, as ``archcalc.pytorch.build.build(graph)`` returns it, its first weights: the same for the same seed.

    They are drawn on the CPU in float32 by a generator of our own, whatever the module's device and type; PyTorch's own generator
    is left as it was. Buffers stay as they are.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    with torch.no_grad():
        for node in graph.layers:
            if node.shares is None and node.op.params(graph.x(node)):
                _reset(module.get_submodule(node.name), generator)
                if node.init is not None:
                    _begin(module, node, node.init, graph, generator)


def _reset(layer: nn.Module, generator: torch.Generator) -> None:
    """Let the layer begin as PyTorch has it, which takes no generator but the one of all."""
    seed = int(torch.randint(2**62, (), generator=generator, dtype=torch.int64))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for part in layer.modules():
            reset = getattr(part, "reset_parameters", None)
            if reset is not None:
                reset()


def _begin(module: nn.Module, node: Node, init: Init, graph: Graph, generator: torch.Generator) -> None:
    """Draw the parameters of which something is said."""
    x = graph.x(node)
    fans = node.op.fans(x)
    for part in node.op.begins:
        start = getattr(init, part)
        names = [stored.name for stored in node.op.state(x) if stored.learned and stored.name.rpartition(".")[2] == part]
        if start is None:
            continue
        drawn = draw(start, fans)
        for number, name in enumerate(names):
            tensor = module.get_parameter(f"{node.name}.{name}")
            tensor.copy_(_drawn(tensor, drawn if len(names) == 1 else _of(drawn, number), generator))


def _of(drawn: Draw, number: int) -> Draw:
    """Return the distribution of one entry along the first axis."""

    def one(value: Numbers | None) -> Numbers | None:
        return value[number] if isinstance(value, tuple) else value

    return Draw(drawn.shape, one(drawn.centre), one(drawn.spread), one(drawn.cut))  # type: ignore[arg-type]


def _drawn(like: Tensor, drawn: Draw, generator: torch.Generator) -> Tensor:
    """Return a tensor of this size with what was drawn."""
    made = torch.empty(like.shape, dtype=torch.float32, device="cpu")
    if any(isinstance(value, tuple) for value in drawn):
        for number, row in enumerate(made):
            row.copy_(_drawn(row, _of(drawn, number), generator))
        return made
    centre, spread, cut = (float(value) for value in (drawn.centre, drawn.spread, drawn.cut or 0))  # type: ignore[arg-type]
    if not spread:
        return made.fill_(centre)
    if drawn.shape == "uniform":
        return made.uniform_(centre - spread, centre + spread, generator=generator)
    if drawn.cut is None:
        return made.normal_(centre, spread, generator=generator)
    return nn.init.trunc_normal_(made, centre, spread, -cut, cut, generator=generator)
