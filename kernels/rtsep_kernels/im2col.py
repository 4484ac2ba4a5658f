"""im2col: an image becomes a matrix whose rows are the neighbourhoods under the kernel; and back.

col2im adds neighbourhoods up to an image again and is the adjoint of im2col:
<im2col(x), c> = <x, col2im(c)> for every x and c. So a transposed convolution is a GEMM and col2im.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .records import Array
from .shapes import ConvShape, Pair


@kernel
def _im2col(
    x: Array,
    small: Pair,
    kernel_size: Pair,
    stride: Pair,
    dilation: Pair,
    before: Pair,
    columns: Array,
) -> None:
    # columns[pixel of the small image][kernel row][kernel column][channel], the last three flat.
    channels = x.shape[2]
    for t in range(small[0]):
        for f in range(small[1]):
            row = columns[t * small[1] + f]
            at = 0
            for i in range(kernel_size[0]):
                source_t = t * stride[0] - before[0] + i * dilation[0]
                for j in range(kernel_size[1]):
                    source_f = f * stride[1] - before[1] + j * dilation[1]
                    if 0 <= source_t < x.shape[0] and 0 <= source_f < x.shape[1]:
                        for c in range(channels):
                            row[at + c] = x[source_t, source_f, c]
                    else:
                        for c in range(channels):
                            row[at + c] = np.float32(0.0)
                    at += channels


def im2col(x: Array, shape: ConvShape, columns: Array) -> Array:
    """Write the neighbourhoods of `x` to `columns` and return it.

    x: (time, frequency, channels) float32, `shape.large` pixels.
    columns: (shape.small_pixels, shape.taps * channels) float32; taps outside the image are zero.
    """
    _im2col(x, shape.small, shape.kernel, shape.stride, shape.dilation, shape.before, columns)
    return columns


@kernel
def _col2im(
    columns: Array,
    small: Pair,
    kernel_size: Pair,
    stride: Pair,
    dilation: Pair,
    before: Pair,
    x: Array,
) -> None:
    # Several rows of `columns` meet in one pixel, so the image is cleared first and added to.
    channels = x.shape[2]
    x[:] = np.float32(0.0)
    for t in range(small[0]):
        for f in range(small[1]):
            row = columns[t * small[1] + f]
            at = 0
            for i in range(kernel_size[0]):
                target_t = t * stride[0] - before[0] + i * dilation[0]
                for j in range(kernel_size[1]):
                    target_f = f * stride[1] - before[1] + j * dilation[1]
                    if 0 <= target_t < x.shape[0] and 0 <= target_f < x.shape[1]:
                        for c in range(channels):
                            x[target_t, target_f, c] += row[at + c]
                    at += channels


def col2im(columns: Array, shape: ConvShape, x: Array) -> Array:
    """Add the neighbourhoods in `columns` up to the image `x` and return it.

    columns: (shape.small_pixels, shape.taps * channels) float32, ordered as im2col writes them.
    x: (time, frequency, channels) float32, `shape.large` pixels; overwritten.
    """
    _col2im(columns, shape.small, shape.kernel, shape.stride, shape.dilation, shape.before, x)
    return x
