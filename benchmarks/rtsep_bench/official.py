"""Spleeter's pipeline written down once more, as plainly as can be: what rtsep's is compared with.

NumPy, float64, the whole song in memory, nothing shared with rtsep.dsp but the numbers of the
format. After Hennequin et al., "Spleeter" (JOSS 2020): one frame of zeros in front, windowed frames
to the end of the song and past it, the nets on stretches of 512 frames (the last one filled up with
zeros), ratio masks, inverse transform with the same window, overlap-add.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import FRAME_LENGTH, HOP
from rtsep.nets.registry import OFFICIAL_FRAMES, ModelConfig

EPSILON = 1e-10
# Hann squared, overlapped four times, adds up to 3 / 2.
SYNTHESIS_FACTOR = 2 / 3
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH)

# What it does above the nets' bins.
EXTENSIONS = ("zeros", "average")

# Takes (512, bins, 2) float32 magnitudes; gives (stems, 512, 2, bins) masks, or logits.
Nets = Callable[[NDArray[np.float32]], np.ndarray]


def stems(
    audio: NDArray[np.floating], config: ModelConfig, nets: Nets
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The stems of a song by (mask extension, stem).

    audio: (samples, 2), 44.1 kHz; the stems have the same shape.
    """
    spectra = analyse(audio)
    ratios = ratio_masks(spectra, config, nets)
    found = {}
    for extension in EXTENSIONS:
        for stem, ratio in zip(config.stems, ratios):
            mask = extend(ratio, spectra.shape[1], average=extension == "average")
            found[extension, stem] = synthesise(mask * spectra, len(audio))
    return found


def analyse(audio: NDArray) -> NDArray[np.complex128]:
    """(samples, 2) to (frames, all bins, 2): a frame of zeros in front, padding behind."""
    padded = np.concatenate([np.zeros((FRAME_LENGTH, 2)), audio])
    frames = -(-len(padded) // HOP)
    padded = np.concatenate([padded, np.zeros((FRAME_LENGTH, 2))])
    starts = HOP * np.arange(frames)
    windowed = [padded[start : start + FRAME_LENGTH] * WINDOW[:, np.newaxis] for start in starts]
    return np.fft.rfft(windowed, axis=1)


def ratio_masks(
    spectra: NDArray[np.complex128], config: ModelConfig, nets: Nets
) -> NDArray[np.float64]:
    """What each bin of each stem is multiplied with: (stems, frames, config.bins, 2)."""
    magnitudes = np.abs(spectra[:, : config.bins])
    squares = (_masks(magnitudes, config, nets) * magnitudes) ** 2
    return (squares + EPSILON / len(squares)) / (squares.sum(axis=0) + EPSILON)


def extend(ratio: NDArray[np.float64], all_bins: int, average: bool) -> NDArray[np.float64]:
    """(frames, bins, 2) to (frames, all_bins, 2): zeros above, or the mean over frequency."""
    beyond = ratio.mean(axis=1, keepdims=True) if average else np.zeros_like(ratio[:, :1])
    return np.concatenate([ratio, np.repeat(beyond, all_bins - ratio.shape[1], axis=1)], axis=1)


def synthesise(spectra: NDArray[np.complex128], samples: int) -> NDArray[np.float64]:
    """The inverse of `analyse`: (frames, all bins, 2) to (samples, 2)."""
    sound = np.zeros((HOP * len(spectra) + FRAME_LENGTH, 2))
    window = SYNTHESIS_FACTOR * WINDOW[:, np.newaxis]
    for number, spectrum in enumerate(spectra):
        start = HOP * number
        sound[start : start + FRAME_LENGTH] += window * np.fft.irfft(spectrum, FRAME_LENGTH, axis=0)
    return sound[FRAME_LENGTH : FRAME_LENGTH + samples]


def _masks(magnitudes: NDArray, config: ModelConfig, nets: Nets) -> NDArray[np.float64]:
    """(stems, frames, bins, 2)."""
    frames = len(magnitudes)
    parts = []
    for first in range(0, frames, OFFICIAL_FRAMES):
        stretch = np.zeros((OFFICIAL_FRAMES, config.bins, 2), np.float32)
        part = magnitudes[first : first + OFFICIAL_FRAMES]
        stretch[: len(part)] = part
        parts.append(np.asarray(nets(stretch), np.float64)[:, : len(part)])
    masks = np.concatenate(parts, axis=1).transpose(0, 1, 3, 2)
    if config.output == "softmax":
        powers = np.exp(masks - masks.max(axis=0))
        masks = powers / powers.sum(axis=0)
    return masks
