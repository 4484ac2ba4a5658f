"""Which threads go first: the audio thread, then the other threads of a live session, then all else.

    sound servers' threads   5 and more (PulseAudio 5, a JACK client 5, PipeWire 20 and more)
    audio thread             AUDIO
    display, recorder, ...   SESSION
    workers                  WORKER
    other programs           no real-time priority: they run when none of the above wants to

By real-time scheduling on Linux, for those to whom the system grants it. The display and the recorder
are in it because they take Python's lock, in which the audio thread waits for them: while they have it,
or are to have it next, neither other programs nor the workers' long runs may hold them up.

Where the system grants nothing, RealtimeKit may (system/realtime_kit.py). A program whose thread with
real-time priority runs for 0.2 s without waiting is then killed, and no worker can promise not to. So
the audio thread alone gets that priority; the others get a larger share of the processor than other
programs have (NICENESS_*).

On macOS and Windows PortAudio and the system raise the audio thread by themselves, and nothing is done
here.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rtsep.live.run_time_watch import run_time_watched
from rtsep.system.realtime_kit import KitRefusal, RealtimeKit
from rtsep.system.scheduling import (
    IS_LINUX,
    is_real_time,
    limit_run_time,
    run_time_is_limited,
    set_ordinary,
    set_real_time,
    threads,
)

AUDIO, SESSION, WORKER = 4, 3, 2
# The same order where RealtimeKit grants it: the audio thread has AUDIO.
NICENESS_SESSION, NICENESS_WORKER = -11, -10
# Whether a session goes before other programs, where it may.
ORDINARY, REAL_TIME = "ordinary", "real-time"
PRIORITIES = (ORDINARY, REAL_TIME)
MAY_BE_GRANTED = IS_LINUX
# Added to the niceness of workers without real-time priority: the audio thread goes first, but beside
# other busy programs they must keep their share.
NICENESS = 1
# A worker that has found its next window waiting for so long would keep a core from everybody else.
MOST_WITHOUT_REST_S = 0.5
# How long a worker rests in the middle of a run. PulseAudio's main thread, through which all sound goes,
# has no real-time priority, and needs less than that.
REST_S = 0.0001
# Part of the time after which RealtimeKit's threads are killed; after it they become ordinary ones.
WARNED = 0.8


class SessionPriority:
    """What a live session has been granted.

    Attributes
    ----------
    name : str
        REAL_TIME or ORDINARY, as of now. Writers: `session_first`, and an audio thread that gives way.
    why : str
        Who grants it, or why nobody does; in a few words for the person.
    """

    def __init__(self, name: str, why: str, kit: RealtimeKit | None = None):
        self.name, self.why, self.kit = name, why, kit
        self._granted = name
        # writers: an audio thread, the thread that watches run times, the one that opens devices;
        # readers: workers
        self.audio_gave_way = False
        # Whether the system was about to end the program. writers: the same; reader: main thread
        self.overran = False

    def give_way(self) -> None:
        """The audio thread is an ordinary one from now on."""
        self.audio_gave_way, self.name = True, ORDINARY

    def overrun(self) -> None:
        """So it is, as a thread ran on for so long that the system was about to end the program."""
        self.overran = True
        self.give_way()

    def go_first(self) -> None:
        """There is an audio thread that goes first, a new one where the last gave way."""
        self.audio_gave_way = self.overran = False
        self.name = self._granted


# The session of now: a process has one at a time. Writer: `session_first`; readers: all its threads.
_session = SessionPriority(ORDINARY, "there is no session")


@contextmanager
def session_first(priority: str = REAL_TIME) -> Iterator[SessionPriority]:
    """Within the block this thread, and every thread that it starts, goes before other programs.

    For programs, in their main thread, as limits of the whole process may be set. Threads started within
    the block keep their priority when it ends.

    Parameters
    ----------
    priority : str
        One of PRIORITIES.

    Yields
    ------
    SessionPriority
        ORDINARY where that was asked for or nothing else is granted. A thread that has a real-time
        priority already keeps it.
    """
    global _session
    before = _session
    with contextlib.ExitStack() as stack:
        _session = _granted(priority, stack)
        try:
            yield _session
        finally:
            _session = before


def _granted(priority: str, stack: contextlib.ExitStack) -> SessionPriority:
    """What this thread has from now on, until `stack` is closed."""
    if is_real_time():
        return SessionPriority(REAL_TIME, "as this program was started")
    if priority == ORDINARY:
        return SessionPriority(ORDINARY, "as asked for")
    if not MAY_BE_GRANTED:
        return SessionPriority(ORDINARY, "this system sees to the audio thread itself")
    if run_time_is_limited():
        denied = "long runs would end the program (RLIMIT_RTTIME)"
    else:
        scheduled = os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            set_real_time(AUDIO)  # the most that is going to be asked for
            set_real_time(SESSION)
            stack.callback(os.sched_setscheduler, 0, *scheduled)
            return SessionPriority(REAL_TIME, "granted by the system")
        except OSError:
            denied = "the system denies more"
    try:
        return _granted_by_kit(stack)
    except KitRefusal as refusal:
        return SessionPriority(ORDINARY, f"{denied}; {refusal}")


def _granted_by_kit(stack: contextlib.ExitStack) -> SessionPriority:
    """Raises KitRefusal."""
    with contextlib.ExitStack() as opened:
        kit = RealtimeKit()
        opened.callback(kit.close)
        limit_run_time(round(WARNED * kit.most_run_us), kit.most_run_us)
        granted = SessionPriority(REAL_TIME, "the audio thread by RealtimeKit", kit)
        opened.enter_context(run_time_watched(kit, AUDIO + 1, granted.overrun))
        stack.push(opened.pop_all())
        return granted


@contextmanager
def audio_first() -> Iterator[None]:
    """Within the block this thread, if it is one of a session put first, goes before the others.

    Threads that it starts meanwhile, as PortAudio's are, go on doing so. Where RealtimeKit grants it,
    these get the priority when the block ends, and the session's other threads more of the processor.
    """
    if _session.kit is not None:
        before = threads()
        yield
        _raise_by_kit(_session.kit, threads() - before)
        return
    _session.go_first()
    if not is_real_time() or os.sched_getparam(0).sched_priority >= AUDIO:
        yield
        return
    scheduled = os.sched_getscheduler(0), os.sched_getparam(0)
    set_real_time(AUDIO)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *scheduled)


def has_overrun() -> bool:
    """Whether the session of now has lost its priority since the system was about to end the program."""
    return _session.overran


def _raise_by_kit(kit: RealtimeKit, audio: set[int]) -> None:
    """audio: threads that are to have a real-time priority, unless a library has given them one."""
    try:
        for thread in threads():
            # A thread may end before its turn.
            with contextlib.suppress(ProcessLookupError):
                if thread in audio:
                    if not is_real_time(thread):
                        kit.make_real_time(thread, AUDIO)
                    _session.go_first()
                elif not is_real_time(thread) and os.getpriority(os.PRIO_PROCESS, thread) >= 0:
                    kit.make_nice(thread, NICENESS_SESSION)
    except KitRefusal as refusal:
        _session.name, _session.why = ORDINARY, str(refusal)


def audio_gives_way() -> None:
    """Make the calling audio thread an ordinary one; the workers, which may not go before it, follow."""
    set_ordinary()
    _session.give_way()


class WorkerPriority:
    """The priority of a worker's thread, which uses it alone.

    A thread with real-time priority that never waits leaves nothing to others. So a worker that does not
    keep up becomes an ordinary thread until it does. So does one that would be killed for it: libraries
    of sound servers may limit how long the threads of this program run on. So do all of them if the
    audio thread has become one.
    """

    def __init__(self, now_s: float):
        self._session = _session
        # Not that of a program that was started with one.
        self._may_change = is_real_time() and os.sched_getparam(0).sched_priority == SESSION
        self._gives_way = False
        self._rested_s = now_s
        if self._may_change:
            set_real_time(WORKER)
        try:
            if _session.kit is not None:
                _session.kit.make_nice(threading.get_native_id(), NICENESS_WORKER)
                return
        except KitRefusal as refusal:
            _session.why = str(refusal)
        _step_back()

    def look(self, now_s: float, rests: bool) -> None:
        """To be called before each run; `rests`: its window is not there yet, and is waited for."""
        if rests:
            self._rested_s = now_s
        if not self._may_change:
            return
        gives_way = (
            now_s - self._rested_s > MOST_WITHOUT_REST_S
            or self._session.audio_gave_way
            or run_time_is_limited()
        )
        if gives_way != self._gives_way:
            self._gives_way = gives_way
            set_ordinary() if gives_way else set_real_time(WORKER)

    def rest(self) -> None:
        """Let ordinary threads have this core for a moment; to be called in the middle of a run."""
        if self._may_change and not self._gives_way:
            time.sleep(REST_S)


def _step_back() -> None:
    if MAY_BE_GRANTED:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
