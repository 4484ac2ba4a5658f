"""Write unet.npz: what PyTorch makes of Spleeter's U-Net with made-up weights (needs torch).

python -m tests.golden.generate_unet

Per model, by name: the masks (logits, where stems share a softmax) of one stem's net in float64,
stored as float32, (frames, 2, bins). The weights are not stored: they come from their seed, and
`weights_sha256/MODEL` tells whether NumPy still draws the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.weights.made_up_weights import made_up_arrays

GOLDEN = Path(__file__).with_name("unet.npz")

# One model per setting of the activations, with the seed of its weights.
SEEDS = {"spleeter:2stems": 11, "spleeter:4stems": 12, "spleeter:5stems": 13}

# Twice as many bins as frames: neither axis can be taken for the other.
FRAMES, BINS = 64, 128
MAGNITUDES_SEED = 10


def weights_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the arrays, one after another."""
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def main() -> None:
    """Compute and write everything."""
    import torch

    from rtsep.nets.registry import find_model
    from rtsep_bench.net_torch import TorchNet

    random = np.random.default_rng(MAGNITUDES_SEED)
    magnitudes = np.abs(random.standard_normal((FRAMES, BINS, 2), np.float32))
    stored: dict[str, Any] = {"magnitudes": magnitudes}
    for model, seed in SEEDS.items():
        arrays = made_up_arrays(seed)
        masks = TorchNet(find_model(model), arrays, torch.float64).masks(magnitudes)
        stored[model] = masks.astype(np.float32)
        stored[f"weights_sha256/{model}"] = np.array(weights_sha256(arrays))
    np.savez_compressed(GOLDEN, **stored)


if __name__ == "__main__":
    main()
