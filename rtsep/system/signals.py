"""SIGINT, SIGTERM and SIGHUP as one exception that does not get lost.

A handler that raises is not enough. Python prints and drops what is raised while it runs a
destructor or a weakref callback, and a library may catch everything. So the first signal also starts
a timer, and each tick of it raises again, until `catching` ends. Nothing is raised while `Stopped` is
being handled, so that neither a tick nor a second Ctrl-C can interrupt the cleaning up.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

# Those that end a program. Windows has no SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# Long enough for an exception to reach the next `finally`, short enough for a person not to notice.
REPEAT_S = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end; its argument is the signal's number."""


class _State:
    """Of the process, as signals are. Only the main thread reads and writes it."""

    catching = False
    received: int | None = None
    shields = 0


def received() -> int | None:
    """The first signal since `catching` began, if one came."""
    return _State.received


@contextlib.contextmanager
def catching() -> Iterator[None]:
    """Raise Stopped inside the block when a signal asks the program to end.

    Signals that are ignored (`nohup`, background jobs) stay ignored. Outside the main thread, where
    Python allows no handlers, nothing changes.
    """
    before: dict[int, object] = {}
    hook = sys.unraisablehook
    try:
        _State.received, _State.shields = None, 0
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _on_signal)
        if hasattr(signal, "SIGALRM"):
            before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _on_signal)
    except ValueError:  # not the main thread
        yield
        return
    sys.unraisablehook = _say_nothing_of_stopped
    _State.catching = True
    if _State.received is not None:  # while the handlers were being installed
        _remind()
    try:
        yield
    finally:
        settle()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # type: ignore[arg-type]
        sys.unraisablehook = hook


def settle() -> None:
    """Raise nothing any more until `catching` ends: the program has nothing left to interrupt."""
    _State.catching = False


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Put off signals until the block is done: for what must happen whole or not at all.

    In other threads than the main one nothing is raised anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.shields += 1
    try:
        yield
    finally:
        _State.shields -= 1
    _raise_if_due()


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _State.received is None:
        _State.received = number
    if _State.catching:
        _remind()
    _raise_if_due()


def _remind() -> None:
    if hasattr(signal, "setitimer"):  # not on Windows, where a person would press Ctrl-C again
        signal.setitimer(signal.ITIMER_REAL, REPEAT_S)


def _raise_if_due() -> None:
    if _State.catching and _State.received and not _State.shields and not _is_unwinding():
        raise Stopped(_State.received)


def _is_unwinding() -> bool:
    """Whether the main thread is handling Stopped, or what was raised while handling it."""
    error = sys.exc_info()[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Stopped):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def _say_nothing_of_stopped(unraisable: sys.UnraisableHookArgs) -> None:
    """Print what Python cannot raise, but for Stopped, which the timer raises again."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
