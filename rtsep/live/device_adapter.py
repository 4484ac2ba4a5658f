"""Between a device and the engine: sample rate, channels, and which outputs are heard.

    device block -> stereo -> 44.1 kHz -> engine -> device rate -> device channels

Resampling gives a varying number of samples per block; a ring, filled beforehand with as much silence
as can ever be missing, turns that into a constant delay, `delay_samples`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.ring import Ring
from rtsep.dsp.varispeed import most_held
from rtsep.errors import UsageError
from rtsep.live.live_engine import LiveEngine, process_unpaced

if TYPE_CHECKING:
    from rtsep.live.recorder import Recorder

# Which of the engine's outputs are given out: the mix, each stem, or the mix followed by each stem.
MIX, STEMS, MIX_AND_STEMS = "mix", "stems", "mix and stems"
# Rates that sound is played at. Beyond them a block would become a thousand times as long, or short.
LOWEST_RATE, HIGHEST_RATE = 4_000, 768_000
# Blocks that the rehearsal of the resamplers consists of, and how long those are. With others a sample
# more or less is missing, in trials with 1 to 8192; so a few are spared.
REHEARSAL_S = 2.0
REHEARSAL_BLOCK = 64
SPARE_SAMPLES = 4
# Length of the sound in whose middle the impulse stands that the delay is measured with.
IMPULSE_S = 1


class DeviceAdapter:
    """Runs the engine on a device's blocks, which may be of any length. One user: the audio thread.

    Parameters
    ----------
    engine : LiveEngine
        A started engine.
    rate : int
        The device's samples per second, LOWEST_RATE to HIGHEST_RATE.
    channels_in : int
        1 or 2.
    channels_out : int
        1 or 2 for the mix; for stems one or two for each of them.
    heard : str
        MIX, STEMS, or MIX_AND_STEMS. All but the first need an engine with separate stems.
    recorder : Recorder, optional
        Receives the engine's whole output.
    paced : bool
        False for sound that may wait for the workers, so that no mask is late.

    Raises
    ------
    UsageError
        Where the rate or the channels do not fit.
    """

    def __init__(
        self,
        engine: LiveEngine,
        rate: int,
        channels_in: int,
        channels_out: int,
        *,
        heard: str = MIX,
        recorder: Recorder | None = None,
        paced: bool = True,
    ):
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UsageError(
                f"the sample rate must be {LOWEST_RATE} to {HIGHEST_RATE} Hz: got {rate}; resample the "
                "sound to a rate between"
            )
        self.engine, self.rate, self.recorder = engine, rate, recorder
        self.channels_in, self.channels_out = channels_in, channels_out
        self._first, stop = _outputs_heard(engine, heard)
        self._last = stop - NET_CHANNELS
        pairs = (stop - self._first) // NET_CHANNELS
        # One device for all stems is filled with stereo ones only.
        self._mono_out = channels_out == pairs and heard != STEMS
        if channels_out != pairs * NET_CHANNELS and not self._mono_out:
            raise _misfit(heard, pairs, channels_out)
        self._paced = paced
        # Whether the engine may write to the device's block itself.
        self._direct = not self._mono_out and (self._first, stop) == (0, engine.output_channels)
        # So much is processed at once; it is no longer at 44.1 kHz either.
        self._longest = max(1, min(LONGEST_BLOCK, LONGEST_BLOCK * rate // SAMPLE_RATE))
        # A block after resampling may be some samples longer than its share.
        longest_net = LONGEST_BLOCK + REHEARSAL_BLOCK
        # All buffers: writer and reader are the audio thread. (samples, channels) float32
        self._stereo = np.zeros((longest_net, NET_CHANNELS), np.float32)
        self._outputs = np.zeros((longest_net, engine.output_channels), np.float32)
        self._heard = np.zeros((longest_net, channels_out), np.float32)
        # What bad samples at the start of a block are continued from: the last of the one before.
        self._last_in = np.zeros(NET_CHANNELS, np.float32)
        self._to_engine: Any = None
        self._from_engine: Any = None
        self._delay_samples = 0.0
        if rate != SAMPLE_RATE:
            silence, self._delay_samples = _rehearse(rate)
            self._to_engine = _resampler(rate, SAMPLE_RATE, NET_CHANNELS)
            self._from_engine = _resampler(SAMPLE_RATE, rate, channels_out)
            self._waiting = Ring(silence + 4 * LONGEST_BLOCK, channels_out)
            self._waiting.push_silence(silence)
            mend(self._stereo[:1], self._last_in)  # compiles it

    @property
    def delay_samples(self) -> float:
        """Device samples that changing the rate adds to the engine's latency; 0 at 44.1 kHz.

        The delay of the resamplers' linear phase, measured with an impulse: exact to a hundredth of a
        sample.
        """
        return self._delay_samples

    @property
    def latency_samples(self) -> float:
        """Device samples from `block` to `out`, the engine included; a fraction as a rule."""
        return self.engine.plan.latency_samples * self.rate / SAMPLE_RATE + self._delay_samples

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take a device block, (samples, channels_in); fill `out`, (samples, channels_out), float32."""
        begun = time.perf_counter()
        for at in range(0, len(block), self._longest):
            piece = slice(at, at + self._longest)
            self._process(block[piece], out[piece])
        if self._paced:  # else the engine's own part is noted hop by hop, without the waiting
            self.engine.callback_durations.add(time.perf_counter() - begun)

    def _process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        if self._to_engine is None:
            stereo = block
            if self.channels_in != NET_CHANNELS:
                stereo = self._stereo[: len(block)]
                stereo[:] = block
            self._through_engine(stereo, out)
            return
        # One bad sample in the resampler would silence all that comes after. The engine looks at its
        # own input, but the device's block is not ours to change.
        stereo = self._stereo[: len(block)]
        stereo[:] = block
        self.engine.counters.count_bad_samples(mend(stereo, self._last_in))
        arrived = self._to_engine.resample_chunk(stereo)
        heard = self._heard[: len(arrived)]
        self._through_engine(arrived, heard)
        self._waiting.push(self._from_engine.resample_chunk(heard))
        self._waiting.pull(out)

    def _through_engine(self, stereo: NDArray[np.float32], heard: NDArray[np.float32]) -> None:
        outputs = heard if self._direct else self._outputs[: len(stereo)]
        if self._paced:
            self.engine.process(stereo, outputs)
        else:
            process_unpaced(self.engine, stereo, outputs)
        if self.recorder is not None:
            self.recorder.push(outputs)
        if self._direct:
            return
        if self._mono_out:
            left = outputs[:, self._first : self._last + 1 : NET_CHANNELS]
            right = outputs[:, self._first + 1 : self._last + 2 : NET_CHANNELS]
            np.add(left, right, out=heard)
            heard *= 0.5
        else:
            heard[:] = outputs[:, self._first : self._last + NET_CHANNELS]


def _outputs_heard(engine: LiveEngine, heard: str) -> tuple[int, int]:
    """The first of the engine's channels that are heard, and the one behind the last."""
    whole = engine.output_channels
    return {MIX: (0, NET_CHANNELS), STEMS: (NET_CHANNELS, whole), MIX_AND_STEMS: (0, whole)}[heard]


def _misfit(heard: str, pairs: int, channels_out: int) -> UsageError:
    if heard == MIX:
        return UsageError(f"the mix has 1 or 2 channels: got {channels_out}")
    needed = pairs * NET_CHANNELS
    return UsageError(
        f"each stem on its own pair needs {needed} output channels: got {channels_out}"
    )


def _resampler(rate_in: int, rate_out: int, channels: int) -> Any:
    """soxr's variable-rate resampler at a rate that stays: it holds 5 ms in place of 20.

    Its delay is within 7 samples of linear phase's, constantly; see dsp/varispeed.py.
    """
    import soxr

    return soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", vr=True)


def _rehearse(rate: int) -> tuple[int, float]:
    """Samples of silence to begin with, and the whole delay of there and back, in device samples."""
    blocks = int(REHEARSAL_S * rate) // REHEARSAL_BLOCK
    held = most_held(_there_and_back(rate), REHEARSAL_BLOCK, blocks)
    silence = int(np.ceil(held)) + SPARE_SAMPLES
    # The centre of gravity of an impulse's response is the delay of a filter of linear phase.
    impulse_at = IMPULSE_S * rate // 2
    sound = np.zeros((IMPULSE_S * rate, 1), np.float32)
    sound[impulse_at] = 1.0
    response = _there_and_back(rate)(sound)[:, 0].astype(np.float64)
    centre = float(np.sum(response * np.arange(len(response))) / np.sum(response))
    return silence, silence + centre - impulse_at


def _there_and_back(rate: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function that sends blocks of one channel through both resamplers, fresh ones."""
    there, back = _resampler(rate, SAMPLE_RATE, 1), _resampler(SAMPLE_RATE, rate, 1)

    def through(block: NDArray[np.float32]) -> NDArray[np.float32]:
        samples: NDArray[np.float32] = back.resample_chunk(there.resample_chunk(block))
        return samples

    return through
