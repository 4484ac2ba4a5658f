"""One stream of the server's: blocks of float32 that it brings, or asks for.

    RecordStream    server --> take(block)       as soon as a fragment is there
    PlaybackStream  server <-- give(out)         as soon as a part of its buffer is free

Both ask for their latency when they are connected, and the server has its devices render in pieces that
are as short as the shortest wish; a null sink, too, which otherwise renders two seconds ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.libpulse import (
    ADJUST_LATENCY,
    AS_SERVER_LIKES,
    AUTO_TIMING_UPDATE,
    DONT_MOVE,
    FLOAT32LE,
    INTERPOLATE_TIMING,
    NO_REMAP_CHANNELS,
    SEEK_RELATIVE,
    STREAM_FAILED,
    STREAM_READY,
)
from rtsep.errors import RtsepError

Block = NDArray[np.float32]
SAMPLE_BYTES = 4
_FLAGS = ADJUST_LATENCY | AUTO_TIMING_UPDATE | INTERPOLATE_TIMING | NO_REMAP_CHANNELS


class ServerStream:
    """What both directions share.

    Parameters
    ----------
    connection : Connection
    title : str
        As the server's own programs show it.
    device : str
        The server's name of the source or sink.
    rate, channels : int
        Of the blocks; the server converts where its device has others.

    Attributes
    ----------
    overflows, underflows : int
        How often the server has lost samples, or lacked some. Writer: the loop's thread; readers: any.
    """

    def __init__(self, connection: Connection, title: str, device: str, rate: int, channels: int):
        self._connection = connection
        self._ffi, self._lib = connection.pulse
        self.device, self.rate, self.channels = device, rate, channels
        self._title = title
        self._frame_bytes = SAMPLE_BYTES * channels
        self._stream: Any = None
        self._called_back: list[str] = []  # for what, as in the names of libpulse's functions
        self._state = 0
        self.overflows = self.underflows = 0
        self._sink_s = 0.0
        # Where libpulse puts its answers; writer and reader: the loop's thread.
        self._data = self._ffi.new("void *[1]")
        self._bytes = self._ffi.new("size_t[1]")
        self._usec, self._negative = self._ffi.new("uint64_t[1]"), self._ffi.new("int[1]")

    @property
    def alive(self) -> bool:
        """Whether the stream plays where it was asked to."""
        return self._state == STREAM_READY and self._connection.alive

    @property
    def index(self) -> int:
        """The server's number of it; for the loop's thread."""
        return int(self._lib.pa_stream_get_index(self._stream))

    def open(self) -> None:
        """Connect, and wait until the server has answered. Raises RtsepError."""
        self._connection.call(self._connect)
        self._connection.wait(lambda: self._state >= STREAM_READY, f"the stream on {self.device!r}")
        if not self.alive:
            reason = self._connection.call(self._connection.error)
            raise RtsepError(f"cannot open {self.device!r}: {reason}; choose another one")
        self._connection.call(self._learn)

    def latency_s(self) -> float | None:
        """Seconds, now, between the next sample here and at the device's end; None before it is known.

        For the loop's thread. Negative where the monitor of a sink gives what is yet to be played.
        """
        if self._lib.pa_stream_get_latency(self._stream, self._usec, self._negative) < 0:
            return None
        return float(-self._usec[0] if self._negative[0] else self._usec[0]) / 1e6

    def release(self) -> None:
        """Disconnect; for the loop's thread."""
        lib, null = self._lib, self._ffi.NULL
        if self._stream is None:
            return
        for kind in self._called_back:
            getattr(lib, f"pa_stream_set_{kind}_callback")(self._stream, null, null)
        lib.pa_stream_disconnect(self._stream)
        lib.pa_stream_unref(self._stream)
        self._stream, self._state = None, STREAM_FAILED

    # --- the loop's thread ----------------------------------------------------------------------

    def _connect(self) -> None:
        raise NotImplementedError

    def _learn(self) -> None:
        """Note what the server has granted."""
        timing = self._lib.pa_stream_get_timing_info(self._stream)
        if timing != self._ffi.NULL:
            self._sink_s = timing.configured_sink_usec / 1e6

    def _make(self) -> None:
        spec = self._ffi.new("pa_sample_spec *", (FLOAT32LE, self.rate, self.channels))
        self._stream = self._lib.pa_stream_new_with_proplist(
            self._connection.context, self._title.encode(), spec, self._ffi.NULL, self._ffi.NULL
        )
        if self._stream == self._ffi.NULL:
            raise RtsepError(
                f"{self.device!r} does not take {self.channels} channels at {self.rate} Hz: "
                f"{self._connection.error()}; choose another one"
            )
        for kind, function in (
            ("state", self._on_state),
            ("overflow", self._on_overflow),
            ("underflow", self._on_underflow),
        ):
            self._call_back(kind, "pa_stream_notify_cb_t", function)

    def _call_back(self, kind: str, signature: str, function: Callable[..., None]) -> None:
        self._called_back.append(kind)
        register = getattr(self._lib, f"pa_stream_set_{kind}_callback")
        register(self._stream, self._connection.callback(signature, function), self._ffi.NULL)

    def _length(self, seconds: float) -> int:
        return round(seconds * self.rate) * self._frame_bytes

    def _seconds(self, length: int) -> float:
        return length / self._frame_bytes / self.rate

    def _block(self, data: Any, length: int) -> Block:
        """`length` bytes of libpulse's own memory, (samples, channels)."""
        samples = np.frombuffer(self._ffi.buffer(data, length), np.float32)
        return samples.reshape(-1, self.channels)

    def _on_state(self, stream: Any, _user: Any) -> None:
        self._state = self._lib.pa_stream_get_state(stream)

    def _on_overflow(self, _stream: Any, _user: Any) -> None:
        self.overflows += 1

    def _on_underflow(self, _stream: Any, _user: Any) -> None:
        self.underflows += 1


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
        self._silence = np.zeros((rate, channels), np.float32)

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
                self._stream, self.device.encode(), wanted, _FLAGS | DONT_MOVE
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


class PlaybackStream(ServerStream):
    """Calls `give(out)` for what a sink needs; see ServerStream.

    buffer_s, request_s: seconds of sound between `give` and the sink's end, and those to be asked for at
    once. `granted_s`, `most_s`: what the server makes of them, the first in the mean.
    """

    def __init__(
        self,
        connection: Connection,
        title: str,
        device: str,
        rate: int,
        channels: int,
        *,
        buffer_s: float,
        request_s: float,
        give: Callable[[Block], None],
    ):
        super().__init__(connection, title, device, rate, channels)
        self._buffer_s, self._request_s, self._give = buffer_s, request_s, give
        self.granted_s, self.most_s = buffer_s, request_s
        # Whether the server has moved it to a sink that was not asked for, as when its own has gone.
        self._strayed = False
        self._asked = False

    @property
    def alive(self) -> bool:
        """Whether the stream plays, and on its sink."""
        return super().alive and not self._strayed

    def move(self, sink: str) -> None:
        """Go over to another sink; for the loop's thread."""
        before, self.device = self.device, sink
        operation = self._lib.pa_context_move_sink_input_by_name(
            self._connection.context, self.index, sink.encode(), self._ffi.NULL, self._ffi.NULL
        )
        if operation == self._ffi.NULL:
            self.device = before
            raise RtsepError(f"cannot move to {sink!r}: {self._connection.error()}")
        self._lib.pa_operation_unref(operation)

    @property
    def device_now(self) -> str:
        """The sink that the server has it on; for the loop's thread."""
        return self._connection.pulse.text(self._lib.pa_stream_get_device_name(self._stream))

    def _connect(self) -> None:
        self._make()
        self._call_back("write", "pa_stream_request_cb_t", self._on_writable)
        self._connection.rounds.append(self._serve)
        self._call_back("moved", "pa_stream_notify_cb_t", self._on_moved)
        any_length = AS_SERVER_LIKES
        # prebuf 0: after a gap the sound goes on where it would be, and not later.
        wanted = self._ffi.new(
            "pa_buffer_attr *",
            (
                any_length,
                self._length(self._buffer_s),
                0,
                self._length(self._request_s),
                any_length,
            ),
        )
        null = self._ffi.NULL
        if (
            self._lib.pa_stream_connect_playback(
                self._stream, self.device.encode(), wanted, _FLAGS, null, null
            )
            < 0
        ):
            self._state = STREAM_FAILED

    def _learn(self) -> None:
        super()._learn()
        granted = self._lib.pa_stream_get_buffer_attr(self._stream)
        # A request comes when its part of the buffer has been played; a sink is full, then empty.
        self.granted_s = self._seconds(granted.tlength - granted.minreq) + self._sink_s / 2
        self.most_s = max(self._seconds(granted.minreq), self._sink_s)

    def _on_writable(self, _stream: Any, _length: int, _user: Any) -> None:
        self._asked = True

    def _serve(self) -> None:
        """Give what was asked for, when all input that has come has been taken."""
        if not self._asked or self._stream is None:
            return
        self._asked = False
        lib, stream, data, room = self._lib, self._stream, self._data, self._bytes
        length = lib.pa_stream_writable_size(stream)
        while length >= self._frame_bytes:
            room[0] = length
            if lib.pa_stream_begin_write(stream, data, room) < 0:
                return
            written = min(length, room[0]) // self._frame_bytes * self._frame_bytes
            out = self._block(data[0], written)
            if self._strayed:  # perhaps to the very sink whose sound is recorded
                out[:] = 0.0
            else:
                self._give(out)
            lib.pa_stream_write(stream, data[0], written, self._ffi.NULL, 0, SEEK_RELATIVE)
            length -= written

    def _on_moved(self, _stream: Any, _user: Any) -> None:
        self._strayed = self.device_now != self.device
        if not self._strayed:
            self._learn()
