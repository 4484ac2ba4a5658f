"""One panel of output channels of a direct convolution: the loops around the micro-kernel.

    for each chunk of the steps under the taps             CHUNK_STEPS of the panel's weights
      for each row of output pixels                        those that see these taps
        micro-kernel                                       tile by tile along the row

A chunk is a part of the steps of one row of taps, or whole rows of taps, as many as there is room for.
This is a GEMM whose A is the image and whose block of k is the chunk: it comes to the first-level
cache once and is used by every row, while the one that follows in memory is asked for. The sums rest
between chunks. A row adds up its products in the same order whichever rows are computed with it, so a
row's result does not depend on the range.
"""

from __future__ import annotations

from .blocking import (
    ASKING_TILES,
    CHUNK_STEPS,
    FIRST,
    LAST,
    MATRIX_STEPS,
    UNROLL,
    WIDTH,
)
from .jit import kernel
from .products import tiles_of, weight_elements
from .records import Array, Chunk, Image, Panel, Taps
from .tiles import conv_row_narrow, conv_row_wide


@kernel
def panel_rows(
    x: Image, taps: Taps, panel: Panel, skip: Image | None, y: Image, rest: Array | None
) -> None:
    """`y.rows` rows of `y.pixels` output pixels by one panel of channels.

    x: begins with the pixel left of its first; the pixels under a row of taps are `taps.run`
        neighbouring elements, and from one output pixel's to the next's it is x.pixel_stride. Rows
        outside 0 .. x.rows - 1 are never read: their taps are left out.
    panel: its weights are [taps][run][width], what is used next behind them.
    skip: receives sum + bias; may be None.  y: receives the activations. Both begin
        with the panel's first channel of the first row that is computed.
    rest: float32 [rows][pixels][width], where sums rest between chunks; None: in y.
    """
    rows, run, width = y.rows, taps.run, panel.width
    weights_stop = panel.weights.size
    tiles = tiles_of(x.values, y.pixels)
    ahead_step = UNROLL * width // min(ASKING_TILES, rows * tiles)
    chunk_steps = -(-run // -(-run // CHUNK_STEPS))
    chunk_steps += -chunk_steps % MATRIX_STEPS
    # Rows of taps that are one chunk, if they are not parted themselves.
    band = 1 if run > chunk_steps else -(-taps.rows // -(-(taps.rows * run) // CHUNK_STEPS))
    # The last row reaches lowest, the first one highest.
    lowest = max(0, -(taps.top + (rows - 1) * taps.top_step))
    highest = min(taps.rows, x.rows - taps.top)
    for tap in range(lowest, highest, band):
        tap_stop = min(tap + band, highest)
        for first_step in range(0, run, chunk_steps):
            steps = min(chunk_steps, run - first_step)
            chunk_at = weight_elements(x.values, panel.weights, (tap * run + first_step) * width)
            size = weight_elements(x.values, panel.weights, (tap_stop - tap) * steps * width)
            ahead = panel.weights_at + chunk_at + size
            ahead_stop = min(ahead + size, weights_stop)
            for i in range(rows):
                row_top = taps.top + i * taps.top_step
                seen, seen_stop = max(0, -row_top), min(taps.rows, x.rows - row_top)
                first_tap, stop_tap = max(tap, seen), min(tap_stop, seen_stop)
                if first_tap >= stop_tap:
                    continue
                parts = 0
                if first_step == 0 and first_tap == seen:
                    parts |= FIRST
                if first_step + steps == run and stop_tap == seen_stop:
                    parts |= LAST
                left_out = weight_elements(x.values, panel.weights, (first_tap - tap) * run * width)
                skip_at = 0 if skip is None else skip.origin + i * skip.row_stride
                turns = (tap_stop - tap) * (steps // UNROLL)
                chunk = Chunk(
                    x_at=x.origin + (row_top + first_tap) * x.row_stride + first_step,
                    skip_at=skip_at,
                    y_at=y.origin + i * y.row_stride,
                    rest_at=i * y.pixels * width,
                    weights_at=chunk_at + left_out,
                    taps=stop_tap - first_tap,
                    steps=steps,
                    parts=parts,
                    ahead_at=ahead + i * tiles * turns * ahead_step,
                    ahead_stop=ahead_stop,
                    ahead_step=ahead_step,
                )
                if width == WIDTH:
                    conv_row_narrow(x, panel, skip, y, rest, chunk)
                else:
                    conv_row_wide(x, panel, skip, y, rest, chunk)
