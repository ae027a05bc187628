"""CUDA's caching allocator, replayed: cases that can be counted by hand, and random runs against one that is written plainly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.analysis.memory.allocator import Allocator, Block, repeated, replay, rounded, segment_bytes, started

MIB = 2**20
Event = tuple[int, int, int]


def run(sizes: list[int], order: str) -> tuple[int, int, int]:
    """Peaks of requested, allocated and reserved bytes; ``order`` names storages: a small letter begins one, a capital ends it."""
    events = [(0, ord(letter.lower()) - ord("a"), 1 if letter.islower() else -1) for letter in order]
    return replay(sizes, events)[:3]


# What is asked for, in which order, and what that makes of requested, allocated and reserved bytes.
BY_HAND = [
    ("one byte takes a block of 512 in a segment of 2 MiB", [1], "a", (1, 512, 2 * MIB)),
    ("exactly 512 bytes need no more", [512], "a", (512, 512, 2 * MIB)),
    ("an empty tensor has no block", [0, 4], "ab", (4, 512, 2 * MIB)),
    ("1 MiB is small still: two of them share a segment", [MIB, MIB], "ab", (2 * MIB, 2 * MIB, 2 * MIB)),
    ("three of them do not", [MIB, MIB, MIB], "abc", (3 * MIB, 3 * MIB, 4 * MIB)),
    ("a byte more is large: a segment of 20 MiB, and the rest of it is free", [MIB + 1], "a", (MIB + 1, MIB + 512, 20 * MIB)),
    ("two large ones share it", [8 * MIB, 9 * MIB], "ab", (17 * MIB, 17 * MIB, 20 * MIB)),
    ("what does not fit beside them gets another", [8 * MIB, 9 * MIB, 4 * MIB], "abc", (21 * MIB, 21 * MIB, 40 * MIB)),
    ("a rest of exactly 1 MiB is not split off: it counts as allocated", [9 * MIB, 10 * MIB], "ab", (19 * MIB, 20 * MIB, 20 * MIB)),
    ("from 10 MiB on a segment fits, up to 2 MiB", [10 * MIB], "a", (10 * MIB, 10 * MIB, 10 * MIB)),
    ("10.5 MiB in 12: the rest of 1.5 MiB is split off", [21 * MIB // 2], "a", (21 * MIB // 2, 21 * MIB // 2, 12 * MIB)),
    ("11 MiB in 12: a rest of 1 MiB stays", [11 * MIB], "a", (11 * MIB, 12 * MIB, 12 * MIB)),
    ("what was released is used again", [30 * MIB, 30 * MIB], "aAb", (30 * MIB, 30 * MIB, 30 * MIB)),
    ("... and split: 20 MiB of 30", [30 * MIB, 20 * MIB, 10 * MIB], "aAbc", (30 * MIB, 30 * MIB, 30 * MIB)),
    ("the smallest that is large enough", [40 * MIB, 30 * MIB, 28 * MIB, 40 * MIB], "abABcd", (70 * MIB, 70 * MIB, 70 * MIB)),
    ("small blocks never come out of large segments", [30 * MIB, MIB], "aAb", (30 * MIB, 30 * MIB, 32 * MIB)),
    ("neighbours join: 8 + 8 + 4 are 20 again", [8 * MIB, 8 * MIB, 4 * MIB, 20 * MIB], "abcABCd", (20 * MIB, 20 * MIB, 20 * MIB)),
    ("... but not over one that is in use", [8 * MIB, 4 * MIB, 8 * MIB, 16 * MIB], "abcACd", (20 * MIB, 20 * MIB, 36 * MIB)),
]  # fmt: skip


@pytest.mark.parametrize(("sizes", "order", "peaks"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
def test_by_hand(sizes: list[int], order: str, peaks: tuple[int, int, int]) -> None:
    assert run(sizes, order) == peaks


def test_the_limit_is_where_a_segment_cannot_be_had() -> None:
    sizes = [30 * MIB, 30 * MIB]
    assert replay(sizes, [(0, 0, 1), (0, 1, 1)], limit=60 * MIB).failed_at is None
    failed = replay(sizes, [(0, 0, 1), (0, 1, 1)], limit=60 * MIB - 1)
    assert (failed.failed_at, failed.missing, failed.reserved_peak_bytes) == (1, 1, 30 * MIB)


def test_cached_segments_go_back_before_a_new_one_fails() -> None:
    """40 MiB are cached and too small for 50: within 60 they must go first, and a segment that is used in part stays."""
    sizes = [40 * MIB, 50 * MIB]
    found = replay(sizes, [(0, 0, 1), (0, 0, -1), (0, 1, 1)], limit=60 * MIB)
    assert (found.failed_at, found.given_back, found.reserved_peak_bytes) == (None, 1, 50 * MIB)
    sizes = [8 * MIB, 8 * MIB, 50 * MIB]
    stuck = replay(sizes, [(0, 0, 1), (0, 1, 1), (0, 0, -1), (0, 2, 1)], limit=60 * MIB)
    assert (stuck.failed_at, stuck.missing) == (3, 10 * MIB)


def test_a_second_step_uses_what_the_first_left() -> None:
    """Weights (0) stay, a gradient (1) is left by the first step and goes before the second."""
    events = [(0, 0, 1), (1, 1, 1), (1, 2, 1), (1, 2, -1)]
    twice = repeated(events, started=1)
    assert twice == [*events, (1, 1, -1), (1, 1, 1), (1, 2, 1), (1, 2, -1)]
    assert replay([MIB] * 3, twice)[:3] == replay([MIB] * 3, events)[:3] == (3 * MIB, 3 * MIB, 4 * MIB)


@pytest.mark.parametrize(("size", "bytes"), [(1, 512), (512, 512), (513, 1024), (0, 512)])
def test_rounding(size: int, bytes: int) -> None:
    assert rounded(size) == bytes


class Plain:
    """The same rules without any structure: a list of segments, whose blocks are [size, storage or None], all looked through."""

    def __init__(self) -> None:
        self.segments: list[tuple[bool, list[list]]] = []  # small or not, and its blocks
        self.requested: dict[int, int] = {}
        self.peaks = [0, 0, 0]

    def allocate(self, storage: int, request: int) -> None:
        size = rounded(request)
        small = size <= MIB
        if not self.free(small, size):
            self.segments.append((small, [[segment_bytes(size), None]]))
        have, number, place = min(self.free(small, size))
        rest = have - size
        splits = rest >= 512 if small else rest > MIB
        self.segments[number][1][place : place + 1] = [[size, storage], [rest, None]] if splits else [[have, storage]]
        self.requested[storage] = request
        allocated = sum(block[0] for _, blocks in self.segments for block in blocks if block[1] is not None)
        reserved = sum(block[0] for _, blocks in self.segments for block in blocks)
        now = [sum(self.requested.values()), allocated, reserved]
        self.peaks = [max(pair) for pair in zip(self.peaks, now, strict=True)]

    def free(self, small: bool, size: int) -> list[tuple[int, int, int]]:
        return [
            (block[0], number, place)
            for number, (pool, blocks) in enumerate(self.segments)
            for place, block in enumerate(blocks)
            if pool is small and block[1] is None and block[0] >= size
        ]

    def release(self, storage: int) -> None:
        del self.requested[storage]
        for _, blocks in self.segments:
            joined: list[list] = []
            for size, holder in blocks:
                holder = None if holder == storage else holder
                if joined and joined[-1][1] is None and holder is None:
                    joined[-1][0] += size
                else:
                    joined.append([size, holder])
            blocks[:] = joined


SIZES = st.one_of(
    st.integers(1, 4096),
    st.integers(1, 24 * MIB),
    st.sampled_from([512, MIB, MIB + 1, 10 * MIB - 1, 10 * MIB, 10 * MIB + 1, 19 * MIB, 20 * MIB, 21 * MIB]),
)


@st.composite
def random_runs(draw: st.DrawFn) -> tuple[list[int], list[Event]]:
    """Storages that are allocated and, some of them, released again in any order."""
    sizes: list[int] = []
    live: list[int] = []
    events: list[Event] = []
    for take in draw(st.lists(st.integers(-3, 3), max_size=60)):
        if take < 0 and live:
            events.append((0, live.pop(take % len(live)), -1))
        else:
            live.append(len(sizes))
            events.append((0, len(sizes), 1))
            sizes.append(draw(SIZES))
    return sizes, events


@given(random_runs())
def test_random_runs_agree_with_the_plain_allocator(drawn: tuple[list[int], list[Event]]) -> None:
    sizes, events = drawn
    plain = Plain()
    for _, storage, change in events:
        if change > 0:
            plain.allocate(storage, sizes[storage])
        else:
            plain.release(storage)
    assert list(replay(sizes, events)[:3]) == plain.peaks


@given(random_runs(), st.none() | st.integers(40 * MIB, 200 * MIB))
def test_what_holds_at_every_moment(drawn: tuple[list[int], list[Event]], limit: int | None) -> None:
    """No two blocks overlap, bytes are neither lost nor made, and once everything is released every segment is whole again."""
    sizes, events = drawn
    allocator = Allocator(limit)
    blocks: dict[int, Block] = {}
    for _, storage, change in [*events, *((0, storage, -1) for storage in sorted(set(range(len(sizes))) - released(events)))]:
        if change > 0:
            block = allocator.allocate(sizes[storage])
            if block is None:
                assert limit is not None
                continue
            assert block.size >= rounded(sizes[storage])
            blocks[storage] = block
        elif storage in blocks:
            allocator.release(blocks.pop(storage))
        taken = sorted((block.address, block.size) for block in blocks.values())
        free = [(address, size) for pool in (allocator.small, allocator.large) for size, address, _ in pool.free]
        every = sorted(taken + free)
        assert all(start + size <= behind for (start, size), (behind, _) in pairwise(every))
        assert sum(size for _, size in every) == allocator.reserved
        assert sum(size for _, size in taken) == allocator.allocated
        assert sum(sizes[storage] for storage in blocks) == allocator.requested
        assert allocator.requested <= allocator.allocated <= allocator.reserved
    assert allocator.requested == allocator.allocated == 0
    whole = [entry[2] for pool in (allocator.small, allocator.large) for entry in pool.free]
    assert all(block.previous is None and block.next is None for block in whole)


def released(events: list[Event]) -> set[int]:
    return {storage for _, storage, change in events if change < 0}


@given(random_runs(), st.integers(0, 200 * MIB))
def test_a_limit_changes_nothing_but_where_it_ends(drawn: tuple[list[int], list[Event]], limit: int) -> None:
    """Within a limit never more is reserved; a run that fails would have needed more; one that needs no more than that does not."""
    sizes, events = drawn
    free, bound = replay(sizes, events), replay(sizes, events, limit=limit)
    assert bound.reserved_peak_bytes <= limit
    if bound.failed_at is None:
        assert bound.requested_peak_bytes == free.requested_peak_bytes
    else:
        assert free.reserved_peak_bytes > limit
        assert bound.missing > 0
    if free.reserved_peak_bytes <= limit:
        assert bound == free


@given(random_runs(), st.lists(SIZES, max_size=8), st.lists(SIZES, max_size=3), st.integers(1, 120))
def test_a_branch_goes_on_as_the_whole_would(
    drawn: tuple[list[int], list[Event]], first: list[int], other: list[int], mib: int
) -> None:
    """What stays (``first``) is allocated once for two runs; the second is not to notice the first."""
    sizes, events = drawn
    start = [(0, len(sizes) + number, 1) for number in range(len(first))]
    whole = replay([*sizes, *first], [*start, *events], limit=mib * MIB)
    begun = started(first, mib * MIB)
    if begun is None:
        assert whole.failed_at is not None
        assert whole.failed_at < len(start)
        return
    replay(other, [(0, number, 1) for number in range(len(other))], since=begun)
    replay(sizes, events, since=begun)
    found = replay(sizes, events, since=begun)
    assert found._replace(failed_at=None) == whole._replace(failed_at=None)
    assert found.failed_at == (None if whole.failed_at is None else whole.failed_at - len(start))
