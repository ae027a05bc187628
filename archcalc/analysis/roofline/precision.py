"""The precisions that a network can run in: how wide its numbers are, and which arithmetic of a device may do the work."""

from typing import Final, NamedTuple

from archcalc.analysis.memory.autocast import AS_IT_IS, FULL, FULL_BYTES, LOWER, policy
from archcalc.errors import UsageError, did_you_mean

RULES: Final = "cuda"  # whose kernels are counted, and whose autocast casts for them


class Precision(NamedTuple):
    """How wide parameters and activations are, and the peaks that products may reach (keys of ``Device.peaks``).

    With ``lowered``, autocast casts what products read to so many bytes, and leaves the parameters alone.
    """

    name: str
    item_bytes: int
    units: tuple[str, ...]
    lowered: int | None = None

    @property
    def unit(self) -> str:
        """The peak that a device must have for this precision."""
        return self.units[0]

    def makes(self, kernel: str, reads: int) -> int:
        """Return the bytes of an element that a kernel works in and makes, if the widest that it reads has ``reads``."""
        if self.lowered is None:
            return self.item_bytes
        rule = policy(kernel, RULES, self.unit)
        if rule == AS_IT_IS:
            return reads
        return self.lowered if rule == LOWER else FULL_BYTES

    def casts(self, kernel: str) -> bool:
        """Whether autocast casts what a kernel reads; others take what comes."""
        return self.lowered is not None and policy(kernel, RULES, self.unit) in (LOWER, FULL)


# A product of 16-bit numbers, or of TF32, may run on the ordinary cores as well where that is faster.
PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("fp32", 4, ("fp32",)),
        Precision("tf32", 4, ("tf32", "fp32")),
        Precision("fp16", 2, ("fp16", "fp32")),
        Precision("bf16", 2, ("bf16", "fp32")),
        Precision("amp-fp16", 4, ("fp16", "fp32"), 2),
        Precision("amp-bf16", 4, ("bf16", "fp32"), 2),
    )
}


def precision_named(name: str) -> Precision:
    """Return the precision of this name. Raises UsageError if there is none."""
    found = PRECISIONS.get(name)
    if found is None:
        raise UsageError("E287", f"there is no precision {name}", help=did_you_mean(name, list(PRECISIONS)))
    return found
