"""col2im: neighbourhoods are added back into an image. The adjoint of im2col.

<im2col(x), c> = <x, col2im(c)> for every x and c: a transposed convolution is a GEMM and this.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .shapes import ConvShape


@kernel
def _col2im(columns, small, kernel_size, stride, dilation, before, x):
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


def col2im(columns: np.ndarray, shape: ConvShape, x: np.ndarray) -> np.ndarray:
    """Add the neighbourhoods in `columns` up to the image `x` and return it.

    columns: (shape.small_pixels, shape.taps * channels) float32, ordered as im2col writes them.
    x: (time, frequency, channels) float32, `shape.large` pixels; overwritten.
    """
    _col2im(columns, shape.small, shape.kernel, shape.stride, shape.dilation, shape.before, x)
    return x
