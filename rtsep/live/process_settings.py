"""Settings of the whole process that a live program wants. For programs: a library leaves them alone."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A thread that holds Python's lock lets the audio thread wait this long, in place of 5 ms.
SWITCH_INTERVAL_S = 0.0005


@contextmanager
def live_process() -> Iterator[None]:
    """Within the block Python interrupts an audio thread as little as it can.

    Threads that hold Python's lock give it up sooner, and what exists at the beginning, nets and
    engines for the most part, is never gone through by the garbage collector. Both are as before
    afterwards, but for objects that somebody else has frozen.
    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval_s)
