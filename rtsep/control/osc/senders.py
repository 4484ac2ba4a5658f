"""Who sends by OSC, how fast each is listened to, and who is told of changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from rtsep.control.protocol import Command
from rtsep.control.rates import CLIENT_AT_ONCE, CLIENT_PER_S, Bucket

# Different commands of one sender that may wait for their turn.
MOST_WAITING = 64
# Errors that a sender is told.
_ERRORS_PER_S, _ERRORS_AT_ONCE = 5.0, 10.0

Place = tuple[Any, ...]
OnCommand = Callable[["Sender", Command], None]


class Sender:
    """One address that packets come from.

    Nobody can be told by UDP to wait. Of who sends too fast, only the newest of each path counts then:
    a fader ends where the finger left it.

    Attributes
    ----------
    number : int
        By which the main process knows it.
    reply_to : tuple
        Where it is told errors.
    """

    def __init__(self, number: int, place: Place, all_senders: Bucket, on_command: OnCommand):
        self.number, self.reply_to = number, place
        self._own, self._all = Bucket(CLIENT_PER_S, CLIENT_AT_ONCE), all_senders
        self._errors = Bucket(_ERRORS_PER_S, _ERRORS_AT_ONCE)
        self._on_command = on_command
        # By path, what waits for its turn.
        self._waiting: dict[str, Command] = {}

    def take(self, path: str, command: Command) -> bool:
        """Do a command at once or in its turn; False where too much waits already."""
        if self._waiting:
            if path not in self._waiting and len(self._waiting) == MOST_WAITING:
                return False
            self._waiting[path] = command
            return True
        wait_s = self._reserve()
        if wait_s == 0:
            self._on_command(self, command)
        else:
            self._waiting[path] = command
            asyncio.get_running_loop().call_later(wait_s, self._next)
        return True

    def may_be_told(self) -> bool:
        """Whether to tell it one more error."""
        return self._errors.take_now()

    def _next(self) -> None:
        """Do what has waited longest, whose turn has been reserved."""
        self._on_command(self, self._waiting.pop(next(iter(self._waiting))))
        if self._waiting:
            asyncio.get_running_loop().call_later(self._reserve(), self._next)

    def _reserve(self) -> float:
        return max(self._own.reserve(), self._all.reserve())


class Subscriber:
    """Where changes are sent to.

    Attributes
    ----------
    until_s : float
        On the monotonic clock, when that ends.
    """

    def __init__(self, seconds: float):
        self.until_s = time.monotonic() + seconds
        self._told: dict[str, Any] = {}

    def changes(self, values: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        """Those that it has not been told yet."""
        new = {path: value for path, value in values.items() if self._told.get(path) != value}
        self._told |= new
        return new
