"""A player's U-Net as compiled functions: one call without the GIL for a window.

They stand in one file because the cache looks for changes in the kernels' folder and in the file of a
cached function only (see rtsep_kernels/disk_cache.py). Who calls `forward` from a kernel of another file
has to be compiled anew when this one changes.
"""

from __future__ import annotations

from typing import NamedTuple

from rtsep_kernels.conv import conv_rows
from rtsep_kernels.deconv import upconv_rows
from rtsep_kernels.epilogue import sigmoid_f32
from rtsep_kernels.jit import FAST_MATH, kernel
from rtsep_kernels.pointwise import pointwise_rows
from rtsep_kernels.records import Array, Image, Layer
from rtsep_kernels.thin import thin_upconv_rows


class Constants(NamedTuple):
    """The constants of one net, packed for this processor.

    Attributes
    ----------
    convs : L Layers
        conv1 to convL.
    skips : L - 1 Layers
        The 1x1 reductions of levels 1 to L - 1.
    ups : L - 1 Layers
        up1 to up(L - 1).
    outs : Layers
        upL, one for each channel that goes out.
    logits_only : bool
        Leave the sigmoid out.
    """

    convs: tuple[Layer, ...]
    skips: tuple[Layer, ...]
    ups: tuple[Layer, ...]
    outs: tuple[Layer, ...]
    logits_only: bool


class Buffers(NamedTuple):
    """The activations of one net, float32, zero-padded along frequency. One user at a time.

    Attributes
    ----------
    encoder : L Images
        encoder[n]: input of conv n + 1, one zero pixel before and two behind each row. Writer: conv n
        (`take_in` for n = 0); readers: conv n + 1, skip n.
    decoder : L Images
        decoder[n - 1]: input of the upconvolution from level n, [skip, up] channels, one zero pixel
        before and behind each row. Writers: skip n and up L - n, or conv L; reader: up L + 1 - n.
    zero_row : int
        Where a row of zeros stands behind the rows of decoder[0], for the thin kernel.
    """

    encoder: tuple[Image, ...]
    decoder: tuple[Image, ...]
    zero_row: int


@kernel
def run(net: Constants, buffers: Buffers, x: Array, masks: Array) -> None:
    """Compute the masks of one window. x: (T, F, inputs) float32. masks: see `forward`."""
    take_in(x, buffers.encoder[0])
    forward(net, buffers, masks)


@kernel
def take_in(x: Array, image: Image) -> None:
    """Copy x, (T, F, channels) float32, to an image of as many channels."""
    values = image.values
    for t in range(image.rows):
        for f in range(image.pixels):
            at = image.origin + t * image.row_stride + f * image.pixel_stride
            for c in range(x.shape[2]):
                values[at + c] = x[t, f, c]


@kernel
def forward(net: Constants, buffers: Buffers, masks: Array) -> None:
    """Compute the masks of what stands in level 0.

    masks: (T, outputs, F) float32, C-contiguous; written. Real-time safe.
    """
    encoder, decoder = buffers.encoder, buffers.decoder
    levels = len(net.convs)
    for level in range(1, levels):
        x, y = encoder[level - 1], encoder[level]
        conv_rows(x, net.convs[level - 1], None, y, None, 0, y.rows)
        pointwise_rows(y, net.skips[level - 1], decoder[level - 1], 0, y.rows)
    lowest = decoder[levels - 1]
    conv_rows(encoder[levels - 1], net.convs[levels - 1], None, lowest, None, 0, lowest.rows)

    # From level n to the up half of level n - 1.
    for level in range(levels, 1, -1):
        layer, pair = net.ups[levels - level], decoder[level - 2]
        up = Image(
            pair.values,
            pair.origin + pair.pixel_stride - layer.channels_out,
            pair.row_stride,
            pair.pixel_stride,
            pair.rows,
            pair.pixels,
        )
        upconv_rows(decoder[level - 1], layer, up, None, 0, up.rows)

    frames, outputs, bins = masks.shape
    flat = masks.reshape(frames * outputs * bins)
    for channel in range(outputs):
        plane = Image(flat, channel * bins, outputs * bins, 1, frames, bins)
        thin_upconv_rows(decoder[0], buffers.zero_row, net.outs[channel], plane, 0, frames)
    if not net.logits_only:
        squash(flat)


@kernel(fastmath=FAST_MATH)
def squash(values: Array) -> None:
    """Logits become masks, in place."""
    for i in range(len(values)):
        values[i] = sigmoid_f32(values[i])
