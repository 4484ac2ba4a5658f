"""Small D3Nets with random weights, and their twins in torch."""

from __future__ import annotations

import numpy as np

from rtsep.nets.d3net_steps import D3NetStructure, d3net_shapes
from rtsep.nets.registry import D3NET, ModelConfig

# Growth by odd and even numbers, above and below a tile's channels; blocks of one layer and of many.
SMALL = D3NetStructure(
    low_bins=64,
    low_features=5,
    low_growth=(3, 4, 5),
    low_layers=(2, 3, 2),
    high_features=3,
    high_growth=(2, 3, 2),
    high_layers=(1, 1, 1),
    full_features=7,
    full_growth=(4, 17, 3),
    full_layers=(3, 5, 2),
    final_growth=3,
    final_layers=2,
)
SMALL_BINS = 128


def config_of(structure: D3NetStructure = SMALL, bins: int = SMALL_BINS) -> ModelConfig:
    """A model of one stem."""
    return ModelConfig(
        name="small",
        weights_name="small",
        stems=("vocals",),
        encoder_activation="relu",
        decoder_activation="relu",
        output="sigmoid",
        bins=bins,
        kind=D3NET,
        structure=structure,
    )


def random_arrays(structure: D3NetStructure, seed: int) -> dict[str, np.ndarray]:
    """Canonical arrays that keep the images' size from step to step."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in d3net_shapes(structure).items():
        values = random.standard_normal(shape)
        if name.endswith("/kernel"):
            # What an output pixel sees of a transposed kernel is one tap.
            seen = shape[3] if "-up" in name else np.prod(shape[:3])
            values *= np.sqrt(2 / seen)
        else:
            values = values * 0.1 + name.endswith("/scale")
        arrays[name] = values.astype(np.float32)
    return arrays


def random_magnitudes(frames: int, bins: int, seed: int = 1) -> np.ndarray:
    """(frames, bins, 2) float32."""
    return np.abs(np.random.default_rng(seed).standard_normal((frames, bins, 2))).astype(np.float32)
