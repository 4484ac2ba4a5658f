"""Threads give back the priority that RealtimeKit gave them before the system kills the program.

SIGXCPU comes when such a thread has run for part of the time after which SIGKILL does. A thread with
a higher priority than all of them waits for it: on a busy machine the main thread, which alone may
handle signals in Python, would come too late.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from rtsep.system.realtime_kit import RealtimeKit
from rtsep.system.scheduling import is_real_time, set_ordinary, threads


@contextlib.contextmanager
def run_time_watched(
    kit: RealtimeKit, priority: int, on_overrun: Callable[[], None]
) -> Iterator[None]:
    """Within the block SIGXCPU makes ordinary threads of all threads.

    For the main thread, before it starts others. priority: of the thread that waits.
    on_overrun: called in any thread afterwards. Raises KitRefusal.
    """
    is_over = threading.Event()

    def give_way(*_: object) -> None:
        if is_over.is_set():
            return
        for thread in threads() - {watch.native_id}:
            with contextlib.suppress(ProcessLookupError):
                if is_real_time(thread):
                    set_ordinary(thread)
        on_overrun()

    def wait() -> None:
        while not is_over.is_set():
            signal.sigwait([signal.SIGXCPU])
            give_way()

    watch = threading.Thread(target=wait, name="rtsep run time", daemon=True)
    # For threads that were there before and do not block it: by way of the main thread, if late.
    handler = signal.signal(signal.SIGXCPU, give_way)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGXCPU])
    try:
        watch.start()
        assert watch.native_id is not None
        kit.make_real_time(watch.native_id, priority)
        yield
    finally:
        is_over.set()
        if watch.ident is not None:
            signal.pthread_kill(watch.ident, signal.SIGXCPU)
            watch.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGXCPU, handler)
