"""The engine on audio devices, which may go away and come back.

    playing --devices stop--> gone: what the engine still holds goes into the recording
       ^                        |
       +------ opened anew -----+   once a second, until patience ends

The engine and its workers stay; each opening has a DeviceAdapter of its own, as rates may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rtsep.devices.choice import Devices, DeviceSettings, choose_devices
from rtsep.devices.open import open_stream
from rtsep.devices.portaudio import rescan
from rtsep.errors import RtsepError
from rtsep.live.file_session import run_unpaced
from rtsep.live.priority import audio_first
from rtsep.live.stats import latency_parts_ms

if TYPE_CHECKING:
    from rtsep.live.live_separator import LiveSeparator
    from rtsep.live.recorder import Recorder

# How often it is looked whether devices have come back.
RETRY_S = 1.0


class DeviceSession:
    """Devices in, a started LiveSeparator, devices out. For the main thread.

    settings, channels_out: which devices, as for `choose_devices`, which has chosen `devices`.
    What is heard is what `live` gives out, the mix, or each stem on a pair of channels of its own.
    recorder: receives what the engine still holds when devices have gone. patience_s: how long these are
    waited for. say: is told, in a line, that they have gone or come back.

    devices: those of now. returns: how often they have come back.

    Raises RtsepError where the devices cannot be opened.
    """

    def __init__(
        self,
        live: LiveSeparator,
        settings: DeviceSettings,
        devices: Devices,
        channels_out: int = 2,
        *,
        recorder: Recorder | None = None,
        patience_s: float = 0.0,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._live, self._settings, self._channels_out = live, settings, channels_out
        self._recorder, self._patience_s, self._say = recorder, patience_s, say
        self.returns = 0
        self._is_open = False
        self._gone_s = self._retry_s = 0.0
        self._open(devices)

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
            if not self._stream.active:
                self._leave(now_s)
        elif now_s >= self._retry_s:
            self._try_again(now_s)

    def close(self) -> bool:
        """Release the devices; False where PortAudio does not let go of those that have gone."""
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
        """The devices and what is particular about them, in lines for the person."""
        devices = self.devices
        return [
            f"input   {devices.input_name}, {devices.input_rate} Hz",
            f"output  {devices.output_name}, {devices.output_rate} Hz",
            *self._stream.remarks,
        ]

    def stats(self) -> dict[str, float]:
        """What the devices add to the statistics."""
        return {**self._stream.stats(), "device_returns": self.returns}

    def _open(self, devices: Devices) -> None:
        live, counters = self._live, self._live.engine.counters
        live.connect(devices.output_rate, devices.channels_in, devices.channels_out)
        # The last one, where devices have gone.
        with audio_first():
            self._stream = open_stream(devices, self._settings, live.callback, counters.count_xruns)
        self._stream.on_bad_samples = counters.count_bad_samples
        self._is_open = True
        self._resampling_s = live.resampling_s
        self.devices = devices

    def _leave(self, now_s: float) -> None:
        released = self.close()
        if not (released and self._patience_s):
            raise RtsepError("the audio device has stopped: reconnect it and start again")
        self._say(
            f"the audio device has gone: it is waited for, {self._patience_s:g} s at most; reconnect it"
        )
        self._gone_s = self._retry_s = now_s
        self._empty_engine()

    def _empty_engine(self) -> None:
        """What the engine still holds is recorded; the devices will begin with silence again."""
        silence = np.zeros((self._live.engine.plan.latency_samples, 2), np.float32)
        for out in run_unpaced(self._live.engine, [silence]):
            if self._recorder is not None:
                self._recorder.push(out, wait=True)

    def _try_again(self, now_s: float) -> None:
        try:
            rescan()
            self._open(self._found_again())
            self.start()
        except RtsepError as error:
            self.close()
            if now_s - self._gone_s >= self._patience_s:
                raise RtsepError(
                    f"the audio device has not come back within {self._patience_s:g} s: {error}"
                ) from None
            self._retry_s = now_s + RETRY_S
            return
        self.returns += 1
        self._say(
            f"the audio device is back: {self.devices.input_name} to {self.devices.output_name}, "
            f"{self.latency_ms['total']:.1f} ms in all"
        )

    def _found_again(self) -> Devices:
        devices, before = choose_devices(self._settings, self._channels_out), self.devices
        for number, name, name_before in (
            (self._settings.input_device, devices.input_name, before.input_name),
            (self._settings.output_device, devices.output_name, before.output_name),
        ):
            # Numbers may stand for other devices by now.
            if number is not None and number.isdigit() and name != name_before:
                raise RtsepError(f"device {number} is {name!r} now, not {name_before!r}")
        return devices
