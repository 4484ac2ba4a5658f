"""A session whose threads say which priority they have: one that is there before, worker, audio, main.

    python -m tests.live.priority_child [burn]

prints JSON. burn: the audio thread then runs on without waiting, until it has no priority any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable

from rtsep.live import priority

BURN_S = 20.0
# Rounds that take longer than a thread raised by RealtimeKit may run.
LONG = 3_000_000


def state() -> list[int]:
    """Real-time priority and niceness of the calling thread."""
    return [os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)]


class Asked:
    """A thread that waits, and runs what it is asked to."""

    def __init__(self, prepare: Callable[[], object] = lambda: None):
        self._prepare = prepare
        self._job: Callable[[], object] = lambda: None
        self._begin, self._done = threading.Event(), threading.Event()
        self._ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._ready.wait()

    def _run(self) -> None:
        self._prepare()
        self._ready.set()
        self._begin.wait()
        self._found = self._job()
        self._done.set()

    def ask(self, job: Callable[[], object]) -> object:
        """What `job` returns, run in the thread."""
        self._job = job
        self._begin.set()
        # The main thread has to be able to handle signals meanwhile.
        while not self._done.wait(0.01):
            pass
        return self._found


def burn() -> list[int]:
    """Run on until this thread is an ordinary one.

    Without Python's lock: whoever hands it over waits for a moment, which is all that the limit asks.
    """
    ends = time.monotonic() + BURN_S
    while os.sched_getparam(0).sched_priority and time.monotonic() < ends:
        hashlib.pbkdf2_hmac("sha256", b"", b"", LONG)
    return state()


def main() -> None:
    """Print what the threads have."""
    with priority.session_first() as session:
        other = Asked()
        worker = Asked(lambda: priority.WorkerPriority(0.0))
        with priority.audio_first():
            audio = Asked()
        burns = sys.argv[1:] == ["burn"]
        print(
            json.dumps(
                {
                    "audio": audio.ask(burn if burns else state),
                    "name": session.name,
                    "why": session.why,
                    "overran": priority.has_overrun(),
                    "main": state(),
                    "other": other.ask(state),
                    "worker": worker.ask(state),
                }
            )
        )


if __name__ == "__main__":
    main()
