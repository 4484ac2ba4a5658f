"""The buffers of one running network, allocated once, and their layout.

Activations stand as [frame][bin][channel] float32, zero-padded along frequency; along time the kernels
leave out the taps that would fall outside. Level n has T / 2^n rows of F / 2^n pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtsep.nets.arrays import ENCODER_CHANNELS
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.records import Array, Image
from rtsep_kernels.thin import MASK_PADDING

LEVELS = 6
GRID = 2**LEVELS


class Buffers(NamedTuple):
    """The activations of one network. One user at a time.

    Attributes
    ----------
    encoder : 6 Images
        encoder[n], n = 0..5: input of conv n+1, one zero pixel before and two behind each row.
        Writer: conv n (the caller for n = 0); reader: conv n+1.
    decoder : 6 Images
        decoder[n-1], n = 1..6: input of the upconvolution from level n, [skip, up] channels, one zero
        pixel before and behind each row. Writers: conv n (skip half), up 6-n (up half); reader: up 7-n.
    zero_row : int
        Where a row of zeros stands behind the rows of decoder[0], for the thin kernel.
    last : Image
        up6's output, the mask convolution's input. Writer: up6; reader: mask.
    scratch : (2, F) float32
        Sums of the mask convolution.
    """

    encoder: tuple[Image, ...]
    decoder: tuple[Image, ...]
    zero_row: int
    last: Image
    scratch: Array

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        images = (*self.encoder, *self.decoder, self.last)
        return sum(image.values.nbytes for image in images) + self.scratch.nbytes


def make_buffers(
    frames: int, bins: int, encoder_rows: Sequence[int], decoder_rows: Sequence[int]
) -> Buffers:
    """Allocate the buffers of a window of T frames by F bins; every page is touched.

    Parameters
    ----------
    frames, bins : int
        T and F, multiples of 64.
    encoder_rows, decoder_rows : sequence of int
        [n] and [n - 1]: rows to make room for at level n, T / 2^n at least. The images begin with the
        first of them.

    Raises
    ------
    ValueError
        Unless T and F are positive multiples of 64.
    """
    for name, count in (("frames", frames), ("bins", bins)):
        if count < GRID or count % GRID:
            raise ValueError(f"{name} must be a positive multiple of {GRID}: got {name}={count}")
    encoder, decoder = [], []
    for level in range(LEVELS):
        channels = ENCODER_CHANNELS[level]
        row_stride = ((bins >> level) + 3) * channels
        values = aligned_zeros(encoder_rows[level] * row_stride + channels)
        encoder.append(
            Image(values, channels, row_stride, channels, frames >> level, bins >> level)
        )
    for level in range(1, LEVELS + 1):
        channels = ENCODER_CHANNELS[level] * (1 if level == LEVELS else 2)
        row_stride = ((bins >> level) + 2) * channels
        # One row of zeros more for the thin kernel.
        values = aligned_zeros((decoder_rows[level - 1] + 1) * row_stride)
        decoder.append(
            Image(values, channels, row_stride, channels, frames >> level, bins >> level)
        )
    zero_row = decoder_rows[0] * decoder[0].row_stride
    row_stride = bins + 2 * MASK_PADDING
    last = Image(aligned_zeros(frames * row_stride), MASK_PADDING, row_stride, 1, frames, bins)
    for image in (*encoder, *decoder, last):
        image.values.fill(0.0)  # memory is there before the sound starts
    scratch = np.zeros((2, bins), np.float32)
    return Buffers(tuple(encoder), tuple(decoder), zero_row, last, scratch)
