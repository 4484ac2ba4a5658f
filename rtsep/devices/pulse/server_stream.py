"""What the two kinds of stream share: blocks of float32 that the server brings, or asks for.

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
    AUTO_TIMING_UPDATE,
    FLOAT32LE,
    INTERPOLATE_TIMING,
    NO_REMAP_CHANNELS,
    STREAM_FAILED,
    STREAM_READY,
)
from rtsep.errors import RtsepError

Block = NDArray[np.float32]
SAMPLE_BYTES = 4
FLAGS = AUTO_TIMING_UPDATE | INTERPOLATE_TIMING | NO_REMAP_CHANNELS


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
