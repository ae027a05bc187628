"""CUDA's caching allocator as PyTorch has it, replayed: which blocks a run's allocations get, and what is reserved for them.

The rules are those of c10/cuda/CUDACachingAllocator.cpp of PyTorch 2.13 under its default settings (one stream, no
PYTORCH_ALLOC_CONF); the constants name those of c10/core/AllocatorConfig.h. Addresses are made up and rise: which of two
equally large free blocks a real run takes depends on where cudaMalloc put their segments.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Final, NamedTuple

MIN_BLOCK: Final = 512  # kMinBlockSize: all sizes are rounded up to a multiple of it (round_size)
SMALL: Final = 1 << 20  # kSmallSize: the largest size that the pool of small blocks serves (get_pool)
SMALL_SEGMENT: Final = 2 << 20  # kSmallBuffer: what the small pool asks of cudaMalloc (get_allocation_size)
LARGE_SEGMENT: Final = 20 << 20  # large_segment_size: what the large pool asks for sizes below MIN_LARGE
MIN_LARGE: Final = 10 << 20  # kMinLargeAlloc: from here on a size gets a segment of its own ...
ROUND_LARGE: Final = 2 << 20  # kRoundLarge: ... rounded up to a multiple of this


def rounded(size: int) -> int:
    """Return the bytes that a request takes at least (``round_size``).

    >>> rounded(1), rounded(512), rounded(513)
    (512, 512, 1024)
    """
    return -(-size // MIN_BLOCK) * MIN_BLOCK or MIN_BLOCK


def segment_bytes(size: int) -> int:
    """Return what is asked of cudaMalloc where no free block is large enough for ``size`` bytes (``get_allocation_size``).

    >>> [segment_bytes(mib << 20) >> 20 for mib in (1, 2, 9, 10, 11)]
    [2, 20, 20, 10, 12]
    """
    if size <= SMALL:
        return SMALL_SEGMENT
    if size < MIN_LARGE:
        return LARGE_SEGMENT
    return -(-size // ROUND_LARGE) * ROUND_LARGE


class Block:
    """A run of bytes in a segment, with its neighbours there; ``size`` is what it holds, ``requested`` what was asked for."""

    __slots__ = ("address", "free", "next", "pool", "previous", "requested", "size")

    def __init__(self, address: int, size: int, pool: "Pool", previous: "Block | None" = None, following: "Block | None" = None):
        self.address, self.size, self.pool = address, size, pool
        self.requested = 0
        self.free = True
        self.previous, self.next = previous, following


class Pool:
    """The free blocks of small or of large segments, in the order of BlockComparatorSize: by size, then by address."""

    __slots__ = ("free", "leaves")

    def __init__(self, leaves: int):
        self.leaves = leaves  # the smallest rest that is worth a block of its own (should_split)
        self.free: list[tuple[int, int, Block]] = []

    def remove(self, block: Block) -> None:
        """Take a free block out."""
        del self.free[bisect_left(self.free, (block.size, block.address))]  # no two are at one address

    def copied(self) -> "Pool":
        """Return a pool of its own with the same free blocks; their neighbours are in use, and both pools' together."""
        pool = Pool(self.leaves)
        pool.free = [(size, at, Block(at, size, pool, block.previous, block.next)) for size, at, block in self.free]
        return pool


class Allocator:
    """The allocator of one device; ``limit`` is how many bytes cudaMalloc can give in all, None for as many as are wanted."""

    def __init__(self, limit: int | None = None):
        self.limit = limit
        self.small = Pool(leaves=MIN_BLOCK)
        self.large = Pool(leaves=SMALL + 1)  # "remaining > kSmallSize"
        self.requested = self.allocated = self.reserved = 0
        self.requested_peak = self.allocated_peak = self.reserved_peak = 0
        self.given_back = 0  # how often cached segments had to be returned to the device before a new one fitted
        self._end = 0  # of the addresses that were handed out

    def allocate(self, requested: int) -> Block | None:
        """Return a block of at least ``requested`` bytes (``malloc``), None if the limit does not allow it.

        That is the smallest free one which is large enough, the lowest of equals (get_free_block), or else a new segment; what is
        left of it becomes a free block, if it is worth that. An unsplit rest counts as allocated: "allocated_bytes" has it.
        """
        size = -(-requested // MIN_BLOCK) * MIN_BLOCK or MIN_BLOCK  # rounded(), without the call
        pool = self.small if size <= SMALL else self.large
        free = pool.free
        place = bisect_left(free, (size, -1))
        block = free.pop(place)[2] if place < len(free) else self._segment(size, pool)
        if block is None:
            return None
        rest = block.size - size
        if rest >= pool.leaves:
            behind = block.next
            block.next = other = Block(block.address + size, rest, pool, block, behind)
            if behind is not None:
                behind.previous = other
            block.size = size
            insort(free, (rest, other.address, other))
        block.free = False
        block.requested = requested
        self.allocated += block.size
        self.requested += requested
        if self.allocated > self.allocated_peak:
            self.allocated_peak = self.allocated
        if self.requested > self.requested_peak:
            self.requested_peak = self.requested
        return block

    def release(self, block: Block) -> None:
        """Give a block back to its pool, joined with the free blocks beside it (``free_block``, ``try_merge_blocks``)."""
        self.allocated -= block.size
        self.requested -= block.requested
        pool = block.pool
        before, behind = block.previous, block.next
        if before is not None and before.free:
            pool.remove(before)
            block.address = before.address
            block.size += before.size
            block.previous = before.previous
            if block.previous is not None:
                block.previous.next = block
        if behind is not None and behind.free:
            pool.remove(behind)
            block.size += behind.size
            block.next = behind.next
            if block.next is not None:
                block.next.previous = block
        block.free = True
        insort(pool.free, (block.size, block.address, block))

    def branch(self) -> "Allocator":
        """Return an allocator that goes on from here by itself; what lives here is never released there."""
        found = copy(self)
        found.small, found.large = self.small.copied(), self.large.copied()
        return found

    def _segment(self, size: int, pool: Pool) -> Block | None:
        """Return a new segment (``alloc_block``), None where the limit is in the way even when all cached ones have gone."""
        wanted = segment_bytes(size)
        if self.limit is not None and self.reserved + wanted > self.limit:
            self._give_back()  # release_cached_blocks; release_available_cached_blocks needs a max_split_size, which is not set
            if self.reserved + wanted > self.limit:
                return None
        block = Block(self._end, wanted, pool)
        self._end += wanted + MIN_BLOCK  # segments are never neighbours
        self.reserved += wanted
        if self.reserved > self.reserved_peak:
            self.reserved_peak = self.reserved
        return block

    def _give_back(self) -> None:
        """Return every segment that is free as a whole to the device."""
        for pool in (self.small, self.large):
            kept = [entry for entry in pool.free if entry[2].previous is not None or entry[2].next is not None]
            self.reserved -= sum([size for size, _, _ in pool.free]) - sum([size for size, _, _ in kept])
            pool.free[:] = kept
        self.given_back += 1


class Replay(NamedTuple):
    """What the allocator held at most: bytes asked for, bytes of the blocks they got, bytes of the segments behind those.

    ``failed_at`` is the event that did not go through within the limit, None where all did, and ``missing`` what the limit would
    have had to be higher for that one. ``given_back`` is how often cached segments had to go.
    """

    requested_peak_bytes: int
    allocated_peak_bytes: int
    reserved_peak_bytes: int
    failed_at: int | None = None
    missing: int = 0
    given_back: int = 0


def started(sizes: Iterable[int], limit: int) -> Allocator | None:
    """Return an allocator in which storages of so many bytes live, None if they do not fit within the limit."""
    allocator = Allocator(limit)
    return allocator if all(allocator.allocate(size) is not None for size in sizes if size) else None


def replay(
    sizes: Sequence[int] | Mapping[int, int],
    events: Iterable[tuple[int, int, int]],
    *,
    limit: int | None = None,
    since: Allocator | None = None,
) -> Replay:
    """Return what a run makes of an allocator, up to the first event that fails: of a new one, or in a branch of ``since``.

    An event is its moment, a storage as an index into ``sizes`` (bytes), and 1 where it is allocated or -1 where it goes.
    """
    allocator = Allocator(limit) if since is None else since.branch()
    allocate, release = allocator.allocate, allocator.release
    blocks: dict[int, Block] = {}
    failed_at, missing = None, 0
    for number, (_, storage, change) in enumerate(events):
        size = sizes[storage]
        if not size:  # "if (size != 0)": an empty tensor has no block
            continue
        if change < 0:
            release(blocks.pop(storage))
            continue
        block = allocate(size)
        if block is None:
            failed_at, missing = number, allocator.reserved + segment_bytes(rounded(size)) - (allocator.limit or 0)
            break
        blocks[storage] = block
    peaks = allocator.requested_peak, allocator.allocated_peak, allocator.reserved_peak
    return Replay(*peaks, failed_at, missing, allocator.given_back)


def repeated(events: Sequence[tuple[int, int, int]], started: int) -> list[tuple[int, int, int]]:
    """Return a run's events and those of a second step behind it, which uses what the first has left in the cache.

    The first ``started`` events allocate what all steps share; whatever else a step leaves goes before the next (its gradients, in
    ``zero_grad(set_to_none=True)``).
    """
    shared = {storage for _, storage, _ in events[:started]}
    left: dict[int, None] = {}
    for _, storage, change in events[started:]:
        if change > 0:
            left[storage] = None
        else:
            left.pop(storage, None)
    step = [event for event in events[started:] if event[1] not in shared]
    between = events[-1][0] if events else 0
    return [*events, *((between, storage, -1) for storage in left), *step]
