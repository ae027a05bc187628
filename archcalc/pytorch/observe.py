"""A built module watched while it runs: after the statement of each node, its tensor, and what it has cost so far."""

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from textwrap import dedent
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from archcalc.graph import Graph
from archcalc.pytorch.liveness import plan
from archcalc.pytorch.source import steps

Stepwise = Callable[..., Iterator[tuple[int, Tensor]]]
Track = Callable[[Sequence[int], str], Iterable[int]]  # told what is gone through, and under which heading


class Held(NamedTuple):
    """What a layer's own module holds, in elements; parameters of another layer's are not counted."""

    params: int
    trainable: int
    buffers: int


class Made(NamedTuple):
    """What the statement of a node made: its tensor's sizes, and how much of what is counted came with it."""

    sizes: tuple[int, ...]
    amount: int


class Refused(NamedTuple):
    """The node (by index) that PyTorch could not run, and what it said."""

    node: int
    message: str


class Walk(NamedTuple):
    """What each node made, by index, in the order in which they ran; where one was refused, those before it."""

    made: dict[int, Made]
    refused: Refused | None


def stepwise(module: nn.Module, graph: Graph) -> Stepwise:
    """Return the module's own ``forward`` as a generator: each node's index and tensor, as soon as its statement has run.

    It is compiled from the source of the module's ``forward``, with a ``yield`` behind the statement of each node and nothing else
    changed, so what is seen is what runs: layers and functions alike.
    """
    forward = type(module).forward
    tree = ast.parse(dedent(inspect.getsource(forward)))
    marked = _Yields([line.node for line in plan(graph).lines], {line.target for line in plan(graph).lines})
    tree = ast.increment_lineno(ast.fix_missing_locations(marked.visit(tree)), forward.__code__.co_firstlineno - 1)
    assert not marked.waiting, "every node has a statement"
    scope = dict(forward.__globals__)
    exec(compile(tree, forward.__code__.co_filename, "exec"), scope)
    return partial(scope["forward"], module)


class _Yields(ast.NodeTransformer):
    """Puts a ``yield`` behind each assignment of a tensor that is more than a second name for it."""

    def __init__(self, nodes: list[int], variables: set[str]):
        self.waiting = nodes[::-1]
        self.variables = variables

    def visit_Assign(self, assignment: ast.Assign) -> Any:
        target = assignment.targets[0]
        if not isinstance(target, ast.Name) or target.id not in self.variables or isinstance(assignment.value, ast.Name):
            return assignment
        seen = ast.Tuple([ast.Constant(self.waiting.pop()), ast.Name(target.id, ast.Load())], ast.Load())
        return [assignment, ast.Expr(ast.Yield(seen))]


def held(module: nn.Module, graph: Graph) -> dict[int, Held]:
    """Return what each layer's own module holds, by the node's index; what two hold counts at the first."""
    known: set[int] = set()
    found = {}
    for index, step in enumerate(steps(graph)):
        if step.node.inputs:
            found[index] = _held(module.get_submodule(step.path), known) if step.own else Held(0, 0, 0)
    return found


def held_in_all(module: nn.Module) -> Held:
    """Return what the module holds, wherever that stands in it."""
    return _held(module, set())


def _held(module: nn.Module, known: set[int]) -> Held:
    """Return what the module holds that is not known yet, and add that to what is."""
    parameters = [parameter for parameter in module.parameters() if id(parameter) not in known]
    buffers = [buffer for buffer in module.buffers() if id(buffer) not in known]
    known.update(map(id, (*parameters, *buffers)))
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return Held(sum(parameter.numel() for parameter in parameters), trainable, sum(buffer.numel() for buffer in buffers))


def macs(module: nn.Module, graph: Graph, inputs: list[Tensor], track: Track) -> Walk:
    """Return the multiply-accumulates of each node by PyTorch's own counter, in evaluation mode; side heads run too."""
    module.eval()
    module.training = True  # of the module itself: so its ``forward`` runs the side heads
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        return _walk(module, graph, inputs, lambda: counter.get_total_flops() // 2, track, "MACs")


def saved_bytes(module: nn.Module, graph: Graph, inputs: list[Tensor], track: Track) -> Walk:
    """Return the bytes that autograd keeps for each node in training, each storage at the first that wants it.

    The module's own parameters and buffers are left out: it has them anyway.
    """
    kept = _Storages(module)
    module.train()
    with torch.enable_grad(), saved_tensors_hooks(kept.keep, lambda tensor: tensor):
        return _walk(module, graph, inputs, lambda: kept.bytes, track, f"saved bytes, batch {len(inputs[0])}")


class _Storages:
    """The storages that are kept; each is held on to, or its memory could come back as another's."""

    def __init__(self, module: nn.Module):
        self.bytes = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
        self.held: list[torch.UntypedStorage] = []

    def keep(self, tensor: Tensor) -> None:
        """Note the tensor's storage. Autograd is given nothing to keep in its place: no backward comes, and so no cycle either."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:  # which tells storages apart that have no memory, too
            self.known.add(storage._cdata)
            self.held.append(storage)
            self.bytes += storage.nbytes()


def _walk(module: nn.Module, graph: Graph, inputs: list[Tensor], amount: Callable[[], int], track: Track, heading: str) -> Walk:
    """Run the module's ``forward`` node by node, and read after each how much there is by then."""
    running = stepwise(module, graph)(*inputs)
    made: dict[int, Made] = {}
    before = amount()
    for expected in track([line.node for line in plan(graph).lines], heading):
        try:
            index, tensor = next(running)
        except Exception as error:  # whatever PyTorch has against the layer is what is wanted here
            return Walk(made, Refused(expected, f"{type(error).__name__}: {error}"))
        assert index == expected
        after = amount()
        made[index] = Made(tuple(tensor.shape), after - before)
        before = after
    return Walk(made, None)
