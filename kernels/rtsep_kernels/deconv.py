"""Transposed convolution: the general way (GEMM + col2im) and the fast way (sub-pixel, row ranges).

The fast way never scatters. A 5x5 transposed convolution of stride 2 writes four interleaved
images, one per parity of (row, column), and each is an ordinary stride-1 convolution of the input
with the taps of its parity: 2x2, 2x3, 3x2 and 3x3 of the 25 taps (Shi et al., "Real-time single
image and video super-resolution using an efficient sub-pixel CNN", 2016). Every output is written
once, bias, activation and batch norm included.
"""

from __future__ import annotations

import numpy as np

from .blocking import PANEL, ROWS_OUTERMOST_BYTES, WIDTH
from .col2im import col2im
from .conv import NO_SKIP
from .epilogue import apply_epilogue
from .gemm import gemm, gemm_workspace
from .jit import kernel
from .panel import panel_rows
from .shapes import ConvShape


@kernel
def upconv_rows(
    x, x_plane, x_rows, channels_in, w, e, act, slope, channels_out, width_in,
    y, y_plane, first, stop,
):  # fmt: skip
    """Rows `first` to `stop` - 1 of a 5x5 stride-2 transposed convolution, `same` padding.

    x: image of x_rows rows and width_in pixels of channels_in channels, its pixels adjacent, with
        one zero pixel before and behind each row. Rows outside the image are never read.
    w, e: packed by pack_subpixel and pack_epilogue.  channels_out: a multiple of W.
    y: image of 2 * x_rows rows and 2 * width_in pixels.
    Each output row is computed the same way whatever the range. Real-time safe.
    """
    panel = PANEL if channels_out % PANEL == 0 else WIDTH
    x_at = x_plane.origin - channels_in
    rows_outermost = 25 * channels_in * channels_out * 4 <= ROWS_OUTERMOST_BYTES
    band_rows = 1 if rows_outermost else max(1, stop - first)
    for band in range(first, stop, band_rows):
        w_at = 0
        for phase in range(4):
            p, q = phase >> 1, phase & 1
            taps, run = 2 + p, (2 + q) * channels_in
            # The band's rows of parity p: output row 2 m + p sees the input rows from m - 1 on.
            row = band + ((band ^ p) & 1)
            rows = (band + band_rows - row + 1) >> 1
            for block in range(channels_out // panel):
                channel = block * panel
                if rows > 0:
                    y_at = y_plane.origin + row * y_plane.row_stride + q * y_plane.pixel_stride
                    panel_rows(
                        x, x_at, x_plane.row_stride, x_rows, channels_in, (row >> 1) - 1, 1,
                        taps, run, w, w_at, panel, e, 5 * channel, act, slope,
                        y, 0, 0, 0, y, y_at + channel, 2 * y_plane.row_stride,
                        2 * y_plane.pixel_stride, width_in, rows,
                    )  # fmt: skip
                w_at += taps * run * panel


def deconv_workspace(shape: ConvShape, channels_out: int):
    """Buffers for `conv_transpose2d`: what col2im adds up, and GEMM's. One user at a time."""
    columns = np.zeros((shape.small_pixels, shape.taps * channels_out), np.float32)
    return columns, gemm_workspace(shape.taps * channels_out)


def conv_transpose2d(x, weights, epilogue, act, slope, shape: ConvShape, out, workspace):
    """General transposed convolution: GEMM, col2im, epilogue. Any geometry that `shape` can say.

    x: (time, frequency, channels in) float32, `shape.small` pixels.
    weights: HWOI (rows, columns, channels out, channels in) float32, contiguous.
    epilogue: [5][channels out]; act, slope: from epilogue.activation.
    out: (time, frequency, channels out), `shape.large` pixels. workspace: see `deconv_workspace`.
    Returns out.
    """
    columns, packing = workspace
    channels_in = weights.shape[3]
    by_tap = weights.reshape(-1, channels_in)
    gemm(x.reshape(shape.small_pixels, channels_in), by_tap.T, columns, packing, False)
    col2im(columns, shape, out)
    apply_epilogue(out, epilogue, act, slope, NO_SKIP, out)
    return out
