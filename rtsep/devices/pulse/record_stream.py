"""A stream that records a source: fragments of float32, as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.libpulse import (
    ADJUST_LATENCY,
    AS_SERVER_LIKES,
    DONT_MOVE,
    STREAM_FAILED,
)
from rtsep.devices.pulse.server_stream import FLAGS, Block, ServerStream
from rtsep.system.memory import touched_zeros


class RecordStream(ServerStream):
    """Calls `take(block)` with what a source brings; see ServerStream.

    fragment_s: seconds of sound that the server is to send at once. `most_s`: what it sends at once.
    """

    def __init__(
        self,
        connection: Connection,
        title: str,
        device: str,
        rate: int,
        channels: int,
        *,
        fragment_s: float,
        take: Callable[[Block], None],
    ):
        super().__init__(connection, title, device, rate, channels)
        self._fragment_s, self._take = fragment_s, take
        self.most_s = fragment_s
        # For what the server had no room for. reader: `take`
        self._silence = touched_zeros((rate, channels), np.float32)

    def _connect(self) -> None:
        self._make()
        self._call_back("read", "pa_stream_request_cb_t", self._on_readable)
        any_length = AS_SERVER_LIKES
        # maxlength, tlength, prebuf, minreq, fragsize
        wanted = self._ffi.new(
            "pa_buffer_attr *", (*(any_length,) * 4, self._length(self._fragment_s))
        )
        if (
            self._lib.pa_stream_connect_record(
                self._stream, self.device.encode(), wanted, FLAGS | ADJUST_LATENCY | DONT_MOVE
            )
            < 0
        ):
            self._state = STREAM_FAILED

    def _learn(self) -> None:
        super()._learn()
        granted = self._lib.pa_stream_get_buffer_attr(self._stream)
        self.most_s = self._seconds(granted.fragsize)

    def _on_readable(self, stream: Any, _length: int, _user: Any) -> None:
        lib, data, length = self._lib, self._data, self._bytes
        while lib.pa_stream_readable_size(stream) > 0:
            if lib.pa_stream_peek(stream, data, length) < 0 or not length[0]:
                return
            if data[0] == self._ffi.NULL:  # a hole
                self._take(self._silence[: length[0] // self._frame_bytes])
            else:
                self._take(self._block(data[0], length[0]))
            lib.pa_stream_drop(stream)
