"""The largest batch that a device has room for, what the limit is, and what one image more would need."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import msgspec

from archcalc.analysis.devices import find
from archcalc.analysis.memory.allocator import Replay, replay, started
from archcalc.analysis.memory.batches import Batches, Line, Run, Sizes
from archcalc.analysis.memory.plan import OPTIMIZERS, Plan
from archcalc.analysis.memory.report import twice
from archcalc.analysis.memory.terms import Term, terms
from archcalc.analysis.memory.towers import divided
from archcalc.analysis.memory.trace import Event, Moment, Peak, peak
from archcalc.graph import Graph

HALVES = {"bf16": "bfloat16", "fp16": "float16"}  # by the name that autocast has for them, the better one first
MOST_IMAGES = 2**31 - 1  # beyond it a batch is no batch: the same bound as --batch
TRIED = 4096  # batches below it are all tried; where there are more, so many of them


class Card(NamedTuple):
    """A device: its name in the table of devices, empty where it has none, its bytes, and those of CUDA's context if known.

    ``half`` is the 16-bit type that it reckons in (``bf16`` or ``fp16``), None where it has neither.
    """

    gpu: str
    memory_bytes: int
    context_bytes: int | None = None
    half: str | None = "bf16"

    @classmethod
    def named(cls, gpu: str, context_bytes: int | None = None) -> "Card":
        """Return the device of this name. Raises UsageError if the table does not have it."""
        device = find(gpu)
        half = next((name for name in HALVES if name in device.peaks), None)
        return cls(device.name, device.memory_bytes, context_bytes, half)


class Room(msgspec.Struct, frozen=True):
    """How far one way of running goes within ``limit_bytes``: those of the device that ``terms`` leave to its tensors.

    ``batch`` is the largest that fits, 0 where not one image does; with a batch asked for, ``fits`` answers for that one and the
    peaks are its own. ``allocated_peak_bytes`` and ``reserved_peak_bytes`` are those of CUDA's caching allocator, null without it.
    One image more than ``batch`` would take ``next_bytes``, for which ``missing_bytes`` are missing. ``peak_at`` is where the peak
    stands. ``given_back`` is how often the allocator had to return cached segments to the device on the way, which is slow.
    """

    plan: Plan
    terms: tuple[Term, ...]
    limit_bytes: int
    batch: int
    asked: int | None
    fits: bool
    peak_bytes: int
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    peak_at: Moment
    fixed_bytes: int
    bytes_per_image: int
    next_bytes: int
    missing_bytes: int
    given_back: int


def plans(
    plan: Plan, *, modes: Sequence[bool], optimizers: Sequence[str] = OPTIMIZERS, every_type: bool = True, half: str | None = "bf16"
) -> tuple[Plan, ...]:
    """Return the ways of running that are asked about.

    For each of the ``modes`` (whether it trains) in float32 and in the 16-bit type that the device has, ``half``, and, in training,
    with each of the ``optimizers``; only in the plan's own type unless ``every_type``.
    """
    found = []
    for train in modes:
        lower = [("float32", half), *([] if train else [(HALVES[half], None)])] if half else []
        types: list[tuple[str, str | None]] = [("float32", None), *lower] if every_type else [(plan.dtype, plan.amp)]
        for dtype, amp in types:
            for optimizer in optimizers if train else (plan.optimizer,):
                found.append(msgspec.structs.replace(plan, train=train, dtype=dtype, amp=amp, optimizer=optimizer))
    return tuple(found)


def rooms(graph: Graph, asked: Sequence[Plan], card: Card, *, batch: int | None = None, towers: int = 1) -> tuple[Room, ...]:
    """Return how far each way of running goes on a device, or whether this ``batch`` does.

    ``towers`` such devices share every layer. Raises UsageError for a network whose layers do not divide into so many.
    """
    batches = Batches(graph)
    known: dict[tuple[Run, int], Room] = {}  # momentum and nesterov take the same, most often
    found = []
    for plan in asked:
        beside = terms(graph, plan, card.gpu or None, card.context_bytes)
        limit = max(0, card.memory_bytes - sum(term.allowance_bytes for term in beside))
        run = divided(graph, batches.run(plan), towers)
        if (run, limit) not in known:
            known[run, limit] = _room(_Trial(graph, batches, plan, run, limit, towers), beside, batch)
        found.append(msgspec.structs.replace(known[run, limit], plan=plan))
    return tuple(found)


def _room(trial: "_Trial", beside: tuple[Term, ...], asked: int | None) -> Room:
    """Return how far one run goes."""
    line = trial.run.largest(trial.limit)
    largest = trial.largest(line)
    shown = asked or largest or 1
    wanted = asked or largest + 1
    found = trial.peak(shown)
    blocks = trial.blocks(shown)
    fits = trial.fits(shown)
    if asked is not None and fits:
        largest = max(largest, asked)  # one between those that were tried
    return Room(
        plan=trial.plan,
        terms=beside,
        limit_bytes=trial.limit,
        batch=largest,
        asked=asked,
        fits=fits,
        peak_bytes=found.bytes,
        allocated_peak_bytes=None if blocks is None else blocks.allocated_peak_bytes,
        reserved_peak_bytes=None if blocks is None else blocks.reserved_peak_bytes,
        peak_at=found.moment,
        fixed_bytes=line.fixed_bytes,
        bytes_per_image=line.bytes_per_image,
        next_bytes=trial.bytes(wanted),
        missing_bytes=trial.missing(wanted),
        given_back=trial.within(shown).given_back if trial.cached and fits else 0,
    )


class _Trial:
    """One run at batches that might fit, each tried at most once."""

    def __init__(self, graph: Graph, batches: Batches, plan: Plan, run: Run, limit: int, towers: int):
        self.graph, self.batches, self.plan, self.run = graph, batches, plan, run
        self.limit, self.towers = limit, towers
        self.cached = plan.rules == "cuda"
        self._events = self._twice(run)
        steady = list(takewhile(lambda event: not run.per_image[event[1]], self._events))  # the same at every batch
        self._growing = self._events[len(steady) :]
        self._started = started([run.fixed[storage] for _, storage, _ in steady], limit)
        self._lone: tuple[Run, list[Event]] | None = None
        self._within: dict[int, Replay] = {}
        self._blocks: dict[int, Replay] = {}

    def _twice(self, run: Run) -> list[Event]:
        return twice(run.trace) if self.cached else []

    def _at(self, batch: int) -> tuple[Run, list[Event]]:
        """Return the run of a batch and two steps of it; that of a lone image is one of its own."""
        if batch > 1:
            return self.run, self._events
        if self._lone is None:
            run = divided(self.graph, self.batches.run_of_one(self.plan), self.towers)
            self._lone = run, self._twice(run)
        return self._lone

    def peak(self, batch: int) -> Peak:
        """Return where the tensors of a batch take most."""
        run, _ = self._at(batch)
        return peak(run.at(batch))

    def within(self, batch: int) -> Replay:
        """Return what the allocator makes of a batch within the limit."""
        found = self._within.get(batch)
        if found is None:
            if batch > 1 and self._started is not None:
                found = replay(Sizes(self.run, batch), self._growing, since=self._started)
            else:
                run, events = self._at(batch)
                found = replay(run.sizes(batch), events, limit=self.limit)
            self._within[batch] = found
        return found

    def blocks(self, batch: int) -> Replay | None:
        """Return the same with as many bytes as are wanted; None without a caching allocator."""
        if not self.cached:
            return None
        tried = self._within.get(batch)
        if tried is not None and tried.failed_at is None and not tried.given_back:
            return tried
        found = self._blocks.get(batch)
        if found is None:
            run, events = self._at(batch)
            found = self._blocks[batch] = replay(run.sizes(batch), events)
        return found

    def fits(self, batch: int) -> bool:
        """Whether a batch goes through within the limit."""
        return self.within(batch).failed_at is None if self.cached else self.peak(batch).bytes <= self.limit

    def largest(self, line: Line) -> int:
        """Return the largest batch that goes through.

        A batch can fit where a smaller one does not, since its blocks happen to match the free ones. So all are tried, downwards
        from the most that the tensors alone allow. Where that is TRIED or more, only so many are, evenly apart, and the place is
        bisected between the first that fits and the one above it.
        """
        most = MOST_IMAGES if line.batch is None else min(line.batch, MOST_IMAGES)
        if most < 2:
            return int(self.fits(1))
        if not self.cached:
            return most
        apart = most // TRIED + 1
        low = next((batch for batch in range(most, 0, -apart) if self.fits(batch)), 0)
        high = min(low + apart, most + 1)  # which does not fit
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low

    def bytes(self, batch: int) -> int:
        """Return the bytes of a batch: of its blocks, or of its tensors where there are none."""
        blocks = self.blocks(batch)
        return self.peak(batch).bytes if blocks is None else blocks.allocated_peak_bytes

    def missing(self, batch: int) -> int:
        """Return by how much the limit falls short of a batch, 0 if it fits."""
        short = self.bytes(batch) - self.limit
        if short > 0 or not self.cached:
            return max(0, short)
        return self.within(batch).missing  # the bytes are there, but not in one piece
