"""How well a stem was separated, against the true one.

Both measures are plain energy ratios over all samples and channels at once; no filter is fitted and
nothing is averaged over segments, so they are lower than, and not comparable with, the figures of
museval (BSS Eval v4), in which published separators are given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
