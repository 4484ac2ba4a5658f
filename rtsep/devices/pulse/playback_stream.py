"""A stream that plays to a sink: what it asks for is given, once all input that has come was taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from typing import Any

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.libpulse import (
    AS_SERVER_LIKES,
    EARLY_REQUESTS,
    SEEK_RELATIVE,
    STREAM_FAILED,
)
from rtsep.devices.pulse.server_stream import FLAGS, Block, ServerStream
from rtsep.errors import RtsepError

# A sink that the server has chosen is played to for so long. It follows the default one, or goes over to
# what is left as a device is unplugged; whoever asked for the old sink learns of it in that time.
STRAYS_S = 1.0


class PlaybackStream(ServerStream):
    """Calls `give(out)` for what a sink needs; see ServerStream.

    buffer_s, request_s: seconds of sound between `give` and the sink's end, and those to be asked for at
    once. `granted_s`, `most_s`: what the server makes of them, the first in the mean.
    avoid: sinks that are never played to, as what they play comes in again.
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
        avoid: Container[str | None] = (),
    ):
        super().__init__(connection, title, device, rate, channels)
        self._buffer_s, self._request_s, self._give = buffer_s, request_s, give
        self._avoid = avoid
        self.granted_s, self.most_s = buffer_s, request_s
        # When the server moved it to a sink that was not asked for, as when its own has gone; and
        # whether it must not be heard there. Writer: the loop's thread; readers: any.
        self._strayed_s: float | None = None
        self._silent = False
        self._asked = False
        # What a longer buffer asks for beyond what is played. Writer and reader: the loop's thread.
        self._added_bytes = 0
        self._on_resized = connection.callback(
            "pa_stream_success_cb_t", lambda _stream, _success, _user: self._learn()
        )

    @property
    def alive(self) -> bool:
        """Whether the stream plays, and on its sink, or for STRAYS_S on another one."""
        strayed_s = self._strayed_s
        strays = strayed_s is not None and (self._silent or time.monotonic() - strayed_s > STRAYS_S)
        return super().alive and not strays

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
        if self.device_now == sink:  # the server was there first, and will not tell of a move
            self._strayed_s = None

    @property
    def device_now(self) -> str:
        """The sink that the server has it on; for the loop's thread."""
        return self._connection.pulse.text(self._lib.pa_stream_get_device_name(self._stream))

    def _connect(self) -> None:
        self._make()
        self._call_back("write", "pa_stream_request_cb_t", self._on_writable)
        self._connection.rounds.append(self._serve)
        self._call_back("moved", "pa_stream_notify_cb_t", self._on_moved)
        null = self._ffi.NULL
        # Early requests: the sink renders no more at once than is asked for at once. So the time there
        # is to answer is the whole buffer, but for that.
        if (
            self._lib.pa_stream_connect_playback(
                self._stream,
                self.device.encode(),
                self._wanted(),
                FLAGS | EARLY_REQUESTS,
                null,
                null,
            )
            < 0
        ):
            self._state = STREAM_FAILED

    def resize(self, buffer_s: float, *, by_silence: bool) -> None:
        """Keep so much sound from now on; for the loop's thread.

        Where that is less, `give` is asked for nothing until what is beyond it has been played.

        by_silence: what is added is silence, once, and `give` is asked for no more than is played: for
        sound that comes in at the pace at which it is played, of which there is no more.
        """
        if by_silence:
            added_bytes = self._length(buffer_s) - self._length(self._buffer_s)
            self._added_bytes = max(0, self._added_bytes + added_bytes)
        self._buffer_s = buffer_s
        operation = self._lib.pa_stream_set_buffer_attr(
            self._stream, self._wanted(), self._on_resized, self._ffi.NULL
        )
        if operation != self._ffi.NULL:
            self._lib.pa_operation_unref(operation)

    def _wanted(self) -> Any:
        """maxlength, tlength, prebuf, minreq, fragsize."""
        any_length, length = AS_SERVER_LIKES, self._length
        # prebuf 0: after a gap the sound goes on where it would be, and not later.
        return self._ffi.new(
            "pa_buffer_attr *",
            (any_length, length(self._buffer_s), 0, length(self._request_s), any_length),
        )

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
            added = min(self._added_bytes, written)
            self._added_bytes -= added
            silent = len(out) if self._silent else added // self._frame_bytes
            out[:silent] = 0.0
            if silent < len(out):
                self._give(out[silent:])
            lib.pa_stream_write(stream, data[0], written, self._ffi.NULL, 0, SEEK_RELATIVE)
            length -= written

    def _on_moved(self, _stream: Any, _user: Any) -> None:
        now = self.device_now
        self._silent = now in self._avoid
        self._strayed_s = None if now == self.device else time.monotonic()
        if not self._silent:
            self._learn()
