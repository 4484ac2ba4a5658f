"""PulseAudio for a program that only plays: a sink by its name, and a stream on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import Process, Xruns
from rtsep.devices.backend import Output
from rtsep.devices.dry_watch import DryWatch
from rtsep.devices.playback import LONGEST_BLOCK
from rtsep.devices.pulse.buffers import MOST_BUFFER_S, PulseBuffers
from rtsep.devices.pulse.ends import PAIR, sink_meant
from rtsep.devices.pulse.listing import server_devices
from rtsep.devices.pulse.loop_stream import LoopStream
from rtsep.devices.pulse.playback_stream import PlaybackStream

_DRY = Xruns(False, False, False, True)


@dataclass(frozen=True)
class PulseOutput(Output):
    """A sink; renders_ahead: whether it has rendered what it is to play for long, see listing.py."""

    sink: str
    renders_ahead: bool


class PulsePlayback:
    """Sinks of a PulseAudio server, or of pipewire-pulse; a backend.PlaybackBackend[PulseOutput].

    Parameters
    ----------
    sink : str, optional
        Name, or part of a name or description; by default the server's default.
    sample_rate : int, optional
        By default the sink's.
    buffers : PulseBuffers
    """

    def __init__(
        self,
        sink: str | None = None,
        sample_rate: int | None = None,
        buffers: PulseBuffers = PulseBuffers(),  # noqa: B008 (frozen)
    ):
        self._sink, self._rate, self._buffers = sink, sample_rate, buffers

    def find(self, before: Output | None = None) -> PulseOutput:
        """See PlaybackBackend."""
        sink = sink_meant(self._sink, server_devices())
        rate = self._rate or sink.rate if before is None else before.rate
        return PulseOutput(sink.description, rate, PAIR, sink.name, sink.ahead)

    def open(
        self, output: PulseOutput, process: Process, on_xruns: Callable[[object], None]
    ) -> PulseOutputStream:
        """See PlaybackBackend."""
        return PulseOutputStream(output, self._buffers, process, on_xruns)


class PulseOutputStream(LoopStream):
    """An open sink; see AudioStream. Raises RtsepError where the server refuses."""

    def __init__(
        self,
        output: PulseOutput,
        buffers: PulseBuffers,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        # All below: writer and reader are the loop's thread; nobody writes the silence.
        self._silence = np.zeros((LONGEST_BLOCK, 1), np.float32)
        self._told = 0
        self._dry = DryWatch(buffers.buffer_s, MOST_BUFFER_S)
        connection = self._connection
        self._playback = PlaybackStream(
            connection, "output", output.sink, output.rate, output.channels, give=self._give,
            buffer_s=buffers.buffer_s, request_s=buffers.request_s,
        )  # fmt: skip
        self._streams.append(self._playback)
        try:
            self._playback.open()
            if output.renders_ahead:
                connection.call(lambda: connection.take_back(output.sink))
        except BaseException:
            self.close()
            raise

    @property
    def latency_s(self) -> tuple[float, float]:
        """Nothing comes in; what the server has granted."""
        return 0.0, self._playback.granted_s

    def stats(self) -> dict[str, float]:
        """The output's buffer."""
        return {"output_buffer_ms": 1000 * self._dry.kept_s}

    # --- the loop's thread ----------------------------------------------------------------------

    def _give(self, out: NDArray[np.float32]) -> None:
        if not self._started:
            out[:] = 0.0
            return
        for start in range(0, len(out), LONGEST_BLOCK):
            part = out[start : start + LONGEST_BLOCK]
            self._run(self._silence[: len(part)], part)
        ran_dry = self._playback.underflows > self._told
        self._told = self._playback.underflows
        if ran_dry:
            self._on_xruns(_DRY)
        changes = self._dry.note_dry if ran_dry else self._dry.note_wet
        if changes(time.perf_counter()):
            self._playback.resize(self._dry.kept_s, by_silence=False)
