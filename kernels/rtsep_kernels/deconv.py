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
from .conv import NO_SKIP
from .epilogue import apply_epilogue
from .gemm import gemm, gemm_workspace
from .im2col import col2im
from .jit import kernel
from .micro_tiles import tiles_begin, tiles_end
from .panel import panel_rows
from .products import channel_elements, weight_elements
from .records import Activation, Array, Image, Layer, Panel, Taps, Workspace
from .shapes import ConvShape


@kernel
def upconv_rows(
    x: Image, layer: Layer, y: Image, rest: Array | None, first: int, stop: int
) -> None:
    """Rows `first` to `stop` - 1 of a 5x5 stride-2 transposed convolution, `same` padding.

    x: its pixels adjacent (their pixel_stride is their number of elements), with one zero pixel before
        and behind each row. Rows outside the image are never read.
    layer: packed by pack_subpixel and pack_epilogue; its channels are a multiple of W.
    y: 2 * x.rows rows of 2 * x.pixels pixels.
    rest: of images of pairs, room for the sums of one panel of all rows and pixels of x, float32; None
        of images of float32.
    Each output row is computed the same way whatever the range. Real-time safe.
    """
    pixel, channels_out = x.pixel_stride, layer.channels_out
    width = PANEL if channels_out % PANEL == 0 else WIDTH
    source = Image(x.values, x.origin - pixel, x.row_stride, pixel, x.rows, x.pixels)
    size = weight_elements(x.values, layer.weights, 25 * pixel * channels_out)
    rows_outermost = size * 4 <= ROWS_OUTERMOST_BYTES
    tiles_begin(x.values)
    band_rows = 1 if rows_outermost else max(1, stop - first)
    for band in range(first, stop, band_rows):
        w_at = 0
        for phase in range(4):
            p, q = phase >> 1, phase & 1
            # The band's rows of parity p: output row 2 m + p sees the input rows from m - 1 on.
            row = band + ((band ^ p) & 1)
            rows = (band + band_rows - row + 1) >> 1
            taps = Taps((row >> 1) - 1, 1, 2 + p, (2 + q) * pixel)
            y_at = y.origin + row * y.row_stride + q * y.pixel_stride
            for block in range(channels_out // width):
                channel = block * width
                if rows > 0:
                    panel = Panel(
                        layer.weights, layer.epilogue, layer.act, w_at, 5 * channel, width
                    )
                    # Every other row and pixel of y.
                    target = Image(
                        y.values,
                        y_at + channel_elements(y.values, channel),
                        2 * y.row_stride,
                        2 * y.pixel_stride,
                        rows,
                        x.pixels,
                    )
                    panel_rows(source, taps, panel, None, target, rest)
                w_at += weight_elements(x.values, layer.weights, taps.rows * taps.run * width)
    tiles_end(x.values)


def deconv_workspace(shape: ConvShape, channels_out: int) -> tuple[Array, Workspace]:
    """Buffers for `conv_transpose2d`: what col2im adds up, and GEMM's. One user at a time."""
    columns = np.zeros((shape.small_pixels, shape.taps * channels_out), np.float32)
    return columns, gemm_workspace(shape.taps * channels_out)


def conv_transpose2d(
    x: Array,
    weights: Array,
    epilogue: Array,
    act: Activation,
    shape: ConvShape,
    out: Array,
    workspace: tuple[Array, Workspace],
) -> Array:
    """General transposed convolution: GEMM, col2im, epilogue. Any geometry that `shape` can say.

    x: (time, frequency, channels in) float32, `shape.small` pixels.
    weights: HWOI (rows, columns, channels out, channels in) float32, contiguous.
    epilogue: [5][channels out]; act: from epilogue.activation.
    out: (time, frequency, channels out), `shape.large` pixels. workspace: see `deconv_workspace`.
    Returns out.
    """
    columns, packing = workspace
    channels_in = weights.shape[3]
    by_tap = weights.reshape(-1, channels_in)
    gemm(x.reshape(shape.small_pixels, channels_in), by_tap.T, columns, packing, False)
    col2im(columns, shape, out)
    apply_epilogue(out, epilogue, act, NO_SKIP, out)
    return out
