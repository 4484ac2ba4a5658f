"""One panel of output channels of a direct convolution: the loops around the micro-kernel.

    for each row of taps, for each chunk of its steps      CHUNK_STEPS of the panel's weights
      for each row of output pixels                        those that see these taps
        micro-kernel                                       tile by tile along the row

This is a GEMM whose A is the image and whose block of k is the chunk: it comes to the first-level
cache once and is used by every row, while the one that follows in memory is asked for. The sums rest
in the output between chunks. A row adds up its products in the same order whichever rows are computed
with it, so a row's result does not depend on the range.
"""

from __future__ import annotations

from .blocking import ASKING_TILES, CHUNK_STEPS, FIRST, LAST, TILE_HEIGHTS, UNROLL, WIDTH
from .jit import kernel
from .tiles import conv_row_narrow, conv_row_wide


@kernel
def panel_rows(
    x, x_at, x_row, x_rows, x_pixel, top, top_step, taps, run, w, w_at, panel, e, e_at, act, slope,
    skip, skip_at, skip_row, skip_pixel, y, y_at, y_row, y_pixel, pixels, rows,
):  # fmt: skip
    """`rows` rows of `pixels` output pixels by one panel of channels.

    x: row r of the image begins at x_at + r * x_row, with the pixel left of it; the pixels under a row
        of taps are `run` neighbouring values. Rows outside 0 .. x_rows - 1 are never read: their taps
        are left out.
    top, top_step: output row i sees the `taps` rows of the image from top + i * top_step on.
    w: [taps][run][panel] from w_at on, what is used next behind it.  e: [5][panel] from e_at on.
    skip: receives sum + bias unless skip_pixel is 0.  y: receives the activations.
    """
    tiles = max(1, pixels // TILE_HEIGHTS[0])
    ahead_step = UNROLL * panel // min(ASKING_TILES, rows * tiles)
    chunk = -(-run // -(-run // CHUNK_STEPS))
    chunk += chunk % UNROLL
    # The last row reaches lowest, the first one highest.
    lowest = max(0, -(top + (rows - 1) * top_step))
    highest = min(taps, x_rows - top)
    for tap in range(lowest, highest):
        for first_step in range(0, run, chunk):
            steps = min(chunk, run - first_step)
            chunk_at = w_at + (tap * run + first_step) * panel
            ahead = chunk_at + steps * panel
            ahead_stop = min(ahead + steps * panel, w.size)
            for i in range(rows):
                row_top = top + i * top_step
                row = row_top + tap
                if row < 0 or row >= x_rows:
                    continue
                parts = 0
                if first_step == 0 and tap == max(0, -row_top):
                    parts |= FIRST
                if first_step + steps == run and tap + 1 == min(taps, x_rows - row_top):
                    parts |= LAST
                row_at = x_at + row * x_row + first_step
                row_ahead = ahead + i * tiles * (steps // UNROLL) * ahead_step
                if panel == WIDTH:
                    conv_row_narrow(
                        x, row_at, x_pixel, steps, w, chunk_at, row_ahead, ahead_stop, ahead_step,
                        parts, e, e_at, act, slope, skip, skip_at + i * skip_row, skip_pixel,
                        y, y_at + i * y_row, y_pixel, pixels,
                    )  # fmt: skip
                else:
                    conv_row_wide(
                        x, row_at, x_pixel, steps, w, chunk_at, row_ahead, ahead_stop, ahead_step,
                        parts, e, e_at, act, slope, skip, skip_at + i * skip_row, skip_pixel,
                        y, y_at + i * y_row, y_pixel, pixels,
                    )  # fmt: skip
