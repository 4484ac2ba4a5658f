"""The arrays of one U-Net in canonical layout, before any packing for a processor.

All kernels are in TensorFlow's axis order; batch norm is folded to `scale` and `shift` per channel
(y = x * scale + shift, scale = gamma / sqrt(variance + 1e-3), shift = beta - mean * scale).
Names and shapes, all float32:

    conv1..conv6 /kernel (5, 5, in, out) HWIO   /bias (out,)
    conv1..conv5 /scale (out,) /shift (out,)     batch norm after the convolution
    up1..up6     /kernel (5, 5, out, in) HWOI   /bias /scale /shift (out,)
    mask         /kernel (4, 4, 1, 2) HWIO       /bias (2,)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtsep.errors import WeightsError

ENCODER_CHANNELS = (2, 16, 32, 64, 128, 256, 512)
DECODER_INPUTS = (512, 512, 256, 128, 64, 32)
DECODER_OUTPUTS = (256, 128, 64, 32, 16, 1)
BATCH_NORM_EPSILON = 1e-3


def stem_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of one stem, in network order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for level in range(1, 7):
        channels_in, channels_out = ENCODER_CHANNELS[level - 1 : level + 1]
        shapes[f"conv{level}/kernel"] = (5, 5, channels_in, channels_out)
        shapes[f"conv{level}/bias"] = (channels_out,)
        if level < 6:
            shapes[f"conv{level}/scale"] = (channels_out,)
            shapes[f"conv{level}/shift"] = (channels_out,)
    for step, (channels_in, channels_out) in enumerate(zip(DECODER_INPUTS, DECODER_OUTPUTS), 1):
        shapes[f"up{step}/kernel"] = (5, 5, channels_out, channels_in)
        for name in ("bias", "scale", "shift"):
            shapes[f"up{step}/{name}"] = (channels_out,)
    shapes["mask/kernel"] = (4, 4, 1, 2)
    shapes["mask/bias"] = (2,)
    return shapes


def check_stem(arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Check that `arrays` has exactly the arrays of one stem, all values finite.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        See above.
    what : str
        How to call these weights in the message, e.g. ``spleeter:2stems, vocals``.

    Raises
    ------
    WeightsError
        Naming the first array that is missing, of another shape, not finite or unknown.
    """
    check_arrays(arrays, stem_shapes(), what)


def check_arrays(
    arrays: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """As check_stem, for a net of any kind: `expected` are name and shape of each of its arrays."""
    for name, shape in expected.items():
        if name not in arrays:
            raise WeightsError(
                f"weights of {what} lack the array {name}: fetch or import them again"
            )
        if arrays[name].shape != shape:
            raise WeightsError(
                f"weights of {what}: {name} has shape {arrays[name].shape}, the network needs {shape}:"
                " fetch or import them again"
            )
        if not np.isfinite(arrays[name]).all():
            raise WeightsError(f"weights of {what}: {name} holds NaN or infinite values")
    unknown = sorted(set(arrays) - set(expected))
    if unknown:
        raise WeightsError(f"weights of {what} hold an unknown array {unknown[0]}")
