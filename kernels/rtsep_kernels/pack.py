"""Weights rearranged once, when a net is built, into the order the micro-kernels read them in.

A panel is NR output channels wide (2 W, or W for layers of W channels); within it the taps follow
each other as the input lies in memory, so that a step of the micro-kernel is one row of NR floats:

    convolution          [panel][kernel row][kernel column][channel in][NR]
    sub-pixel phase p, q [panel][2 + p rows][2 + q columns][channel in][NR], phase after phase
    thin (1 channel out) [channel block][25 taps, see shapes.thin_taps][W]; for AMX's tiles behind them
                         [3 rows][3 columns][pair of channels in][4 phases]
    epilogue             [panel][5][NR]

Packed arrays are one-dimensional float32, 64-byte aligned, with some slack behind them. In 16 bits
(`weights16`, `bf16`) they are uint32: two steps that follow each other stand in one element, rounded as
rounding.py says, so that steps count half as many elements (see products.py).
"""

from __future__ import annotations

import numpy as np

from .blocking import PACK_SLACK, WIDTH, panel_width
from .jit import TILES
from .precision import Precision
from .products import pair_steps
from .records import Elements
from .rounding import diffused
from .shapes import SUBPIXEL_TAPS, thin_taps

ALIGNMENT_BYTES = 64


def aligned_zeros(count: int) -> np.ndarray:
    """`count` float32 zeros, one-dimensional, 64-byte aligned."""
    spare = ALIGNMENT_BYTES // 4
    raw = np.zeros(count + spare, np.float32)
    start = (-raw.ctypes.data % ALIGNMENT_BYTES) // 4
    return raw[start : start + count]


def _packed(parts: list[np.ndarray]) -> Elements:
    """Parts of float32 or of bits of bfloat16, one behind the other, as elements of 32 bits."""
    kind = parts[0].dtype
    out = aligned_zeros(sum(part.nbytes for part in parts) // 4 + PACK_SLACK)
    values = out.view(kind)
    at = 0
    for part in parts:
        # Copied where it is going to stay, whatever the order of its axes: no second copy on the way.
        values[at : at + part.size].reshape(part.shape)[:] = part
        at += part.size
    return out if kind == np.float32 else out.view(np.uint32)


def _panels(steps_by_channels: np.ndarray) -> np.ndarray:
    """(steps, channels out) -> (panel, steps, NR); of bits (panel, steps / 2, NR, 2)."""
    steps, channels = steps_by_channels.shape
    width = panel_width(channels)
    panels = steps_by_channels.reshape(steps, channels // width, width).transpose(1, 0, 2)
    if panels.dtype == np.float32:
        return panels
    return panels.reshape(len(panels), steps // 2, 2, width).transpose(0, 1, 3, 2)


def _rounded(weights: np.ndarray, precision: Precision) -> np.ndarray:
    """Weights (rows, columns, channels in, channels out) as what is packed: float32 or bits."""
    if precision == "f32":
        return weights
    return diffused(weights, precision == "weights16")


def pack_conv(weights: np.ndarray, precision: Precision = "f32") -> Elements:
    """Pack convolution weights, HWIO (rows, columns, channels in, channels out)."""
    rows, columns, channels_in, channels_out = weights.shape
    steps = columns * channels_in
    by_row = _rounded(weights, precision).reshape(rows, steps, channels_out)
    if precision == "bf16":
        missing = 2 * pair_steps(channels_in // 2) - steps
        if missing:
            by_row = np.pad(by_row, ((0, 0), (0, missing), (0, 0)))
    return _packed([_panels(by_row.reshape(-1, channels_out))])


def pack_subpixel(weights: np.ndarray, precision: Precision = "f32") -> Elements:
    """Pack 5x5 stride-2 transposed-convolution weights, HWOI (5, 5, channels out, channels in)."""
    in_out = _rounded(weights.transpose(0, 1, 3, 2), precision)
    phases = []
    for rows in SUBPIXEL_TAPS:
        for columns in SUBPIXEL_TAPS:
            taps = in_out[list(rows)][:, list(columns)]
            phases.append(_panels(taps.reshape(-1, weights.shape[2])))
    return _packed(phases)


def pack_thin(weights: np.ndarray, precision: Precision = "f32") -> Elements:
    """Pack 5x5 stride-2 transposed-convolution weights to one channel, HWOI (5, 5, 1, channels in).

    These few weights stay float32 where the image is.

    Raises ValueError unless the channels fill whole vectors.
    """
    pairs = precision == "bf16"
    channels, block = weights.shape[3], WIDTH * (2 if pairs else 1)
    if channels % block:
        raise ValueError(f"{channels} input channels are no multiple of {block}")
    in_out = _rounded(weights.transpose(0, 1, 3, 2), "bf16" if pairs else "f32")
    taps = np.stack(
        [
            in_out[SUBPIXEL_TAPS[p][row], SUBPIXEL_TAPS[q][column], :, 0]
            for row, column, (p, q) in thin_taps()
        ]
    )
    by_vectors = taps.reshape(len(taps), channels // block, block).transpose(1, 0, 2)
    if not pairs or not TILES:
        return _packed([by_vectors])
    # Beside them, for the tiles: every phase sees nine taps, some of weight zero.
    phases = np.zeros((3, 3, channels // 2, 4, 2), np.uint16)
    for tap, (row, column, (p, q)) in zip(taps, thin_taps()):
        phases[row, column, :, 2 * p + q] = tap.reshape(-1, 2)
    return _packed([by_vectors, phases])


def pack_epilogue(parameters: np.ndarray) -> np.ndarray:
    """Pack `epilogue[5][channels]` (see epilogue.py) by panels."""
    return _packed([_panels(np.asarray(parameters, np.float32))])
