"""From one device's clock to another's: a ring, a resampler, and the loop that steers it.

    input's thread                                 output's thread
    write(block) -> ring -------------------> Varispeed -> read(out)
              time, samples written                ^
                       |                           | correction
                       +--> delay - target --> DriftLoop

The delay is measured between two straight lines, so that the lengths of the blocks make no saw-tooth
of it: the input's count is continued from its last block at the nominal rate (Adriaensen 2012, see
drift_loop.py), and the resampler knows which input sample comes out next.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.drift_loop import DriftLoop
from rtsep.devices.dry_watch import DryWatch
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.ring import Ring
from rtsep.dsp.varispeed import Varispeed
from rtsep.system.memory import touched_zeros

# What a thread may be late by, beyond what the devices' buffers cover: at first, and at most where the
# input falls short again and again (dry_watch.py).
SPARE_S, MOST_SPARE_S = 0.004, 0.044
# At first devices fill their buffers, and the times of their blocks say nothing. Then they are
# looked at for a while before anything is heard, since any single one may be far off.
SETTLE_S = 0.25
OBSERVE_S = 0.5
# Sound is faded in and out over this long where it was torn.
FADE_S = 0.005
# Samples of a block where PortAudio is free to choose, at most.
LONGEST_BLOCK = 8192


class ClockBridge:
    """Takes blocks on one clock and gives blocks on another, a constant `delay_s` later.

    Where the input falls short again and again the delay is longer from then on; where it has not for
    long it is shorter again (dry_watch.py): the loop brings the sound there, too slowly for an ear.

    rate_in, rate_out: nominal samples per second. channels: of both sides.
    most_in_s, most_out_s: seconds of sound that the input may hand over, and the output ask for, at
        once: a block, or all that the device buffers.

    `write` belongs to one thread and `read` to another; neither waits for the other. `drift_ppm`,
    `underflows` (sound was missing), `overflows` (sound was thrown away) and `bad_samples` (instants
    that were mended, see dsp/bad_samples.py) may be read by any.
    """

    def __init__(
        self, rate_in: int, rate_out: int, channels: int, most_in_s: float, most_out_s: float
    ):
        self._rate_in, self._rate_out = rate_in, rate_out
        self._varispeed = Varispeed(rate_in, rate_out, channels, LONGEST_BLOCK)
        self._loop = DriftLoop()
        self._most_in = most_in_s * rate_in
        # In input samples: what may not have come yet, what may be asked for, what the filter holds.
        self._least = self._most_in + most_out_s * rate_in + self._varispeed.most_held_samples
        self._spare = DryWatch(SPARE_S, MOST_SPARE_S)
        # writer: input's thread; reader: output's, behind. (samples, channels)
        longest = math.ceil(self._least + MOST_SPARE_S * rate_in)
        self._ring = Ring(4 * longest + LONGEST_BLOCK, channels)
        # When the last block had been written, and how many samples by then: one reference, so that
        # the reader never sees the one without the other. None before the first.
        self._newest: tuple[float, int] | None = None
        # All below: writer and reader are the output's thread.
        self._piece = touched_zeros((len(self._ring), channels), np.float32)  # of the ring, mended
        self._last_in = np.zeros(channels, np.float32)
        mend(self._piece[:1], self._last_in)  # compiles it
        self._settled_s = math.inf
        self._playing = False
        # While nothing is heard: blocks that passed, input samples they would have taken, and by how
        # much more than those had arrived, in the mean.
        self._passed_blocks, self._passed, self._lead = 0, 0.0, 0.0
        self._observed = math.ceil(OBSERVE_S * rate_in)
        self._ramp = np.arange(1, LONGEST_BLOCK + 1, dtype=np.float32)[:, np.newaxis] / (
            FADE_S * rate_out
        )
        self._faded = 1.0  # how far the fade has come that was begun last, 1: to its end
        self._last = np.zeros(channels, np.float32)
        self.underflows = 0
        self.overflows = 0
        self.bad_samples = 0

    @property
    def delay_s(self) -> float:
        """Seconds between a sample's arrival and its being read, once the loop has locked."""
        return self._target / self._rate_in

    @property
    def lengthened_s(self) -> float:
        """What of it was added as the input fell short again and again; for any thread."""
        return self._spare.lengthened_s

    @property
    def _target(self) -> int:
        return math.ceil(self._least + self._spare.kept_s * self._rate_in)

    @property
    def playing(self) -> bool:
        """Whether both clocks are known and sound passes; else `read` gives silence. For any thread."""
        return self._playing

    @property
    def drift_ppm(self) -> float:
        """How much faster than its nominal rate the input runs, by the output's clock, in 1e-6."""
        return 1e6 * self._loop.drift

    # --- the input's thread ---------------------------------------------------------------------

    def write(self, block: NDArray[np.float32], now_s: float) -> None:
        """Take a block, (samples, channels) float32; `now_s` of a clock that both sides share.

        Real-time safe: where the reader has stopped, old sound is written over.
        """
        self._ring.push(block)
        self._newest = (now_s, self._ring.written)

    # --- the output's thread --------------------------------------------------------------------

    def read(self, out: NDArray[np.float32], now_s: float) -> None:
        """Fill `out`, (samples up to LONGEST_BLOCK, channels) float32. Real-time safe.

        Silence before both clocks have run for a while and where the input falls short.
        """
        newest = self._newest
        if newest is None:
            out[:] = 0.0
            return
        if self._playing and newest[1] - self._ring.read > 2 * self._target:
            self.overflows += 1
            self._stop()
        if not self._playing:
            self._begin(len(out), newest, now_s)
        got = self._play(out, newest, now_s) if self._playing else 0
        if got < len(out):
            if self._playing:
                self.underflows += 1
                self._stop()
                self._spare.note_dry(now_s)
            self._fade_out(out[got:])
        elif self._playing:
            self._spare.note_wet(now_s)

    def _arrived(self, newest: tuple[float, int], now_s: float) -> float:
        """Samples that have arrived by now, were they not handed over in blocks."""
        written_s, written = newest
        return written + min(max(0.0, now_s - written_s) * self._rate_in, self._most_in)

    def _begin(self, count: int, newest: tuple[float, int], now_s: float) -> None:
        """Start to play where the delay is right, if there is as much sound; else `count` pass."""
        if self._settled_s == math.inf:
            self._settled_s = now_s + SETTLE_S
        late_s = now_s - newest[0] - self._most_in / self._rate_in
        if now_s < self._settled_s or late_s > SPARE_S:
            # Nothing to go by: the input has not settled, or does not come at all.
            self._passed_blocks, self._passed, self._lead = 0, 0.0, 0.0
            return
        lead = self._arrived(newest, now_s) - self._passed
        self._passed_blocks += 1
        self._lead += (lead - self._lead) / self._passed_blocks
        start = round(self._passed + self._lead) - self._target
        if self._passed < self._observed or start < self._ring.read or self._faded < 1.0:
            self._passed += count * self._varispeed.ratio
            return
        self._ring.read = start
        self._observed = 0
        self._varispeed.clear()
        self._loop.restart()
        self._playing, self._faded = True, 0.0

    def _stop(self) -> None:
        self._playing, self._faded = False, 0.0
        self._passed_blocks, self._passed, self._lead = 0, 0.0, 0.0

    def _play(self, out: NDArray[np.float32], newest: tuple[float, int], now_s: float) -> int:
        """Fill `out` as far as the input goes; returns how far."""
        heard = self._ring.read - self._varispeed.delay_samples
        error = self._arrived(newest, now_s) - heard - self._target
        block_s = len(out) / self._rate_out
        self._varispeed.set_correction(self._loop.update(error / self._rate_in, block_s))
        while (lacking := self._varispeed.lacking(len(out))) and self._ring.read < newest[1]:
            stored = self._ring.view(self._ring.read, min(lacking, newest[1] - self._ring.read))
            piece = self._piece[: len(stored)]
            piece[:] = stored
            # One bad sample in the resampler would silence all that comes after.
            self.bad_samples += mend(piece, self._last_in)
            self._varispeed.push(piece)
            self._ring.advance(len(piece))
        got = self._varispeed.take(out)
        if self._faded < 1.0:
            out[:got] *= np.minimum(1.0, self._faded + self._ramp[:got])
            self._faded += got / (FADE_S * self._rate_out)
        if got:
            self._last[:] = out[got - 1]
        return got

    def _fade_out(self, out: NDArray[np.float32]) -> None:
        """The last sample held and faded to silence, over as many blocks as that takes."""
        np.multiply(self._last, np.maximum(0.0, 1.0 - self._faded - self._ramp[: len(out)]), out)
        self._faded += len(out) / (FADE_S * self._rate_out)
