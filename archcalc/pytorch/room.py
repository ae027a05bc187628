"""How much memory the system still has: Linux hands out more than there is, and ends the process that uses it."""

import sys
from pathlib import Path

SYSTEM = Path("/")
MEMORY = "proc/meminfo"
FREE = ("MemAvailable", "SwapFree")
# What a container may take, of control groups' second version and of their first.
LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def free_bytes(system: Path = SYSTEM) -> int:
    """Return the bytes that can still be used, swap included, and no more than a container may take.

    Without end where the system does not tell, or is not Linux: others say no by themselves, or make room. ``system`` is the root
    of its files (proc(5), and the kernel's Documentation/admin-guide/cgroup-v2.rst).
    """
    try:
        lines = (system / MEMORY).read_text().splitlines()
    except OSError:
        return sys.maxsize
    sizes = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    if not sizes.keys() >= set(FREE):  # some sandboxes tell only a part
        return sys.maxsize
    free = sum(int(sizes[name][0]) * 1024 for name in FREE)  # which it calls kB
    return min([free, *(limit for path in LIMITS if (limit := _limit(system / path)) is not None)])


def _limit(file: Path) -> int | None:
    """Return the bytes that stand in a file, None if it is not there or says that there is no limit."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
