"""Sound from a source of PulseAudio's to `process` and on to a sink, each on its own clock.

    source -> RecordStream -> ClockBridge -> process -> PlaybackStream -> sink
                                                |
                                                +-> ClockBridge -> PlaybackStream -> sink of the stems

All of it runs on the connection's thread, input first, so that what has come is there when the sink
asks; and Python's lock has one thread less to go round. `process` runs on the sink's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import Process, Xruns
from rtsep.devices.backend import Ends
from rtsep.devices.clock_bridge import LONGEST_BLOCK, ClockBridge
from rtsep.devices.dry_watch import DryWatch
from rtsep.devices.pulse.buffers import MOST_BUFFER_S, PulseBuffers
from rtsep.devices.pulse.ends import PAIR, PulseEnds
from rtsep.devices.pulse.loop_stream import LoopStream
from rtsep.devices.pulse.playback_stream import PlaybackStream
from rtsep.devices.pulse.record_stream import RecordStream
from rtsep.errors import RtsepError
from rtsep.system.memory import touched_zeros

# What the server says of its clocks is taken in the mean of so many blocks, some ten seconds. It
# corrects itself in the first ones, and where players come and go.
BLOCKS_OF_MEAN = 2000


class PulseStream(LoopStream):
    """Both ends, and the stems' where they have a sink of their own; see AudioStream.

    Raises RtsepError where the server refuses.
    """

    def __init__(
        self,
        ends: PulseEnds,
        buffers: PulseBuffers,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        self._ends = ends
        # Built when the server has said what it grants; until then sound is dropped and silence given.
        self._clocks: ClockBridge | None = None
        self._stem_clocks: ClockBridge | None = None
        # All below: writer and reader are the loop's thread, but for what `latency_s` reads.
        self._block = touched_zeros((LONGEST_BLOCK, ends.channels_in), np.float32)
        self._outputs = touched_zeros((LONGEST_BLOCK, ends.channels_out), np.float32)
        self._told = (0, 0, 0, 0)
        self._dry = DryWatch(buffers.buffer_s, MOST_BUFFER_S)
        self._in, self._out = _Mean(), _Mean()
        try:
            self._open(buffers)
        except BaseException:
            self.close()
            raise

    def _open(self, buffers: PulseBuffers) -> None:
        ends, connection = self._ends, self._connection
        buffer_s, request_s = buffers.buffer_s, buffers.request_s
        self._record = RecordStream(
            connection, "input", ends.source, ends.input_rate, ends.channels_in,
            fragment_s=buffers.fragment_s, take=self._take,
        )  # fmt: skip
        self._playback = PlaybackStream(
            connection, "output", ends.sink, ends.output_rate,
            ends.channels_out - ends.stem_channels, give=self._give,
            avoid={ends.monitored, ends.stem_sink}, buffer_s=buffer_s, request_s=request_s,
        )  # fmt: skip
        self._streams += [self._record, self._playback]
        if ends.stem_sink is not None:
            self._stems = PlaybackStream(
                connection, "stems", ends.stem_sink, ends.output_rate, ends.stem_channels,
                give=self._give_stems, buffer_s=buffer_s, request_s=request_s,
            )  # fmt: skip
            self._streams.append(self._stems)
        for stream, sink in zip(self._streams, (ends.monitored, ends.sink, ends.stem_sink)):
            stream.open()
            self._take_back(sink)
        if ends.stem_sink is not None:
            self._stem_clocks = ClockBridge(
                ends.output_rate, ends.output_rate, ends.stem_channels,
                self._playback.most_s + buffers.late_s, self._stems.most_s,
            )  # fmt: skip
        self._most_out_s = self._playback.most_s
        self._clocks = ClockBridge(
            ends.input_rate, ends.output_rate, ends.channels_in,
            self._record.most_s + buffers.late_s, self._most_out_s,
        )  # fmt: skip

    def _take_back(self, sink: str | None) -> None:
        """Have a sink forget what it has rendered for long, now that it has been asked for less."""
        if sink is not None and sink in self._ends.far_ahead:
            self._connection.call(lambda: self._connection.take_back(sink))

    # --- main thread ----------------------------------------------------------------------------

    @property
    def latency_s(self) -> tuple[float, float]:
        """By the server's clocks, in the mean; at first what the server has granted."""
        assert self._clocks is not None
        if not self._out.count:
            return self._clocks.delay_s, self._playback.granted_s
        return self._clocks.delay_s + self._in.value, self._out.value

    @property
    def sound_flows(self) -> bool:
        """Whether the clocks are known and the input is heard."""
        return self.active and self._clocks is not None and self._clocks.playing

    @property
    def measured_latency_s(self) -> float | None:
        """Seconds from source to sink, in the mean of the newest blocks."""
        return sum(self.latency_s) if self._out.count else None

    @property
    def lengthened_s(self) -> float:
        """What is kept in the sink and between the clocks beyond what was kept at first."""
        assert self._clocks is not None
        return self._dry.lengthened_s + self._clocks.lengthened_s

    @property
    def remarks(self) -> list[str]:
        """What the server has granted, and what following the clocks costs."""
        assert self._clocks is not None
        return [
            f"server  sends {1000 * self._record.most_s:.1f} ms at once, asks for "
            f"{1000 * self._most_out_s:.1f} ms; {1000 * self._clocks.delay_s:.1f} ms between the two "
            "clocks"
        ]

    def stats(self) -> dict[str, float]:
        """How much faster the input's clock runs than the output's, in 1e-6; what is kept where."""
        assert self._clocks is not None
        return {
            "clock_drift_ppm": round(self._clocks.drift_ppm, 2),
            "between_clocks_ms": round(1000 * self._clocks.delay_s, 1),
            "output_buffer_ms": 1000 * self._dry.kept_s,
        }

    def reroute(self, ends: Ends) -> bool:
        """Move the playback to another sink; False where more than the sink is another one."""
        now = self._ends
        if not isinstance(ends, PulseEnds) or not self.active:
            return False
        if _without_sink(ends) != _without_sink(now):
            return False
        if ends.sink != now.sink:
            self._ends = ends
            try:
                self._connection.call(lambda: self._playback.move(ends.sink))
                self._connection.wait(
                    lambda: self._connection.call(lambda: self._playback.device_now) == ends.sink,
                    f"the sink {ends.sink!r}",
                )
            except RtsepError:
                return False
            self._take_back(ends.sink)
        # A sink that asks for more at once than the bridge keeps needs another one.
        return self._playback.most_s <= self._most_out_s

    # --- the loop's thread ----------------------------------------------------------------------

    def _take(self, block: NDArray[np.float32]) -> None:
        now_s = time.perf_counter()
        if self._clocks is None:
            return
        self._clocks.write(block, now_s)
        if self._clocks.playing:
            latency_s = self._record.latency_s()
            if latency_s is not None:  # of the first sample; the bridge counts from the last
                self._in.add(latency_s - len(block) / self._ends.input_rate)

    def _give(self, out: NDArray[np.float32]) -> None:
        now_s = time.perf_counter()
        if self._clocks is None:
            out[:] = 0.0
            return
        if self._clocks.playing:
            latency_s = self._playback.latency_s()
            if latency_s is not None:
                self._out.add(latency_s)
        for start in range(0, len(out), LONGEST_BLOCK):
            self._pass_on(self._clocks, out[start : start + LONGEST_BLOCK], now_s)
        self._tell_xruns()

    def _pass_on(self, clocks: ClockBridge, out: NDArray[np.float32], now_s: float) -> None:
        block = self._block[: len(out)]
        bad_before = clocks.bad_samples
        clocks.read(block, now_s)
        if not self._started:
            out[:] = 0.0
            return
        self.on_bad_samples(clocks.bad_samples - bad_before)
        if self._stem_clocks is None:
            self._run(block, out)
            return
        outputs = self._outputs[: len(out)]
        self._run(block, outputs)
        out[:] = outputs[:, :PAIR]
        self._stem_clocks.write(outputs[:, PAIR:], now_s)

    def _give_stems(self, out: NDArray[np.float32]) -> None:
        now_s = time.perf_counter()
        if self._stem_clocks is None:
            out[:] = 0.0
            return
        for start in range(0, len(out), LONGEST_BLOCK):
            self._stem_clocks.read(out[start : start + LONGEST_BLOCK], now_s)

    def _tell_xruns(self) -> None:
        bridges = [clocks for clocks in (self._clocks, self._stem_clocks) if clocks is not None]
        lost = (
            self._record.overflows + sum(clocks.overflows for clocks in bridges),
            self._record.underflows + sum(clocks.underflows for clocks in bridges),
            sum(stream.overflows for stream in self._streams[1:]),
            sum(stream.underflows for stream in self._streams[1:]),
        )
        if lost != self._told and self._started:
            self._on_xruns(Xruns(*(now > told for now, told in zip(lost, self._told))))
        changes = self._dry.note_dry if lost[-1] > self._told[-1] else self._dry.note_wet
        self._told = lost
        # What is kept less in the sink comes to lie between the clocks, where the loop takes it out.
        if changes(time.perf_counter()):
            for stream in self._streams:
                if isinstance(stream, PlaybackStream):
                    stream.resize(self._dry.kept_s, by_silence=True)


class _Mean:
    """A mean of the newest values, older ones ever less. Writer: one thread; readers: any."""

    def __init__(self) -> None:
        self.count, self.value = 0, 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.value += (value - self.value) / min(self.count, BLOCKS_OF_MEAN)


def _without_sink(ends: PulseEnds) -> tuple[object, ...]:
    return (
        ends.source, ends.monitored, ends.stem_sink, ends.input_rate, ends.output_rate, ends.channels_in,
        ends.channels_out,
    )  # fmt: skip
