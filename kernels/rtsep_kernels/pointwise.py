"""The 1x1 convolution, read in place: a dense layer for each pixel of an image.

The channels of a pixel stand next to each other, so they are the steps of a row of one tap, and a row
of pixels is a GEMM whose A is the image as it stands: nothing is packed but the weights, and the sums
end in the epilogue and the stride of the image that they are for.
"""

from __future__ import annotations

from .blocking import PANEL, ROWS_OUTERMOST_BYTES, WIDTH
from .jit import kernel
from .panel import panel_rows
from .records import Image, Layer, Panel, Taps


@kernel
def pointwise_rows(x: Image, layer: Layer, y: Image, first: int, stop: int) -> None:
    """Rows `first` to `stop` - 1 of a 1x1 convolution, all float32.

    x: an even number of channels, all of its pixel_stride.
    layer: packed by pack_conv, from a (1, 1, in, out) kernel, and pack_epilogue; its channels are a
        multiple of W.
    y: as many rows and pixels as x, of any pixel_stride: only the layer's channels are written.
    Each output row is computed the same way whatever the range. Real-time safe.
    """
    run = x.pixel_stride
    width = PANEL if layer.channels_out % PANEL == 0 else WIDTH
    # As in conv_rows: the rows pass by resident weights, or a panel passes over all rows.
    rows_outermost = run * layer.channels_out * 4 <= ROWS_OUTERMOST_BYTES
    band_rows = 1 if rows_outermost else max(1, stop - first)
    for row in range(first, stop, band_rows):
        taps = Taps(row, 1, 1, run)
        for channel in range(0, layer.channels_out, width):
            w_at, e_at = channel * run, 5 * channel
            panel = Panel(layer.weights, layer.epilogue, layer.act, w_at, e_at, width)
            target = Image(
                y.values,
                y.origin + row * y.row_stride + channel,
                y.row_stride,
                y.pixel_stride,
                band_rows,
                y.pixels,
            )
            panel_rows(x, taps, panel, None, target, None)
