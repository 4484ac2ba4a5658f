"""im2col: an image becomes a matrix whose rows are the neighbourhoods under the kernel."""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .shapes import ConvShape


@kernel
def _im2col(x, small, kernel_size, stride, dilation, before, columns):
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


def im2col(x: np.ndarray, shape: ConvShape, columns: np.ndarray) -> np.ndarray:
    """Write the neighbourhoods of `x` to `columns` and return it.

    x: (time, frequency, channels) float32, `shape.large` pixels.
    columns: (shape.small_pixels, shape.taps * channels) float32; taps outside the image are zero.
    """
    _im2col(x, shape.small, shape.kernel, shape.stride, shape.dilation, shape.before, columns)
    return columns
