"""Between a device and the engine: sample rate, channels, and which outputs are heard.

    device block -> stereo -> 44.1 kHz -> engine -> device rate -> device channels

Resampling gives a varying number of samples per block; a FIFO, filled beforehand with as much silence
as can ever be missing, turns that into a constant delay of `delay_samples`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.channels import NET_CHANNELS, from_stereo, to_stereo
from rtsep.errors import UsageError
from rtsep.live.engine import Engine
from rtsep.live.recorder import Recorder

# Seconds of blocks that the rehearsal of the resamplers lasts, and how long those are. With others a
# sample more or less is missing, in trials with 1 to 8192; so a few are spared.
REHEARSAL_S = 2.0
REHEARSAL_BLOCK = 64
SPARE_SAMPLES = 4


class DeviceBridge:
    """Runs the engine on a device's blocks. One user: the audio thread.

    rate: the device's samples per second. channels_in: 1 or 2. channels_out: 1, 2, or two per stem
    with `all_stems`, which gives out the stems instead of the mix.
    recorder: receives the engine's output, or None. Blocks may be of any length.

    Raises UsageError where the channels do not fit.
    """

    def __init__(
        self,
        engine: Engine,
        rate: int,
        channels_in: int,
        channels_out: int,
        *,
        all_stems: bool = False,
        recorder: Recorder | None = None,
    ):
        stems_channels = engine.output_channels - 2
        if all_stems and channels_out != stems_channels:
            raise UsageError(
                f"each stem on its own pair needs {stems_channels} output channels: got "
                f"{channels_out}"
            )
        self.engine, self.rate, self.recorder = engine, rate, recorder
        self.channels_in, self.channels_out = channels_in, channels_out
        self._heard = slice(2, None) if all_stems else slice(0, 2)
        # What bad samples at the start of a block are continued from: the last of the one before.
        self._last_in = np.zeros(NET_CHANNELS, np.float32)
        self._to_engine: Any = None
        self._from_engine: Any = None
        if rate != SAMPLE_RATE:
            self._delay = _rehearse(rate, channels_out)
            self._to_engine = _resampler(rate, SAMPLE_RATE, 2)
            self._from_engine = _resampler(SAMPLE_RATE, rate, channels_out)
            self._fifo = np.zeros((self._delay + 4 * LONGEST_BLOCK, channels_out), np.float32)
            self._filled = self._delay
            mend(np.zeros((1, NET_CHANNELS), np.float32), self._last_in)  # compiles it
        else:
            self._delay = 0

    @property
    def delay_samples(self) -> int:
        """Device samples that changing the rate adds to the engine's latency, within four."""
        return self._delay

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take a device block, (samples, channels_in); fill `out`, (samples, channels_out)."""
        begun = time.perf_counter()
        self._process(block, out)
        self.engine.callback_durations.add(time.perf_counter() - begun)

    def _process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        stereo = to_stereo(block)
        if self._to_engine is None:
            out[:] = self._through_engine(stereo)
            return
        # One bad sample in the resampler would silence all that comes after. The engine looks at its
        # own input, but the device's block is not ours to change.
        stereo = np.array(stereo, np.float32, order="C")
        self.engine.counters.count_bad_samples(mend(stereo, self._last_in))
        arrived = self._from_engine.resample_chunk(
            self._through_engine(self._to_engine.resample_chunk(stereo))
        )
        self._fifo[self._filled : self._filled + len(arrived)] = arrived
        self._filled += len(arrived)
        out[:] = self._fifo[: len(out)]
        self._filled -= len(out)
        self._fifo[: self._filled] = self._fifo[len(out) : len(out) + self._filled]

    def _through_engine(self, stereo: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.empty((len(stereo), self.engine.output_channels), np.float32)
        self.engine.process(stereo, result)
        if self.recorder is not None:
            self.recorder.push(result)
        heard = result[:, self._heard]
        if self.channels_out == 1:
            heard = from_stereo(heard, 1)
        return np.ascontiguousarray(heard)


def _resampler(rate_in: int, rate_out: int, channels: int):
    """soxr's variable-rate resampler at a rate that stays: it holds 5 ms in place of 20.

    Its filter is within 3.5 samples of linear phase's delay, constantly; see dsp/varispeed.py.
    """
    import soxr

    return soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", vr=True)


def _rehearse(rate: int, channels: int) -> int:
    """Samples that may be missing at worst between what was asked for and what has come back."""
    there, back = _resampler(rate, SAMPLE_RATE, 2), _resampler(SAMPLE_RATE, rate, channels)
    asked = arrived = missing = 0
    while asked < REHEARSAL_S * rate:
        part = there.resample_chunk(np.zeros((REHEARSAL_BLOCK, 2), np.float32))
        silence = np.zeros((len(part), channels), np.float32)
        arrived += len(back.resample_chunk(silence))
        asked += REHEARSAL_BLOCK
        missing = max(missing, asked - arrived)
    return missing + SPARE_SAMPLES
