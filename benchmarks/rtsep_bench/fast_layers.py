"""The layers of a running UNet one by one: what each reads and writes, how many operations it does.

A layer is timed by running the net with no rows to compute in all the others, so what is measured
is the very code that separates music, on real activations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.arrays import DECODER_INPUTS, DECODER_OUTPUTS, ENCODER_CHANNELS
from rtsep.nets.unet import LAYERS, LEVELS, UNet, UNetState
from rtsep_kernels.conv import Plane
from rtsep_kernels.thin import MASK_DILATION, MASK_PADDING, MASK_TAPS


def only(state: UNetState, net: UNet, masks: np.ndarray, name: str | None) -> Callable[[], None]:
    """A call that computes only the layer `name` of a net that has run; None computes nothing.

    masks: (frames, 2, bins) float32, as for UNetState.run.
    """
    rows = np.zeros_like(state.all_rows)
    if name is not None:
        index = LAYERS.index(name)
        rows[index] = state.all_rows[index]
    return lambda: state.forward(net, masks, rows)


def layer_input(state: UNetState, name: str) -> NDArray[np.float32]:
    """What the layer reads, (time, frequency, channels): a view of the state's buffer."""
    kind, number = _split(name)
    if kind == "conv":
        level = number - 1
        plane, channels = state.encoder_planes[level], ENCODER_CHANNELS[level]
        return _image(state, state.encoder[level], plane, level, channels)
    if kind == "up":
        level = LEVELS + 1 - number
        plane, channels = state.decoder_planes[level - 1], DECODER_INPUTS[number - 1]
        return _image(state, state.decoder[level - 1], plane, level, channels)
    return _image(state, state.last, state.last_plane, 0, 1)


def layer_output(state: UNetState, masks: np.ndarray, name: str) -> NDArray[np.float32]:
    """What the layer wrote, (time, frequency, channels): a view of the state's or of `masks`."""
    kind, number = _split(name)
    if kind == "mask":
        return masks.transpose(0, 2, 1)
    if kind == "conv" and number < LEVELS:
        return layer_input(state, f"conv{number + 1}")
    if kind == "conv":
        return layer_input(state, "up1")
    if number == LEVELS:
        return layer_input(state, "mask")
    # The up half of the next layer's [skip, up] channels.
    return layer_input(state, f"up{number + 1}")[:, :, -DECODER_OUTPUTS[number - 1] :]


def executed_flop(
    name: str, frames: int, bins: int, first: int = 0, stop: int | None = None
) -> int:
    """Floating-point operations that the fast way does for output rows `first` to `stop` - 1 of a layer.

    Taps above and below the image are left out; those beside it fall on zeros and are counted. The
    last upconvolution reads a row of zeros in place of a missing one. stop: None for all rows.
    """
    kind, number = _split(name)
    if kind == "conv":
        rows_in, pixels = frames >> (number - 1), bins >> number
        rows = range(first, rows_in // 2 if stop is None else stop)
        # Kernel row k of output row r falls on row 2 r - 1 + k.
        kernel_rows = sum(0 <= 2 * row - 1 + k < rows_in for row in rows for k in range(5))
        channels_in, channels_out = ENCODER_CHANNELS[number - 1 : number + 1]
        return 2 * kernel_rows * 5 * pixels * channels_in * channels_out
    if kind == "mask":
        rows = range(first, frames if stop is None else stop)
        kernel_rows = sum(
            0 <= row + MASK_DILATION * i - MASK_PADDING < frames
            for row in rows
            for i in range(MASK_TAPS)
        )
        return 2 * kernel_rows * MASK_TAPS * bins * 2
    level = LEVELS + 1 - number
    rows_in, pixels = frames >> level, bins >> level
    rows = range(first, 2 * rows_in if stop is None else stop)
    # Output row r sees the input rows r / 2 - 1 and r / 2, an odd one r / 2 + 1 too.
    kernel_rows = sum(
        0 <= (row >> 1) - 1 + k < rows_in for row in rows for k in range(2 + (row & 1))
    )
    if number == LEVELS:
        kernel_rows = 5 * (((rows.stop + 1) >> 1) - (rows.start >> 1))
    channels = DECODER_INPUTS[number - 1] * DECODER_OUTPUTS[number - 1]
    return 2 * kernel_rows * 5 * pixels * channels


def _image(
    state: UNetState, buffer: NDArray[np.float32], plane: Plane, level: int, channels: int
) -> NDArray[np.float32]:
    """A view of one plane of a buffer: (rows, bins, channels)."""
    shape = state.frames >> level, state.bins >> level, channels
    strides = (buffer.itemsize * plane.row_stride, buffer.itemsize * plane.pixel_stride, 4)
    return np.lib.stride_tricks.as_strided(buffer[plane.origin :], shape, strides)


def _split(name: str) -> tuple[str, int]:
    """conv3 -> conv, 3; mask -> mask, 0."""
    kind = name.rstrip("0123456789")
    return kind, int(name[len(kind) :] or 0)
