"""Weights rearranged once, when a net is built, into the order the micro-kernels read them in.

A panel is NR output channels wide (2 W, or W for layers of W channels); within it the taps follow
each other as the input lies in memory, so that a step of the micro-kernel is one row of NR floats:

    convolution          [panel][kernel row][kernel column][channel in][NR]
    sub-pixel phase p, q [panel][2 + p rows][2 + q columns][channel in][NR], phase after phase
    thin (1 channel out) [channel block][25 taps, see shapes.thin_taps][W]
    epilogue             [panel][5][NR]

Packed arrays are one-dimensional float32, 64-byte aligned, with some slack behind them.
"""

from __future__ import annotations

import numpy as np

from .blocking import PACK_SLACK, WIDTH, panel_width
from .shapes import SUBPIXEL_TAPS, thin_taps

ALIGNMENT_BYTES = 64


def aligned_zeros(count: int) -> np.ndarray:
    """`count` float32 zeros, one-dimensional, 64-byte aligned."""
    spare = ALIGNMENT_BYTES // 4
    raw = np.zeros(count + spare, np.float32)
    start = (-raw.ctypes.data % ALIGNMENT_BYTES) // 4
    return raw[start : start + count]


def _packed(parts: list[np.ndarray]) -> np.ndarray:
    out = aligned_zeros(sum(part.size for part in parts) + PACK_SLACK)
    at = 0
    for part in parts:
        out[at : at + part.size] = part.reshape(-1)
        at += part.size
    return out


def _panels(steps_by_channels: np.ndarray) -> np.ndarray:
    """(steps, channels out) -> (panel, steps, NR)."""
    steps, channels = steps_by_channels.shape
    width = panel_width(channels)
    return steps_by_channels.reshape(steps, channels // width, width).transpose(1, 0, 2)


def pack_conv(weights: np.ndarray) -> np.ndarray:
    """Pack convolution weights, HWIO (rows, columns, channels in, channels out)."""
    return _packed([_panels(weights.reshape(-1, weights.shape[3]))])


def pack_subpixel(weights: np.ndarray) -> np.ndarray:
    """Pack 5x5 stride-2 transposed-convolution weights, HWOI (5, 5, channels out, channels in)."""
    phases = []
    for rows in SUBPIXEL_TAPS:
        for columns in SUBPIXEL_TAPS:
            taps = weights[list(rows)][:, list(columns)].transpose(0, 1, 3, 2)
            phases.append(_panels(taps.reshape(-1, weights.shape[2])))
    return _packed(phases)


def pack_thin(weights: np.ndarray) -> np.ndarray:
    """Pack 5x5 stride-2 transposed-convolution weights to one channel, HWOI (5, 5, 1, channels in).

    Raises ValueError unless the channels fill whole vectors.
    """
    channels = weights.shape[3]
    if channels % WIDTH:
        raise ValueError(f"{channels} input channels are no multiple of {WIDTH} lanes")
    taps = np.stack(
        [
            weights[SUBPIXEL_TAPS[p][row], SUBPIXEL_TAPS[q][column], 0]
            for row, column, (p, q) in thin_taps()
        ]
    )
    return _packed([taps.reshape(len(taps), channels // WIDTH, WIDTH).transpose(1, 0, 2)])


def pack_epilogue(parameters: np.ndarray) -> np.ndarray:
    """Pack `epilogue[5][channels]` (see epilogue.py) by panels."""
    return _packed([_panels(np.asarray(parameters, np.float32))])
