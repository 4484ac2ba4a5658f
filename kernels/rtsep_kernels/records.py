"""What kernels are handed: named tuples, which Numba takes as they are, and names of array types.

A record costs nothing inside compiled code: its fields are the arguments it stands for. Kernels that
are called often take records of arrays as they came, and beside them one of plain numbers, since
taking an array out of a record counts a reference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# float32 arrays of any number of axes; docstrings name the axes.
Array = NDArray[np.float32]
# float32, or uint32 of pairs of bfloat16: see products.py.
Elements = NDArray[Any]
Spectra = NDArray[np.complex64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Workspace = tuple[Array, Array, Array]
# A float32 or float64 inside a kernel: Numba infers which.
Real = Any


class Image(NamedTuple):
    """An image in a flat buffer: pixel (t, f) begins at origin + t * row_stride + f * pixel_stride.

    Attributes
    ----------
    values : (any,) float32 or uint32
        The buffer: channels, or pairs of them (see products.py).
    origin, row_stride, pixel_stride : int
        In elements.
    rows, pixels : int
        Frames, and bins of each. What stands around the image is not counted.
    """

    values: Elements
    origin: int
    row_stride: int
    pixel_stride: int
    rows: int
    pixels: int


class Activation(NamedTuple):
    """An activation, from `epilogue.activation`.

    Attributes
    ----------
    code : int
        PIECEWISE, ELU or SIGMOID.
    slope : float32
        Of a PIECEWISE one, left of zero.
    """

    code: int
    slope: np.float32


class Layer(NamedTuple):
    """The constants of one layer of the fast way.

    Attributes
    ----------
    weights : (any,) float32 or uint32
        Packed by pack_conv, pack_subpixel or pack_thin.
    epilogue : (any,) float32
        Packed by pack_epilogue; for the thin layer from `thin.thin_parameters`.
    act : Activation
    channels_out : int
    """

    weights: Elements
    epilogue: Array
    act: Activation
    channels_out: int


class DenseLayer(NamedTuple):
    """The constants of one dense layer, from `dense.dense_at`.

    Attributes
    ----------
    values : (any,) float32
        Holds [panel][steps][DENSE_PANEL] weights and [channels_out] biases, and whatever else.
    weights_at, bias_at : int
        Where they begin.
    gelu : bool
        Whether GELU follows.
    steps : int
        Inputs, made up to an even number with weights of zero.
    channels_out : int
        Outputs, made up to whole panels with weights of zero.
    """

    values: Array
    weights_at: int
    bias_at: int
    gelu: bool
    steps: int
    channels_out: int


class DensePanel(NamedTuple):
    """One panel of a dense layer.

    Attributes
    ----------
    weights : (any,) float32
    gelu : bool
    weights_at, bias_at : int
        Where [steps][DENSE_PANEL] begins, and in the array of biases, where there is one, [DENSE_PANEL].
    """

    weights: Array
    gelu: bool
    weights_at: int
    bias_at: int


class DenseChunk(NamedTuple):
    """One call of the dense micro-kernel: some steps of a panel on a row of tokens.

    Attributes
    ----------
    x_at, y_at, weights_at : int
        Where the first token's steps, its outputs, and the weights [steps][DENSE_PANEL] begin.
    steps : int
        Even, at least 2.
    parts : int
        FIRST if the sums begin with these steps, LAST if they end and bias and activation follow.
    ahead_at, ahead_step : int
        Weights to ask for meanwhile: from where, and how many per turn of the loop.
    """

    x_at: int
    y_at: int
    weights_at: int
    steps: int
    parts: int
    ahead_at: int
    ahead_step: int


class Norm(NamedTuple):
    """The constants of one layer norm.

    Attributes
    ----------
    values : (any,) float32
        Holds [2][channels], scales and shifts, and whatever else.
    at : int
        Where they begin.
    channels : int
    """

    values: Array
    at: int
    channels: int


class AttentionWork(NamedTuple):
    """Buffers of the attention, from `attention.attention_work`. Writer and reader: attention.

    Attributes
    ----------
    keys : (any,) float32
        Keys of a head, packed: [panel of keys][channel][DENSE_PANEL].
    values : (any,) float32
        Its values, packed: [panel of channels][key][DENSE_PANEL].
    scores : (any,) float32
        [query of a block][key].
    gathered : (any,) float32
        What the queries of a block gather from a head's values, [query][channel].
    """

    keys: Array
    values: Array
    scores: Array
    gathered: Array


class MaskLayer(NamedTuple):
    """The constants of the mask convolution.

    Attributes
    ----------
    weights : (4, 4, 2) float32
        Rows, columns, channel out.
    bias : (2,) float32
    logits_only : bool
        Leave the sigmoid out: the stems share a softmax.
    """

    weights: Array
    bias: Array
    logits_only: bool


class Taps(NamedTuple):
    """What a panel's output rows see of the image.

    Attributes
    ----------
    top, top_step : int
        Output row i sees the rows from top + i * top_step on.
    rows : int
        How many rows it sees.
    run : int
        Neighbouring elements under each of them: steps of the micro-kernel.
    """

    top: int
    top_step: int
    rows: int
    run: int


class Panel(NamedTuple):
    """The constants of one panel of output channels: a layer's arrays, and where in them it stands.

    Attributes
    ----------
    weights, epilogue : (any,) float32 or uint32, (any,) float32
        Those of the layer.
    act : Activation
    weights_at, epilogue_at : int
        Where [taps][run][width] and [5][width] begin.
    width : int
        Channels: 2 W or W.
    """

    weights: Elements
    epilogue: Array
    act: Activation
    weights_at: int
    epilogue_at: int
    width: int


class Chunk(NamedTuple):
    """One call of a row's micro-kernel: some steps of a panel on one row of pixels.

    Attributes
    ----------
    x_at, skip_at, y_at, rest_at : int
        Where the row begins in the three images' buffers, and where its resting sums [pixel][width] do.
    weights_at : int
        Where the steps' weights [taps][steps][width] begin, from the panel's on.
    taps : int
        Rows of taps: the image's rows from x_at on.
    steps : int
        Of each. Even, at least 2.
    parts : int
        FIRST if the sums begin with these steps, LAST if they end and the epilogue follows.
    ahead_at, ahead_stop, ahead_step : int
        Weights to ask for meanwhile: from where, up to where, how many per turn of the loop.
    """

    x_at: int
    skip_at: int
    y_at: int
    rest_at: int
    weights_at: int
    taps: int
    steps: int
    parts: int
    ahead_at: int
    ahead_stop: int
    ahead_step: int


class ThinTile(NamedTuple):
    """One call of the thin micro-kernel: where three rows of input and two of output stand.

    Attributes
    ----------
    above, middle, below : int
        In the input, at the pixel left of the first.
    even, odd : int
        In the output.
    """

    above: int
    middle: int
    below: int
    even: int
    odd: int


class GemmTile(NamedTuple):
    """One call of GEMM's micro-kernel.

    Attributes
    ----------
    a_at, b_at : int
        Where the packed panels [steps][MR] and [steps][NR] begin.
    c_at, c_row : int
        Where the tile begins in C, and from one of its rows to the next.
    steps : int
        Even, at least 2.
    add : int
        1: C += A B; 0: C = A B.
    """

    a_at: int
    b_at: int
    c_at: int
    c_row: int
    steps: int
    add: int


class PlanesRow(NamedTuple):
    """One call of the micro-kernel of planes: a row of bins by some output channels.

    Attributes
    ----------
    runs : int
        How many of the table's runs it sums up; at least 1.
    y_at, y_stride : int
        Where the row's first channel begins in y, and from one channel to the next.
    width : int
        Bins; W at least.
    channels : int
        1 to PLANES_CHANNELS.
    weights_at, shifts_at : int
        Where the weights [step][channels] and the shifts [channels] begin.
    slope : float32
        Of the activation, left of zero: 0 for ReLU, 1 for none.
    """

    runs: int
    y_at: int
    y_stride: int
    width: int
    channels: int
    weights_at: int
    shifts_at: int
    slope: np.float32


class PlanesLayer(NamedTuple):
    """One layer on planes, [frame][channel][bin]: its constants' places, and its result.

    Attributes
    ----------
    weights_at, shifts_at : int
        Where they begin in the packed arrays.
    steps : int
        Channels in times taps.
    channels : int
        Out.
    origin, frame_stride, channel_stride : int
        Where the result's first channel begins, from frame to frame and from channel to channel.
    rows, width : int
        Frames of the result, and bins of each.
    slope : float32
        Of the activation left of zero.
    """

    weights_at: int
    shifts_at: int
    steps: int
    channels: int
    origin: int
    frame_stride: int
    channel_stride: int
    rows: int
    width: int
    slope: np.float32
