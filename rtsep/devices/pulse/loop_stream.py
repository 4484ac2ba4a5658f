"""What streams on PulseAudio's loop have in common: their connection, their beginning and their end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from rtsep.devices.audio_stream import AudioStream, Process
from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.playback_stream import PlaybackStream
from rtsep.devices.pulse.record_stream import RecordStream
from rtsep.errors import RtsepError


class LoopStream(AudioStream):
    """A connection and the server's streams on it, `_streams`, which the subclass adds and opens.

    Raises RtsepError where the server refuses.
    """

    def __init__(self, process: Process, on_xruns: Callable[[object], None]):
        super().__init__(process, on_xruns)
        self._started = False
        self._streams: list[RecordStream | PlaybackStream] = []
        self._connection = Connection()

    @property
    def active(self) -> bool:
        """Whether the server and all ends are there."""
        return all(stream.alive for stream in self._streams)

    def check(self) -> None:
        """Raise RtsepError where `process` has failed, or a callback of the server's."""
        self.failure = self.failure or self._connection.failure
        super().check()

    def start(self) -> None:
        """Begin to play."""
        if not self.active:
            raise RtsepError("the sound server has gone before the first block: start it again")
        self._started = True

    def close(self) -> bool:
        """Leave the server; False where that takes too long."""
        self._started = False
        if not self._connection.is_leaving:
            with contextlib.suppress(RtsepError):  # a thread that hangs is left behind
                self._connection.call(lambda: [stream.release() for stream in self._streams])
        released = self._connection.close()
        if released:
            self._let_go()
        return released
