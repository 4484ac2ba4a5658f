"""How well a stem was separated, against the true one.

SDR and SI-SDR are plain energy ratios over all samples and channels at once; nothing is averaged over
segments, so they are not comparable with the figures of museval (bss_eval.py), in which published
separators are given. Leakage is what is heard where the stem is silent.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.constants import SAMPLE_RATE

# Leakage is measured in frames of half a second: a rest between two lines of a song lasts longer.
LEAKAGE_FRAME_SAMPLES = SAMPLE_RATE // 2
# What is quieter, by its root mean square over a frame, counts as silent.
SILENT_DBFS = -60.0
# Less than this is nothing, and has no decibels.
LEAST_LEAKAGE_DB = -120.0


def sdr_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Signal-to-distortion ratio, 10 log10(sum reference^2 / sum (reference - estimate)^2), in dB.

    estimate, reference: (samples, channels) or (samples,), of one shape. Anything that differs
    counts as distortion, a wrong level included.
    Returns inf where both are equal, -inf where only the reference is silent. Raises ValueError for
    different shapes.
    """
    estimated, true = _pair(estimate, reference)
    return _ratio_db(np.sum(true**2), np.sum((true - estimated) ** 2))


def si_sdr_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant SDR: as sdr_db, but against the reference at the level that fits best, in dB.

    Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?" (ICASSP 2019); one gain for
    all channels. Arguments and errors as for sdr_db.
    """
    estimated, true = _pair(estimate, reference)
    energy = np.sum(true**2)
    if energy == 0:
        return _ratio_db(0.0, np.sum(estimated**2))
    target = true * (np.sum(estimated * true) / energy)
    return _ratio_db(np.sum(target**2), np.sum((target - estimated) ** 2))


def leakage_db(estimate: ArrayLike, reference: ArrayLike, mixture: ArrayLike) -> float | None:
    """How loud the estimate is where the reference is silent, against the mixture there, in dB.

    The energies of estimate and mixture are added up over the frames, LEAKAGE_FRAME_SAMPLES long and
    without overlap, in which the reference is below SILENT_DBFS and the mixture is not. At 0 dB the
    whole mixture gets through. What remains at the end, shorter than a frame, is left out.

    estimate, reference, mixture: (samples, channels), of one shape; 44.1 kHz, full scale is 1.
    Returns at least LEAST_LEAKAGE_DB; None where there is no such frame. Raises ValueError for
    different shapes.
    """
    estimated, true = _pair(estimate, reference)
    mixed, _ = _pair(mixture, reference)
    powers = [_frame_powers(sound) for sound in (estimated, true, mixed)]
    threshold = 10 ** (SILENT_DBFS / 10)
    counted = (powers[1] < threshold) & (powers[2] >= threshold)
    if not counted.any():
        return None
    leaked, there = powers[0][counted].sum(), powers[2][counted].sum()
    return max(LEAST_LEAKAGE_DB, _ratio_db(leaked, there))


def is_silent(sound: ArrayLike) -> bool:
    """Whether no frame of a sound, (samples, channels), reaches SILENT_DBFS."""
    samples = np.asarray(sound, np.float64)
    powers = (
        _frame_powers(samples) if len(samples) >= LEAKAGE_FRAME_SAMPLES else np.mean(samples**2)
    )
    return bool(np.max(powers) < 10 ** (SILENT_DBFS / 10))


def _frame_powers(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square of each whole frame, over all channels: (frames,)."""
    frames = len(sound) // LEAKAGE_FRAME_SAMPLES
    whole = sound[: frames * LEAKAGE_FRAME_SAMPLES]
    values = LEAKAGE_FRAME_SAMPLES * math.prod(sound.shape[1:])
    squares: NDArray[np.float64] = np.mean(whole.reshape(frames, values) ** 2, axis=1)
    return squares


def _pair(
    estimate: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    estimated, true = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if estimated.shape != true.shape:
        raise ValueError(
            "estimate and reference must have one shape: "
            f"got {estimated.shape} and {true.shape}; cut the longer one"
        )
    return estimated, true


def _ratio_db(signal: float, distortion: float) -> float:
    if distortion == 0:
        return np.inf
    if signal == 0:
        return -np.inf
    return float(10 * np.log10(signal / distortion))
