"""A player's transformer as compiled functions: one call without the GIL for a window, all stems."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsep.nets import player_unet_forward as unet
from rtsep_kernels.attention import attention
from rtsep_kernels.dense import dense, dense_at
from rtsep_kernels.epilogue import sigmoid_f32
from rtsep_kernels.jit import FAST_MATH, kernel
from rtsep_kernels.layer_norm import layer_norm
from rtsep_kernels.records import Array, AttentionWork, Image, Ints, Norm

# Places in the masks, in the order of player_transformer_arrays.STEMS.
VOCALS, DRUMS, BASS, OTHER = range(4)


class Branch(NamedTuple):
    """The constants of one stem's transformer, all in one array.

    So its type, and with it the compiled code, is the same however many layers there are.

    Attributes
    ----------
    values : (any,) float32
        Dense layers as from dense.pack_dense, layer norms and positions.
    blocks : (blocks, 8) int64
        Where in `values` the parts of each attention and of what follows it begin: [block][NORM], ...
    channels, heads, widened : int
        Of a token, and between two dense layers.
    inputs : int
        Of a frame that are seen: bins by channels, from 0 Hz up.
    embed_at, start_at, positions_at, end_at, unembed_at : int
        Where in `values` they begin: a dense layer from inputs to a token, its layer norm, (T, channels)
        that are added, a layer norm, and a dense layer to logits [channel][bin].
    """

    values: Array
    blocks: Ints
    channels: int
    heads: int
    widened: int
    inputs: int
    embed_at: int
    start_at: int
    positions_at: int
    end_at: int
    unembed_at: int


# The parts of a block: layer norm before the queries; before keys and values, the same where tokens
# attend to themselves; queries; keys and values; what is gathered to tokens; layer norm, and two dense
# layers.
NORM, OTHER_NORM, QUERY, KEY_VALUE, OUT, FEED_NORM, UP, DOWN = range(8)


class Constants(NamedTuple):
    """The constants of the net, packed for this processor.

    Attributes
    ----------
    vocals, drums, bass : Branch
    cross : int
        Which block of vocals and drums attends to the other.
    vocals_unet, drums_unet : Constants
        The U-Nets beside their transformers; they give logits.
    other : Constants
        The U-Net for other.
    """

    vocals: Branch
    drums: Branch
    bass: Branch
    cross: int
    vocals_unet: unet.Constants
    drums_unet: unet.Constants
    other: unet.Constants


class Tokens(NamedTuple):
    """The activations of a transformer, one row of T tokens each, float32. One user at a time.

    Attributes
    ----------
    residual : Image
        d channels, that every layer adds to. Writers and readers: all layers of the branch.
    normed : Image
        d channels. Writer: the layer norms; readers: the dense layers behind them.
    query : Image
        d channels. Writer: the queries' layer, then the attention, in place; reader: its `out`.
    key_value : Image
        2 d channels, keys and values. Writer: their layer; reader: the attention.
    wide : Image
        Channels between two dense layers. Writer: `up`; reader: `down`.
    logits : Image
        2 bins channels. Writer: `unembed`; reader: `mix`.
    work : AttentionWork
    """

    residual: Image
    normed: Image
    query: Image
    key_value: Image
    wide: Image
    logits: Image
    work: AttentionWork


class Buffers(NamedTuple):
    """The activations of the net. One user at a time.

    Attributes
    ----------
    roots : Image
        One row of T frames, [bin][channel]: the square roots of the magnitudes. Writer: `run`; readers:
        the layers `embed`.
    vocals, drums, bass : Tokens
        Vocals and drums share all but `residual` and `query`.
    unet : Buffers
        Of the U-Nets of vocals and drums, one after the other.
    other : Buffers
        Of the U-Net for other.
    """

    roots: Image
    vocals: Tokens
    drums: Tokens
    bass: Tokens
    unet: unet.Buffers
    other: unet.Buffers


@kernel
def run(net: Constants, buffers: Buffers, magnitudes: Array, masks: Array) -> None:
    """Compute the masks of one window.

    magnitudes: (T, F, 2) float32.  masks: (4, T, 2, F) float32, C-contiguous; written. Real-time safe.
    """
    vocals, drums, bass = buffers.vocals, buffers.drums, buffers.bass
    take_roots(magnitudes, buffers.roots)
    embed(net.vocals, buffers.roots, vocals)
    embed(net.drums, buffers.roots, drums)
    embed(net.bass, buffers.roots, bass)
    attend_to_self(net.vocals, vocals, 0, net.cross)
    attend_to_self(net.drums, drums, 0, net.cross)
    # Both look at the other as it was before.
    gather(net.vocals, net.cross, vocals, drums.residual)
    gather(net.drums, net.cross, drums, vocals.residual)
    feed(net.vocals, net.cross, vocals)
    feed(net.drums, net.cross, drums)
    attend_to_self(net.vocals, vocals, net.cross + 1, len(net.vocals.blocks))
    attend_to_self(net.drums, drums, net.cross + 1, len(net.drums.blocks))
    attend_to_self(net.bass, bass, 0, len(net.bass.blocks))

    unet.take_in(magnitudes, buffers.unet.encoder[0])
    unet.forward(net.vocals_unet, buffers.unet, masks[VOCALS])
    unembed(net.vocals, vocals)
    mix(vocals.logits, masks[VOCALS])
    unet.forward(net.drums_unet, buffers.unet, masks[DRUMS])
    unembed(net.drums, drums)
    mix(drums.logits, masks[DRUMS])
    unembed(net.bass, bass)
    mask_low_bins(bass.logits, net.bass.inputs // 2, masks[BASS])

    take_stems(magnitudes, masks, buffers.other.encoder[0])
    unet.forward(net.other, buffers.other, masks[OTHER])


@kernel(fastmath=FAST_MATH)
def take_roots(magnitudes: Array, roots: Image) -> None:
    """The square roots of magnitudes (T, F, 2), frame by frame."""
    frames, bins, channels = magnitudes.shape
    flat = magnitudes.reshape(frames * bins * channels)
    size = bins * channels
    for t in range(frames):
        at = roots.origin + t * roots.pixel_stride
        taken, given = flat[t * size : (t + 1) * size], roots.values[at : at + size]
        for i in range(size):
            given[i] = np.sqrt(taken[i])


@kernel
def embed(net: Branch, roots: Image, tokens: Tokens) -> None:
    """Frames to tokens: a dense layer, layer norm, positions."""
    residual, channels = tokens.residual, net.channels
    dense(roots, dense_at(net.values, net.embed_at, net.inputs, channels, False), residual, False)
    layer_norm(residual, Norm(net.values, net.start_at, channels), residual)
    for t in range(residual.pixels):
        at = residual.origin + t * residual.pixel_stride
        position = net.positions_at + t * channels
        for c in range(channels):
            residual.values[at + c] += net.values[position + c]


@kernel
def attend_to_self(net: Branch, tokens: Tokens, first: int, stop: int) -> None:
    """Blocks `first` to `stop` - 1 of a branch."""
    for block in range(first, stop):
        gather(net, block, tokens, tokens.residual)
        feed(net, block, tokens)


@kernel
def gather(net: Branch, block: int, tokens: Tokens, other: Image) -> None:
    """What the tokens gather from `other` tokens, to tokens.query."""
    values, at, channels = net.values, net.blocks[block], net.channels
    normed, query, keys = tokens.normed, tokens.query, tokens.key_value
    layer_norm(tokens.residual, Norm(values, at[NORM], channels), normed)
    dense(normed, dense_at(values, at[QUERY], channels, channels, False), query, False)
    layer_norm(other, Norm(values, at[OTHER_NORM], channels), normed)
    dense(normed, dense_at(values, at[KEY_VALUE], channels, 2 * channels, False), keys, False)
    origin = keys.origin + channels
    behind = Image(keys.values, origin, keys.row_stride, keys.pixel_stride, 1, keys.pixels)
    attention(query, keys, behind, net.heads, channels // net.heads, query, tokens.work)


@kernel
def feed(net: Branch, block: int, tokens: Tokens) -> None:
    """Add what was gathered to the tokens, and then what two dense layers make of them."""
    values, at, channels, widened = net.values, net.blocks[block], net.channels, net.widened
    residual, normed, wide = tokens.residual, tokens.normed, tokens.wide
    dense(tokens.query, dense_at(values, at[OUT], channels, channels, False), residual, True)
    layer_norm(residual, Norm(values, at[FEED_NORM], channels), normed)
    dense(normed, dense_at(values, at[UP], channels, widened, True), wide, False)
    dense(wide, dense_at(values, at[DOWN], widened, channels, False), residual, True)


@kernel
def unembed(net: Branch, tokens: Tokens) -> None:
    """Tokens to logits."""
    layer_norm(tokens.residual, Norm(net.values, net.end_at, net.channels), tokens.normed)
    layer = dense_at(net.values, net.unembed_at, net.channels, net.inputs, False)
    dense(tokens.normed, layer, tokens.logits, False)


@kernel(fastmath=FAST_MATH)
def mix(logits: Image, masks: Array) -> None:
    """Add the transformer's logits to the U-Net's, (T, 2, F) of one stem, which become masks."""
    frames, channels, bins = masks.shape
    flat = masks.reshape(frames * channels * bins)
    size = channels * bins
    for t in range(frames):
        at = logits.origin + t * logits.pixel_stride
        taken, given = logits.values[at : at + size], flat[t * size : (t + 1) * size]
        for i in range(size):
            given[i] = sigmoid_f32(taken[i] + given[i])


@kernel(fastmath=FAST_MATH)
def mask_low_bins(logits: Image, count: int, masks: Array) -> None:
    """The masks (T, 2, F) of a stem of which only the `count` lowest bins have logits."""
    for t in range(masks.shape[0]):
        at = logits.origin + t * logits.pixel_stride
        for channel in range(masks.shape[1]):
            row = masks[t, channel]
            taken = logits.values[at + channel * count : at + (channel + 1) * count]
            for f in range(count):
                row[f] = sigmoid_f32(taken[f])
            for f in range(count, row.size):
                row[f] = np.float32(0.0)


@kernel
def take_stems(magnitudes: Array, masks: Array, image: Image) -> None:
    """The mixture, and what vocals, drums and bass have of it, to an image of 8 channels."""
    values = image.values
    for t in range(image.rows):
        for f in range(image.pixels):
            at = image.origin + t * image.row_stride + f * image.pixel_stride
            for channel in range(2):
                whole = magnitudes[t, f, channel]
                values[at + channel] = whole
                for stem in range(OTHER):
                    values[at + 2 + 2 * stem + channel] = masks[stem, t, channel, f] * whole
