"""Sound whose speed follows another clock: soxr's variable-rate resampler, asked for samples.

soxr takes blocks and gives what is ready of them. An audio callback needs a given number of samples,
so what is ready too early waits in a queue here, a few samples as a rule.

The filter is linear-phase and the same for every quality setting. Measured with the soxr that this
was written for (1.1, libsoxr 0.1.3): noise and distortion below -105 dB, flat within 0.1 dB up to
20 kHz between 44.1 and 48 kHz, aliases below -110 dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.ring import Ring
from rtsep.system.memory import touched_zeros

# soxr is told the greatest ratio beforehand: this much above the nominal one.
MOST_CORRECTION = 0.02
# Blocks of silence that a resampler is rehearsed with, of so many samples, and those not yet counted.
REHEARSAL_BLOCKS, REHEARSAL_BLOCK, UNCOUNTED_BLOCKS = 200, 97, 100
# Silence between two sounds, beyond what the resampler holds: its filter rings no longer.
RINSED_SAMPLES = 1024


class Varispeed:
    """Resample from `rate_in` to `rate_out` times a correction that may change at any time.

    One user: an audio thread. Everything but the blocks in passing is allocated here.

    Parameters
    ----------
    rate_in, rate_out : int
        Samples per second.
    channels : int
    longest : int
        Most samples ever asked for at a time.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int, longest: int):
        import soxr  # here, so that `import rtsep` does not pay for it

        self.nominal_ratio = rate_in / rate_out
        self.ratio = self.nominal_ratio
        self._soxr = soxr.ResampleStream(
            rate_in * (1 + MOST_CORRECTION), rate_out, channels, dtype="float32", vr=True
        )
        # soxr halves the rate in stages before the last step. At every octave one comes or goes, and
        # with it the samples that it holds; a nominal ratio may lie on an octave (96 to 48 kHz).
        octave = 2.0 ** round(math.log2(self.nominal_ratio))
        self.most_held_samples = max(
            self._measure_held(octave * side, channels) for side in (0.999, 1.001)
        )
        self._queue = Ring(2 * longest, channels)
        self._pushed = 0
        self._position = 0.0  # in input samples, of the end of what soxr has given
        self._to_skip = 0  # output samples, of what was pushed before `clear`
        # writer: nobody; reader: clear
        self._silence = touched_zeros(
            (math.ceil(self.most_held_samples) + RINSED_SAMPLES, channels), np.float32
        )
        self._allocate(longest, channels)
        self.clear()

    @property
    def delay_samples(self) -> float:
        """Input samples that were pushed since the one that the next output sample stands for.

        Counted through the ratios: off by a constant, 4 samples at most, and by less than one a day.
        """
        return self._pushed - (self._position + (self._to_skip - self._queue.waiting) * self.ratio)

    def set_correction(self, correction: float) -> None:
        """Play faster by this much: 0.001 takes 1001 input samples in place of 1000."""
        self.ratio = self.nominal_ratio * (1 + correction)
        self._soxr.set_io_ratio(self.ratio, 1.0)

    def clear(self) -> None:
        """Forget what was pushed: the next sample pushed is the next that comes out, or all but.

        It may come out by half an output sample earlier or later; `delay_samples` knows. Real-time safe.

        soxr's own `clear` gives its buffers back, and allocates them anew with the next sample. In place
        of that silence is pushed behind what it holds, and all of it is left out when it comes.
        """
        self._soxr.set_io_ratio(self.ratio, 1.0)
        self.push(self._silence)
        self._queue.clear()
        self._to_skip = max(0, round((self._pushed - self._position) / self.ratio))

    def lacking(self, count: int) -> int:
        """Input samples to push before asking again; 0: `count` output samples are ready.

        The first samples after `clear` and some others are held, so it takes more than one push.
        """
        return max(0, math.ceil((count + self._to_skip - self._queue.waiting) * self.ratio))

    def push(self, block: NDArray[np.float32]) -> None:
        """Take (samples, channels) float32, at most what `lacking` said."""
        ready = self._soxr.resample_chunk(block)
        self._position += len(ready) * self.ratio
        self._pushed += len(block)
        skipped = min(self._to_skip, len(ready))
        self._to_skip -= skipped
        self._queue.push(ready[skipped:])

    def _allocate(self, longest: int, channels: int) -> None:
        """Have soxr allocate what it needs for the longest blocks that will be pushed."""
        self._soxr.clear()
        self._soxr.set_io_ratio(self.ratio, 1.0)
        most = math.ceil(longest * self.ratio * (1 + MOST_CORRECTION)) + len(self._silence)
        self.push(np.zeros((most, channels), np.float32))

    def take(self, out: NDArray[np.float32]) -> int:
        """Fill `out`, (samples, channels) float32, as far as samples are ready; returns how far."""
        return self._queue.pull(out)

    def _measure_held(self, ratio: float, channels: int) -> float:
        """Input samples that soxr has taken and not yet turned into output, at most."""
        self._soxr.clear()
        self._soxr.set_io_ratio(ratio, 1.0)
        return most_held(
            self._soxr.resample_chunk,
            REHEARSAL_BLOCK,
            REHEARSAL_BLOCKS,
            channels=channels,
            ratio=ratio,
            uncounted_blocks=UNCOUNTED_BLOCKS,
        )


def most_held(
    through: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    block: int,
    blocks: int,
    *,
    channels: int,
    ratio: float,
    uncounted_blocks: int,
) -> float:
    """Input samples that a resampler has taken and not yet turned into output, at most.

    Found by sending `blocks` blocks of silence `through` it, each of `block` samples, of which the first
    `uncounted_blocks` do not count. ratio: input samples per output sample.
    """
    silence = np.zeros((block, channels), np.float32)
    given, held = 0, []
    for pushed in range(1, blocks + 1):
        given += len(through(silence))
        held.append(pushed * block - given * ratio)
    return max(held[uncounted_blocks:])
