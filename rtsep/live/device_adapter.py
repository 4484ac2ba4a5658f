"""Between a device and the engine: sample rate, channels, and which outputs are heard.

    device block -> stereo -> 44.1 kHz -> engine -> device rate -> device channels

Resampling to 44.1 kHz gives a varying number of samples per block. Resampling back gives the block's
length again, whatever that is, so that nothing waits between: see dsp/short_resampler.py.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.short_resampler import ShortResampler, delay_s
from rtsep.errors import UsageError
from rtsep.live.asked_ahead import AskedAhead
from rtsep.live.live_engine import LiveEngine, process_unpaced
from rtsep.system.memory import touched_zeros

if TYPE_CHECKING:
    from rtsep.live.recorder import Recorder

# Which of the engine's outputs are given out: the mix, each stem, or the mix followed by each stem.
MIX, STEMS, MIX_AND_STEMS = "mix", "stems", "mix and stems"
# Rates that sound is played at. Beyond them a block would become a thousand times as long, or short.
LOWEST_RATE, HIGHEST_RATE = 4_000, 768_000


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
        self._asked_ahead = AskedAhead(rate)
        # Until when the engine may wait for masks. Writer and reader: audio thread.
        self._wait_until_s = 0.0
        # Whether the engine may write to the device's block itself.
        self._direct = not self._mono_out and (self._first, stop) == (0, engine.output_channels)
        # So much is processed at once; it is no longer at 44.1 kHz either.
        self._longest = min(LONGEST_BLOCK, LONGEST_BLOCK * rate // SAMPLE_RATE)
        # A block after resampling may be a sample longer than its share.
        longest_net = LONGEST_BLOCK + 1
        # All buffers: writer and reader are the audio thread. (samples, channels) float32
        self._stereo = touched_zeros((LONGEST_BLOCK, NET_CHANNELS), np.float32)
        self._outputs = touched_zeros((longest_net, engine.output_channels), np.float32)
        # What bad samples at the start of a block are continued from: the last of the one before.
        self._last_in = np.zeros(NET_CHANNELS, np.float32)
        self._resamples = rate != SAMPLE_RATE
        self._delay_samples = 0.0
        if self._resamples:
            self._delay_samples = 2 * rate * delay_s(rate, SAMPLE_RATE)
            self._arrived = touched_zeros((longest_net, NET_CHANNELS), np.float32)
            self._heard = touched_zeros((longest_net, channels_out), np.float32)
            self._back = touched_zeros((LONGEST_BLOCK, channels_out), np.float32)
            self._to_engine = ShortResampler(rate, SAMPLE_RATE, NET_CHANNELS, LONGEST_BLOCK)
            self._from_engine = ShortResampler(SAMPLE_RATE, rate, channels_out, longest_net)
            mend(self._stereo[:1], self._last_in)  # compiles it

    @property
    def delay_samples(self) -> float:
        """Device samples that changing the rate adds to the engine's latency; 0 at 44.1 kHz.

        Exact to a hundredth of a sample up to 1 kHz; see dsp/short_resampler.py for what is above.
        """
        return self._delay_samples

    @property
    def latency_samples(self) -> float:
        """Device samples from `block` to `out`, the engine included; a fraction as a rule."""
        return self.engine.plan.latency_samples * self.rate / SAMPLE_RATE + self._delay_samples

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take a device block, (samples, channels_in); fill `out`, (samples, channels_out), float32."""
        if not self._paced:  # the engine's own part is noted hop by hop, without the waiting
            self._in_pieces(block, out)
            return
        begun, own_begun = time.perf_counter(), time.thread_time()
        counters = self.engine.counters
        waited_before_s, late_before = counters.waited_s, counters.late_masks
        self._wait_until_s = self._asked_ahead.wait_until_s(len(block), begun)
        self._in_pieces(block, out)
        waited_s, now_s = counters.waited_s - waited_before_s, time.perf_counter()
        own_s = time.thread_time() - own_begun
        self.engine.callback_durations.add(now_s - begun - waited_s, own_s)
        was_late = self._wait_until_s > 0 and counters.late_masks > late_before
        self._asked_ahead.answered(now_s, late=was_late)

    def _in_pieces(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        for at in range(0, len(block), self._longest):
            piece = slice(at, at + self._longest)
            self._process(block[piece], out[piece])

    def _process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        if not self._resamples:
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
        arrived = self._arrived[: self._to_engine.process(stereo, self._arrived)]
        heard = self._heard[: len(arrived)]
        self._through_engine(arrived, heard)
        back = self._back[: len(block)]
        self._from_engine.process(heard, back)  # fills it
        out[:] = back

    def _through_engine(self, stereo: NDArray[np.float32], heard: NDArray[np.float32]) -> None:
        outputs = heard if self._direct else self._outputs[: len(stereo)]
        if self._paced:
            self.engine.process(stereo, outputs, self._wait_until_s)
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
