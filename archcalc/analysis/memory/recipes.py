"""An operator's kernels made ready to run: what each allocates, keeps and lets go, worked out once for all nodes that are alike."""

from typing import Final, NamedTuple

from archcalc.analysis.memory.autocast import AS_IT_IS, LOWER, policy
from archcalc.analysis.memory.plan import Plan
from archcalc.graph import Graph, Node
from archcalc.ops import Kept
from archcalc.ops.kernels import SAME_PADDING, Gradient, Kernel

OUTPUT: Final = "output"
NORMS: Final = frozenset(("batch_norm", "layer_norm", "group_norm"))  # whose output is of the input's type, not the weight's
WEIGHTED: Final = frozenset(("convolution", "linear", "prelu", *NORMS))  # whose derivative wants the weight
# Whose derivative wants a contiguous gradient, and copies any other: group_norm's before its kernel is called (derivatives.yaml),
# CUDA's others at their beginning (cudnn/ConvShared.cpp, cudnn/BatchNorm.cpp, cuda/{DilatedMaxPool2d,AveragePool2d,SoftMax}.cu, ...
# in aten/src/ATen/native). The CPU's others copy inside their kernels, where no tensor is seen to be made.
_POOLS: Final = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
PACKING: Final = {
    "cpu": frozenset(("group_norm",)),
    "cuda": frozenset(("group_norm", "batch_norm", "convolution", "softmax", "log_softmax", "upsample", *_POOLS)),
}


class Ready(NamedTuple):
    """A kernel (archcalc.ops.kernels) with what the whole operator knows of it.

    ``keeps`` pairs a name with the derivatives that want it (``Kept.wanted_by``); ``label`` is what its own tensor is for;
    ``drops`` are the names that nothing reads or holds after it. ``made`` are the names of all that it makes, ``early`` says that
    nothing of that is kept for it. ``passes`` says of each read whether a gradient goes back to it. ``packs`` is ``Entry``'s,
    ``policy`` autocast's.
    """

    reads: tuple[str, ...]
    makes: str
    elements: int
    gradients: tuple[Gradient, ...]
    keeps: tuple[tuple[str, tuple[int, ...] | None], ...]
    alias: bool
    beside: tuple[Kept, ...]
    copies: tuple[Kept, ...]
    together: bool
    label: str
    drops: tuple[str, ...]
    made: tuple[str, ...]
    early: bool
    passes: tuple[bool, ...]
    norm: bool
    weighted: bool
    linear: bool
    packs: bool
    policy: str

    def wants(self, wanted: list[bool]) -> bool:
        """Return whether its derivative wants anything, of the activations or of the parameters."""
        return self.weighted or any(by is None or any(wanted[i] for i in by) for _, by in self.keeps)


class Recipe(NamedTuple):
    """The kernels of an operator at one input shape, in order, and the names by which they know its inputs.

    ``lowered`` says that autocast casts inputs and parameters before the first kernel, and they live until the last is done.
    """

    kernels: tuple[Ready, ...]
    inputs: tuple[str, ...]
    lowered: bool


class Recipes:
    """Recipes by operator and shapes: repeated blocks ask the same question again and again."""

    def __init__(self, graph: Graph, plan: Plan):
        self.graph, self.plan = graph, plan
        self._known: dict[tuple[object, ...], Recipe] = {}

    def of(self, node: Node) -> Recipe:
        """Return the node's recipe."""
        nodes = self.graph.nodes
        key = (node.op, *[nodes[i].output for i in node.inputs])
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._recipe(node)
        return found

    def _recipe(self, node: Node) -> Recipe:
        x, y = self.graph.x(node), node.output
        kernels = node.op.kernels(x, y, self.plan.train, self.plan.rules)
        wanted = {tensor.what: tensor.wanted_by for tensor in node.op.kept(x, y, self.plan.rules)}
        kept = {name for kernel in kernels for name in kernel.keeps}
        for kernel in reversed(kernels):
            if kernel.alias and kernel.makes in kept:  # it is in that storage that it is kept
                kept.add(kernel.reads[0])
        drops: list[list[str]] = [[] for _ in kernels]
        for name, place in _last_use(kernels).items():
            drops[place].append(name)
        pairs = zip(kernels, drops, strict=True)
        ready = tuple([self._ready(kernel, wanted, kept, dropped, len(y)) for kernel, dropped in pairs])
        inputs = tuple([f"input {number}" for number in range(len(node.inputs))]) if node.op.merges else ("input",)
        lowered = any(kernel.name == SAME_PADDING and self._policy(kernel) == LOWER for kernel in kernels)
        return Recipe(ready, inputs, lowered)

    def _ready(
        self, kernel: Kernel, wanted: dict[str, tuple[int, ...] | None], kept: set[str], drops: list[str], rank: int
    ) -> Ready:
        made = _made(kernel)
        return Ready(
            reads=kernel.reads,
            makes=kernel.makes,
            elements=kernel.elements,
            gradients=kernel.gradients,
            keeps=tuple([(name, wanted[name]) for name in kernel.keeps]),
            alias=kernel.alias,
            beside=kernel.beside,
            copies=kernel.copies,
            together=kernel.together,
            label="output" if kernel.makes == OUTPUT else "saved" if kernel.makes in kept else "scratch",
            drops=tuple(drops),
            made=made,
            early=not any(name in made for name in kernel.keeps),
            passes=tuple([gradient.how != "none" for gradient in kernel.gradients]),
            norm=kernel.name in NORMS,
            weighted=kernel.name in WEIGHTED,
            linear=kernel.name == "linear",
            packs=self._packs(kernel, rank),
            policy=self._policy(kernel),
        )

    def _policy(self, kernel: Kernel) -> str:
        return AS_IT_IS if self.plan.amp is None else policy(kernel.name, self.plan.rules, self.plan.amp)

    def _packs(self, kernel: Kernel, rank: int) -> bool:
        """Whether its derivative first copies a gradient that is not contiguous.

        cuDNN's batch normalisation does, PyTorch's own does not (``_select_batch_norm_backend`` in Normalization.cpp): that is for
        bfloat16, for parameters of 16 bits or none at all, and for features without an axis.
        """
        plan = self.plan
        if kernel.name == "batch_norm" and (rank == 2 or len(kernel.reads) == 1 or plan.item_bytes == 2 or plan.amp == "bf16"):
            return False
        return kernel.name in PACKING[plan.rules]


def _made(kernel: Kernel) -> tuple[str, ...]:
    return (kernel.makes, *[tensor.what for tensor in kernel.beside + kernel.copies])


def _last_use(kernels: tuple[Kernel, ...]) -> dict[str, int]:
    """Return, for what lives only inside the operator, the last kernel that makes, reads or holds it."""
    last: dict[str, int] = {}
    for place, kernel in enumerate(kernels):
        last.update(dict.fromkeys((*_made(kernel), *kernel.reads, *kernel.holds), place))
    inside = {name for kernel in kernels for name in _made(kernel)} - {OUTPUT}
    return {name: place for name, place in last.items() if name in inside}
