"""From a Spleeter checkpoint's variables to the canonical arrays of each stem.

TensorFlow numbers layers of one kind through the whole graph, and the graph builds the stems one
after another: stem s of a model owns

    conv2d_{7s}           .. conv2d_{7s+6}             conv1..conv6, mask
    conv2d_transpose_{6s} .. conv2d_transpose_{6s+5}   up1..up6
    batch_normalization_{12s} .. _{12s+11}             after conv1..conv6, then after up1..up6

where number 0 is written without its suffix. The batch norm after conv6 exists in the graph but
feeds nothing: conv6 goes to the decoder bare. Kernels are stored in the canonical axis order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtsep.errors import WeightsError
from rtsep.nets.arrays import BATCH_NORM_EPSILON, check_stem, stem_shapes

CONVS_PER_STEM = 7
TRANSPOSED_PER_STEM = 6
BATCH_NORMS_PER_STEM = 12


def _numbered(kind: str, number: int) -> str:
    return kind if number == 0 else f"{kind}_{number}"


def _layers(stem: int) -> dict[str, tuple[str, str | None]]:
    """Canonical layer -> its convolution and its batch norm (None: bare) in the checkpoint."""
    convs = [_numbered("conv2d", CONVS_PER_STEM * stem + i) for i in range(CONVS_PER_STEM)]
    ups = [
        _numbered("conv2d_transpose", TRANSPOSED_PER_STEM * stem + i)
        for i in range(TRANSPOSED_PER_STEM)
    ]
    norms = [
        _numbered("batch_normalization", BATCH_NORMS_PER_STEM * stem + i)
        for i in range(BATCH_NORMS_PER_STEM)
    ]
    layers: dict[str, tuple[str, str | None]] = {}
    for level in range(1, 6):
        layers[f"conv{level}"] = convs[level - 1], norms[level - 1]
    layers["conv6"] = convs[5], None
    for step in range(1, 7):
        layers[f"up{step}"] = ups[step - 1], norms[5 + step]
    layers["mask"] = convs[6], None
    return layers


def variable_shapes(stems: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every variable of a model of `stems` stems that the networks use."""
    canonical = stem_shapes()
    shapes: dict[str, tuple[int, ...]] = {}
    for stem in range(stems):
        for layer, (conv, norm) in _layers(stem).items():
            shapes[f"{conv}/kernel"] = canonical[f"{layer}/kernel"]
            shapes[f"{conv}/bias"] = canonical[f"{layer}/bias"]
            if norm is not None:
                for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                    shapes[f"{norm}/{part}"] = canonical[f"{layer}/bias"]
    return shapes


def count_stems(variables: Mapping[str, np.ndarray]) -> int:
    """How many stems' mask layers a checkpoint holds."""
    stems = 0
    while _numbered("conv2d", CONVS_PER_STEM * stems + 6) + "/kernel" in variables:
        stems += 1
    return stems


def stems_from_variables(
    variables: Mapping[str, np.ndarray], stems: Sequence[str], what: str
) -> dict[str, dict[str, np.ndarray]]:
    """The canonical arrays (float32, arrays.py) of each stem, in the order of `stems`.

    variables: as read_checkpoint gives them; others than the networks' are ignored.
    what: how to call the checkpoint in messages.
    Batch norm is folded in float64 and rounded once. Raises WeightsError for a checkpoint of
    another number of stems, a missing variable, a wrong shape or dtype, or a variance below 0.
    """
    found = count_stems(variables)
    if found != len(stems):
        raise WeightsError(
            f"{what} holds {found} stems, the model needs {len(stems)} ({', '.join(stems)}):"
            " name the model that fits"
        )
    for name, shape in variable_shapes(len(stems)).items():
        if name not in variables:
            raise WeightsError(f"{what} lacks the variable {name}: it is no Spleeter U-Net")
        variable = variables[name]
        if variable.shape != shape or variable.dtype != np.float32:
            raise WeightsError(
                f"{what}: {name} is {variable.dtype} {variable.shape},"
                f" Spleeter's U-Net needs float32 {shape}"
            )
    return {stem: _stem(variables, index, what) for index, stem in enumerate(stems)}


def _stem(variables: Mapping[str, np.ndarray], stem: int, what: str) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for layer, (conv, norm) in _layers(stem).items():
        arrays[f"{layer}/kernel"] = variables[f"{conv}/kernel"]
        arrays[f"{layer}/bias"] = variables[f"{conv}/bias"]
        if norm is not None:
            gamma, beta, mean, variance = (
                variables[f"{norm}/{part}"].astype(np.float64)
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            if not (variance >= 0).all():
                raise WeightsError(f"{what}: {norm}/moving_variance is not 0 or above everywhere")
            # Garbled values may leave the range of float32: check_stem finds what is not finite.
            with np.errstate(over="ignore", invalid="ignore"):
                scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
                arrays[f"{layer}/scale"] = scale.astype(np.float32)
                arrays[f"{layer}/shift"] = (beta - mean * scale).astype(np.float32)
    check_stem(arrays, what)
    return arrays
