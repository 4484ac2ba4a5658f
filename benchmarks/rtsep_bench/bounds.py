"""What a stem is to be compared with: a ceiling for all masks, and floors that need no network.

oracle      the ratio mask of the true stems, on the mixture
mixture     the mixture as it is
hpss        its harmonic or its percussive part (Fitzgerald 2010)
low-pass    what lies below CROSSOVER_HZ, or above
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.stft import Analysis, Synthesis
from rtsep.dsp.windows import hann_pair
from rtsep_bench.true_stems import Song
from rtsep_kernels.jit import kernel
from rtsep_kernels.records import Array

# Which part of HPSS a stem is, and which side of the crossover.
PERCUSSIVE = ("drums", "accompaniment")
LOW = ("bass", "accompaniment")
CROSSOVER_HZ = 200.0
# Frames, and bins, that HPSS takes the median of: 0.4 s and 180 Hz.
MEDIAN_OF = 17
# Frames at a time.
BLOCK_FRAMES = 512
_EPSILON = 1e-10

Spectrum = NDArray[np.complex64]
# From (frames, 2, bins) spectra of mixture, stem and rest to a mask of the same axes, or one of fewer
# that fits.
Mask = Callable[[Spectrum, Spectrum, Spectrum], NDArray[np.float32]]


def oracle(song: Song, stem: str) -> NDArray[np.float32]:
    """The mixture through the ratio mask of the true stem and the rest, squares of magnitudes."""

    def mask(mixture: Spectrum, true: Spectrum, rest: Spectrum) -> NDArray[np.float32]:
        return _share(np.abs(true), np.abs(rest))

    return _masked(song, mask)


def mixture(song: Song, stem: str) -> NDArray[np.float32]:
    """The mixture: what doing nothing gives."""
    return song.mixture


def hpss(song: Song, stem: str) -> NDArray[np.float32]:
    """The percussive part for drums and accompaniment, the harmonic part for other stems.

    Fitzgerald, "Harmonic/percussive separation using median filtering" (DAFx 2010), with soft masks of
    power 2, one for both channels.
    """

    def mask(mixture: Spectrum, true: Spectrum, rest: Spectrum) -> NDArray[np.float32]:
        magnitudes = np.abs(mixture).mean(axis=1)
        percussive = np.empty_like(magnitudes)
        running_median(magnitudes, percussive)
        across = np.ascontiguousarray(magnitudes.T)
        harmonic = np.empty_like(across)
        running_median(across, harmonic)
        parts = percussive, harmonic.T
        return _share(*(parts if stem in PERCUSSIVE else parts[::-1]))[:, np.newaxis]

    return _masked(song, mask, context=MEDIAN_OF // 2)


def low_pass(song: Song, stem: str) -> NDArray[np.float32]:
    """What lies below CROSSOVER_HZ for bass and accompaniment, what lies above for other stems."""
    hertz = np.arange(FRAME_LENGTH // 2 + 1) * SAMPLE_RATE / FRAME_LENGTH
    passed = (hertz < CROSSOVER_HZ) == (stem in LOW)
    return _masked(song, lambda mixture, true, rest: passed.astype(np.float32))


# By the contender's name.
BOUNDS: dict[str, Callable[[Song, str], NDArray[np.float32]]] = {
    "oracle": oracle,
    "mixture": mixture,
    "hpss": hpss,
    "low-pass": low_pass,
}


@kernel
def running_median(rows: Array, out: Array) -> None:
    """out[i, n] = median of rows[i, n - MEDIAN_OF // 2 : n + MEDIAN_OF // 2 + 1], cut at the ends.

    Of an even number of values, as there are at the ends, the greater of the two in the middle.

    Parameters
    ----------
    rows, out : (rows, length) float32
        C-contiguous; `out` is overwritten.
    """
    half = MEDIAN_OF // 2
    ordered = np.empty(MEDIAN_OF, rows.dtype)
    for i in range(rows.shape[0]):
        for n in range(rows.shape[1]):
            first, stop = max(0, n - half), min(rows.shape[1], n + half + 1)
            for count in range(stop - first):
                value, at = rows[i, first + count], count
                while at > 0 and ordered[at - 1] > value:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = value
            out[i, n] = ordered[(stop - first) // 2]


def _share(mine: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    squared = mine**2
    share: NDArray[np.float32] = squared / (squared + others**2 + np.float32(_EPSILON))
    return share


def _masked(song: Song, mask: Mask, context: int = 0) -> NDArray[np.float32]:
    """The mixture through a mask, (samples, 2) float32, with rtsep's Hann windows.

    context: frames on either side of a frame that its mask depends on.
    """
    windows = hann_pair(FRAME_LENGTH, HOP)
    analysis = Analysis(windows, 2, BLOCK_FRAMES)
    synthesis = Synthesis(windows, 2, BLOCK_FRAMES)
    # The first frame ends with the first hop; in front and behind is as much silence as frames need.
    overlap = windows.overlap_hops - 1
    frames = -(-len(song.mixture) // HOP) + overlap
    silence = np.zeros(((overlap + context) * HOP, 2), np.float32)
    sounds = [
        np.concatenate([silence, sound, silence]) for sound in (song.mixture, song.true, song.rest)
    ]
    out = np.zeros(((frames + windows.overlap_hops) * HOP, 2), np.float32)
    for first in range(0, frames, BLOCK_FRAMES):
        count = min(BLOCK_FRAMES, frames - first)
        spectra = []
        for sound in sounds:
            block = np.empty((count + 2 * context, 2, FRAME_LENGTH // 2 + 1), np.complex64)
            analysis.transform(sound[first * HOP :], block)
            spectra.append(block)
        masked = spectra[0] * mask(*spectra)
        synthesis.spectra[:count] = masked[context : context + count]
        synthesis.add(out, first, count)
    return out[overlap * HOP :][: len(song.mixture)]
