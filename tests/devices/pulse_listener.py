"""Listens to the monitors of PulseAudio's sinks, and tells when a sound passed by their sample counts.

A block may come late but never early. So of all blocks the promptest one tells when the sample clock
stood where, and a busy machine does not matter as long as one block in many is in time.
"""

from __future__ import annotations

import time

import numpy as np

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.server_stream import RecordStream
from rtsep.live.priority import audio_first, session_first

RATE = 44_100
FRAGMENT_S = 0.004


class Listener:
    """Records one monitor from its construction to `close`."""

    def __init__(self, source, channels=2):
        self._blocks, self._count, self._begins_s = [], 0, np.inf
        with session_first(), audio_first():
            self._connection = Connection()
        self._stream = RecordStream(
            self._connection, "listener", source, RATE, channels,
            fragment_s=FRAGMENT_S, take=self._take,
        )  # fmt: skip
        self._stream.open()
        sink = source.removesuffix(".monitor")
        self._connection.call(lambda: self._connection.take_back(sink))

    def _take(self, block):
        now_s = time.perf_counter()
        self._blocks.append(block.copy())
        self._count += len(block)
        self._begins_s = min(self._begins_s, now_s - self._count / RATE)

    def close(self):
        self._connection.close()

    @property
    def heard(self):
        """All so far, (samples, channels) float32."""
        return np.concatenate([*self._blocks, np.zeros((0, self._stream.channels), np.float32)])

    def impulse_times_s(self, least=0.3, apart_s=0.2):
        """When each impulse passed, by the clock that all listeners share."""
        loud = np.flatnonzero(np.abs(self.heard[:, 0]) > least)
        first = np.flatnonzero(np.diff(loud, prepend=-RATE) > apart_s * RATE)
        return self._begins_s + loud[first] / RATE
