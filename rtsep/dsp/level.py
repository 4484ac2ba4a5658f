"""The level that the nets are shown: a slow gain towards the loudness they were trained on.

Spleeter's nets lose several dB of separation on quiet input. Only what they see is scaled; the
masks go onto the unscaled spectrum, so nothing pumps.
"""

from __future__ import annotations

import numpy as np

from rtsep.kernels.jit import kernel

# Separates best of -21 to -9, see docs/latency.md.
TARGET_DBFS = -12.0
GATE_DBFS = -60.0
MAX_GAIN_DB = 40.0
MIN_GAIN_DB = -20.0
# Time constant once the level is known; at the start the mean is that of all hops so far.
FOLLOW_S = 8.0


class NetworkLevel:
    """Follows the rms level of a stream, hop by hop. One user at a time.

    Hops below the gate are left out, so that silence is not amplified into noise.
    """

    def __init__(self, hop_s: float):
        self._slowest = hop_s / FOLLOW_S
        self._mean_square = 0.0
        self._hops = 0

    def update(self, hop: np.ndarray) -> float:
        """Take the next hop, (samples, channels) float32; return the gain for the nets."""
        mean_square = mean_square_of(hop)
        if mean_square > 10 ** (GATE_DBFS / 10):
            self._hops += 1
            weight = max(1 / self._hops, self._slowest)
            self._mean_square += weight * (mean_square - self._mean_square)
        return self.gain

    def continue_from(self, other: NetworkLevel) -> None:
        """Go on from where `other` is."""
        self._mean_square, self._hops = other._mean_square, other._hops

    @property
    def gain(self) -> float:
        """Factor on the nets' magnitudes; 1 until something has been heard."""
        if self._mean_square <= 0:
            return 1.0
        gain_db = TARGET_DBFS - 10 * np.log10(self._mean_square)
        return float(10 ** (min(max(gain_db, MIN_GAIN_DB), MAX_GAIN_DB) / 20))


@kernel
def mean_square_of(samples):
    """Mean of the squares of (samples, channels) float32."""
    total = 0.0
    for n in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            total += samples[n, c] * samples[n, c]
    return total / max(1, samples.size)


@kernel
def silence_nonfinite(samples):
    """Zero all of `samples` (samples, channels) if one is NaN or infinite; whether it was so."""
    bad = False
    for n in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            if not np.isfinite(samples[n, c]):
                bad = True
    if bad:
        samples[:] = np.float32(0.0)
    return bad
