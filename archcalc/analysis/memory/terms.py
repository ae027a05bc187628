"""What a run on CUDA takes besides its tensors: the library's workspaces and the context, each with what is known of its bytes."""

import msgspec

from archcalc.analysis.memory.plan import Plan
from archcalc.graph import Graph
from archcalc.ops.norm import BatchNorm2d

MIB = 2**20
CUBLAS = 2 * 4096 * 1024 + 8 * 16 * 1024  # ":4096:2:16:8", the default of CUDABlas' parseChosenWorkspaceSize
CUBLAS_HOPPER = 8 * 4096 * 1024  # the same for compute capability 9.0 and later
HOPPER = ("H100", "H200", "GH200", "B100", "B200", "GB200", "B300")
CONTEXT_ALLOWANCE = 512 * MIB  # an assumption: recent drivers and PyTorch take 0.3 to 0.6 GiB on recent devices


class Term(msgspec.Struct, frozen=True):
    """Bytes that follow from no shape. At least ``low_bytes``; ``high_bytes`` is null where nothing bounds them.

    ``where`` is ``allocator`` for what PyTorch's statistics count too, ``device`` for what only the device knows of; ``measured``
    says whether the bytes are a measurement, and ``because`` where they come from.
    """

    name: str
    where: str
    low_bytes: int
    high_bytes: int | None
    measured: bool
    because: str

    @property
    def allowance_bytes(self) -> int:
        """What to leave room for: the bound, or where there is none the least."""
        return self.low_bytes if self.high_bytes is None else self.high_bytes


def terms(graph: Graph, plan: Plan, gpu: str | None = None, context_bytes: int | None = None) -> tuple[Term, ...]:
    """Return the terms of a run on the device named ``gpu``; none under the CPU's rules.

    ``context_bytes`` is what was measured, or shall be assumed, to be taken outside PyTorch's allocator.
    """
    if plan.rules != "cuda":
        return ()
    found = [*_workspace(graph, plan, gpu)]
    ops = [type(node.op).__name__ for node in graph.layers]
    if any(name.startswith("Conv") for name in ops):
        because = "an algorithm that does not get what it asks for gives way to the next (Conv_v8.cpp, try_plans)"
        found.append(Term("cuDNN workspace", "allocator", 0, None, False, because))
    if plan.train and any(isinstance(node.op, BatchNorm2d) for node in graph.layers):
        because = "cuDNN says how much when it runs, and documents no bound"
        found.append(Term("BatchNorm reserve", "allocator", 0, None, False, because))
    if context_bytes is None:
        because = "an assumption; --context gives what nvidia-smi shows of a process that has only run torch.zeros(1).cuda()"
        found.append(Term("CUDA context", "device", 0, CONTEXT_ALLOWANCE, False, because))
    else:
        found.append(Term("CUDA context", "device", context_bytes, context_bytes, True, "as given"))
    return tuple(found)


def _workspace(graph: Graph, plan: Plan, gpu: str | None) -> tuple[Term, ...]:
    """Return cuBLAS' workspace, which the first matrix product of each thread allocates for good."""
    if not any(type(node.op).__name__ in ("Linear", "RBF") for node in graph.layers):
        return ()
    known = gpu is not None
    hopper = known and str(gpu).upper().startswith(HOPPER)
    low, high = (CUBLAS_HOPPER if hopper else CUBLAS), (CUBLAS_HOPPER if hopper or not known else CUBLAS)
    threads = ", so in training also for that of the backward pass" if plan.train else ""
    devices = "" if known else "; larger from compute capability 9.0 on"
    because = f"PyTorch keeps one for each thread that multiplies matrices (CUBLAS_WORKSPACE_CONFIG){threads}{devices}"
    return (Term("cuBLAS workspace", "allocator", low, (2 if plan.train else 1) * high, False, because),)
