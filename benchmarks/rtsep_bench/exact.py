"""What results are compared with: the net in float64, in torch where it is installed.

Elsewhere in NumPy on the readable reference kernels: slow, and not to be doubted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtsep.environment import installed_version
from rtsep.errors import MissingLibraryError
from rtsep.nets.registry import UNET, ModelConfig
from rtsep.nets.unet import LEVELS
from rtsep_bench.contenders import RUNTIMES, TORCH
from rtsep_bench.layers import Layer, unet_layers
from rtsep_kernels import reference


def exact_masks(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], magnitudes: np.ndarray
) -> NDArray[np.float64]:
    """The masks of one window of frames, or the logits where the model's stems share a softmax.

    arrays: canonical arrays of one net.  magnitudes: (frames, bins, 2).
    Returns (frames, 2, bins) float64: by torch, or by NumPy where torch is not installed. Raises
    MissingLibraryError for nets that NumPy has no reference of.
    """
    if RUNTIMES[TORCH].missing:
        if config.kind != UNET:
            raise MissingLibraryError(
                f"a {config.kind} is compared with torch's only: pip install 'rtsep[bench]'"
            )
        return reference_masks(config, arrays, magnitudes)
    import torch

    from rtsep_bench.net_torch import torch_net

    return torch_net(config, arrays, torch.float64).masks(magnitudes)


def reference_name() -> str:
    """What `exact_masks` computes with."""
    if RUNTIMES[TORCH].missing:
        return "the NumPy reference in float64"
    return f"torch {installed_version(TORCH)} in float64"


def reference_masks(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], magnitudes: np.ndarray
) -> NDArray[np.float64]:
    """As exact_masks, by NumPy."""
    layers = unet_layers(config, arrays, *magnitudes.shape[:2])
    encoder, decoder, mask = layers[:LEVELS], layers[LEVELS:-1], layers[-1]
    x = magnitudes.astype(np.float64)
    skips = []
    for layer in encoder:
        skip = np.zeros(layer.output_shape)
        x = _convolve(layer, x, skip)
        skips.append(skip)
    for step, layer in enumerate(decoder, 1):
        x = reference.conv_transpose2d(
            x, layer.weights, layer.epilogue, layer.act, layer.shape,
            np.zeros(layer.output_shape),
        )  # fmt: skip
        if step < LEVELS:
            x = np.concatenate([skips[LEVELS - 1 - step], x], axis=2)
    return _convolve(mask, x, np.zeros(0)).transpose(0, 2, 1)


def _convolve(layer: Layer, x: np.ndarray, skip: np.ndarray) -> np.ndarray:
    out = np.zeros(layer.output_shape)
    return reference.conv2d(
        x, layer.weights, layer.epilogue, layer.act, layer.shape, out, skip=skip
    )
