"""Streams of audio devices: blocks come and go on PortAudio's threads."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import AudioStream, Process
from rtsep.devices.choice import Devices, DeviceSettings
from rtsep.devices.letting_go import LettingGo
from rtsep.devices.portaudio import reason, refusals, sounddevice
from rtsep.errors import RtsepError

# PortAudio on ALSA and PulseAudio gives up now and then before the first block (some one start in a
# hundred on a busy machine), and plays when started again. What a first block may take, and how often.
FIRST_BLOCK_S = 1.0
START_ATTEMPTS = 3


class DeviceStream(AudioStream):
    """Open devices of PortAudio's; see AudioStream."""

    def __init__(self, process: Process, on_xruns: Callable[[object], None]):
        super().__init__(process, on_xruns)
        # PortAudio's streams, in the order in which they start.
        self._streams: list[Any] = []
        self._begun: list[bool] = []  # whether a first block has come; writers: audio threads
        self._closing = LettingGo()

    @property
    def active(self) -> bool:
        """Whether the devices are running."""
        return all(bool(stream.active) for stream in self._streams)

    def start(self) -> None:
        """Begin to play. Raises RtsepError where a device stops before its first block."""
        for index, stream in enumerate(self._streams):
            self._start(index, stream)

    def close(self) -> bool:
        """Stop and release the devices; False where PortAudio does not let go of ones that have gone."""
        if not self._closing.has_come_of(self._release):
            # PortAudio waits for a server that has died, and would do so again at exit.
            atexit.unregister(sounddevice()._exit_handler)
            return False
        self._let_go()
        return True

    def _open(self, kind: str, names: str, **options: Any) -> None:
        """Add a stream of sounddevice's class `kind`; those before it are closed if it is refused."""
        sd = sounddevice()
        try:
            self._streams.append(getattr(sd, kind)(dtype="float32", **options))
        except sd.PortAudioError as error:
            self._release()
            raise RtsepError(
                f"cannot open {names}: {reason(error)}; choose other devices or another --hostapi"
            ) from None
        self._begun.append(False)

    def _start(self, index: int, stream: Any) -> None:
        for _ in range(START_ATTEMPTS):
            with refusals(
                "the audio device cannot be started: choose another --blocksize or device"
            ):
                stream.start()
            ends = time.monotonic() + FIRST_BLOCK_S
            while stream.active and not self._begun[index] and time.monotonic() < ends:
                time.sleep(0.01)
            if self._begun[index] or stream.active:
                return
            stream.abort()
        raise RtsepError(
            f"the audio device stopped {START_ATTEMPTS} times before its first block: choose "
            "another --blocksize or --device-latency"
        )

    def _release(self) -> None:
        for stream in self._streams:
            try:
                stream.abort()
                stream.close()
            except sounddevice().PortAudioError as error:
                print(f"closing the devices: {reason(error)}", file=sys.stderr)


class DuplexStream(DeviceStream):
    """Both sides in one stream of PortAudio's: the least latency."""

    def __init__(
        self,
        devices: Devices,
        settings: DeviceSettings,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        self._open(
            "Stream",
            f"{devices.input_name!r} and {devices.output_name!r} together",
            device=(devices.input_index, devices.output_index),
            channels=(devices.channels_in, devices.channels_out),
            samplerate=devices.output_rate,
            blocksize=settings.block,
            latency=settings.device_latency,
            callback=self._callback,
        )
        # What the output's buffers hold: so much is asked for before any input, to fill them.
        self._to_fill = round(self.latency_s[1] * devices.output_rate)
        # writer: audio thread. Seconds from socket to socket, summed over the blocks.
        self._there_and_back_s, self._timed_blocks = 0.0, 0

    @property
    def latency_s(self) -> tuple[float, float]:
        """What PortAudio says of the input's and the output's latency, in seconds."""
        return self._streams[0].latency

    @property
    def measured_latency_s(self) -> float | None:
        """Mean of what PortAudio's clocks said with each block."""
        return self._there_and_back_s / self._timed_blocks if self._timed_blocks else None

    def _callback(
        self,
        indata: NDArray[np.float32],
        outdata: NDArray[np.float32],
        samples: int,
        times: Any,
        status: Any,
    ) -> None:
        self._begun[0] = True
        self._note(samples, times, status)
        self._run(indata, outdata)

    def _note(self, samples: int, times: Any, status: Any) -> None:
        if status.input_underflow and self._to_fill >= 0:
            self._to_fill -= samples
            return
        self._to_fill = -1
        if status:
            self._on_xruns(status)
        if times.inputBufferAdcTime and times.outputBufferDacTime:
            self._there_and_back_s += times.outputBufferDacTime - times.inputBufferAdcTime
            self._timed_blocks += 1
