"""How fast commands are taken: a client that sends more is read more slowly, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# A finger on a fader sends one for each picture of the screen, 60 or 120 a second.
CLIENT_PER_S, CLIENT_AT_ONCE = 250.0, 50.0
# Of all clients together: what the program, beside its audio, is asked to do at most.
ALL_PER_S, ALL_AT_ONCE = 500.0, 100.0


class Bucket:
    """A rate limit with a reserve: `at_once` at any time, `per_s` in the long run.

    clock: of the monotonic kind, in seconds.
    """

    def __init__(self, per_s: float, at_once: float, clock: Callable[[], float] = time.monotonic):
        self._per_s, self._at_once, self._clock = per_s, at_once, clock
        self._tokens, self._filled_s = at_once, clock()

    def reserve(self) -> float:
        """Take one; returns for how many seconds to wait before using it."""
        now_s = self._clock()
        self._tokens = min(self._at_once, self._tokens + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def take_now(self) -> bool:
        """Take one if it is there."""
        if self.reserve() == 0:
            return True
        self._tokens += 1
        return False

    async def take(self) -> None:
        """Take one, when it is there."""
        wait_s = self.reserve()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
