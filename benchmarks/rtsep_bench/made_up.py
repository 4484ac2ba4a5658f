"""Seeded weights, made up for where the genuine ones are missing: speed does not depend on them.

Kernels as He et al. ("Delving deep into rectifiers", ICCV 2015) would initialise them, so that
activations neither die out nor explode: an encoder's sum has 25 x in terms, a decoder's one in four
of them, a dense layer's all inputs. Biases and shifts are 0.1 x normal, scales 1 + 0.1 x normal.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rtsep.nets.kinds import kind_of, net_name, nets_of
from rtsep.nets.registry import UNET, ModelConfig, find_model
from rtsep.weights.network import Network
from rtsep.weights.store import Provenance, StemArrays, write_weights

PER_MASK_WEIGHT = 0.25
PER_PARAMETER = 0.1


def made_up_arrays(seed: int, config: ModelConfig | None = None) -> StemArrays:
    """One net's canonical arrays, float32; of Spleeter's U-Net where no model is given."""
    config = config or find_model("spleeter:2stems")
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in kind_of(config).shapes(config).items():
        layer, part = name.split("/")[-2:]
        values = random.standard_normal(shape, np.float32)
        values *= np.float32(_deviation(layer, part, shape))
        if part == "scale":
            values += np.float32(1)
        arrays[name] = values
    return arrays


def made_up_stems(config: ModelConfig) -> dict[str, StemArrays]:
    """Made-up arrays of every net of a model; the seed is its place."""
    return {net_name(net): made_up_arrays(seed, config) for seed, net in enumerate(nets_of(config))}


def write_made_up(config: ModelConfig, path: Path) -> None:
    """Install made-up weights of a model as the file `path`, in rtsep's own format."""
    source = "made up, seeded; for benchmarks only"
    provenance = Provenance(
        model=config.weights_name,
        stems=",".join(config.net_stems),
        source=source,
        source_sha256="0" * 64,
        licence="none",
        copyright="none",
        network="" if config.kind == UNET else Network.of(config).as_text(),
    )
    write_weights(path, made_up_stems(config), provenance)


def _deviation(layer: str, part: str, shape: tuple[int, ...]) -> float:
    if part != "kernel":
        return PER_PARAMETER
    if layer == "mask":
        return PER_MASK_WEIGHT
    if layer == "unembed":
        return (1 / shape[3]) ** 0.5
    upwards = len(shape) == 4 and layer.startswith("up")
    terms = 25 / 4 * shape[3] if upwards else math.prod(shape[:-1])
    return (2 / terms) ** 0.5
