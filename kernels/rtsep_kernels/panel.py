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
from .records import Chunk, Image, Panel, Taps
from .tiles import conv_row_narrow, conv_row_wide


@kernel
def panel_rows(x: Image, taps: Taps, panel: Panel, skip: Image | None, y: Image) -> None:
    """`y.rows` rows of `y.pixels` output pixels by one panel of channels.

    x: begins with the pixel left of its first; the pixels under a row of taps are `taps.run`
        neighbouring values, and from one output pixel's to the next's it is x.pixel_stride. Rows
        outside 0 .. x.rows - 1 are never read: their taps are left out.
    panel: its weights are [taps][run][width], what is used next behind them.
    skip: receives sum + bias; may be None.  y: receives the activations. Both begin
        with the panel's first channel of the first row that is computed.
    """
    rows, run, width = y.rows, taps.run, panel.width
    weights_stop = panel.weights.size
    tiles = max(1, y.pixels // TILE_HEIGHTS[0])
    ahead_step = UNROLL * width // min(ASKING_TILES, rows * tiles)
    chunk_steps = -(-run // -(-run // CHUNK_STEPS))
    chunk_steps += chunk_steps % UNROLL
    # The last row reaches lowest, the first one highest.
    lowest = max(0, -(taps.top + (rows - 1) * taps.top_step))
    highest = min(taps.rows, x.rows - taps.top)
    for tap in range(lowest, highest):
        for first_step in range(0, run, chunk_steps):
            steps = min(chunk_steps, run - first_step)
            weights_at = (tap * run + first_step) * width
            ahead = panel.weights_at + weights_at + steps * width
            ahead_stop = min(ahead + steps * width, weights_stop)
            for i in range(rows):
                row_top = taps.top + i * taps.top_step
                row = row_top + tap
                if row < 0 or row >= x.rows:
                    continue
                parts = 0
                if first_step == 0 and tap == max(0, -row_top):
                    parts |= FIRST
                if first_step + steps == run and tap + 1 == min(taps.rows, x.rows - row_top):
                    parts |= LAST
                skip_at = 0 if skip is None else skip.origin + i * skip.row_stride
                chunk = Chunk(
                    x_at=x.origin + row * x.row_stride + first_step,
                    skip_at=skip_at,
                    y_at=y.origin + i * y.row_stride,
                    weights_at=weights_at,
                    steps=steps,
                    parts=parts,
                    ahead_at=ahead + i * tiles * (steps // UNROLL) * ahead_step,
                    ahead_stop=ahead_stop,
                    ahead_step=ahead_step,
                )
                if width == WIDTH:
                    conv_row_narrow(x, panel, skip, y, chunk)
                else:
                    conv_row_wide(x, panel, skip, y, chunk)
