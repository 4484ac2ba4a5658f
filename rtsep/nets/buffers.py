"""The buffers of one running network, allocated once, and their layout.

Activations stand as [frame][bin][channel] float32, or as pairs of bfloat16 channels, zero-padded along
frequency; along time the kernels leave out the taps that would fall outside. Level n has T / 2^n rows of
F / 2^n pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtsep.nets.arrays import ENCODER_CHANNELS
from rtsep_kernels.blocking import PANEL
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.precision import Precision
from rtsep_kernels.products import pixels_behind
from rtsep_kernels.records import Array, Image
from rtsep_kernels.thin import MASK_PADDING

LEVELS = 6
GRID = 2**LEVELS


class Buffers(NamedTuple):
    """The activations of one network. One user at a time.

    Attributes
    ----------
    encoder : 6 Images
        encoder[n], n = 0..5: input of conv n+1, one zero pixel before and two behind each row (of pairs
        as many as are read).
        Writer: conv n (the caller for n = 0); reader: conv n+1.
    decoder : 6 Images
        decoder[n-1], n = 1..6: input of the upconvolution from level n, [skip, up] channels, one zero
        pixel before and behind each row. Writers: conv n (skip half), up 6-n (up half); reader: up 7-n.
    zero_row : int
        Where a row of zeros stands behind the rows of decoder[0], for the thin kernel.
    last : Image
        up6's output, the mask convolution's input, float32. Writer: up6; reader: mask.
    rest : (any,) float32 or None
        Sums of a layer in the making, where images are pairs. Writer and reader: each layer.
    scratch : (2, F) float32
        Sums of the mask convolution.
    """

    encoder: tuple[Image, ...]
    decoder: tuple[Image, ...]
    zero_row: int
    last: Image
    rest: Array | None
    scratch: Array

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        images = (*self.encoder, *self.decoder, self.last)
        held = sum(image.values.nbytes for image in images) + self.scratch.nbytes
        return held if self.rest is None else held + self.rest.nbytes


def make_buffers(
    frames: int,
    bins: int,
    encoder_rows: Sequence[int],
    decoder_rows: Sequence[int],
    precision: Precision,
) -> Buffers:
    """Allocate the buffers of a window of T frames by F bins; every page is touched.

    Parameters
    ----------
    frames, bins : int
        T and F, multiples of 64.
    encoder_rows, decoder_rows : sequence of int
        [n] and [n - 1]: rows to make room for at level n, T / 2^n at least. The images begin with the
        first of them.
    precision : Precision
        Of the nets that are going to run: with "bf16" images are pairs.

    Raises
    ------
    ValueError
        Unless T and F are positive multiples of 64.
    """
    for name, count in (("frames", frames), ("bins", bins)):
        if count < GRID or count % GRID:
            raise ValueError(f"{name} must be a positive multiple of {GRID}: got {name}={count}")
    pairs = precision == "bf16"
    encoder, decoder = [], []
    for level in range(LEVELS):
        pixel = ENCODER_CHANNELS[level] // (2 if pairs else 1)
        row_stride = (1 + (bins >> level) + pixels_behind(pixel, pairs)) * pixel
        values = aligned_zeros(encoder_rows[level] * row_stride + pixel)
        encoder.append(_image(values, pixel, row_stride, frames >> level, bins >> level, pairs))
    for level in range(1, LEVELS + 1):
        pixel = ENCODER_CHANNELS[level] * (1 if level == LEVELS else 2) // (2 if pairs else 1)
        row_stride = ((bins >> level) + 2) * pixel
        # One row of zeros more for the thin kernel.
        values = aligned_zeros((decoder_rows[level - 1] + 1) * row_stride)
        decoder.append(_image(values, pixel, row_stride, frames >> level, bins >> level, pairs))
    zero_row = decoder_rows[0] * decoder[0].row_stride
    row_stride = bins + 2 * MASK_PADDING
    last = Image(aligned_zeros(frames * row_stride), MASK_PADDING, row_stride, 1, frames, bins)
    # One panel of the largest layer that goes panel by panel, or of a row of the widest.
    rest = aligned_zeros(max(frames * bins // 64, bins // 2) * PANEL) if pairs else None
    for image in (*encoder, *decoder, last):
        image.values.fill(0)  # memory is there before the sound starts
    if rest is not None:
        rest.fill(0.0)
    scratch = np.zeros((2, bins), np.float32)
    return Buffers(tuple(encoder), tuple(decoder), zero_row, last, rest, scratch)


def _image(
    values: Array, pixel: int, row_stride: int, rows: int, pixels: int, pairs: bool
) -> Image:
    """An image with one zero pixel before each row, of float32 or of pairs."""
    return Image(
        values.view(np.uint32) if pairs else values, pixel, row_stride, pixel, rows, pixels
    )
