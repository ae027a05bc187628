"""What memory is free: the kernel's files as they are written, and what this machine says."""

import os
import sys
from pathlib import Path

import pytest

from archcalc.pytorch.room import free_bytes

# proc(5): the kernel's kB are 1,024 bytes.
MEMINFO = """\
MemTotal:       16000000 kB
MemFree:          500000 kB
MemAvailable:    8000000 kB
SwapFree:        1000000 kB
HugePages_Total:       0
"""
FREE = 9_000_000 * 1024
USED, ABOUT = "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat"
SECOND, FIRST = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, FREE),
        ({SECOND: "max\n"}, FREE),
        ({SECOND: "2147483648\n"}, 2**31),
        ({SECOND: "99999999999999\n"}, FREE),
        ({FIRST: "1073741824\n"}, 2**30),
        ({FIRST: "9223372036854771712\n"}, FREE),  # what the first version has for no limit
        ({SECOND: "2147483648\n", USED: "2000000000\n"}, 2**31 - 2_000_000_000),
        (
            {SECOND: "2147483648\n", USED: "2000000000\n", ABOUT: "anon 5\ninactive_file 600\nactive_file 400"},
            2**31 - 1_999_999_000,
        ),
        ({SECOND: "2147483648\n", USED: "3000000000\n"}, 0),
        ({"proc/meminfo": "MemTotal: 16000000 kB\nMemFree: 500000 kB\n"}, sys.maxsize),
    ],
)
def test_what_is_free(tmp_path: Path, files: dict[str, str], free: int) -> None:
    for name, text in ({"proc/meminfo": MEMINFO} | files).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert free_bytes(tmp_path) == free


def test_other_systems_make_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) == sys.maxsize


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known")
def test_this_machine() -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_bytes() < 3 * memory  # the swap counts, and is seldom twice the memory
