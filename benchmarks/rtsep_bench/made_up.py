"""Seeded weights, made up for where the genuine ones are missing: speed does not depend on them.

Kernels as He et al. ("Delving deep into rectifiers", ICCV 2015) would initialise them, so that
activations neither die out nor explode: an encoder's sum has 25 x in terms, a decoder's one in four
of them. Biases and shifts are 0.1 x normal, scales 1 + 0.1 x normal.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsep.nets.arrays import stem_shapes
from rtsep.nets.registry import ModelConfig
from rtsep.weights.store import Provenance, StemArrays, write_weights

PER_MASK_WEIGHT = 0.25
PER_PARAMETER = 0.1


def made_up_arrays(seed: int) -> StemArrays:
    """One stem's canonical arrays (rtsep/nets/arrays.py), float32."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in stem_shapes().items():
        layer, _, part = name.partition("/")
        values = random.standard_normal(shape, np.float32)
        values *= np.float32(_deviation(layer, part, shape))
        if part == "scale":
            values += np.float32(1)
        arrays[name] = values
    return arrays


def made_up_stems(config: ModelConfig) -> dict[str, StemArrays]:
    """Made-up arrays of every stem of a model; the seed is the stem's place."""
    return {stem: made_up_arrays(seed) for seed, stem in enumerate(config.stems)}


def write_made_up(config: ModelConfig, path: Path) -> None:
    """Install made-up weights of a model as the file `path`, in rtsep's own format."""
    source = "made up, seeded; for benchmarks only"
    provenance = Provenance(
        config.weights_name, ",".join(config.stems), source, "0" * 64, "none", "none"
    )
    write_weights(path, made_up_stems(config), provenance)


def _deviation(layer: str, part: str, shape: tuple[int, ...]) -> float:
    if part != "kernel":
        return PER_PARAMETER
    if layer == "mask":
        return PER_MASK_WEIGHT
    terms = 25 * shape[2] if layer.startswith("conv") else 25 / 4 * shape[3]
    return (2 / terms) ** 0.5
