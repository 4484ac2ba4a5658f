"""An audio thread with real-time priority that never waits is made to rest, or else an ordinary one.

Such a thread keeps a core from everybody else, until the kernel takes the priority from all threads
for 50 ms of each second: a gap each second. PortAudio's does so on ALSA's plugin for PulseAudio with
short buffers: it polls, the plugin says at once that there is something to do, and there is not. After
half a block of sleep behind each block the next poll has something to wait for.
"""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import Process
from rtsep.live.priority import audio_gives_way, is_real_time

# How long a thread is watched before it is judged.
WATCHED_S = 0.03
# Part of a core's time above which a thread does not rest. A callback that takes as much is late anyway.
MOST_BUSY = 0.8
# After so many such periods it rests from then on, before RealtimeKit's limit of run time ends it
# (priority.py), for this part of each block; after so many more it becomes an ordinary thread.
BUSY_PERIODS, REST, MORE_PERIODS = 2, 0.5, 15


class AudioGuard:
    """Watches one audio thread around the callback of its stream.

    Parameters
    ----------
    process : callable
        What the stream is to call.
    rate : int
        Of its blocks, in Hz.

    Attributes
    ----------
    thread : int or None
        The system's number of the thread; None before the first block. Writer: audio thread.
    rests, gave_way : bool
        Whether the thread sleeps after each block; whether it was made an ordinary one, as that did not
        help. Writer: audio thread; reader: main thread.
    """

    def __init__(self, process: Process, rate: int):
        self.thread: int | None = None
        self.rests = self.gave_way = False
        self._process, self._rate = process, rate
        self._began_s = self._used_s = 0.0
        self._busy_periods = 0

    def __call__(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Process a block."""
        self._look()
        self._process(block, out)
        if self.rests:
            time.sleep(REST * len(block) / self._rate)

    def _look(self) -> None:
        now_s = time.perf_counter()
        watched_s = now_s - self._began_s
        if watched_s < WATCHED_S:
            return
        if self.thread is None:
            self.thread = threading.get_native_id()
        used_s = time.thread_time()
        # The first period has no beginning.
        if self._began_s and not self.gave_way:
            busy = used_s - self._used_s > MOST_BUSY * watched_s and is_real_time()
            self._busy_periods = self._busy_periods + 1 if busy else 0
            if self._busy_periods >= BUSY_PERIODS:
                self.rests = True
            if self._busy_periods >= BUSY_PERIODS + MORE_PERIODS:
                self.rests, self.gave_way = False, True
                audio_gives_way()
        self._began_s, self._used_s = now_s, used_s
