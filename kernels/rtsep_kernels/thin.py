"""The two layers at the net's narrow end: the last transposed convolution and the mask itself.

With one channel there is nothing to put into the lanes of a vector but the channels of the *input*
(up6, 32 to 1: dot products) or the pixels of the output (the 4x4 mask convolution, 1 to 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .blocking import THIN_PIXELS
from .epilogue import sigmoid_f32
from .jit import FAST_MATH, kernel
from .micro_thin_tiles import thin_matrix_pixels
from .records import Array, Image, Layer, MaskLayer, ThinTile
from .tiles import thin_tile

MASK_TAPS = 4
MASK_DILATION = 2
# `same` padding of a 4-tap kernel with dilation 2: span 7, three zeros before and three behind.
MASK_PADDING = 3


@kernel
def thin_upconv_rows(
    x: Image, zero_row: int, layer: Layer, y: Image, first: int, stop: int
) -> None:
    """Rows `first` to `stop` - 1, widened to whole pairs, of the 5x5 stride-2 layer to 1 channel.

    x: x.pixels is a multiple of THIN_PIXELS, pixels adjacent, one zero pixel before and behind each
        row. zero_row: where a row of zeros of the same length stands in x.values; it is read in place
        of the rows outside the image.
    layer: packed by pack_thin, epilogue from thin_parameters.
    y: one channel, 2 * x.rows rows, pixels adjacent. Real-time safe.
    """
    for m in range(first >> 1, (stop + 1) >> 1):
        middle = x.origin + m * x.row_stride - x.pixel_stride
        above = middle - x.row_stride if m > 0 else zero_row
        below = middle + x.row_stride if m + 1 < x.rows else zero_row
        even = y.origin + 2 * m * y.row_stride
        row = ThinTile(above, middle, below, even, even + y.row_stride)
        for pixel in range(thin_matrix_pixels(x, layer, y, row), x.pixels, THIN_PIXELS):
            step, out = pixel * x.pixel_stride, even + 2 * pixel
            tile = ThinTile(above + step, middle + step, below + step, out, out + y.row_stride)
            thin_tile(x, layer, y, tile)


@kernel(fastmath=FAST_MATH)
def mask_rows(
    x: Image, layer: MaskLayer, scratch: Array, masks: Array, first: int, stop: int
) -> None:
    """Rows `first` to `stop` - 1 of the mask: 4x4 convolution of dilation 2, then the sigmoid.

    x: one channel, pixels adjacent, MASK_PADDING zeros before and behind each row. Rows outside the
        image are never read.
    scratch: (2, bins) float32.  masks: (rows, 2, bins) float32. Real-time safe.
    """
    image, w, bias = x.values, layer.weights, layer.bias
    bins = masks.shape[2]
    sums_left, sums_right = scratch[0], scratch[1]
    for row in range(first, stop):
        for f in range(bins):
            sums_left[f] = bias[0]
            sums_right[f] = bias[1]
        for i in range(MASK_TAPS):
            source = row + MASK_DILATION * i - MASK_PADDING
            if source < 0 or source >= x.rows:
                continue
            at = x.origin + source * x.row_stride - MASK_PADDING
            line = image[at : at + bins + 2 * MASK_PADDING]
            l0, l1, l2, l3 = w[i, 0, 0], w[i, 1, 0], w[i, 2, 0], w[i, 3, 0]
            r0, r1, r2, r3 = w[i, 0, 1], w[i, 1, 1], w[i, 2, 1], w[i, 3, 1]
            for f in range(bins):
                x0, x1, x2, x3 = line[f], line[f + 2], line[f + 4], line[f + 6]
                sums_left[f] += x0 * l0 + x1 * l1 + x2 * l2 + x3 * l3
                sums_right[f] += x0 * r0 + x1 * r1 + x2 * r2 + x3 * r3
        left, right = masks[row, 0], masks[row, 1]
        if layer.logits_only:
            for f in range(bins):
                left[f] = sums_left[f]
                right[f] = sums_right[f]
        else:
            for f in range(bins):
                left[f] = sigmoid_f32(sums_left[f])
            for f in range(bins):
                right[f] = sigmoid_f32(sums_right[f])


def thin_parameters(bias: ArrayLike, scale: ArrayLike, shift: ArrayLike) -> Array:
    """The epilogue of thin_upconv_rows, float32 [3]: bias, post scale, post shift."""
    return np.array([np.ravel(bias)[0], np.ravel(scale)[0], np.ravel(shift)[0]], np.float32)
