"""Dense layers: tokens by packed weights, with bias, GELU and residual.

    for each panel of outputs                       DENSE_PANEL channels
      for each chunk of its steps                   DENSE_STEPS of weights: first-level cache
        micro-kernel                                tile by tile along the tokens

A GEMM whose A is read in place and whose B was packed when the net was built. Tokens lie one behind the
other, as the pixels of an image's row do. Sums rest in y between chunks. A residual is nothing but sums
that begin with what stands in y, so the layer adds to it for free.
"""

from __future__ import annotations

from .blocking import (
    ASKING_TILES,
    DENSE_PANEL,
    DENSE_STEPS,
    FIRST,
    LAST,
    UNROLL,
)
from .jit import kernel
from .products import tiles_of
from .records import Array, DenseChunk, DenseLayer, DensePanel, Image
from .tiles import dense_row


@kernel(inline="always")
def padded(channels: int) -> int:
    """`channels` made up to whole panels: the outputs that a dense layer writes for each token."""
    return (channels + DENSE_PANEL - 1) // DENSE_PANEL * DENSE_PANEL


def dense_size(inputs: int, outputs: int) -> int:
    """How many values `pack_dense` writes."""
    return (inputs + inputs % UNROLL + 1) * padded(outputs)


def pack_dense(weights: Array, bias: Array, room: Array) -> None:
    """Pack the constants of a dense layer, for `dense_at`.

    Parameters
    ----------
    weights : (inputs, outputs) float32
    bias : (outputs,) float32
    room : (dense_size,) float32, zeros
        Receives [panel][steps][DENSE_PANEL] weights, then biases; zeros are left where there are none.
    """
    inputs, outputs = weights.shape
    size = (inputs + inputs % UNROLL) * DENSE_PANEL
    for panel, first in enumerate(range(0, outputs, DENSE_PANEL)):
        columns = weights[:, first : first + DENSE_PANEL]
        place = room[panel * size : (panel + 1) * size].reshape(-1, DENSE_PANEL)
        place[:inputs, : columns.shape[1]] = columns
    at = dense_size(inputs, outputs) - padded(outputs)
    room[at : at + outputs] = bias


@kernel
def dense_at(values: Array, at: int, inputs: int, outputs: int, gelu: bool) -> DenseLayer:
    """The dense layer whose constants, from `pack_dense`, stand in `values` from `at` on.

    gelu: whether GELU follows. Behind the last layer stand PACK_SLACK values more, since weights are
    asked for ahead.
    """
    steps, channels_out = inputs + inputs % UNROLL, padded(outputs)
    return DenseLayer(values, at, at + steps * channels_out, gelu, steps, channels_out)


@kernel
def dense(x: Image, layer: DenseLayer, y: Image, onto: bool) -> None:
    """y = act(x W + b), or act(y + x W + b) where `onto` is true.

    x: one row of `x.pixels` tokens, each of layer.steps neighbouring float32; of an odd number of
        inputs the last is any finite number.
    layer: from dense_at.
    y: one row of as many tokens, each of layer.channels_out neighbouring float32, overlapping not x.
        What stands behind the outputs proper is written, too.
    A token's result does not depend on what stands beside it. Real-time safe.
    """
    for channel in range(0, layer.channels_out, DENSE_PANEL):
        weights_at, bias_at = layer.weights_at + channel * layer.steps, layer.bias_at + channel
        panel = DensePanel(layer.values, layer.gelu, weights_at, bias_at)
        dense_panel(x, panel, layer.values, y, channel, layer.steps, onto)


@kernel
def dense_panel(
    x: Image,
    panel: DensePanel,
    bias: Array | None,
    y: Image,
    channel: int,
    steps: int,
    onto: bool,
) -> None:
    """One panel of a dense layer, to the outputs from `channel` on: see `dense`.

    panel: its weights are [steps][DENSE_PANEL], what is used next behind them.
    bias: the array that holds it; None: the sums are the result, without bias and GELU.
    steps: even, at least 2.
    """
    chunk_steps = -(-steps // -(-steps // DENSE_STEPS))
    chunk_steps += chunk_steps % UNROLL
    ahead_step = UNROLL * DENSE_PANEL // min(ASKING_TILES, tiles_of(x.values, x.pixels))
    target = Image(y.values, y.origin, y.row_stride, y.pixel_stride, 1, x.pixels)
    for first in range(0, steps, chunk_steps):
        stop = min(first + chunk_steps, steps)
        parts = 0
        if first == 0 and not onto:
            parts |= FIRST
        if stop == steps:
            parts |= LAST
        chunk = DenseChunk(
            x_at=x.origin + first,
            y_at=y.origin + channel,
            weights_at=panel.weights_at + first * DENSE_PANEL,
            steps=stop - first,
            parts=parts,
            ahead_at=panel.weights_at + stop * DENSE_PANEL,
            ahead_step=ahead_step,
        )
        dense_row(x, panel, bias, target, chunk)
