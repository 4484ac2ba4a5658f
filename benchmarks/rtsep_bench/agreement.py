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
from rtsep_kernels.precision import Precision


def agreement_db(
    config: ModelConfig,
    arrays: Mapping[str, StemArrays],
    audio: NDArray[np.float32],
    threads: int,
    precision: Precision,
) -> dict[tuple[str, str], tuple[float, float]]:
    """Signal-to-noise ratio in dB and largest difference of rtsep's stems to the official ones.

    arrays: of every stem; rtsep must find the same ones installed.  audio: (samples, 2), 44.1 kHz.
    Returns them by (mask extension, stem).
    """

    def nets(magnitudes: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.stack([exact_masks(config, arrays[stem], magnitudes) for stem in config.stems])

    wanted = official.stems(audio, config, nets)
    found = {}
    for extension in official.EXTENSIONS:
        separator = Separator(
            config.name, mask_extension=extension, jobs=threads, precision=precision
        )
        for stem, result in separator.separate(audio, SAMPLE_RATE).items():
            difference = float(np.abs(result - wanted[extension, stem]).max())
            ratio_db = sdr_db(result, wanted[extension, stem])
            found[extension, stem] = ratio_db, difference
    return found
