"""Sound that is only played: an output without an input, through PortAudio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import Process
from rtsep.devices.backend import Output
from rtsep.devices.choice import DeviceOutput, DeviceSettings, check_number, choose_output
from rtsep.devices.device_stream import DeviceStream
from rtsep.devices.portaudio import rescan

# Most samples that `process` is asked for at once.
LONGEST_BLOCK = 8192


class PortAudioPlayback:
    """Outputs as PortAudio lists them; a backend.PlaybackBackend[DeviceOutput]."""

    def __init__(self, settings: DeviceSettings):
        self._settings = settings

    def find(self, before: Output | None = None) -> DeviceOutput:
        """See PlaybackBackend; raises as `choose_output`."""
        if before is None:
            return choose_output(self._settings)
        rescan()
        output = choose_output(replace(self._settings, sample_rate=before.rate))
        check_number(self._settings.output_device, output.name, before.name)
        return output

    def open(
        self, output: DeviceOutput, process: Process, on_xruns: Callable[[object], None]
    ) -> DeviceStream:
        """See PlaybackBackend."""
        return PlaybackStream(output, self._settings, process, on_xruns)


class PlaybackStream(DeviceStream):
    """An open output. `process` gets silence for a block, and fills what is played.

    Parameters
    ----------
    output : DeviceOutput
        As `choose_output` has found it.
    settings : DeviceSettings
    process, on_xruns : callable
        See AudioStream.

    Raises
    ------
    RtsepError
        Where the device cannot be opened.
    """

    def __init__(
        self,
        output: DeviceOutput,
        settings: DeviceSettings,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        # Nobody writes it; reader: the audio thread.
        self._silence = np.zeros((LONGEST_BLOCK, 1), np.float32)
        self._open(
            "OutputStream", f"the output device {output.name!r}", device=output.index,
            channels=output.channels, samplerate=output.rate, blocksize=settings.block,
            latency=settings.device_latency, callback=self._callback,
        )  # fmt: skip

    @property
    def latency_s(self) -> tuple[float, float]:
        """Nothing comes in; from `process` to the output's socket as PortAudio says it."""
        return 0.0, self._streams[0].latency

    def _callback(
        self, outdata: NDArray[np.float32], samples: int, _times: Any, status: Any
    ) -> None:
        self._begun[0] = True
        if status:
            self._on_xruns(status)
        for start in range(0, samples, LONGEST_BLOCK):
            out = outdata[start : start + LONGEST_BLOCK]
            self._run(self._silence[: len(out)], out)
