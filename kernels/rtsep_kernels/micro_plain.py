"""The micro-kernels of micro.py in plain Numba: the same names, arguments and results.

Chosen with RTSEP_KERNELS=plain, for processors that our vector code has not been tried on. LLVM
vectorises the loops over output channels by itself; nothing here depends on llvmlite.
"""

from __future__ import annotations

import numpy as np

from .blocking import (
    DENSE_PANEL,
    FIRST,
    LAST,
    PANEL,
    RUN_FIELDS,
    THIN_PIXELS,
    TILE_HEIGHTS,
    WIDTH,
)
from .epilogue import activate_f32, gelu_f32
from .jit import FAST_MATH, kernel
from .records import (
    Array,
    Chunk,
    DenseChunk,
    DensePanel,
    GemmTile,
    Image,
    Ints,
    Layer,
    Panel,
    PlanesRow,
    ThinTile,
)
from .shapes import thin_taps

GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = PANEL
_TAPS = np.array([(row, column, 2 * p + q) for row, column, (p, q) in thin_taps()], np.int64)


@kernel(fastmath=FAST_MATH)
def conv_row(
    x: Image, panel: Panel, skip: Image | None, y: Image, rest: None, chunk: Chunk
) -> None:
    """One row of `y.pixels` output pixels by one panel of channels, all float32.

    Plain code leaves prefetching to the processor: what the chunk asks for ahead is not used.
    """
    source, sums, w, e = x.values, y.values, panel.weights, panel.epilogue
    act, width, e_at = panel.act, panel.width, panel.epilogue_at
    for p in range(y.pixels):
        out_at = chunk.y_at + p * y.pixel_stride
        out = sums[out_at : out_at + width]
        if chunk.parts & FIRST:
            for j in range(width):
                out[j] = np.float32(0.0)
        at = panel.weights_at + chunk.weights_at
        for tap in range(chunk.taps):
            a = chunk.x_at + p * x.pixel_stride + tap * x.row_stride
            for k in range(0, chunk.steps, 2):
                a0, a1 = source[a + k], source[a + k + 1]
                w0, w1 = w[at : at + width], w[at + width : at + 2 * width]
                for j in range(width):
                    out[j] += a0 * w0[j] + a1 * w1[j]
                at += 2 * width
        if not chunk.parts & LAST:
            continue
        for j in range(width):
            raw = out[j] + e[e_at + j]
            if skip is not None:
                skip.values[chunk.skip_at + p * skip.pixel_stride + j] = raw
            z = raw * e[e_at + width + j] + e[e_at + 2 * width + j]
            z = activate_f32(z, act)
            out[j] = z * e[e_at + 3 * width + j] + e[e_at + 4 * width + j]


# The panel says how wide it is: one function serves both names of the vector sets.
conv_row_wide = conv_row_narrow = conv_row


@kernel(fastmath=FAST_MATH)
def dense_row(x: Image, panel: DensePanel, bias: Array | None, y: Image, chunk: DenseChunk) -> None:
    """A row of `y.pixels` tokens by one panel of a dense layer."""
    source, sums, w = x.values, y.values, panel.weights
    for token in range(y.pixels):
        out_at = chunk.y_at + token * y.pixel_stride
        out = sums[out_at : out_at + DENSE_PANEL]
        if chunk.parts & FIRST:
            for j in range(DENSE_PANEL):
                out[j] = np.float32(0.0)
        a, at = chunk.x_at + token * x.pixel_stride, chunk.weights_at
        for k in range(0, chunk.steps, 2):
            a0, a1 = source[a + k], source[a + k + 1]
            w0, w1 = w[at : at + DENSE_PANEL], w[at + DENSE_PANEL : at + 2 * DENSE_PANEL]
            for j in range(DENSE_PANEL):
                out[j] += a0 * w0[j] + a1 * w1[j]
            at += 2 * DENSE_PANEL
        if bias is not None:
            if not chunk.parts & LAST:
                continue
            for j in range(DENSE_PANEL):
                z = out[j] + bias[panel.bias_at + j]
                out[j] = gelu_f32(z) if panel.gelu else z


@kernel(fastmath=FAST_MATH)
def gemm_tile(a: Array, b: Array, c: Array, tile: GemmTile) -> None:
    """C[MR][NR] = (or +=) sum over k of a[k][MR] * b[k][NR], both packed."""
    for i in range(GEMM_MR):
        out = c[tile.c_at + i * tile.c_row : tile.c_at + i * tile.c_row + GEMM_NR]
        if tile.add == 0:
            for j in range(GEMM_NR):
                out[j] = np.float32(0.0)
        for k in range(tile.steps):
            value = a[tile.a_at + k * GEMM_MR + i]
            row = b[tile.b_at + k * GEMM_NR : tile.b_at + (k + 1) * GEMM_NR]
            for j in range(GEMM_NR):
                out[j] += value * row[j]


@kernel(fastmath=FAST_MATH)
def thin_tile(x: Image, layer: Layer, y: Image, tile: ThinTile) -> None:
    """Four output pixels of one channel for each of THIN_PIXELS input pixels."""
    source, w, out = x.values, layer.weights, y.values
    channels, act = x.pixel_stride, layer.act
    bias, scale, shift = layer.epilogue[0], layer.epilogue[1], layer.epilogue[2]
    for i in range(THIN_PIXELS):
        for phase in range(4):
            total = np.float32(0.0)
            for tap in range(len(_TAPS)):
                row, column, of_phase = _TAPS[tap]
                if of_phase != phase:
                    continue
                start = tile.above if row == 0 else (tile.middle if row == 1 else tile.below)
                start += (i + column) * x.pixel_stride
                for c in range(channels):
                    block, lane = c // WIDTH, c % WIDTH
                    total += source[start + c] * w[(block * len(_TAPS) + tap) * WIDTH + lane]
            place = (tile.even if phase < 2 else tile.odd) + 2 * i + phase % 2
            out[place] = activate_f32(total + bias, act) * scale + shift


@kernel(fastmath=FAST_MATH)
def planes_row(
    x: Array, weights: Array, shifts: Array, y: Array, runs: Ints, row: PlanesRow
) -> None:
    """A row of bins by some output channels, the sums in y; see micro_planes.py."""
    for c in range(row.channels):
        at = row.y_at + c * row.y_stride
        out = y[at : at + row.width]
        for f in range(row.width):
            out[f] = shifts[row.shifts_at + c]
        for run in range(row.runs):
            x_at, stride = runs[RUN_FIELDS * run], runs[RUN_FIELDS * run + 1]
            channels, step = runs[RUN_FIELDS * run + 2], runs[RUN_FIELDS * run + 3]
            w_at = row.weights_at + step * row.channels + c
            for k in range(channels):
                weight = weights[w_at + k * row.channels]
                bins = x[x_at + k * stride : x_at + k * stride + row.width]
                for f in range(row.width):
                    out[f] += weight * bins[f]
        for f in range(row.width):
            out[f] = out[f] if out[f] > np.float32(0.0) else out[f] * row.slope
