"""How far rtsep's stems are from those of the official pipeline, written down once more."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.nets.registry import ModelConfig
from rtsep.offline.separator import Separator
from rtsep.weights.store import StemArrays
from rtsep_bench import official
from rtsep_bench.evaluation import sdr_db
from rtsep_bench.exact import exact_masks

# Those that the official pipeline has.
EXTENSIONS = ("zeros", "average")


def official_stems(
    config: ModelConfig, arrays: Mapping[str, StemArrays], audio: NDArray[np.float32]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The stems of official.py with the nets in float64, by (mask extension, stem).

    arrays: of every stem.  audio: (samples, 2), 44.1 kHz; the stems have the same shape.
    """

    def nets(magnitudes: NDArray[np.float32]) -> np.ndarray:
        return np.stack([exact_masks(config, arrays[stem], magnitudes) for stem in config.stems])

    spectra = official.analyse(audio)
    ratios = official.ratio_masks(spectra, config, nets)
    stems = {}
    for extension in EXTENSIONS:
        for stem, ratio in zip(config.stems, ratios):
            mask = official.extend(ratio, spectra.shape[1], average=extension == "average")
            stems[extension, stem] = official.synthesise(mask * spectra, len(audio))
    return stems


def agreement_db(
    config: ModelConfig, arrays: Mapping[str, StemArrays], audio: NDArray[np.float32], threads: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """Signal-to-noise ratio in dB and largest difference of rtsep's stems to the official ones.

    arrays: of every stem; rtsep must find the same ones installed.  audio: (samples, 2), 44.1 kHz.
    Returns them by (mask extension, stem).
    """
    wanted = official_stems(config, arrays, audio)
    found = {}
    for extension in EXTENSIONS:
        separator = Separator(config.name, mask_extension=extension, jobs=threads)
        for stem, result in separator.separate(audio, SAMPLE_RATE).items():
            difference = float(np.abs(result - wanted[extension, stem]).max())
            ratio_db = sdr_db(result, wanted[extension, stem])
            found[extension, stem] = ratio_db, difference
    return found
