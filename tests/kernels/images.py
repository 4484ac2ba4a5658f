"""Images in the zero-padded flat buffers that the fast kernels read and write."""

import numpy as np

from rtsep_kernels.conv import Plane
from rtsep_kernels.pack import aligned_zeros

GUARD = np.float32(12345.0)


def padded(image, before, behind, rows_behind=0):
    """Flat buffer and Plane of `image` (rows, pixels, channels) with zero pixels around each row."""
    rows, pixels, channels = image.shape
    row_stride = (pixels + before + behind) * channels
    buffer = aligned_zeros((rows + rows_behind) * row_stride + channels)
    view = buffer[: rows * row_stride].reshape(rows, pixels + before + behind, channels)
    view[:, before : before + pixels] = image
    return buffer, Plane(before * channels, row_stride, channels)


def guarded(rows, pixels, channels):
    """Flat buffer full of GUARD, its Plane, and the image in it: one guard pixel around each row."""
    row_stride = (pixels + 2) * channels
    buffer = aligned_zeros((rows + 2) * row_stride)
    buffer[:] = GUARD
    view = buffer.reshape(rows + 2, pixels + 2, channels)
    return buffer, Plane(row_stride + channels, row_stride, channels), view[1:-1, 1:-1]


def untouched_outside(buffer, image):
    """Whether everything but `image` (a view of `buffer`) still holds GUARD."""
    inside = image.copy()
    image[:] = GUARD
    outside = bool((buffer == GUARD).all())
    image[:] = inside
    return outside
