"""GEMM: C = A B or C += A B, float32, in the five loops of Goto and van de Geijn.

    for each block of k (KC steps)             B[KC, :] is packed into panels of NR columns
      for each block of m (MC rows)            A[MC, KC] is packed into panels of MR rows
        for each panel of B                    stays in the first-level cache
          for each panel of A                  streams from the second-level cache
            micro-kernel                       MR x NR in registers

(Goto, van de Geijn: "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3), 2008; loop
names as in Van Zee, van de Geijn: "BLIS", ACM TOMS 41(3), 2015.) The operands may have any strides:
packing reads them once and writes panels padded with zeros, so the micro-kernel knows no edges. A
tile that hangs over the edge of C is computed aside and only its inside is copied.
"""

from __future__ import annotations

import numpy as np

from .blocking import GEMM_KC, GEMM_MC, UNROLL
from .jit import kernel
from .pack import aligned_zeros
from .records import Array, GemmTile, Workspace
from .tiles import GEMM_MR, GEMM_NR, gemm_tile


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def gemm_workspace(n: int) -> Workspace:
    """Packing buffers for any GEMM with at most `n` columns: a block of A, a block of B, one tile.

    writer and reader: gemm, and only one at a time.
    """
    return (
        aligned_zeros(_round_up(GEMM_MC, GEMM_MR) * GEMM_KC),
        aligned_zeros(_round_up(n, GEMM_NR) * GEMM_KC),
        aligned_zeros(GEMM_MR * GEMM_NR),
    )


@kernel
def _pack_a(
    a: Array, first_row: int, rows: int, first_step: int, steps: int, packed: Array
) -> None:
    # packed[panel of MR rows][step][MR], zeros past the last row and the last step.
    at = 0
    for panel in range(0, rows, GEMM_MR):
        for k in range(steps + steps % UNROLL):
            for i in range(GEMM_MR):
                inside = panel + i < rows and k < steps
                packed[at] = a[first_row + panel + i, first_step + k] if inside else np.float32(0.0)
                at += 1


@kernel
def _pack_b(b: Array, first_step: int, steps: int, packed: Array) -> None:
    # packed[panel of NR columns][step][NR], zeros past the last column and the last step.
    at = 0
    columns = b.shape[1]
    for panel in range(0, columns, GEMM_NR):
        for k in range(steps + steps % UNROLL):
            for j in range(GEMM_NR):
                inside = panel + j < columns and k < steps
                packed[at] = b[first_step + k, panel + j] if inside else np.float32(0.0)
                at += 1


@kernel
def gemm(a: Array, b: Array, c: Array, workspace: Workspace, accumulate: bool) -> None:
    """C = A B, or C += A B where `accumulate` is true.

    a: (m, k), b: (k, n) float32 of any strides.
    c: (m, n) float32, C-contiguous, overlapping neither.
    workspace: from gemm_workspace(n). m, n and k are at least 1. Real-time safe.
    """
    packed_a, packed_b, tile = workspace
    m, n = c.shape
    depth = a.shape[1]
    c_flat = c.reshape(m * n)
    for first_step in range(0, depth, GEMM_KC):
        steps = min(GEMM_KC, depth - first_step)
        even_steps = steps + steps % UNROLL
        add = 1 if (accumulate or first_step > 0) else 0
        _pack_b(b, first_step, steps, packed_b)
        for first_row in range(0, m, GEMM_MC):
            rows = min(GEMM_MC, m - first_row)
            _pack_a(a, first_row, rows, first_step, steps, packed_a)
            for j in range(0, n, GEMM_NR):
                for i in range(0, rows, GEMM_MR):
                    c_at = (first_row + i) * n + j
                    a_at, b_at = i * even_steps, j * even_steps
                    if i + GEMM_MR <= rows and j + GEMM_NR <= n:
                        inside = GemmTile(a_at, b_at, c_at, n, even_steps, add)
                        gemm_tile(packed_a, packed_b, c_flat, inside)
                        continue
                    aside = GemmTile(a_at, b_at, 0, GEMM_NR, even_steps, 0)
                    gemm_tile(packed_a, packed_b, tile, aside)
                    for p in range(min(GEMM_MR, rows - i)):
                        for q in range(min(GEMM_NR, n - j)):
                            value = tile[p * GEMM_NR + q]
                            at = c_at + p * n + q
                            c_flat[at] = c_flat[at] + value if add else value
