"""Levels of the stems and the mix, noted by the audio thread for whoever shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.auto_level import mean_square_of
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.windows import WindowPair

# Hops that a level is averaged over: 93 ms, so that a display refreshed ten times a second misses
# next to nothing between two looks.
AVERAGED_HOPS = 4
# Shown for silence; below the noise of 16 bits, and finite.
FLOOR_DBFS = -120.0


class Levels:
    """Rms levels of the newest hops, in dBFS: 0 for a mean square of 1, -3 for a full-scale sine.

    A stem's level is that of the stem itself, whatever its gain in the mix; the mix is as it is
    heard. Writer: audio thread, `note`. Readers: any thread, `dbfs`.
    """

    def __init__(self, stems: Sequence[str], windows: WindowPair):
        self._names = (*stems, "mix")
        # (hop, stems and mix) float32; stems: sums of |mask * spectrum|^2; mix: mean square
        self._hops = np.zeros((AVERAGED_HOPS, len(self._names)), np.float32)
        self._next = 0
        # Parseval for a frame under the analysis window w: over its N samples the sum of (w x)^2 is
        # 1 / N times the sum of |X|^2 over all bins, of which a real signal's spectrum holds half;
        # and it is the mean of x^2 times the sum of w^2.
        energy = np.sum(windows.analysis.astype(np.float64) ** 2)
        scale = 2 / (NET_CHANNELS * windows.frame_length * energy)
        self._scales = np.array([scale] * len(stems) + [1.0])

    def note(self, powers: NDArray[np.float32], mix: NDArray[np.float32]) -> None:
        """Take a hop's figures. Real-time safe.

        powers: (stems,) float32, as from dsp.masking.mix_frame. mix: (samples, channels) float32.
        """
        hop = self._hops[self._next]
        hop[:-1] = powers
        hop[-1] = mean_square_of(mix)
        self._next = (self._next + 1) % AVERAGED_HOPS

    def dbfs(self) -> dict[str, float]:
        """Level by name of stem, and of ``mix``; FLOOR_DBFS in silence."""
        mean_squares = self._scales * self._hops.mean(axis=0)
        levels = 10 * np.log10(np.maximum(mean_squares, 10 ** (FLOOR_DBFS / 10)))
        return dict(zip(self._names, levels.tolist()))
