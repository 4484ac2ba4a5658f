"""From one engine to the next while the sound goes on: both run until a quiet place, then a fade.

    old      . . . . . . . . . . . . \\
    new      (not heard)              / . . . . . .
             settle | quiet enough?  | fade, a hop

What is heard jumps by the difference of the two latencies: so much of the music is heard twice, or not
at all. Where both are quiet that is heard least. A quiet place is one where both are well below the
loudest that has gone by; the longer it takes to come, the less quiet it has to be, and after WITHIN_S
any place will do.

The fade's two gains, halves of a raised cosine, add up to 1, so that it never exceeds the louder of the
two, whether they are in phase or not, and has no corner that could be heard. (Gains of equal power would
be louder by up to 3 dB where tones are held, and clip.)
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.auto_level import mean_square_of
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.system.memory import touched_zeros

WITHIN_S = 1.0
# The new engine's first masks may be late, as it was fed in haste. It is not heard so long.
SETTLE_S = 0.1
# Levels are looked at in pieces of so many samples, 6 ms. At first a quiet one is so much below the
# loudest, and after WITHIN_S so much; what is below the gate is quiet in any case.
PIECE = 256
FIRST_BELOW_DB, LAST_BELOW_DB, GATE_DBFS = 30.0, 10.0, -60.0


class Side(Protocol):
    """What is gone over from, and to."""

    def process(
        self, block: NDArray[np.float32], out: NDArray[np.float32], wait_until_s: float = 0.0
    ) -> None:
        """Take a block and give as many samples; see Engine.process."""
        ...


class Handover:
    """One at a time. One user: the audio thread. Nothing is allocated after the constructor.

    hop: samples of the fade. channels: of the output, the mix first.
    """

    def __init__(self, hop: int, channels: int):
        phase = np.pi / 2 * (np.arange(hop, dtype=np.float64) + 0.5) / hop
        # (hop, 1) float32; reader: audio thread
        self._rise = np.sin(phase).astype(np.float32)[:, np.newaxis] ** 2
        self._fall = 1 - self._rise
        # Output of the new engine. writer and reader: audio thread
        self._coming = touched_zeros((max(hop, PIECE), channels), np.float32)
        # Compiles what looks at levels, for arrays of the mix alone and for parts of wider ones.
        for width in NET_CHANNELS, 2 * NET_CHANNELS:
            silence = np.zeros((PIECE, width), np.float32)
            self.begin()
            self._is_quiet(silence, silence)
        self.begin()

    def begin(self) -> None:
        """Another one begins with the next block."""
        self._waited = self._faded = 0
        # Of the piece that is being looked at: samples, and sums of both sides' squares.
        self._looked_at, self._heard_sum, self._coming_sum = 0, 0.0, 0.0
        self._loudest = 0.0
        self._is_fading = False

    @property
    def is_over(self) -> bool:
        """Whether the new one alone is heard."""
        return self._faded == len(self._rise)

    def process(
        self,
        old: Side,
        new: Side,
        block: NDArray[np.float32],
        out: NDArray[np.float32],
        wait_until_s: float = 0.0,
    ) -> int:
        """One piece of `block` through both into `out`; how many samples that were."""
        most = len(self._rise) - self._faded if self._is_fading else PIECE - self._looked_at
        count = min(len(block), most)
        coming = self._coming[:count]
        old.process(block[:count], out[:count], wait_until_s)
        new.process(block[:count], coming, wait_until_s)
        if self._is_fading:
            piece = slice(self._faded, self._faded + count)
            out[:count] *= self._fall[piece]
            coming *= self._rise[piece]
            out[:count] += coming
            self._faded += count
            return count
        self._waited += count
        is_quiet = self._is_quiet(out[:count], coming)
        self._is_fading = self._waited >= WITHIN_S * SAMPLE_RATE or (
            is_quiet and self._waited >= SETTLE_S * SAMPLE_RATE
        )
        return count

    def _is_quiet(self, heard: NDArray[np.float32], coming: NDArray[np.float32]) -> bool:
        """Whether a piece ends here that is quiet on both sides."""
        self._looked_at += len(heard)
        self._heard_sum += len(heard) * mean_square_of(heard[:, :NET_CHANNELS])
        self._coming_sum += len(heard) * mean_square_of(coming[:, :NET_CHANNELS])
        if self._looked_at < PIECE:
            return False
        level = max(self._heard_sum, self._coming_sum) / PIECE
        self._looked_at, self._heard_sum, self._coming_sum = 0, 0.0, 0.0
        self._loudest = max(self._loudest, level)
        waited = min(1.0, self._waited / (WITHIN_S * SAMPLE_RATE))
        below_db = FIRST_BELOW_DB + waited * (LAST_BELOW_DB - FIRST_BELOW_DB)
        return level <= max(10 ** (GATE_DBFS / 10), self._loudest * 10 ** (-below_db / 10))
