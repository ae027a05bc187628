"""What a benchmark leaves behind: every sample, where and how it was taken, as plain data that needs no torch to be read."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from archcalc.analysis.timing.compare import Change, change
from archcalc.analysis.timing.plan import Configuration
from archcalc.analysis.timing.sampling import Limits, Sampling, Stop
from archcalc.analysis.timing.statistics import Statistics
from archcalc.errors import UsageError, one_line

SCHEMA = "archcalc.bench/1"
# Why a time should not be quoted as it stands: its interval is wider than was asked for, the two halves differ by more than chance,
# the warm-up never became steady, the GPU slowed itself down.
Warning = Literal["imprecise", "drift", "unsteady", "throttled"]
LARGEST_FILE = 1 << 30  # bytes; beyond is no report of ours


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A CUDA device as its driver describes it; ``memory_bytes`` is what it has, None for what could not be read."""

    name: str
    compute_capability: str
    memory_bytes: int
    driver: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the times depend on besides the model. ``git`` is the commit of the working folder, with + where it was changed."""

    archcalc: str
    python: str
    torch: str
    system: str
    processor: str
    cores: int
    threads: int
    cuda: str | None = None
    cudnn: str | None = None
    gpus: tuple[Gpu, ...] = ()
    git: str | None = None
    processes: int = 1


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """What NVML read while the samples were taken: SM clocks in MHz, degrees Celsius, watts, and what slowed the clocks.

    ``throttling`` names the reasons that cost time; an idle GPU or a clock that somebody has set are none.
    """

    readings: int
    least_mhz: int
    median_mhz: int
    most_mhz: int
    most_celsius: int
    most_watts: float
    throttling: tuple[str, ...]


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """The switches that decide what fp32 means, as they stood: TF32 in convolutions and in matrix products, cuDNN's search."""

    conv_tf32: bool
    matmul_tf32: bool
    cudnn_benchmark: bool


class TimedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """The time of one layer, or of several that run as one (``layers`` names them), beside what arithmetic and bytes allow.

    ``check_seconds`` is the same forward time by the profiler's account of the kernels. ``share_of_roof`` is what the roofline
    would take for these bytes and this arithmetic over what it took; ``least_seconds`` is less where bytes may stay in the cache;
    ``estimate_seconds`` is what is expected of eager execution, forward and backward as far as they are timed.
    Rates and bounds are None where nothing is known to reckon them from.
    """

    name: str
    layers: tuple[str, ...]
    op: str
    forward_seconds: float
    backward_seconds: float | None = None
    check_seconds: float | None = None
    macs: int | None = None
    moved_bytes: int | None = None
    flops_per_second: float | None = None
    bytes_per_second: float | None = None
    least_seconds: float | None = None
    estimate_seconds: float | None = None
    share_of_roof: float | None = None
    bound: str | None = None


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """A run layer by layer. ``sum_seconds`` is over the rows; ``total_seconds`` the median of the undivided run.

    ``method`` says how it was measured. ``other_seconds`` is time outside of any row, by what it was for.
    """

    method: str
    repetitions: int
    layers: tuple[TimedLayer, ...]
    other_seconds: dict[str, float]
    sum_seconds: float
    total_seconds: float


class Ranks(msgspec.Struct, frozen=True, kw_only=True):
    """Data-parallel training: the median of each process, and what the batch of one costs a process that is alone.

    ``scaling_efficiency`` is the latter over the slowest of the former: 1 where more processes cost nothing.
    """

    processes: int
    backend: str
    median_seconds: tuple[float, ...]
    alone_seconds: float
    scaling_efficiency: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration and what came of it; the samples are seconds of one batch, in the order they were taken.

    ``failure`` says why there are none: memory that is short, or PyTorch's own words where it has ``refused``. ``macs`` are those
    of one step, backward included where it is timed. ``images`` is how many images one sample processes, over all processes.
    ``bound_seconds`` is what arithmetic and bytes allow, ``estimate_seconds`` what is expected of eager execution (see roofline).
    ``launch_bound`` is the share of the eager time that a captured graph saves. ``peak_allocated_bytes`` is None where several
    networks had turns: the allocator counts them all. ``undivided`` says why a run that was to be taken apart was not. ``change``
    is how it stands to an older run.
    """

    configuration: Configuration
    title: str
    input: dict[str, tuple[int, ...]]
    params: int
    macs: int
    images: int
    statistics: Statistics | None = None
    images_per_second: float | None = None
    flops_per_second: float | None = None
    samples_seconds: tuple[float, ...] = ()
    stopped: Stop = "failed"
    looks: int = 0
    warm_runs: int = 0
    warm_seconds: float = 0.0
    steady: bool = False
    precision: Precision | None = None
    clocks: Clocks | None = None
    peak_allocated_bytes: int | None = None
    predicted_peak_bytes: int | None = None
    bound_seconds: float | None = None
    estimate_seconds: float | None = None
    launch_bound: float | None = None
    breakdown: Breakdown | None = None
    undivided: str | None = None
    ranks: Ranks | None = None
    failure: str | None = None
    refused: bool = False
    warnings: tuple[Warning, ...] = ()
    change: Change | None = None


class BenchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``archcalc bench --json FILE`` writes. ``complete`` is false where the run was interrupted: it keeps what it has.

    ``predicted_for`` names the device whose roofline the runs stand beside: a row of the table, or a profile; None if neither.
    """

    schema: str = SCHEMA
    complete: bool
    started: str
    environment: Environment
    limits: Limits
    predicted_for: str | None = None
    runs: tuple[Run, ...]


def measured(run: Run, sampling: Sampling, limits: Limits) -> Run:
    """Return the run with what was sampled, and what follows from that: rates and warnings."""
    found = sampling.statistics() if sampling.samples else None
    each = found.median_seconds if found else 0.0
    return replace(
        run,
        statistics=found,
        images_per_second=run.images / each if each else None,
        flops_per_second=2 * run.macs / each if each else None,
        samples_seconds=sampling.samples,
        stopped=sampling.stopped,
        looks=sampling.looks,
        warm_runs=sampling.warm_runs,
        warm_seconds=sampling.warm_seconds,
        steady=sampling.steady,
        warnings=_warnings(sampling, found, limits, run.clocks) if found else (),
    )


def _warnings(sampling: Sampling, found: Statistics, limits: Limits, clocks: Clocks | None) -> tuple[Warning, ...]:
    share = found.precision
    words: dict[Warning, bool] = {
        "imprecise": share is None or share > limits.relative_interval,
        "drift": found.drifting and abs(found.drift) > limits.relative_interval,
        "unsteady": not sampling.steady,
        "throttled": clocks is not None and bool(clocks.throttling),
    }
    return tuple([word for word, true in words.items() if true])


def with_launch_shares(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs, those in eager mode with the share of their time that the same network saves as a captured graph."""
    captured = {_twin(run): run.statistics for run in runs if run.configuration.exec == "graph"}
    return tuple([_with_launch_share(run, captured.get(_twin(run))) for run in runs])


def _with_launch_share(run: Run, graph: Statistics | None) -> Run:
    if run.configuration.exec != "eager" or run.statistics is None or graph is None:
        return run
    return replace(run, launch_bound=max(0.0, 1 - graph.median_seconds / run.statistics.median_seconds))


def _twin(run: Run) -> Configuration:
    return replace(run.configuration, exec="graph")


def compared(new: BenchDocument, old: BenchDocument) -> BenchDocument:
    """Return a document whose runs say how they stand to the older one's of the same configuration and network, if it has one."""
    before = {_what(run): run.statistics for run in old.runs if run.statistics and run.statistics.median_seconds > 0}
    return replace(new, runs=tuple([replace(run, change=_change(run, before.get(_what(run)))) for run in new.runs]))


def _what(run: Run) -> tuple[object, ...]:
    """Return what was timed: a model of one name may be set up in many ways."""
    return run.configuration, tuple(run.input.items()), run.params, run.macs


def _change(run: Run, old: Statistics | None) -> Change | None:
    return None if run.statistics is None or old is None else change(run.statistics, old)


def read_report(file: str) -> BenchDocument:
    """Return what a file that ``archcalc bench --json`` wrote holds. Raises UsageError if it cannot be read, or is another file."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise UsageError("E200", f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST_FILE:
        raise UsageError("E276", f"{file} is no report of a benchmark: it is larger than {LARGEST_FILE >> 20} MiB")
    try:
        document = msgspec.json.decode(content, type=BenchDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        way_out = "archcalc bench MODEL --json FILE writes one"
        raise UsageError("E276", f"{file} is no report of a benchmark: {one_line(str(error))}", help=way_out) from None
    if document.schema != SCHEMA:
        raise UsageError("E276", f"{file} is {document.schema}, and this archcalc reads {SCHEMA}")
    return document
