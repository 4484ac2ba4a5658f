"""What is kept in memory, by what the system allows; each case in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rtsep.system.memory import ALL, BUFFERS, NOTHING

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's mlock")

BUFFER_BYTES = 1 << 18
# Locks what it may, and prints what it has got and how much memory is locked then, in bytes.
PROGRAM = f"""
import ctypes, re, resource, sys
from pathlib import Path
limit = int(sys.argv[1])
if limit >= 0:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
if sys.argv[2] == "ordinary":
    # Without the capability: what is effective, permitted and inheritable, of version 3.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
from rtsep.system.memory import keep_in_memory, touched_zeros
kept = keep_in_memory()
buffers = [touched_zeros({BUFFER_BYTES} // 4, "float32") for _ in range(4)]
assert not any(buffer.any() for buffer in buffers)
locked = re.search(r"VmLck:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(kept, 1024 * int(locked[1]))
"""


def kept(limit_bytes: int, who: str) -> tuple[str, int]:
    """What a program keeps under a limit (-1: as it is here), and how many bytes of its are locked."""
    words = [sys.executable, "-c", PROGRAM, str(limit_bytes), who]
    name, locked = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return name, int(locked)


def test_an_ordinary_program_under_a_limit_keeps_its_buffers() -> None:
    name, locked = kept(16 * BUFFER_BYTES, "ordinary")
    assert name == BUFFERS and 4 * BUFFER_BYTES <= locked <= 5 * BUFFER_BYTES


def test_what_is_beyond_the_limit_is_not_locked_and_no_failure() -> None:
    name, locked = kept(5 * BUFFER_BYTES // 2, "ordinary")
    assert name == BUFFERS and 2 * BUFFER_BYTES <= locked <= 5 * BUFFER_BYTES // 2


def test_without_any_leave_nothing_is_locked() -> None:
    assert kept(0, "ordinary") == (NOTHING, 0)


def test_what_is_kept_is_not_moved_into_large_pages() -> None:
    program = (
        "from rtsep.system.memory import keep_in_memory, touched_zeros; keep_in_memory();"
        "kept = touched_zeros(1 << 24, 'float32'); print(open('/proc/self/smaps_rollup').read())"
    )
    words = [sys.executable, "-c", program]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "AnonHugePages:         0 kB" in told


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root's leave to lock all")
def test_root_keeps_all_of_it_whatever_the_limit() -> None:
    name, locked = kept(BUFFER_BYTES, "root")
    assert name == ALL and locked > 8 * BUFFER_BYTES
