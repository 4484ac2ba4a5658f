"""The engine on audio devices, which may go away and come back.

    playing --devices stop--> gone: what the engine still holds goes into the recording
       ^                        |
       +------ opened anew -----+   at once, later less often, until patience ends

The engine and its workers stay; each opening has a DeviceAdapter of its own, as rates may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rtsep.devices.backend import Backend, Ends
from rtsep.devices.patience import Patience
from rtsep.errors import RtsepError
from rtsep.live.audio_guard import AudioGuard
from rtsep.live.file_session import run_unpaced
from rtsep.live.priority import audio_first, has_overrun
from rtsep.live.stats import latency_parts_ms
from rtsep.live.thread_counts import ThreadCounts

if TYPE_CHECKING:
    from rtsep.live.live_stream import LiveStream
    from rtsep.live.recorder import Recorder


class DeviceSession:
    """Sound in, a started LiveStream, sound out, through any backend. For the main thread.

    Parameters
    ----------
    live : LiveStream
        What is heard is what it gives out: the mix, or each stem on a pair of channels of its own.
    backend : Backend
        The sound system and what was asked for of it.
    ends : Ends
        What `backend.find` has found.
    recorder : Recorder, optional
        Receives what the engine still holds when an end has gone.
    patience_s : float
        How long ends that have gone are waited for.
    say : callable
        Is told, in a line, that they have gone or come back.

    Attributes
    ----------
    ends : Ends
        Those of now.
    returns : int
        How often they have come back.

    Raises
    ------
    RtsepError
        Where the ends cannot be opened.
    """

    def __init__(
        self,
        live: LiveStream,
        backend: Backend[Any],
        ends: Ends,
        *,
        recorder: Recorder | None = None,
        patience_s: float = 0.0,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._live, self._backend = live, backend
        self._recorder, self._say = recorder, say
        self._patience = Patience(patience_s, say)
        self.returns = 0
        self._counts = ThreadCounts()
        self._told_of_guard = self._told_of_overrun = False
        self._is_open = self._has_left = False
        self._told_latency_s = 0.0
        self._open(ends)

    def start(self) -> None:
        """Begin to play. Raises RtsepError where a device stops before its first block."""
        with audio_first():
            self._stream.start()

    def tick(self, now_s: float) -> None:
        """Look whether the devices are there, or are there again; `now_s` of the monotonic clock.

        Raises RtsepError where the callback has failed, and where the devices have gone for good.
        """
        if self._is_open:
            self._stream.check()
            self._counts.look(self._guard.thread, now_s)
            self._tell_of_priority()
            self._tell_of_length()
            if not self._stream.active:
                self._leave(now_s)
            elif self._live.latency_ms / 1000 != self._told_latency_s:
                self._tell_latency()
        elif self._patience.is_due(now_s):
            self._try_again(now_s)

    @property
    def sound_flows(self) -> bool:
        """Whether what comes in is heard; not at once after `start`, see AudioStream."""
        return self._is_open and self._stream.sound_flows

    def follow(self) -> None:
        """Go over to the ends that the backend finds now, as when headphones were plugged in.

        Raises RtsepError where they cannot be opened.
        """
        if not self._is_open:
            return  # they will be found when it is tried again
        ends = self._backend.find()
        if self._stream.reroute(ends):
            self.ends = ends
            return
        self.close()
        self._open(ends)
        self.start()

    def close(self) -> bool:
        """Release both ends; False where the sound system does not let go of those that have gone."""
        was_open, self._is_open = self._is_open, False
        return self._stream.close() if was_open else True

    @property
    def latency_ms(self) -> dict[str, float | None]:
        """The statistics' `latency_ms`, with the plan and the devices of now, or the last ones."""
        device_in_s, device_out_s = self._stream.latency_s
        measured_s = self._stream.measured_latency_s
        if measured_s is not None:
            measured_s += self._resampling_s
        return latency_parts_ms(
            self._live.engine.plan.latency_ms,
            device_in_s,
            device_out_s + self._resampling_s,
            measured_s,
        )

    def describe(self) -> list[str]:
        """The ends and what is particular about them, in lines for the person."""
        ends = self.ends
        return [
            f"input   {ends.input_name}, {ends.input_rate} Hz",
            f"output  {ends.output_name}, {ends.output_rate} Hz",
            *self._stream.remarks,
        ]

    def stats(self) -> dict[str, Any]:
        """What the devices add to the statistics."""
        return {
            **self._stream.stats(),
            "device_returns": self.returns,
            "audio_thread": self._counts.stats(),
        }

    def _open(self, ends: Ends) -> None:
        live, counters = self._live, self._live.engine.counters
        live.connect(ends.output_rate, ends.channels_in, ends.channels_out)
        guard = AudioGuard(live.callback, ends.output_rate)
        # The last one, where it has gone.
        with audio_first():
            self._stream = self._backend.open(ends, guard, counters.count_xruns)
        self._stream.on_bad_samples = counters.count_bad_samples
        self._is_open = True
        self._guard = guard
        self._resampling_s = live.resampling_s
        self._told_lengthened_s = 0.0
        self.ends = ends
        self._tell_latency()

    def _tell_latency(self) -> None:
        self._told_latency_s = self._live.latency_ms / 1000
        self._stream.tell_latency(self._told_latency_s)

    def _tell_of_priority(self) -> None:
        if has_overrun() != self._told_of_overrun:
            self._told_of_overrun = has_overrun()
            if self._told_of_overrun:
                self._say(
                    "the audio thread ran on for longer than RealtimeKit allows: rtsep goes on with "
                    "ordinary priority; a longer --latency or --device-latency (0.1) ends that"
                )
        if self._guard.gave_way and not self._told_of_guard:
            self._told_of_guard = True
            self._say(
                "the sound system's thread never waits: rtsep goes on with ordinary priority; a longer"
                " --device-latency (0.1) ends that, or on PulseAudio --backend pulse"
            )

    def _tell_of_length(self) -> None:
        lengthened_s = self._stream.lengthened_s
        if lengthened_s > self._told_lengthened_s:
            self._say(
                f"sound ran out again and again: {1000 * lengthened_s:.0f} ms more are kept from now "
                "on, and all is heard that much later; --device-latency 0.05 keeps more from the start"
            )
        elif lengthened_s < self._told_lengthened_s:
            self._say(
                "no sound has run out for minutes: less is kept again, now "
                f"{1000 * lengthened_s:.0f} ms more than at the start"
            )
        self._told_lengthened_s = lengthened_s

    def _leave(self, now_s: float) -> None:
        self._is_open, self._has_left = False, True
        self._patience.begin(now_s, self._stream.close)

    def _empty_engine(self) -> None:
        """What the engine still holds is recorded; the devices will begin with silence again."""
        silence = np.zeros((self._live.engine.plan.latency_samples, 2), np.float32)
        for out in run_unpaced(self._live.engine, [silence]):
            if self._recorder is not None:
                self._recorder.push(out, wait=True)

    def _try_again(self, now_s: float) -> None:
        if self._has_left:  # now that no callback comes any more
            self._has_left = False
            self._empty_engine()
        try:
            self._open(self._backend.find(self.ends))
            self.start()
        except RtsepError as error:
            self.close()
            self._patience.go_on(now_s, error)
            return
        self.returns += 1
        self._say(
            f"the audio device is back: {self.ends.input_name} to {self.ends.output_name}, "
            f"{self.latency_ms['total']:.1f} ms in all"
        )
