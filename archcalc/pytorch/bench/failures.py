"""Why something could not be timed: memory is short, or PyTorch refuses it. Anything else is a bug."""

from typing import NamedTuple

import torch

from archcalc.errors import one_line

# What stands in plain RuntimeErrors: of DefaultCPUAllocator, of CUDA itself (a captured graph is instantiated), of its libraries.
OUT_OF_MEMORY = (
    "can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip
# What PyTorch raises for what it cannot do: its kernels and compilers the first, of which NotImplementedError is one, its Python
# layers the second.
FAILURES = (RuntimeError, ValueError, MemoryError)


class Failure(NamedTuple):
    """Why something could not be timed, and whether that is PyTorch's refusal, and not a lack of memory."""

    reason: str
    refused: bool


def failure(error: BaseException, batch: int) -> Failure:
    """Return what one of FAILURES means for a run of so many images; a refusal has PyTorch's own first sentence."""
    if out_of_memory(error):
        return shortage(batch)
    sentence = str(error).strip().partition("\n")[0]
    return Failure(one_line(f"refused by PyTorch: {type(error).__name__}: {sentence}"), refused=True)


def shortage(batch: int) -> Failure:
    """Return that memory is short for a run of so many images."""
    return Failure(f"out of memory at batch {batch}", refused=False)


def out_of_memory(error: BaseException) -> bool:
    """Whether this is what PyTorch raises when memory is short, on the GPU or on the CPU.

    In the middle of a capture that breaks the capture too, and the error of its end stands before the true one.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (torch.OutOfMemoryError, MemoryError)) or any(words in str(found) for words in OUT_OF_MEMORY):
            return True
        found = found.__context__
    return False
