"""Weights rearranged once, when a net is built, into the order the micro-kernels read them in.

A panel is NR output channels wide (2 W, or W for layers of W channels); within it the taps follow
each other as the input lies in memory, so that a step of the micro-kernel is one row of NR floats:

    convolution          [panel][kernel row][kernel column][channel in][NR]
    sub-pixel phase p, q [panel][2 + p rows][2 + q columns][channel in][NR], phase after phase
    thin (1 channel out) [channel block][25 taps, see shapes.thin_taps][W]; for AMX's tiles behind them
                         [3 rows][3 columns][pair of channels in][4 phases]
    planes               [group of channels out][step][channels of the group]; a step is a channel in
                         under a tap, source after source
    epilogue             [panel][5][NR]

Packed arrays are one-dimensional float32, 64-byte aligned, with some slack behind them. In 16 bits
(`weights16`, `bf16`) they are uint32: two steps that follow each other stand in one element, rounded as
rounding.py says, so that steps count half as many elements (see products.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .blocking import PACK_SLACK, PLANES_CHANNELS, WIDTH, panel_width
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


def _room(count: int, precision: Precision) -> tuple[Elements, np.ndarray]:
    """Zeros to pack `count` weights in, and a view of them weight by weight: float32, or uint16 bits."""
    kind = np.float32 if precision == "f32" else np.uint16
    zeros = aligned_zeros(count * np.dtype(kind).itemsize // 4 + PACK_SLACK)
    return zeros if precision == "f32" else zeros.view(np.uint32), zeros.view(kind)


def _rounded(weights: np.ndarray, precision: Precision) -> np.ndarray:
    """Weights (rows, columns, channels in, channels out) as what is packed: float32 or bits."""
    if precision == "f32":
        return weights
    return diffused(weights, precision == "weights16")


def _panels(weights: np.ndarray, precision: Precision) -> Iterator[np.ndarray]:
    """The same for one panel of channels out after the other, so that little is held twice."""
    width = panel_width(weights.shape[3])
    for first in range(0, weights.shape[3], width):
        yield _rounded(weights[..., first : first + width], precision)


def _put(values: np.ndarray, at: int, steps_by_channels: np.ndarray) -> None:
    """Pack (steps, panel's channels) from weight `at` on: [steps][NR], or of bits [steps / 2][NR][2]."""
    steps, width = steps_by_channels.shape
    room = values[at : at + steps * width]
    if values.dtype == np.float32:
        room.reshape(steps, width)[:] = steps_by_channels
    else:
        pairs = steps_by_channels.reshape(steps // 2, 2, width)
        room.reshape(steps // 2, width, 2)[:] = pairs.transpose(0, 2, 1)


def pack_conv(weights: np.ndarray, precision: Precision = "f32") -> Elements:
    """Pack convolution weights, HWIO (rows, columns, channels in, channels out)."""
    rows, columns, channels_in, channels_out = weights.shape
    steps = columns * channels_in
    if precision == "bf16":
        steps = 2 * pair_steps(channels_in // 2)
    elements, values = _room(rows * steps * channels_out, precision)
    row_size = steps * panel_width(channels_out)
    for index, panel in enumerate(_panels(weights, precision)):
        for row, taps in enumerate(panel):
            _put(values, (index * rows + row) * row_size, taps.reshape(-1, taps.shape[2]))
    return elements


def pack_subpixel(weights: np.ndarray, precision: Precision = "f32") -> Elements:
    """Pack 5x5 stride-2 transposed-convolution weights, HWOI (5, 5, channels out, channels in)."""
    elements, values = _room(weights.size, precision)
    channels_out = weights.shape[2]
    for index, panel in enumerate(_panels(weights.transpose(0, 1, 3, 2), precision)):
        phase_at = 0
        for rows in SUBPIXEL_TAPS:
            for columns in SUBPIXEL_TAPS:
                taps = panel[list(rows)][:, list(columns)].reshape(-1, panel.shape[3])
                _put(values, phase_at + index * taps.size, taps)
                phase_at += len(taps) * channels_out
    return elements


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
    parts = [by_vectors]
    if pairs and TILES:
        # For the tiles every phase sees nine taps, some of weight zero.
        phases = np.zeros((3, 3, channels // 2, 4, 2), np.uint16)
        for tap, (row, column, (p, q)) in zip(taps, thin_taps()):
            phases[row, column, :, 2 * p + q] = tap.reshape(-1, 2)
        parts.append(phases)
    flat = np.concatenate([part.reshape(-1) for part in parts])
    elements, values = _room(flat.size, precision if pairs else "f32")
    values[: flat.size] = flat
    return elements


def pack_planes(weights: np.ndarray) -> np.ndarray:
    """Pack weights (steps, channels out) for the micro-kernel of planes, flat float32."""
    groups = -(-weights.shape[1] // PLANES_CHANNELS)
    parts = np.array_split(weights, groups, axis=1)
    return np.concatenate([part.reshape(-1) for part in parts]).astype(np.float32)


def planes_steps(kernel: np.ndarray, channels: Sequence[int]) -> np.ndarray:
    """A kernel HWIO as (steps, channels out), in the order of planes_conv: source, row, column, channel.

    channels: of each source, whose sum are the kernel's channels in.
    """
    parts = np.split(kernel, np.cumsum(channels)[:-1], axis=2)
    return np.concatenate([part.reshape(-1, kernel.shape[3]) for part in parts])


def pack_epilogue(parameters: np.ndarray) -> np.ndarray:
    """Pack `epilogue[5][channels]` (see epilogue.py) by panels."""
    parameters = np.asarray(parameters, np.float32)
    elements, values = _room(parameters.size, "f32")
    width = panel_width(parameters.shape[1])
    for first in range(0, parameters.shape[1], width):
        _put(values, len(parameters) * first, parameters[:, first : first + width])
    return elements
