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
from .conv import NO_SKIP, PREFETCH_FROM_BYTES
from .epilogue import apply_epilogue
from .gemm import gemm, gemm_workspace
from .jit import kernel
from .shapes import ConvShape
from .tiles import conv_row_ahead, conv_row_narrow, conv_row_wide


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
    weight_bytes = 25 * channels_in * channels_out * 4
    rows_outermost = weight_bytes <= ROWS_OUTERMOST_BYTES
    bands = stop - first if rows_outermost else 1
    for band in range(bands):
        band_first = first + band if rows_outermost else first
        band_stop = band_first + 1 if rows_outermost else stop
        for block in range(channels_out // panel):
            channel = block * panel
            phase_at = 0
            for phase in range(4):
                p, q = phase >> 1, phase & 1
                rows, run = 2 + p, (2 + q) * channels_in
                for row in range(band_first, band_stop):
                    if row & 1 != p:
                        continue
                    # Input rows row / 2 - 1 + k, as far as they lie in the image.
                    top = (row >> 1) - 1
                    k_first = max(0, -top)
                    k_stop = min(rows, x_rows - top)
                    x_at = x_plane.origin + (top + k_first) * x_plane.row_stride - channels_in
                    w_at = phase_at + (block * rows + k_first) * run * panel
                    y_at = y_plane.origin + row * y_plane.row_stride + channel
                    y_at += q * y_plane.pixel_stride
                    if panel == WIDTH:
                        conv_row_narrow(
                            x, x_at, channels_in, x_plane.row_stride, k_stop - k_first, run,
                            w, w_at, e, 5 * channel, act, slope,
                            y, y_at, 0, y, y_at, 2 * y_plane.pixel_stride, width_in,
                        )  # fmt: skip
                    elif weight_bytes < PREFETCH_FROM_BYTES:
                        conv_row_wide(
                            x, x_at, channels_in, x_plane.row_stride, k_stop - k_first, run,
                            w, w_at, e, 5 * channel, act, slope,
                            y, y_at, 0, y, y_at, 2 * y_plane.pixel_stride, width_in,
                        )  # fmt: skip
                    else:
                        conv_row_ahead(
                            x, x_at, channels_in, x_plane.row_stride, k_stop - k_first, run,
                            w, w_at, e, 5 * channel, act, slope,
                            y, y_at, 0, y, y_at, 2 * y_plane.pixel_stride, width_in,
                        )  # fmt: skip
                phase_at += rows * run * channels_out


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
