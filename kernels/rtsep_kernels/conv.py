"""Convolution: the general way (im2col + GEMM) and the fast way (direct, 5x5 stride 2, row ranges).

The fast way needs no im2col: with the image as [time][frequency][channel], the 5 x C values under
one kernel row stand next to each other in memory, so row p of the im2col matrix *is* the image,
read with a stride of 2 C per pixel. What is a GEMM with K = 25 C runs as 5 runs of 5 C steps.
"""

from __future__ import annotations

import numpy as np

from .blocking import PANEL, ROWS_OUTERMOST_BYTES, WIDTH
from .epilogue import apply_epilogue
from .gemm import gemm, gemm_workspace
from .im2col import im2col
from .jit import kernel
from .micro_tiles import tiles_begin, tiles_end
from .panel import panel_rows
from .products import channel_elements, run_steps, weight_elements
from .records import Activation, Array, Image, Layer, Panel, Taps, Workspace
from .shapes import ConvShape

NO_SKIP = np.zeros((0, 0, 0), np.float32)


@kernel
def conv_rows(
    x: Image,
    layer: Layer,
    skip: Image | None,
    y: Image,
    rest: Array | None,
    first: int,
    stop: int,
) -> None:
    """Rows `first` to `stop` - 1 of a 5x5 stride-2 convolution, TensorFlow `same` padding.

    x: 2 * y.pixels pixels of an even number of channels, adjacent (their pixel_stride is their number
        of elements), with one zero pixel before and two behind each row. Rows above and below the
        image are never read: their taps are left out.
    layer: packed by pack_conv and pack_epilogue; its channels are a multiple of W.
    skip: receives sum + bias; may be None.  y: receives the activations.
    rest: of images of pairs, room for the sums of one panel of all rows and pixels of y, float32; None
        of images of float32.
    Each output row is computed the same way whatever the range. Real-time safe.
    """
    pixel = x.pixel_stride
    width = PANEL if layer.channels_out % PANEL == 0 else WIDTH
    run = run_steps(x.values, pixel)
    size = weight_elements(x.values, layer.weights, 5 * run * layer.channels_out)
    # Output pixels lie two input pixels apart, and see from the one left of theirs on.
    source = Image(x.values, x.origin - pixel, x.row_stride, 2 * pixel, x.rows, x.pixels)
    # Either the rows pass by resident weights, or one panel at a time passes over all rows.
    rows_outermost = size * 4 <= ROWS_OUTERMOST_BYTES
    tiles_begin(x.values)
    band_rows = 1 if rows_outermost else max(1, stop - first)
    for row in range(first, stop, band_rows):
        taps = Taps(2 * row - 1, 2, 5, run)
        for block in range(layer.channels_out // width):
            channel = block * width
            w_at, e_at = channel * (size // layer.channels_out), 5 * channel
            panel = Panel(layer.weights, layer.epilogue, layer.act, w_at, e_at, width)
            target = _part(y, row, channel, band_rows)
            if skip is None:
                panel_rows(source, taps, panel, None, target, rest)
            else:
                part = _part(skip, row, channel, band_rows)
                panel_rows(source, taps, panel, part, target, rest)
    tiles_end(x.values)


@kernel(inline="always")
def _part(image: Image, row: int, channel: int, rows: int) -> Image:
    """`rows` rows of an image from row `row` on, from a channel on."""
    origin = image.origin + row * image.row_stride + channel_elements(image.values, channel)
    return Image(image.values, origin, image.row_stride, image.pixel_stride, rows, image.pixels)


def conv_workspace(
    shape: ConvShape, channels_in: int, channels_out: int
) -> tuple[Array, Workspace]:
    """Buffers for `conv2d`: the im2col matrix and GEMM's packing buffers. One user at a time."""
    columns = np.zeros((shape.small_pixels, shape.taps * channels_in), np.float32)
    return columns, gemm_workspace(channels_out)


def conv2d(
    x: Array,
    weights: Array,
    epilogue: Array,
    act: Activation,
    shape: ConvShape,
    out: Array,
    workspace: tuple[Array, Workspace],
    skip: Array = NO_SKIP,
) -> Array:
    """General convolution: im2col, GEMM, epilogue. Any kernel size, stride, padding and dilation.

    x: (time, frequency, channels in) float32, `shape.large` pixels.
    weights: HWIO (rows, columns, channels in, channels out) float32, contiguous.
    epilogue: [5][channels out], see epilogue.py; act: from epilogue.activation.
    out: (time, frequency, channels out), `shape.small` pixels. workspace: see `conv_workspace`.
    skip: like out, receives sum + bias; NO_SKIP where none is wanted.
    Returns out.
    """
    columns, packing = workspace
    im2col(x, shape, columns)
    steps, channels_out = columns.shape[1], weights.shape[3]
    sums = out.reshape(shape.small_pixels, channels_out)
    gemm(columns, weights.reshape(steps, channels_out), sums, packing, False)
    apply_epilogue(out, epilogue, act, skip, out)
    return out
