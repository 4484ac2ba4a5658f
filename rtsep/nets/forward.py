"""The network as compiled functions: one call without the GIL for a window or for a slide of it.

Both stand in one file because Numba looks for changes in the file of a cached function only.
"""

from __future__ import annotations

import numpy as np

from rtsep_kernels.conv import Plane, conv_rows
from rtsep_kernels.deconv import upconv_rows
from rtsep_kernels.jit import kernel
from rtsep_kernels.thin import mask_rows, thin_upconv_rows

# A plane that nothing is stored in.
NO_PLANE = Plane(0, 0, 0)


@kernel
def forward(
    frames, bins, encoder, encoder_planes, decoder, decoder_planes, zero_row, last, last_plane,
    scratch, weights, epilogues, encoder_act, encoder_slope, decoder_act, decoder_slope,
    mask_weights, mask_bias, logits_only, masks, rows, edges, skip_from,
):  # fmt: skip
    """The whole network in one call without the GIL. Arguments: see UNet and UNetState.

    zero_row: where the thin kernel finds a row of zeros in decoder[0].
    rows: [layer][first, stop) to compute.  edges: the same for a second range of the convolutions,
        computed before.  skip_from: [level - 1], first row whose skip the decoder reads.
    """
    identity = np.float32(1.0)

    # Encoder: level 0 is the input, level n has frames >> n rows.
    for level in range(1, 6):
        for part in range(2):
            ranges = edges if part == 0 else rows
            _encode(
                level, frames, bins, encoder, encoder_planes, decoder, decoder_planes,
                weights[level - 1], epilogues[level - 1], encoder_act, encoder_slope,
                ranges[level - 1, 0], ranges[level - 1, 1], skip_from[level - 1],
            )  # fmt: skip
    x_plane, y_plane = encoder_planes[5], decoder_planes[5]
    conv_rows(
        encoder[5], x_plane, frames >> 5, x_plane.pixel_stride, weights[5], epilogues[5],
        0, identity, y_plane.pixel_stride, bins >> 6, decoder[5], NO_PLANE,
        decoder[5], y_plane, rows[5, 0], rows[5, 1],
    )  # fmt: skip

    # Decoder: from level n to the up half of level n - 1.
    for step in range(1, 6):
        level = 7 - step
        x_plane, up_plane = decoder_planes[level - 1], decoder_planes[level - 2]
        channels = up_plane.pixel_stride // 2
        y_plane = Plane(up_plane.origin + channels, up_plane.row_stride, up_plane.pixel_stride)
        conv_index = 5 + step
        upconv_rows(
            decoder[level - 1], x_plane, frames >> level, x_plane.pixel_stride,
            weights[conv_index], epilogues[conv_index], decoder_act, decoder_slope, channels,
            bins >> level, decoder[level - 2], y_plane, rows[conv_index, 0], rows[conv_index, 1],
        )  # fmt: skip
    x_plane = decoder_planes[0]
    thin_upconv_rows(
        decoder[0], x_plane, frames >> 1, zero_row, x_plane.pixel_stride,
        weights[11], epilogues[11], decoder_act, decoder_slope, bins >> 1, last, last_plane,
        rows[11, 0], rows[11, 1],
    )  # fmt: skip
    mask_rows(
        last, last_plane, frames, mask_weights, mask_bias, logits_only, scratch, masks,
        rows[12, 0], rows[12, 1],
    )  # fmt: skip


@kernel
def _encode(
    level, frames, bins, encoder, encoder_planes, decoder, decoder_planes, w, e, act, slope,
    first, stop, skip_from,
):  # fmt: skip
    """Rows `first` to `stop` - 1 of the convolution to `level`, their skips from `skip_from` on."""
    x_plane, y_plane = encoder_planes[level - 1], encoder_planes[level]
    split = min(stop, max(first, skip_from))
    conv_rows(
        encoder[level - 1], x_plane, frames >> (level - 1), x_plane.pixel_stride, w, e, act, slope,
        y_plane.pixel_stride, bins >> level, decoder[level - 1], NO_PLANE,
        encoder[level], y_plane, first, split,
    )  # fmt: skip
    conv_rows(
        encoder[level - 1], x_plane, frames >> (level - 1), x_plane.pixel_stride, w, e, act, slope,
        y_plane.pixel_stride, bins >> level, decoder[level - 1], decoder_planes[level - 1],
        encoder[level], y_plane, split, stop,
    )  # fmt: skip


@kernel
def slide(
    magnitudes, gains, first_frame, stop_frame, presumed, frames, bins, encoder, encoder_planes,
    decoder, decoder_planes, zero_row, last, last_plane, scratch, weights, epilogues, encoder_act,
    encoder_slope, decoder_act, decoder_slope, mask_weights, mask_bias, logits_only, masks, rows,
    edges, skip_from, encoder_mirrors, decoder_mirrors,
):  # fmt: skip
    """Take in frames `first_frame` to `stop_frame` - 1, run the net, keep what the next runs need.

    Behind the newest frame p = `stop_frame` - 1 stand `presumed` frames: p + i is the mean of p and
    p + 1 - i, half as if p were held and half as if the music went backwards from there.

    magnitudes: ring of (frames, bins, 2) float32, frame t in row t modulo its length; frames before
        the stream's first are silent.  gains: one for each row of the ring.
    encoder_mirrors, decoder_mirrors: [level] (start, row stride, ring rows, row of the window's
        row 0, first, stop), see sliding.py. The other arguments: see forward.
    """
    x, plane = encoder[0], encoder_planes[0]
    real_frames = frames - presumed
    for frame in range(first_frame, stop_frame):
        row = frame - (stop_frame - real_frames)
        at = plane.origin + row * plane.row_stride
        if frame < 0:
            for i in range(2 * bins):
                x[at + i] = np.float32(0.0)
            continue
        source = frame % magnitudes.shape[0]
        gain = gains[source]
        for f in range(bins):
            x[at + 2 * f] = gain * magnitudes[source, f, 0]
            x[at + 2 * f + 1] = gain * magnitudes[source, f, 1]
    newest = plane.origin + (real_frames - 1) * plane.row_stride
    for i in range(presumed):
        image, at = newest - i * plane.row_stride, newest + (i + 1) * plane.row_stride
        for f in range(2 * bins):
            x[at + f] = np.float32(0.5) * (x[newest + f] + x[image + f])
    forward(
        frames, bins, encoder, encoder_planes, decoder, decoder_planes, zero_row, last, last_plane,
        scratch, weights, epilogues, encoder_act, encoder_slope, decoder_act, decoder_slope,
        mask_weights, mask_bias, logits_only, masks, rows, edges, skip_from,
    )  # fmt: skip
    for level in range(6):
        _mirror(encoder[level], encoder_mirrors[level])
        _mirror(decoder[level], decoder_mirrors[level])


@kernel
def _mirror(buffer, rows):
    """Copy rows of a ring to where the other half of its buffer has them."""
    start, row_stride, ring, base, first, stop = rows
    for row in range(first, stop):
        place = base + row
        other = place + ring if place < ring else place - ring
        source, target = start + place * row_stride, start + other * row_stride
        for i in range(row_stride):
            buffer[target + i] = buffer[source + i]
