"""Which kernels torch.autocast runs in 16 bit, which in float32, which in the widest type that they read, and which as they are.

The lists are those of aten/src/ATen/autocast_mode.h, as far as the kernels here have names in them: AT_FORALL_LOWER_PRECISION_FP,
AT_FORALL_FP32 and AT_FORALL_FP32_SET_OPT_DTYPE for CUDA, the registrations under AutocastCPU for the CPU.
"""

from typing import Final

from archcalc.ops.kernels import SAME_PADDING

LOWER, FULL, PROMOTED, WIDENED, AS_IT_IS = "lower", "full", "promoted", "widened", "as it is"
CASTING: Final = frozenset((LOWER, FULL, PROMOTED))
FULL_BYTES: Final = 4  # of an element in float32

_ON_BOTH: Final = {"convolution": LOWER, "linear": LOWER, "prelu": LOWER}
_POLICIES: Final[dict[str, dict[str, str]]] = {
    "cuda": _ON_BOTH | dict.fromkeys(("pow", "softmax", "log_softmax", "layer_norm", "group_norm", "upsample"), FULL),
    "cpu": _ON_BOTH | {SAME_PADDING: LOWER, "cat": PROMOTED} | dict.fromkeys(("avg_pool3d", "mirrored_padding"), FULL),
}
_WIDENING: Final = frozenset(("softmax", "log_softmax"))


def policy(name: str, rules: str, amp: str = "bf16") -> str:
    """Return how autocast runs a kernel: LOWER or FULL casts what it reads, PROMOTED to the widest of that, AS_IT_IS nothing.

    WIDENED is FULL without a cast: on CUDA the softmaxes read float16, but not bfloat16, and write float32 in one kernel
    (``half_to_float`` in aten/src/ATen/native/SoftMax.cpp); their derivatives do it backwards.
    """
    if name in _WIDENING and rules == "cuda" and amp == "fp16":
        return WIDENED
    return _POLICIES[rules].get(name, AS_IT_IS)
