"""What is to be timed: every model at every batch size, precision, layout and way of execution that was asked for."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Literal

import msgspec

from archcalc.analysis import analyse
from archcalc.errors import UsageError
from archcalc.graph import Graph

Mode = Literal["infer", "fwd-bwd", "train"]
Precision = Literal["fp32", "tf32", "bf16", "fp16", "amp-bf16", "amp-fp16"]
Layout = Literal["nchw", "nhwc"]
Execution = Literal["eager", "graph", "compile"]

MODES: tuple[Mode, ...] = ("infer", "fwd-bwd", "train")
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16", "amp-bf16", "amp-fp16")
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")
EXECUTIONS: tuple[Execution, ...] = ("eager", "graph", "compile")
DEVICES = ("cuda", "cpu")

# Small networks wait for the CPU to launch their kernels: eager and graph side by side show how much of the time that is.
USUAL_EXECUTIONS: dict[str, tuple[Execution, ...]] = {"cuda": ("eager", "graph"), "cpu": ("eager",)}
# Half the width of the interval over the median that is good enough; a CPU shares itself with everything else that runs.
USUAL_PRECISION = {"cuda": 0.005, "cpu": 0.02}
CUDA_ONLY = {
    "tf32": "TF32 is a format of CUDA tensor cores",
    "graph": "a captured graph is CUDA's",
}


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be timed. ``model`` is the name that was asked for, ``batch`` that of each process where there are several."""

    model: str
    mode: Mode
    device: str
    batch: int
    dtype: Precision
    layout: Layout
    exec: Execution

    @property
    def label(self) -> str:
        """The configuration in a few words, for progress and messages."""
        return f"{self.model}, {self.mode}, batch {self.batch}, {self.dtype}, {self.layout}, {self.exec}"


class Case(msgspec.Struct, frozen=True):
    """A configuration and the graph that it times."""

    configuration: Configuration
    graph: Graph


def processes(variables: Mapping[str, str]) -> int:
    """Return how many processes torchrun has started together, by the environment variables that it sets; 1 where it has not."""
    return int(variables.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in variables else 1


def check(case: Case) -> None:
    """Raise UsageError for a network that is to learn and has nothing that could."""
    mode = case.configuration.mode
    if mode != "infer" and not analyse(case.graph).totals.trainable:
        message = f"{case.configuration.model} has no parameter that learns, and --mode is {mode}"
        raise UsageError("E281", message, help="--mode infer")


def configurations(
    models: Iterable[str],
    *,
    mode: Mode,
    device: str,
    batches: Iterable[int],
    dtypes: Iterable[Precision],
    layouts: Iterable[Layout],
    executions: Iterable[Execution],
) -> tuple[Configuration, ...]:
    """Return every combination, those of one model together. Raises UsageError for one that the device does not have."""
    found = tuple(
        Configuration(model=model, mode=mode, device=device, batch=batch, dtype=dtype, layout=layout, exec=execution)
        for model, batch, dtype, layout, execution in product(models, batches, dtypes, layouts, executions)
    )
    for one in found:
        for word in (one.dtype, one.exec):
            if device != "cuda" and word in CUDA_ONLY:
                raise UsageError("E275", f"{CUDA_ONLY[word]}, and --device is {device}", help=f"leave out {word}, or --device cuda")
    return found
