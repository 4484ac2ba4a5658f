"""The network as compiled functions: one call without the GIL for a window or for a slide of it.

Both stand in one file because the cache looks for changes in the kernels' folder and in the file of a
cached function only (see rtsep_kernels/disk_cache.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsep.nets.buffers import Buffers
from rtsep_kernels.conv import conv_rows
from rtsep_kernels.deconv import upconv_rows
from rtsep_kernels.jit import kernel
from rtsep_kernels.products import channel_elements, get_two, put_two
from rtsep_kernels.records import Array, Image, Ints, Layer, MaskLayer
from rtsep_kernels.thin import mask_rows, thin_upconv_rows


class Constants(NamedTuple):
    """The constants of one net, packed for this processor.

    Attributes
    ----------
    layers : 11 Layers
        conv1 to conv6, up1 to up5.
    thin : Layer
        up6, whose weights may be of another kind.
    mask : MaskLayer
    """

    layers: tuple[Layer, ...]
    thin: Layer
    mask: MaskLayer


class Work(NamedTuple):
    """What is to be computed: rows of each layer's output, in the order of `unet.LAYERS`.

    Attributes
    ----------
    rows : (13, 2) int64
        [layer][first, stop).
    edges : (6, 2) int64
        The same for a second range of the convolutions, computed before.
    skip_from : (6,) int64
        [level - 1]: first row whose skip the decoder reads.
    """

    rows: Ints
    edges: Ints
    skip_from: Ints


class NewFrames(NamedTuple):
    """Frames that come into a window, and those that stand behind them.

    Attributes
    ----------
    magnitudes : (ring rows, F, 2) float32
        Frame t in row t modulo the ring's length; frames before the stream's first are silent.
    gains : (ring rows,) float32
        One for each row of the ring.
    first, stop : int
        The frames that come in; the newest one is p = stop - 1.
    extrapolated : int
        Frames behind p: p + i is the mean of p and p + 1 - i, half as if p were held and half as if
        the music went backwards from there.
    shift : int
        The window's bin f is bin f + shift of the magnitudes, silence beyond them.
    """

    magnitudes: Array
    gains: Array
    first: int
    stop: int
    extrapolated: int
    shift: int


class Mirrors(NamedTuple):
    """Rows that are copied to where the other half of their ring has them, see sliding.py.

    Attributes
    ----------
    encoder, decoder : (6, 6) int64
        [level] (start of the ring, row stride, rows of the ring, place of the window's row 0, first
        and stop of the window's rows to copy).
    """

    encoder: Ints
    decoder: Ints


@kernel
def forward(net: Constants, buffers: Buffers, work: Work, masks: Array) -> None:
    """Compute the masks of what stands in the buffers' level 0: the whole network in one call.

    masks: (T, 2, F) float32, whose rows `work.rows[12]` are written.
    """
    rows, encoder, decoder, rest = work.rows, buffers.encoder, buffers.decoder, buffers.rest

    # Encoder: level 0 is the input, level n has T >> n rows.
    for level in range(1, 6):
        skip_from = work.skip_from[level - 1]
        for ranges in (work.edges, rows):
            _encode(level, net, buffers, ranges[level - 1, 0], ranges[level - 1, 1], skip_from)
    conv_rows(encoder[5], net.layers[5], None, decoder[5], rest, rows[5, 0], rows[5, 1])

    # Decoder: from level n to the up half of level n - 1.
    for step in range(1, 6):
        level = 7 - step
        layer, pair = net.layers[5 + step], decoder[level - 2]
        up = Image(
            pair.values,
            pair.origin + channel_elements(pair.values, layer.channels_out),
            pair.row_stride,
            pair.pixel_stride,
            pair.rows,
            pair.pixels,
        )
        upconv_rows(decoder[level - 1], layer, up, rest, rows[5 + step, 0], rows[5 + step, 1])
    thin_upconv_rows(decoder[0], buffers.zero_row, net.thin, buffers.last, rows[11, 0], rows[11, 1])
    mask_rows(buffers.last, net.mask, buffers.scratch, masks, rows[12, 0], rows[12, 1])


@kernel
def take_in(magnitudes: Array, window: Image) -> None:
    """Copy magnitudes (T, F, 2), float32, to the buffers' level 0."""
    x, pixel = window.values, window.pixel_stride
    for t in range(window.rows):
        at = window.origin + t * window.row_stride
        for f in range(window.pixels):
            put_two(x, at + f * pixel, magnitudes[t, f, 0], magnitudes[t, f, 1])


@kernel
def _encode(
    level: int, net: Constants, buffers: Buffers, first: int, stop: int, skip_from: int
) -> None:
    """Rows `first` to `stop` - 1 of the convolution to `level`, their skips from `skip_from` on."""
    x, y, skip = buffers.encoder[level - 1], buffers.encoder[level], buffers.decoder[level - 1]
    layer = net.layers[level - 1]
    split = min(stop, max(first, skip_from))
    conv_rows(x, layer, None, y, buffers.rest, first, split)
    conv_rows(x, layer, skip, y, buffers.rest, split, stop)


@kernel
def slide(
    new: NewFrames, net: Constants, buffers: Buffers, work: Work, mirrors: Mirrors, masks: Array
) -> None:
    """Take in the new frames, run the net, keep what the next runs need.

    The window ends with the newest frame and those extrapolated. masks, work: see forward.
    """
    window = buffers.encoder[0]
    x, bins, pixel = window.values, window.pixels, window.pixel_stride
    real_frames = window.rows - new.extrapolated
    for frame in range(new.first, new.stop):
        row = frame - (new.stop - real_frames)
        at = window.origin + row * window.row_stride
        if frame < 0:
            for f in range(bins):
                put_two(x, at + f * pixel, np.float32(0.0), np.float32(0.0))
            continue
        source = frame % new.magnitudes.shape[0]
        gain = new.gains[source]
        for f in range(bins):
            left, right = np.float32(0.0), np.float32(0.0)
            if 0 <= f + new.shift < bins:
                left = gain * new.magnitudes[source, f + new.shift, 0]
                right = gain * new.magnitudes[source, f + new.shift, 1]
            put_two(x, at + f * pixel, left, right)
    newest = window.origin + (real_frames - 1) * window.row_stride
    for i in range(new.extrapolated):
        image, at = newest - i * window.row_stride, newest + (i + 1) * window.row_stride
        for f in range(bins):
            left, right = get_two(x, newest + f * pixel)
            image_left, image_right = get_two(x, image + f * pixel)
            left = np.float32(0.5) * (left + image_left)
            right = np.float32(0.5) * (right + image_right)
            put_two(x, at + f * pixel, left, right)
    forward(net, buffers, work, masks)
    for level in range(6):
        _mirror(buffers.encoder[level], mirrors.encoder[level])
        _mirror(buffers.decoder[level], mirrors.decoder[level])


@kernel
def _mirror(image: Image, rows: Ints) -> None:
    """Copy rows of a ring to where the other half of its buffer has them."""
    buffer = image.values
    start, row_stride, ring, base, first, stop = rows
    for row in range(first, stop):
        place = base + row
        other = place + ring if place < ring else place - ring
        source, target = start + place * row_stride, start + other * row_stride
        for i in range(row_stride):
            buffer[target + i] = buffer[source + i]
