"""What a run of the network is asked to do: inference or training, in which type, with which optimizer."""

import msgspec

from archcalc.analysis.cost import DTYPE_BYTES, RULES
from archcalc.errors import UsageError, did_you_mean

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw")
IMPLEMENTATIONS = ("foreach", "fused", "forloop")
AMP_BYTES: dict[str, int] = {"bf16": 2, "fp16": 2}  # of one element, where autocast lowers it


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a network is run, for the bytes that this takes.

    ``dtype`` is that of parameters and activations; ``amp`` lowers what torch.autocast lowers, and parameters stay float32.
    ``optimizer`` is torch.optim's (momentum and nesterov are SGD's), ``weight_decay`` whether it is other than 0,
    ``implementation`` which of its three ways of stepping: ``foreach`` is PyTorch's choice on CUDA, ``forloop`` on the CPU.
    ``checkpoint`` names the blocks whose activations are computed again in the backward pass instead of kept. ``rules`` are those
    of the device: cuda or cpu.
    Raises UsageError for a word that is not known, or where two exclude each other.
    """

    train: bool = False
    dtype: str = "float32"
    amp: str | None = None
    optimizer: str = "momentum"
    weight_decay: bool = False
    implementation: str = "foreach"
    checkpoint: tuple[str, ...] = ()
    rules: str = "cuda"

    def __post_init__(self) -> None:
        known("E206", "dtype", self.dtype, tuple(DTYPE_BYTES))
        known("E208", "rules", self.rules, RULES)
        known("E260", "optimizer", self.optimizer, OPTIMIZERS)
        known("E261", "implementation", self.implementation, IMPLEMENTATIONS)
        if self.amp is not None:
            known("E262", "amp", self.amp, tuple(AMP_BYTES))
            if self.dtype != "float32":
                message = f"amp lowers float32 to {self.amp}, but the dtype is {self.dtype}"
                raise UsageError("E262", message, help=f"leave out one: amp, or dtype {self.dtype}")
        if self.train and self.dtype == "int8":
            raise UsageError("E206", "int8 has no gradients, so nothing can be trained in it", help="float32, or amp")

    @property
    def item_bytes(self) -> int:
        """Bytes of one element of a parameter."""
        return DTYPE_BYTES[self.dtype]


def known(code: str, what: str, word: str, words: tuple[str, ...]) -> None:
    """Raise UsageError unless the word is one of these."""
    if word not in words:
        raise UsageError(code, f"there is no {what} {word}", help=did_you_mean(word, list(words)) or " or ".join(words))
