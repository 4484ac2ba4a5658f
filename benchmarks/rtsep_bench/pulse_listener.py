"""Listens to the monitors of PulseAudio's sinks, and tells by their sample counts when a sound passed.

A block may come late but never early. So of the blocks around a sound the promptest one tells when the
count of samples stood where, and a busy machine does not matter as long as one block in many is in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.record_stream import RecordStream
from rtsep.live.priority import audio_first, session_first
from rtsep_bench.heard import Heard

RATE = 44_100
FRAGMENT_S = 0.004
# Blocks within so much of a sound date it: many of them, and few enough that a sink which has meanwhile
# rendered something anew, and given its monitor both, does not count.
AROUND_S = 1.0


class Listener:
    """Records one monitor from its construction to `close`.

    Parameters
    ----------
    source : str
        The monitor.
    channels : int
        Of the recording.
    takes_back : bool
        Have the sink forget what it has rendered ahead. Then its monitor gives what is played now; not
        for a sink to which rtsep plays already, as the sound breaks off.

    keeps : bool
        Keep the sound, for `recording`.

    Attributes
    ----------
    heard : Heard
        Levels and impulses of the first channel, by the recording's own count of samples.

    Raises RtsepError without a server.
    """

    def __init__(
        self, source: str, channels: int = 2, *, takes_back: bool = True, keeps: bool = False
    ):
        self.source = source
        self._keeps = keeps
        self.heard = Heard(RATE)
        # Writer of all: the connection's thread. Readers: any, who copy what they read.
        self._blocks: list[NDArray[np.float32]] = []
        self._count = 0
        self._begins: list[tuple[float, float]] = []
        with session_first(), audio_first():
            self._connection = Connection()
        self._stream = RecordStream(
            self._connection, "listener", source, RATE, channels,
            fragment_s=FRAGMENT_S, take=self._take,
        )  # fmt: skip
        self._stream.open()
        if takes_back:
            sink = source.removesuffix(".monitor")
            self._connection.call(lambda: self._connection.take_back(sink))

    def close(self) -> None:
        """End the recording; what was heard stays."""
        self._connection.close()

    def recording(self) -> NDArray[np.float32]:
        """All so far, (samples, channels) float32."""
        nothing = np.zeros((0, self._stream.channels), np.float32)
        return np.concatenate([*self._blocks, nothing])

    def heard_s(self) -> list[float]:
        """When each impulse passed, by the monotonic clock, which all listeners share."""
        return dates_s(list(self.heard.impulses_s), list(self._begins))

    def _take(self, block: NDArray[np.float32]) -> None:
        now_s = time.monotonic()
        self.heard.add(self._count / RATE, now_s, block[:, 0])
        if self._keeps:
            self._blocks.append(block.copy())
        self._count += len(block)
        at_s = self._count / RATE
        self._begins.append((at_s, now_s - at_s))


def dates_s(sounds_s: Iterable[float], begins: Sequence[tuple[float, float]]) -> list[float]:
    """When sounds passed.

    sounds_s: where they are in a recording, in seconds of it.
    begins: of each block, where it ends in the recording, and when that would have begun if the block
        came without delay.
    """
    if not begins:
        return []
    ends_s, begun_s = np.array(begins).T
    dated = []
    for at_s in sounds_s:
        around = begun_s[np.abs(ends_s - at_s) <= AROUND_S]
        dated.append(float(at_s + np.min(around)))
    return dated
