"""Convolution: the general way (im2col + GEMM) and the fast way (direct, 5x5 stride 2, row ranges).

The fast way needs no im2col: with the image as [time][frequency][channel], the 5 x C values under
one kernel row stand next to each other in memory, so row p of the im2col matrix *is* the image,
read with a stride of 2 C per pixel. What is a GEMM with K = 25 C runs as 5 runs of 5 C steps.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from .blocking import PANEL, ROWS_OUTERMOST_BYTES, WIDTH
from .epilogue import apply_epilogue
from .gemm import gemm, gemm_workspace
from .im2col import im2col
from .jit import kernel
from .panel import panel_rows
from .shapes import ConvShape

# Where an image stands in a flat float32 buffer: pixel (time t, frequency f) starts at
# origin + t * row_stride + f * pixel_stride. All in float32 elements.
Plane = namedtuple("Plane", ["origin", "row_stride", "pixel_stride"])

NO_SKIP = np.zeros((0, 0, 0), np.float32)


@kernel
def conv_rows(
    x, x_plane, x_rows, channels_in, w, e, act, slope, channels_out, width_out,
    skip, skip_plane, y, y_plane, first, stop,
):  # fmt: skip
    """Rows `first` to `stop` - 1 of a 5x5 stride-2 convolution, TensorFlow `same` padding.

    x: image of x_rows rows and 2 * width_out pixels of channels_in channels (even), its pixels
        adjacent (x_plane.pixel_stride == channels_in) with one zero pixel before and two behind
        each row. Rows above and below the image are never read: their taps are left out.
    w, e: packed by pack_conv and pack_epilogue.  channels_out: a multiple of W.
    skip: receives sum + bias unless skip_plane.pixel_stride is 0.  y: receives the activations.
    Each output row is computed the same way whatever the range. Real-time safe.
    """
    panel = PANEL if channels_out % PANEL == 0 else WIDTH
    run = 5 * channels_in
    steps = 5 * run
    x_at = x_plane.origin - channels_in
    # Either the rows pass by resident weights, or one panel at a time passes over all rows.
    rows_outermost = steps * channels_out * 4 <= ROWS_OUTERMOST_BYTES
    band_rows = 1 if rows_outermost else max(1, stop - first)
    for row in range(first, stop, band_rows):
        for block in range(channels_out // panel):
            channel = block * panel
            panel_rows(
                x, x_at, x_plane.row_stride, x_rows, 2 * channels_in, 2 * row - 1, 2, 5, run,
                w, block * steps * panel, panel, e, 5 * channel, act, slope,
                skip, skip_plane.origin + row * skip_plane.row_stride + channel,
                skip_plane.row_stride, skip_plane.pixel_stride,
                y, y_plane.origin + row * y_plane.row_stride + channel,
                y_plane.row_stride, y_plane.pixel_stride, width_out, band_rows,
            )  # fmt: skip


def conv_workspace(shape: ConvShape, channels_in: int, channels_out: int):
    """Buffers for `conv2d`: the im2col matrix and GEMM's packing buffers. One user at a time."""
    columns = np.zeros((shape.small_pixels, shape.taps * channels_in), np.float32)
    return columns, gemm_workspace(channels_out)


def conv2d(x, weights, epilogue, act, slope, shape: ConvShape, out, workspace, skip=NO_SKIP):
    """General convolution: im2col, GEMM, epilogue. Any kernel size, stride, padding and dilation.

    x: (time, frequency, channels in) float32, `shape.large` pixels.
    weights: HWIO (rows, columns, channels in, channels out) float32, contiguous.
    epilogue: [5][channels out], see epilogue.py; act, slope: from epilogue.activation.
    out: (time, frequency, channels out), `shape.small` pixels. workspace: see `conv_workspace`.
    skip: like out, receives sum + bias; NO_SKIP where none is wanted.
    Returns out.
    """
    columns, packing = workspace
    im2col(x, shape, columns)
    steps, channels_out = columns.shape[1], weights.shape[3]
    sums = out.reshape(shape.small_pixels, channels_out)
    gemm(columns, weights.reshape(steps, channels_out), sums, packing, False)
    apply_epilogue(out, epilogue, act, slope, skip, out)
    return out
