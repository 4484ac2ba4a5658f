"""The level that the nets are shown: a slow gain towards the loudness they were trained on.

Spleeter's nets lose several dB of separation on quiet input. Only what they see is scaled; the
masks go onto the unscaled spectrum, so nothing pumps.

The level is a mean over seconds, so a click of a few milliseconds, a million times louder than music,
would hold it up for as long. Hops are therefore counted for good only a second after they came:

    counted for good              the newest second, counted anew with every hop
    mean of the past  ------>  hop hop hop hop HOP hop hop hop  ------>  gain
                                               |
                              limited: too loud for what is known, and alone in its second

Loud hops that others join, as where music sets in, are no longer limited then, not even those
that have passed; so the mean comes to be what it would be without any limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep_kernels.jit import kernel

Doubles = NDArray[np.float64]

# Separates best of -21 to -9, see docs/experiments.md.
TARGET_DBFS = -12.0
GATE_DBFS = -60.0
MAX_GAIN_DB = 40.0
MIN_GAIN_DB = -20.0
# Time constant once the level is known; at the start the mean is that of all hops so far.
FOLLOW_S = 8.0
# A hop is believed up to what COMPANY hops of its second reach, and this much above: a beat of a drum
# stands out by less, and music that sets in is loud for longer. One that is louder still may raise
# the mean by so much, which lets a drum alone be followed.
ABOVE_COMPANY_DB, MOST_RAISE_DB = 9.0, 0.7
WINDOW_S, COMPANY = 1.0, 5


class NetworkLevel:
    """Follows the rms level of a stream, hop by hop. One user at a time.

    Hops below the gate are left out, so that silence is not amplified into noise.

    Parameters
    ----------
    hop_s : float
        Duration of a hop, in seconds.
    """

    def __init__(self, hop_s: float):
        self._slowest = hop_s / FOLLOW_S
        # Mean squares of the newest hops, 0 below the gate; hop n in place n modulo the length.
        self._window = np.zeros(max(COMPANY, round(WINDOW_S / hop_s)))
        self._hops = 0
        # Of those that have left the window: how many counted, and their mean; 0 for none.
        self._past_hops, self._past = 0, 0.0
        # The same with those in the window, as far as they are believed.
        self._mean_square = 0.0

    def update(self, hop: NDArray[np.float32]) -> float:
        """Take the next hop, (samples, channels) float32; return the gain for the nets."""
        mean_square = mean_square_of(hop)
        if mean_square <= 10 ** (GATE_DBFS / 10):
            mean_square = 0.0
        # Louder than where the gain ends tells nothing more, and takes longer to forget.
        mean_square = min(mean_square, 10 ** ((TARGET_DBFS - MIN_GAIN_DB) / 10))
        place = self._hops % len(self._window)
        self._past_hops, self._past = _leave(
            place, self._window, self._past_hops, self._past, self._slowest
        )
        self._window[place] = mean_square
        self._hops += 1
        self._mean_square = _mean_of_all(
            place, self._window, self._past_hops, self._past, self._slowest
        )
        return self.gain

    def continue_from(self, other: NetworkLevel) -> None:
        """Go on from where `other` is, of the same hop."""
        self._window[:] = other._window
        self._hops, self._past_hops, self._past = other._hops, other._past_hops, other._past
        self._mean_square = other._mean_square

    @property
    def gain(self) -> float:
        """Factor on the nets' magnitudes; 1 until something has been heard."""
        if self._mean_square <= 0:
            return 1.0
        gain_db = TARGET_DBFS - 10 * np.log10(self._mean_square)
        return float(10 ** (min(max(gain_db, MIN_GAIN_DB), MAX_GAIN_DB) / 20))


@kernel
def _leave(
    place: int, window: Doubles, past_hops: int, past: float, slowest: float
) -> tuple[int, float]:
    """Hops that count and their mean once the one in `place`, the oldest, is among them."""
    believed = _loudest_with_company(window, COMPANY) * 10 ** (ABOVE_COMPANY_DB / 10)
    if window[place] <= 0 or (past_hops == 0 and window[place] > believed):
        return past_hops, past
    return past_hops + 1, _with_hop(past, window[place], believed, past_hops, slowest)


@kernel
def _mean_of_all(newest: int, window: Doubles, hops: int, mean: float, slowest: float) -> float:
    """The mean of the past and of the window, whose newest hop stands in place `newest`."""
    company = COMPANY
    if hops == 0:
        # Nothing is known yet: the first hops are believed for now.
        company = min(COMPANY, int(np.sum(window > 0)))
    believed = _loudest_with_company(window, company) * 10 ** (ABOVE_COMPANY_DB / 10)
    for n in range(1, len(window) + 1):
        value = window[(newest + n) % len(window)]
        if value > 0:
            mean = _with_hop(mean, value, believed, hops, slowest)
            hops += 1
    return mean


@kernel
def _loudest_with_company(window: Doubles, company: int) -> float:
    """The highest level that so many hops reach; 0 for none."""
    loudest = np.zeros(COMPANY)
    for value in window:
        for place in range(company):
            if value > loudest[place]:
                value, loudest[place] = loudest[place], value
    return loudest[company - 1] if company else 0.0


@kernel
def _with_hop(mean: float, value: float, believed: float, hops: int, slowest: float) -> float:
    """The mean after one hop more than `hops`."""
    weight = max(1 / (hops + 1), slowest)
    raised = mean + weight * (value - mean)
    if value > believed:
        most = max(mean + weight * (believed - mean), mean * 10 ** (MOST_RAISE_DB / 10))
        return min(raised, most)
    return raised


@kernel
def mean_square_of(samples: NDArray[np.float32]) -> float:
    """Mean of the squares of (samples, channels) float32."""
    total = 0.0
    for n in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            total += samples[n, c] * samples[n, c]
    return total / max(1, samples.size)
