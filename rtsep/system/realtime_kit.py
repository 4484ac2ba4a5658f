"""RealtimeKit: the system service that gives ordinary users' threads real-time priority, over D-Bus.

PipeWire and PulseAudio ask it, too. It wants a limit on how long such threads run without waiting.
https://gitlab.freedesktop.org/pipewire/rtkit: the interface org.freedesktop.RealtimeKit1.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

_NAME, _PATH = "org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1"
# The service answers at once; a bus that has to start it first takes longer.
TIMEOUT_S = 2.0


class KitRefusal(RtsepError):
    """RealtimeKit is not there, or grants nothing; why, in a few words."""


class RealtimeKit:
    """A connection to the service.

    Attributes
    ----------
    most_priority : int
        The highest real-time priority that it grants.
    most_run_us : int
        The longest run that RLIMIT_RTTIME may allow, in microseconds.
    least_niceness : int
        The lowest niceness that it grants.

    Raises
    ------
    KitRefusal
        If there is no system bus, or no such service on it.
    """

    def __init__(self) -> None:
        from jeepney import DBusAddress
        from jeepney.io.blocking import open_dbus_connection

        self._lock = threading.Lock()  # workers ask, too
        self._address = DBusAddress(_PATH, bus_name=_NAME, interface=_NAME)
        try:
            self._bus: DBusConnection = open_dbus_connection("SYSTEM")
        except (OSError, ValueError, KeyError) as error:
            raise KitRefusal(f"no system bus ({error})") from None
        try:
            self.most_priority = int(self._get("MaxRealtimePriority"))
            self.most_run_us = int(self._get("RTTimeUSecMax"))
            self.least_niceness = int(self._get("MinNiceLevel"))
        except BaseException:
            self._bus.close()
            raise

    def close(self) -> None:
        """Leave the bus; what was granted stays."""
        self._bus.close()

    def make_real_time(self, thread: int, priority: int) -> None:
        """Give a thread of this process, by its number, a real-time priority.

        RLIMIT_RTTIME must be at most `most_run_us`. Raises KitRefusal.
        """
        body = os.getpid(), thread, min(priority, self.most_priority)
        self._call("MakeThreadRealtimeWithPID", "ttu", body)

    def make_nice(self, thread: int, niceness: int) -> None:
        """Give a thread of this process a niceness below 0. Raises KitRefusal."""
        body = os.getpid(), thread, max(niceness, self.least_niceness)
        self._call("MakeThreadHighPriorityWithPID", "tti", body)

    def _call(self, method: str, signature: str, body: tuple[int, ...]) -> None:
        from jeepney import new_method_call

        self._answer(new_method_call(self._address, method, signature, body))

    def _get(self, name: str) -> Any:
        from jeepney import Properties

        (_, value), *_ = self._answer(Properties(self._address).get(name))
        return value

    def _answer(self, message: Any) -> tuple[Any, ...]:
        from jeepney import MessageType

        try:
            with self._lock:
                answer = self._bus.send_and_get_reply(message, timeout=TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            raise KitRefusal(f"RealtimeKit does not answer ({error or 'no time'})") from None
        body: tuple[Any, ...] = answer.body
        if answer.header.message_type is MessageType.error:
            raise KitRefusal(f"RealtimeKit refuses ({body[0] if body else 'no reason'})")
        return body
