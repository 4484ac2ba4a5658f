"""Reader of SpleeterRT's weights: four `.dat` files, one stem each.

A file is raw little-endian float32 without any header, in network order:

    conv1..conv5   kernel, bias, batch norm
    conv6          kernel, bias
    up1..up6       kernel, bias, batch norm
    mask           kernel, bias

Kernels are flattened as PyTorch stores them: OIHW (out, in, height, width) for convolutions, and
for transposed ones, as torch.nn.ConvTranspose2d does, IOHW (in, out, height, width); neither is
flipped. Batch norm is folded to two vectors per layer, scale and shift; which comes first is found
out by batch_norm_order. The sizes add up to exactly the 39,290,900 bytes of the genuine files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsep.errors import WeightsError
from rtsep.nets.arrays import check_stem, stem_shapes
from rtsep.weights.disk import reading

# SpleeterRT's name of each stem; its "accompaniment" is what is left beside the other three.
FILE_STEMS = {
    "vocals": "vocal4stems",
    "drums": "drum4stems",
    "bass": "bass4stems",
    "other": "accompaniment4stems",
}
FILE_SUFFIX = ".dat"
FILE_BYTES = 39_290_900

# Share of positive numbers above which a file's first (or second) vectors are taken for scales.
# In the genuine 2-stem weights every one of a stem's 993 scales is positive, and 20 or 27 per cent
# of its shifts: a margin is left for scales that training drove below 0.
SCALE_POSITIVE_SHARE = 0.95

Layer = tuple[str, bool]
LAYERS: tuple[Layer, ...] = (
    *((f"conv{level}", level < 6) for level in range(1, 7)),
    *((f"up{step}", True) for step in range(1, 7)),
    ("mask", False),
)


def dat_paths(folder: Path) -> dict[str, Path]:
    """The stems' files in `folder`, with or without `.dat`; only those that are there."""
    paths = {}
    for stem, name in FILE_STEMS.items():
        for path in (folder / (name + FILE_SUFFIX), folder / name):
            if path.is_file():
                paths[stem] = path
                break
    return paths


def read_dat_set(folder: Path, stems: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    """The canonical arrays (arrays.py, float32) of each stem, in the order of `stems`.

    Raises WeightsError, naming the file and the problem, if the stems are not SpleeterRT's four,
    or a file is missing, of the wrong size, holds NaN or infinite values, or no batch norm.
    """
    if set(stems) != set(FILE_STEMS):
        raise WeightsError(
            f"SpleeterRT's files in {folder} are of 4 stems ({', '.join(FILE_STEMS)}), not of"
            f" {', '.join(stems)}: import them as spleeter:4stems"
        )
    paths = dat_paths(folder)
    for stem in stems:
        if stem not in paths:
            raise WeightsError(f"{folder} lacks {FILE_STEMS[stem]}{FILE_SUFFIX}, the stem {stem}")
    return {stem: read_dat(paths[stem]) for stem in stems}


def read_dat(path: Path) -> dict[str, np.ndarray]:
    """The canonical arrays of the one stem in `path`; raises WeightsError as read_dat_set does."""
    with reading(path):
        if path.stat().st_size != FILE_BYTES:
            raise WeightsError(
                f"{path} has {path.stat().st_size} bytes, SpleeterRT's files have {FILE_BYTES}:"
                " get it again"
            )
        flat = np.fromfile(path, "<f4")
    if not np.isfinite(flat).all():
        raise WeightsError(f"{path} holds NaN or infinite values: it is no file of SpleeterRT's")
    shapes = stem_shapes()
    arrays: dict[str, np.ndarray] = {}
    norms: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    position = 0

    def take(shape: tuple[int, ...]) -> np.ndarray:
        nonlocal position
        count = int(np.prod(shape))
        position += count
        return flat[position - count : position].reshape(shape)

    for layer, has_norm in LAYERS:
        # HWIO and HWOI alike are stored with their last two axes first and swapped:
        # OIHW and IOHW.
        height, width, third, fourth = shapes[f"{layer}/kernel"]
        kernel = take((fourth, third, height, width))
        arrays[f"{layer}/kernel"] = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))
        arrays[f"{layer}/bias"] = take(shapes[f"{layer}/bias"])
        if has_norm:
            norms[layer] = take(shapes[f"{layer}/bias"]), take(shapes[f"{layer}/bias"])
    scale_index = batch_norm_order(list(norms.values()), path)
    for layer, pair in norms.items():
        arrays[f"{layer}/scale"] = pair[scale_index]
        arrays[f"{layer}/shift"] = pair[1 - scale_index]
    check_stem(arrays, str(path))
    return arrays


def batch_norm_order(norms: list[tuple[np.ndarray, np.ndarray]], path: Path) -> int:
    """0 if the first vector of each pair is the scale, 1 if the second is.

    norms: of one stem's layers, each a pair of vectors per channel, in the order of the file.
    Folded scales are gamma / sqrt(variance + epsilon): training leaves them positive, while shifts
    have either sign. All layers are judged together, since a layer of few channels may have
    positive shifts by chance. Raises WeightsError if both or neither of the orders fit.
    """
    shares = [float((np.concatenate(vectors) > 0).mean()) for vectors in zip(*norms)]
    fits = [share >= SCALE_POSITIVE_SHARE for share in shares]
    if fits[0] == fits[1]:
        raise WeightsError(
            f"{path}: cannot tell batch norm's scales from its shifts ({shares[0]:.0%} and"
            f" {shares[1]:.0%} positive; scales are positive, shifts mixed):"
            " it is no trained file in SpleeterRT's layout"
        )
    return fits.index(True)
