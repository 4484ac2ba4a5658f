"""Images of pairs and of float32 for tests, and what a net in 16 bits should compute on them."""

import numpy as np

from rtsep_kernels import reference, rounding
from rtsep_kernels.blocking import PANEL
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.products import pixels_behind
from rtsep_kernels.records import Image

GUARD = np.uint32(0x43A1_7B2C)


def rounded(x):
    return reference.from_bf16(reference.to_bf16(x)).reshape(x.shape)


def used(weights, precision):
    """The weights (rows, columns, in, out) that the kernels multiply with, as float32."""
    bits = rounding.diffused(weights, precision == "weights16").astype(np.uint32)
    words = bits << 16
    if precision == "weights16":
        words[:, :, 1::2] |= bits[:, :, ::2]
    return words.view(np.float32)


class Picture:
    """An image of either kind with `before` and `behind` zero pixels around each row.

    behind: None for what a convolution needs. What stands behind the last row is NaN.
    """

    def __init__(self, pixels, precision, before=1, behind=None, rows_behind=0):
        rows, width, channels = pixels.shape
        pairs = precision == "bf16"
        pixel = channels // 2 if pairs else channels
        if behind is None:
            behind = pixels_behind(pixel, pairs)
        values = reference.to_bf16(pixels).reshape(pixels.shape) if pairs else pixels
        padded = np.pad(values, ((0, rows_behind), (before, behind), (0, 0)))
        held = padded.reshape(-1).view(np.uint32 if pairs else np.float32)
        words = aligned_zeros(held.size + 64).view(np.uint32)
        words[:] = 0x7FC0_7FC0
        buffer = words.view(held.dtype)
        buffer[: held.size] = held
        row_stride = (width + before + behind) * pixel
        self.image = Image(buffer, before * pixel, row_stride, pixel, rows, width)


class Canvas:
    """An image to write on, one guard pixel around each row, and what stands there afterwards."""

    def __init__(self, rows, width, channels, precision):
        self.pairs = precision == "bf16"
        pixel = channels // 2 if self.pairs else channels
        row_stride = (width + 2) * pixel
        self.words = aligned_zeros((rows + 2) * row_stride).view(np.uint32)
        self.words[:] = GUARD
        values = self.words if self.pairs else self.words.view(np.float32)
        self.image = Image(values, row_stride + pixel, row_stride, pixel, rows, width)
        self._view = self.words.reshape(rows + 2, width + 2, pixel)[1:-1, 1:-1]

    @property
    def pixels(self):
        words = np.ascontiguousarray(self._view)
        return reference.from_bf16(words.view(np.uint16)) if self.pairs else words.view(np.float32)

    def untouched_outside(self, first, stop):
        words = self.words.copy()
        self._view[first:stop] = GUARD
        outside = bool((self.words == GUARD).all())
        self.words[:] = words
        return outside


def assert_rounded_once(found, expected, precision):
    """Half an ulp of bfloat16 where the result is rounded, and 1e-5 of the largest output."""
    half_ulp = 2.0**-8 * np.abs(expected) if precision == "bf16" else 0
    bound = half_ulp + 1e-5 * np.abs(expected).max()
    np.testing.assert_array_less(np.abs(found - expected), bound + 1e-30)


def rest_for(rows, width, precision):
    return aligned_zeros(rows * width * PANEL) if precision == "bf16" else None
