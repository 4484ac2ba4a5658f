"""Which threads go first: the audio thread, then the other threads of a live session, then all else.

    sound servers' threads   5 and more (PulseAudio 5, a JACK client 5, PipeWire 20 and more)
    audio thread             AUDIO
    display, recorder, ...   SESSION
    workers                  WORKER
    other programs           no real-time priority: they run when none of the above wants to

By real-time scheduling on Linux, for those to whom the system grants it. The display and the recorder
are in it because they take Python's lock, in which the audio thread waits for them: while they have it,
or are to have it next, neither other programs nor the workers' long runs may hold them up. On macOS and
Windows PortAudio and the system raise the audio thread by themselves, and nothing is done here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AUDIO, SESSION, WORKER = 4, 3, 2
# Whether a session goes before other programs, where it may.
ORDINARY, REAL_TIME = "ordinary", "real-time"
PRIORITIES = (ORDINARY, REAL_TIME)
MAY_BE_GRANTED = sys.platform == "linux"
if MAY_BE_GRANTED:
    import resource
# Added to the niceness of workers without real-time priority: the audio thread goes first, but beside
# other busy programs they must keep their share.
NICENESS = 1
# A worker that has found its next window waiting for so long would keep a core from everybody else.
MOST_WITHOUT_REST_S = 0.5


# Whether an audio thread has been put back among ordinary threads. Writers: `session_first` at its
# beginning, audio threads; readers: workers.
_audio_gave_way = threading.Event()


@contextmanager
def session_first(priority: str = REAL_TIME) -> Iterator[str]:
    """Within the block this thread, and every thread that it starts, goes before other programs.

    priority: one of PRIORITIES. Threads started within the block keep theirs when it ends.
    Yields REAL_TIME, or ORDINARY where that was asked for or nothing else is granted. A thread that has
    a real-time priority already keeps it.
    """
    if is_real_time() or priority == ORDINARY or not _may_be_real_time():
        yield REAL_TIME if is_real_time() else ORDINARY
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    _audio_gave_way.clear()
    _set_real_time(SESSION)
    try:
        yield REAL_TIME
    finally:
        os.sched_setscheduler(0, *before)


@contextmanager
def audio_first() -> Iterator[None]:
    """Within the block this thread, if it is one of a session put first, goes before the others.

    Threads that it starts meanwhile, as PortAudio's are, go on doing so.
    """
    if not is_real_time() or os.sched_getparam(0).sched_priority >= AUDIO:
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    _set_real_time(AUDIO)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def audio_gives_way() -> None:
    """Make the calling audio thread an ordinary one; the workers, which may not go before it, follow."""
    _set_ordinary()
    _audio_gave_way.set()


class WorkerPriority:
    """The priority of a worker's thread, which uses it alone.

    A thread with real-time priority that never waits leaves nothing to others. So a worker that does not
    keep up becomes an ordinary thread until it does. So does one that would be killed for it: libraries
    of sound servers may limit how long the threads of this program run on. So do all of them if the
    audio thread has become one.
    """

    def __init__(self, now_s: float):
        # Not that of a program that was started with one.
        self._may_change = is_real_time() and os.sched_getparam(0).sched_priority == SESSION
        self._gives_way = False
        self._rested_s = now_s
        if self._may_change:
            _set_real_time(WORKER)
        _step_back()

    def look(self, now_s: float, rests: bool) -> None:
        """To be called before each run; `rests`: its window is not there yet, and is waited for."""
        if rests:
            self._rested_s = now_s
        if not self._may_change:
            return
        gives_way = (
            now_s - self._rested_s > MOST_WITHOUT_REST_S
            or _audio_gave_way.is_set()
            or _run_time_is_limited()
        )
        if gives_way != self._gives_way:
            self._gives_way = gives_way
            _set_ordinary() if gives_way else _set_real_time(WORKER)


def _may_be_real_time() -> bool:
    if not MAY_BE_GRANTED or _run_time_is_limited():
        return False
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        _set_real_time(AUDIO)
    except OSError:
        return False
    os.sched_setscheduler(0, *before)
    return True


def _run_time_is_limited() -> bool:
    """Whether the system kills programs whose real-time threads run on for long, as a net may."""
    return resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY


# 0 is the calling thread in all of these, on Linux.


def is_real_time() -> bool:
    """Whether the calling thread has a real-time priority."""
    if not MAY_BE_GRANTED:
        return False
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return policy in (os.SCHED_FIFO, os.SCHED_RR)


def _set_real_time(priority: int) -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))


def _set_ordinary() -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _step_back() -> None:
    if MAY_BE_GRANTED:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
