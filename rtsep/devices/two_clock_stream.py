"""Input and output as two streams, each on its device's clock, with the drift followed in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.audio_stream import Process, Xruns
from rtsep.devices.choice import Devices, DeviceSettings
from rtsep.devices.clock_bridge import LONGEST_BLOCK, ClockBridge
from rtsep.devices.device_stream import DeviceStream
from rtsep.system.memory import touched_zeros


class TwoClockStream(DeviceStream):
    """Two streams, each on its device's clock: the input's drift against the output is followed.

    `process` runs on the output's clock and at its rate. The input's overflows and underflows are
    those of its device and those of the ring in between.
    """

    def __init__(
        self,
        devices: Devices,
        settings: DeviceSettings,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        for kind, index, name, channels, rate, callback in (
            ("Input", devices.input_index, devices.input_name, devices.channels_in,
             devices.input_rate, self._on_input),
            ("Output", devices.output_index, devices.output_name, devices.channels_out,
             devices.output_rate, self._on_output),
        ):  # fmt: skip
            self._open(
                f"{kind}Stream", f"the {kind.lower()} device {name!r}", device=index,
                channels=channels, samplerate=rate, blocksize=settings.block,
                latency=settings.device_latency, callback=callback,
            )  # fmt: skip
        # What a device hands over or asks for at once is a block, or all that its buffers hold.
        most_in_s, most_out_s = (
            max(settings.block / rate, stream.latency)
            for rate, stream in zip((devices.input_rate, devices.output_rate), self._streams)
        )
        self._clocks = ClockBridge(
            devices.input_rate, devices.output_rate, devices.channels_in, most_in_s, most_out_s
        )
        # writer and reader: output's thread
        self._block = touched_zeros((LONGEST_BLOCK, devices.channels_in), np.float32)
        # writer: input's thread; reader: output's. How often the device has said so.
        self._device_overflows = self._device_underflows = 0
        self._told = (0, 0)

    @property
    def latency_s(self) -> tuple[float, float]:
        """From a sample's arrival to `process`, with all that buffers and clocks need, and onwards."""
        return self._clocks.delay_s, self._streams[1].latency

    @property
    def sound_flows(self) -> bool:
        """Whether the clocks are known and the input is heard."""
        return self.active and self._clocks.playing

    @property
    def lengthened_s(self) -> float:
        """What is kept between the clocks beyond what was kept at first."""
        return self._clocks.lengthened_s

    @property
    def remarks(self) -> list[str]:
        """That there are two clocks, and what following them costs."""
        return [
            f"clocks  input and output have clocks of their own: the drift is followed, "
            f"{1000 * self._clocks.delay_s:.1f} ms lie in between"
        ]

    def stats(self) -> dict[str, float]:
        """How much faster the input's clock runs than the output's, in 1e-6; what is kept between."""
        return {
            "clock_drift_ppm": round(self._clocks.drift_ppm, 2),
            "between_clocks_ms": round(1000 * self._clocks.delay_s, 1),
        }

    def _on_input(
        self, indata: NDArray[np.float32], _samples: int, _times: Any, status: Any
    ) -> None:
        now_s = time.perf_counter()
        self._begun[0] = True
        if status:
            self._device_overflows += bool(status.input_overflow)
            self._device_underflows += bool(status.input_underflow)
        self._clocks.write(indata, now_s)

    def _on_output(
        self, outdata: NDArray[np.float32], samples: int, _times: Any, status: Any
    ) -> None:
        now_s = time.perf_counter()
        self._begun[1] = True
        for start in range(0, samples, LONGEST_BLOCK):
            out = outdata[start : start + LONGEST_BLOCK]
            block = self._block[: len(out)]
            bad_before = self._clocks.bad_samples
            self._clocks.read(block, now_s)
            self.on_bad_samples(self._clocks.bad_samples - bad_before)
            self._run(block, out)
        overflows = self._device_overflows + self._clocks.overflows
        underflows = self._device_underflows + self._clocks.underflows
        if status or (overflows, underflows) != self._told:
            self._on_xruns(
                Xruns(
                    overflows > self._told[0],
                    underflows > self._told[1],
                    bool(status.output_overflow),
                    bool(status.output_underflow),
                )
            )
            self._told = (overflows, underflows)
