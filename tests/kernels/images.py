"""Images in the zero-padded flat buffers that the fast kernels read and write."""

import numpy as np

from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.records import Image

GUARD = np.float32(12345.0)


def padded(pixels, before, behind, rows_behind=0):
    """Image of `pixels` (rows, pixels, channels) with zero pixels around each row."""
    rows, width, channels = pixels.shape
    row_stride = (width + before + behind) * channels
    buffer = aligned_zeros((rows + rows_behind) * row_stride + channels)
    view = buffer[: rows * row_stride].reshape(rows, width + before + behind, channels)
    view[:, before : before + width] = pixels
    return Image(buffer, before * channels, row_stride, channels, rows, width)


def guarded(rows, width, channels):
    """Image in a buffer full of GUARD, one guard pixel around each row, and the view of its pixels."""
    row_stride = (width + 2) * channels
    buffer = aligned_zeros((rows + 2) * row_stride)
    buffer[:] = GUARD
    view = buffer.reshape(rows + 2, width + 2, channels)
    image = Image(buffer, row_stride + channels, row_stride, channels, rows, width)
    return image, view[1:-1, 1:-1]


def untouched_outside(image, pixels):
    """Whether everything but `pixels` (a view of the image's buffer) still holds GUARD."""
    inside = pixels.copy()
    pixels[:] = GUARD
    outside = bool((image.values == GUARD).all())
    pixels[:] = inside
    return outside
