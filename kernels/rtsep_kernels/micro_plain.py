"""The micro-kernels of micro.py in plain Numba: the same names, arguments and results.

Chosen with RTSEP_KERNELS=plain, for processors that our vector code has not been tried on. LLVM
vectorises the loops over output channels by itself; nothing here depends on llvmlite.
"""

from __future__ import annotations

import numpy as np

from .blocking import FIRST, LAST, PANEL, THIN_PIXELS, TILE_HEIGHTS, WIDTH
from .epilogue import activate_f32
from .jit import FAST_MATH, kernel
from .shapes import thin_taps

GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = PANEL
_TAPS = np.array([(row, column, 2 * p + q) for row, column, (p, q) in thin_taps()], np.int64)


@kernel(fastmath=FAST_MATH)
def _conv_row(
    panel, x, x_at, x_pixel, steps, w, w_at, parts, e, e_at, act, slope,
    skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels,
):  # fmt: skip
    for p in range(pixels):
        out = y[y_at + p * y_pixel : y_at + p * y_pixel + panel]
        if parts & FIRST:
            for j in range(panel):
                out[j] = np.float32(0.0)
        a = x_at + p * x_pixel
        for k in range(0, steps, 2):
            a0, a1 = x[a + k], x[a + k + 1]
            at = w_at + k * panel
            w0, w1 = w[at : at + panel], w[at + panel : at + 2 * panel]
            for j in range(panel):
                out[j] += a0 * w0[j] + a1 * w1[j]
        if not parts & LAST:
            continue
        for j in range(panel):
            raw = out[j] + e[e_at + j]
            if skip_pixel != 0:
                skip[skip_at + p * skip_pixel + j] = raw
            z = raw * e[e_at + panel + j] + e[e_at + 2 * panel + j]
            z = activate_f32(z, act, slope)
            out[j] = z * e[e_at + 3 * panel + j] + e[e_at + 4 * panel + j]


# Plain code leaves prefetching to the processor: what the rows ask for ahead is not used.
@kernel
def conv_row_wide(
    x, x_at, x_pixel, steps, w, w_at, _ahead_at, _ahead_stop, _ahead_step, parts, e, e_at, act, slope,
    skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels,
):  # fmt: skip
    """One row of `pixels` output pixels by one panel of 2 W channels."""
    _conv_row(PANEL, x, x_at, x_pixel, steps, w, w_at, parts, e, e_at, act, slope,
              skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels)  # fmt: skip


@kernel
def conv_row_narrow(
    x, x_at, x_pixel, steps, w, w_at, _ahead_at, _ahead_stop, _ahead_step, parts, e, e_at, act, slope,
    skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels,
):  # fmt: skip
    """One row of `pixels` output pixels by one panel of W channels."""
    _conv_row(WIDTH, x, x_at, x_pixel, steps, w, w_at, parts, e, e_at, act, slope,
              skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels)  # fmt: skip


@kernel(fastmath=FAST_MATH)
def gemm_tile(a, a_at, b, b_at, steps, c, c_at, c_row, accumulate):
    """C[MR][NR] = (or +=) sum over k of a[k][MR] * b[k][NR], both packed."""
    for i in range(GEMM_MR):
        out = c[c_at + i * c_row : c_at + i * c_row + GEMM_NR]
        if accumulate == 0:
            for j in range(GEMM_NR):
                out[j] = np.float32(0.0)
        for k in range(steps):
            value = a[a_at + k * GEMM_MR + i]
            row = b[b_at + k * GEMM_NR : b_at + (k + 1) * GEMM_NR]
            for j in range(GEMM_NR):
                out[j] += value * row[j]


@kernel(fastmath=FAST_MATH)
def thin_tile(
    x, above, middle, below, x_pixel, channels, w, y, y_even, y_odd, bias, act, slope, scale, shift
):
    """Four output pixels of one channel for each of THIN_PIXELS input pixels."""
    for i in range(THIN_PIXELS):
        for phase in range(4):
            total = np.float32(0.0)
            for tap in range(len(_TAPS)):
                row, column, of_phase = _TAPS[tap]
                if of_phase != phase:
                    continue
                start = above if row == 0 else (middle if row == 1 else below)
                start += (i + column) * x_pixel
                for c in range(channels):
                    block, lane = c // WIDTH, c % WIDTH
                    total += x[start + c] * w[(block * len(_TAPS) + tap) * WIDTH + lane]
            place = (y_even if phase < 2 else y_odd) + 2 * i + phase % 2
            y[place] = activate_f32(total + bias, act, slope) * scale + shift
