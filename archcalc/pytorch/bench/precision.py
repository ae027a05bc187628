"""What the precisions mean in PyTorch: the type of the weights, autocast, and the two switches that let TF32 into fp32."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from archcalc.analysis.timing.result import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_AUTOCAST = {"amp-bf16": torch.bfloat16, "amp-fp16": torch.float16}


def dtype_of(precision: str) -> torch.dtype:
    """Return the type of weights and inputs; autocast and TF32 keep float32."""
    return _DTYPES.get(precision, torch.float32)


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """Return the context in which the forward pass runs."""
    if precision not in _AUTOCAST:
        return nullcontext()
    # Without the cache of casts inside a captured graph, as PyTorch asks for there: it would outlive the capture.
    return torch.autocast(device, _AUTOCAST[precision], cache_enabled=not _capturing(device))


def needs_scaler(precision: str, device: str) -> bool:
    """Whether training scales its loss, as people train in fp16: small gradients would be 0 otherwise."""
    return precision == "amp-fp16" and device == "cuda"


@contextmanager
def switched(precision: str) -> Iterator[Precision]:
    """Set the switches for a precision, and put them back.

    PyTorch lets TF32 into fp32 convolutions unless told otherwise, and not into matrix products: both are set here, so that fp32 is
    IEEE in both and tf32 is TF32 in both. cuDNN searches for its fastest kernels, in the warm-up.
    """
    # PyTorch 2.9 has ``fp32_precision`` beside ``allow_tf32``, and raises where a program uses both. Its own compiler still reads
    # the latter (inductor's kernel/conv.py), and setting it keeps the former in step: so it is the one that is set here.
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic
    try:
        cudnn.allow_tf32 = matmul.allow_tf32 = precision == "tf32"
        cudnn.benchmark, cudnn.deterministic = True, False
        yield Precision(conv_tf32=cudnn.allow_tf32, matmul_tf32=matmul.allow_tf32, cudnn_benchmark=cudnn.benchmark)
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


def _capturing(device: str) -> bool:
    return device == "cuda" and torch.cuda.is_current_stream_capturing()
