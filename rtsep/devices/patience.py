"""How long devices that have gone are waited for, and when they are looked for again."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.errors import RtsepError

# How often it is looked whether devices have come back: at first, as servers need a moment to connect
# what is left, and later.
SOON_S, SOON_FOR_S, RETRY_S = 0.2, 3.0, 0.4
# What the sound system has not let go of in this time it never will, as where PortAudio waits for a
# server that has died. One that stood still lets go when it goes on.
MOST_HELD_S = 20.0
_HAS_STOPPED = "the audio device has stopped: reconnect it and start again"


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
        # Of the one that has gone, until the sound system has let go of it.
        self._close: Callable[[], bool] | None = None

    def begin(self, now_s: float, close: Callable[[], bool]) -> None:
        """A device has gone, and `close` is to close it: AudioStream.close.

        Raises RtsepError, with the device closed, if nothing is to be waited for.
        """
        self._close = None if close() else close
        if not self._most_s:
            raise RtsepError(_HAS_STOPPED)
        self._say(
            f"the audio device has gone: waiting up to {self._most_s:g} s for it; reconnect it"
        )
        self._gone_s = self._retry_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether to look again now. Raises RtsepError if what has gone is not let go of."""
        if self._close is not None:
            if not self._close():
                if now_s - self._gone_s > MOST_HELD_S:
                    raise RtsepError(_HAS_STOPPED)
                return False
            self._close = None
        return now_s >= self._retry_s

    def go_on(self, now_s: float, error: RtsepError) -> None:
        """It was not there; raises RtsepError if that was the last time."""
        if now_s - self._gone_s >= self._most_s:
            raise RtsepError(
                f"the audio device has not come back within {self._most_s:g} s: {error}"
            ) from None
        soon = now_s - self._gone_s < SOON_FOR_S
        self._retry_s = now_s + (SOON_S if soon else RETRY_S)
