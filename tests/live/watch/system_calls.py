"""What a thread asks of the kernel, block by block: its system calls by strace, its page faults.

child:   os.access("path: late masks")   getrusage  block  getrusage  ...
strace:  the same, with all that happens in between; the answers of getrusage count page faults
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "rtsep path: "
# prctl's: any process of this user may trace this one. (Ubuntu allows it to parents alone.)
_SET_TRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)

# What the audio thread asks of the kernel within a block, and why that may be.
ALLOWED = {
    "Python's lock": "each compiled call gives it up and takes it again; it waits where others have it",
    "wake a worker": "the queue of runs; whoever wakes does not wait",
    "processor time": "AudioGuard looks every 30 ms whether the thread ever rests",
    "fork": "libpulse asks in each of its functions whether the process was forked",
    "wake libpulse": "its own loop, where the sink ran dry and the server is asked for a longer buffer",
    "malloc": "between two clocks its heap grows for libpulse's packets and soxr's buffers",
    "number": "AudioGuard asks for the thread's number, once for each stream",
    "scheduling": "AudioGuard looks at the priority of a thread that does not rest",
}


@dataclass
class Calls:
    """What a thread has asked of the kernel on one path.

    blocks, faults, faulty_blocks: blocks, page faults in them, and blocks with any. allowed: how often,
        by what.
    found: calls that are not allowed, as strace writes them.
    """

    blocks: int = 0
    faults: int = 0
    faulty_blocks: int = 0
    allowed: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)


# --- in the program that is watched -----------------------------------------------------------------


def mark(path: str) -> None:
    """Say which path the calling thread goes from now on."""
    os.access(MARK + path, os.F_OK)


def watched(call: Callable[..., object], *arguments: Any) -> None:
    """`call(*arguments)`, which is a block."""
    resource.getrusage(resource.RUSAGE_THREAD)
    try:
        call(*arguments)
    finally:
        resource.getrusage(resource.RUSAGE_THREAD)


@contextlib.contextmanager
def traced(trace: Path, thread: int | None = None) -> Iterator[None]:
    """Have strace write the calls of one thread of this process within the block.

    Of all its threads, those that it starts meanwhile too, if none is named: then each has a file of its
    own, `trace` with a dot and the thread's number behind.
    """
    ctypes.CDLL(None).prctl(_SET_TRACER, _ANY, 0, 0, 0)
    who = ["-ff", "-p", str(os.getpid())] if thread is None else ["-p", str(thread)]
    tracer = subprocess.Popen(
        ["strace", "-v", "-s", "64", "-o", str(trace), *who],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        raise RuntimeError(f"strace: {said}")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def python_memory() -> tuple[int, int]:
    """Where Python's own static data lies, its lock among it: first address, and that behind it."""
    address = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(number, 16) for number in line.split()[0].split("-"))
        if begin <= address < end:
            return begin, end
    raise AssertionError("Python is in no memory")


# --- in the test ------------------------------------------------------------------------------------


def read_trace(
    trace: Path, python: tuple[int, int], *, two_clocks: bool = False
) -> dict[str, Calls]:
    """By path.

    python: `python_memory` of the program. two_clocks: libpulse and soxr are in the callback, which
    take memory from malloc.
    """
    paths: dict[str, Calls] = {}
    now = paths.setdefault("", Calls())
    inside, faults = False, 0
    for line in trace.read_text(errors="replace").splitlines():
        if MARK in line:
            now = paths.setdefault(line.split(MARK)[1].split('"')[0], Calls())
        elif counted := re.search(r"^getrusage\(.*ru_minflt=(\d+), ru_majflt=(\d+)", line):
            total = sum(map(int, counted.groups()))
            if inside:
                now.blocks += 1
                now.faults += total - faults
                now.faulty_blocks += total > faults
            inside, faults = not inside, total
        elif inside and not line.startswith(("---", "+++")):
            why = _allowed(line, python)
            if two_clocks and _is_heap_growth(line):
                why = "malloc"
            if why:
                now.allowed[why] = now.allowed.get(why, 0) + 1
            else:
                now.found.append(line)
    return {path: calls for path, calls in paths.items() if calls.blocks}


def _allowed(line: str, python: tuple[int, int]) -> str | None:
    """Which entry of ALLOWED a call falls under; None for none."""
    if locked := re.match(r"futex\(0x([0-9a-f]+), (\w+)", line):
        if python[0] <= int(locked[1], 16) < python[1]:
            return "Python's lock"
        return "wake a worker" if locked[2].startswith("FUTEX_WAKE") else None
    if line.startswith("clock_gettime(CLOCK_THREAD_CPUTIME_ID"):
        return "processor time"
    if re.match(r'write\(\d+, "W", 1\)', line):
        return "wake libpulse"
    for call, why in (("gettid(", "number"), ("getpid(", "fork")):
        if line.startswith(call):
            return why
    return "scheduling" if line.startswith("sched_getscheduler(0") else None


def _is_heap_growth(line: str) -> bool:
    """Whether malloc gets more for one of its heaps: the first one by brk, another by mprotect."""
    return line.startswith("brk(") or (
        line.startswith("mprotect(") and "PROT_READ|PROT_WRITE" in line
    )
