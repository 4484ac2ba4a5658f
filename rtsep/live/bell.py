"""How workers tell the one thread that may wait for them that there is something new to look at."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable


class Bell:
    """A flag that many raise and one waits for. Neither side ever holds a lock while it works.

    It is a lock used as a binary semaphore: held while nothing has happened. A condition variable
    would have the waiting thread stand behind whichever worker was put to sleep while notifying.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Something has happened. From any thread; never blocks."""
        with contextlib.suppress(RuntimeError):  # it is ringing already
            self._silent.release()

    def wait_for(self, done: Callable[[], bool], until_s: float) -> bool:
        """Wait, ring by ring, until `done()`; False where it is not by `until_s` of perf_counter.

        For one thread only. Whoever makes `done()` true must ring afterwards.
        """
        while not done():
            left_s = until_s - time.perf_counter()
            if left_s <= 0 or not self._silent.acquire(timeout=left_s):
                return done()
        return True
