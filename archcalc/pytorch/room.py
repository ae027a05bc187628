"""How much memory the system still has: Linux hands out more than there is, and ends the process that uses it."""

import sys
from pathlib import Path

SYSTEM = Path("/")
MEMORY = "proc/meminfo"
FREE = ("MemAvailable", "SwapFree")
# What a container may take, what it has, and where it says how much of that is cache, which it gives back: in the second version of
# control groups and in their first.
CONTAINERS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
        "sys/fs/cgroup/memory/memory.stat",
    ),
)
CACHE = ("inactive_file", "active_file")


def free_bytes(system: Path = SYSTEM) -> int:
    """Return the bytes that can still be used, swap included, and no more than a container may still take.

    Without end where the system does not tell, or is not Linux: others say no by themselves, or make room. ``system`` is the root
    of its files (proc(5), and the kernel's Documentation/admin-guide/cgroup-v2.rst).
    """
    sizes = _table(system / MEMORY)
    if not sizes.keys() >= set(FREE):  # some sandboxes tell only a part
        return sys.maxsize
    free = sum(sizes[name] * 1024 for name in FREE)  # which it calls kB
    for limit, used, about in CONTAINERS:
        if (most := _number(system / limit)) is not None:
            cache = _table(system / about)
            taken = (_number(system / used) or 0) - sum(cache.get(name, 0) for name in CACHE)
            free = min(free, most - max(taken, 0))
    return max(free, 0)


def _table(file: Path) -> dict[str, int]:
    """Return the numbers of a file that has a name and a number in each line."""
    try:
        lines = [line.replace(":", " ").split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _number(file: Path) -> int | None:
    """Return the number that stands in a file, None if it is not there or says that there is no limit."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
