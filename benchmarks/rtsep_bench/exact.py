"""What results are compared with: the net in float64, in torch where it is installed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtsep.environment import installed_version
from rtsep.nets.registry import ModelConfig
from rtsep_bench.contenders import RUNTIMES, TORCH
from rtsep_bench.reference_unet import reference_masks


def exact_masks(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], magnitudes: np.ndarray
) -> NDArray[np.float64]:
    """The masks of one window of frames, or the logits where the model's stems share a softmax.

    arrays: canonical arrays of one stem.  magnitudes: (frames, bins, 2), multiples of 64.
    Returns (frames, 2, bins) float64: by torch, or by NumPy where torch is not installed.
    """
    if RUNTIMES[TORCH].missing:
        return reference_masks(config, arrays, magnitudes)
    import torch

    from rtsep_bench.net_torch import TorchUNet

    return TorchUNet(config, arrays, torch.float64).masks(magnitudes)


def reference_name() -> str:
    """What `exact_masks` computes with."""
    if RUNTIMES[TORCH].missing:
        return "the NumPy reference in float64"
    return f"torch {installed_version(TORCH)} in float64"
