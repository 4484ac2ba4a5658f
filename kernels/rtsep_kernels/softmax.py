"""Softmax along rows, with an exponential that cannot overflow: the row's largest is taken off first.

Plain Numba in every set: LLVM vectorises the loops.
"""

from __future__ import annotations

import numpy as np

from .epilogue import exp_f32
from .jit import FAST_MATH, kernel
from .records import Array, Real


@kernel(fastmath=FAST_MATH)
def softmax_rows(scores: Array, row_stride: int, rows: int, columns: int, scale: Real) -> None:
    """Replace each row of scores by its shares, exp(scale * score) over their sum.

    scores: flat float32; row r begins at r * row_stride and has `columns` scores, what stands behind
        them stays. scale: float32, above 0. A row with a NaN or two equal infinities becomes all NaN.
    Real-time safe.
    """
    for r in range(rows):
        row = scores[r * row_stride : r * row_stride + columns]
        largest = row[0]
        for c in range(columns):
            largest = max(largest, row[c])
        total = np.float32(0.0)
        for c in range(columns):
            power = exp_f32((row[c] - largest) * scale)
            row[c] = power
            total += power
        share = np.float32(1.0) / total
        for c in range(columns):
            row[c] *= share
