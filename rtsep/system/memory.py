"""Memory that is there when the audio thread needs it: touched before the sound starts, kept afterwards.

The kernel gives a new array no memory until it is written to, page by page; each first write costs a
page fault, some microseconds, and far more where memory is scarce. Later it may take pages away again:
those of programs and libraries, which stand in files, and, where there is swap space, those of arrays.
And Linux's khugepaged moves arrays from small pages into large ones, during which nobody can reach them.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

IS_LINUX = sys.platform == "linux"
if IS_LINUX:
    import resource

# What `keep_in_memory` has got: the whole program, the buffers up to the system's limit, or nothing.
ALL, BUFFERS, NOTHING = "all", "buffers", "nothing"
# Of Linux's mman.h: what there is, what comes later; each page once it was touched.
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
# The capability to lock without limit (linux/capability.h).
_CAP_IPC_LOCK = 14

# Of linux/prctl.h: no transparent huge pages.
_SET_THP_DISABLE = 41

# Whether buffers are locked one by one. Writer: `keep_in_memory`; readers: whoever makes buffers.
_lock_buffers = False


def keep_in_memory() -> str:
    """Have the system take no memory of this process away that is in use, as far as it may be asked.

    For programs, before they make buffers. Of a program that has no limit all is kept, and what it
    allocates later. Under a limit that would make later allocations fail: only `touched_zeros` are kept,
    up to the limit. Nor is it moved: `keep_in_place`. Nothing but Linux is asked.

    Returns
    -------
    str
        ALL, BUFFERS or NOTHING.
    """
    global _lock_buffers
    if not IS_LINUX:
        return NOTHING
    keep_in_place()
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit_bytes == resource.RLIM_INFINITY or _may_lock_without_limit():
        done = ctypes.CDLL(None).mlockall(_CURRENT | _FUTURE | _ON_FAULT)
        return NOTHING if done else ALL
    _lock_buffers = limit_bytes > 0
    return BUFFERS if _lock_buffers else NOTHING


def keep_in_place() -> None:
    """Keep khugepaged away from the arrays of this process, and of those that it starts from now on.

    It moves 2 MB at a time, for which a core of a kernel that does not preempt itself stands still, too:
    4.7 ms were seen. The nets are no slower in small pages (1 % at most). Nothing but Linux is asked.
    """
    if IS_LINUX:
        # Refused by a kernel that has no large pages.
        ctypes.CDLL(None).prctl(_SET_THP_DISABLE, 1, 0, 0, 0)


def touched_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As np.zeros, with every page in memory already."""
    array = np.empty(shape, dtype)
    array.fill(0)
    if _lock_buffers:
        # Refused beyond the limit, where nothing is lost but the promise.
        ctypes.CDLL(None).mlock(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes))
    return array


def _may_lock_without_limit() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False
