"""How long devices that have gone are waited for, and when they are looked for again."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.errors import RtsepError

# How often it is looked whether devices have come back: at first, as servers need a moment to connect
# what is left, and later.
SOON_S, SOON_FOR_S, RETRY_S = 0.2, 3.0, 1.0


class Patience:
    """Waits for one device after the other. For the main thread; times are of the monotonic clock.

    Parameters
    ----------
    most_s : float
        How long each is waited for; 0 not at all.
    say : callable
        Is told, in a line, that one has gone.
    """

    def __init__(self, most_s: float, say: Callable[[str], None]):
        self._most_s, self._say = most_s, say
        self._gone_s = self._retry_s = 0.0

    def begin(self, now_s: float, *, released: bool) -> None:
        """A device has gone; raises RtsepError if it is not released, or nothing is to be waited for."""
        if not (released and self._most_s):
            raise RtsepError("the audio device has stopped: reconnect it and start again")
        self._say(
            f"the audio device has gone: waiting up to {self._most_s:g} s for it; reconnect it"
        )
        self._gone_s = self._retry_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether to look again now."""
        return now_s >= self._retry_s

    def go_on(self, now_s: float, error: RtsepError) -> None:
        """It was not there; raises RtsepError if that was the last time."""
        if now_s - self._gone_s >= self._most_s:
            raise RtsepError(
                f"the audio device has not come back within {self._most_s:g} s: {error}"
            ) from None
        soon = now_s - self._gone_s < SOON_FOR_S
        self._retry_s = now_s + (SOON_S if soon else RETRY_S)
