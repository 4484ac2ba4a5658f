"""Attention of several heads, softmax(Q K' / sqrt(channels of a head)) V, in blocks that stay in cache.

    for each head
      pack its keys by panels of keys, its values by panels of channels        48 kB each at T = 192
      for each block of queries                                                ATTENTION_ROWS
        scores = block x keys           micro-kernel, panel by panel
        softmax of each row             in place
        y = scores x values             micro-kernel, panel by panel

(Vaswani et al.: "Attention is all you need", 2017.) The scores of a block never leave the second-level
cache, as in Dao et al. ("FlashAttention", 2022), but without their online softmax: rows of some hundred
keys are short enough to be whole.
"""

from __future__ import annotations

import numpy as np

from .blocking import DENSE_PANEL, UNROLL
from .dense import dense_panel, padded
from .jit import kernel
from .pack import aligned_zeros
from .records import Array, AttentionWork, DensePanel, Image
from .softmax import softmax_rows

# Queries of a block: its scores, 48 kB at T = 192, are read three times in a row.
ATTENTION_ROWS = 64


def attention_work(keys: int, head_channels: int) -> AttentionWork:
    """Buffers for at most `keys` keys, with heads of at most `head_channels` channels."""
    keys_held, channels_held = padded(keys), padded(head_channels)
    return AttentionWork(
        aligned_zeros(keys_held * head_channels),
        aligned_zeros(keys_held * channels_held),
        aligned_zeros(ATTENTION_ROWS * keys_held),
        aligned_zeros(ATTENTION_ROWS * channels_held),
    )


@kernel
def _pack_keys(k: Image, first: int, channels: int, packed: Array) -> None:
    # packed[panel of keys][channel][DENSE_PANEL], zeros past the last key.
    source = k.values
    for panel in range(0, k.pixels, DENSE_PANEL):
        for j in range(DENSE_PANEL):
            key, at = panel + j, panel * channels + j
            if key < k.pixels:
                key_at = k.origin + key * k.pixel_stride + first
                for c in range(channels):
                    packed[at + c * DENSE_PANEL] = source[key_at + c]
            else:
                for c in range(channels):
                    packed[at + c * DENSE_PANEL] = np.float32(0.0)


@kernel
def _pack_values(v: Image, first: int, channels: int, packed: Array) -> None:
    # packed[panel of channels][key][DENSE_PANEL], zeros past the last channel and behind an odd number
    # of keys.
    source, steps = v.values, v.pixels + v.pixels % UNROLL
    for panel in range(0, channels, DENSE_PANEL):
        for key in range(steps):
            at = panel * steps + key * DENSE_PANEL
            width = min(DENSE_PANEL, channels - panel) if key < v.pixels else 0
            key_at = v.origin + key * v.pixel_stride + first + panel
            for c in range(width):
                packed[at + c] = source[key_at + c]
            for c in range(width, DENSE_PANEL):
                packed[at + c] = np.float32(0.0)


@kernel
def _give(gathered: Array, stride: int, y: Image, channels: int) -> None:
    # `channels` of each row of gathered to y.
    for token in range(y.pixels):
        at, y_at = token * stride, y.origin + token * y.pixel_stride
        for c in range(channels):
            y.values[y_at + c] = gathered[at + c]


@kernel
def attention(
    q: Image, k: Image, v: Image, heads: int, channels: int, y: Image, work: AttentionWork
) -> None:
    """What every query gathers from the values of the keys that it is like, head by head.

    q, y: one row of `q.pixels` tokens; k, v: one row of `k.pixels`. Each token has `heads` x `channels`
        neighbouring float32, of which head h has those from h * channels on.
    channels: of a head, even. work: from attention_work.
    y overlaps none of the others, or is q. A query's result does not depend on the other queries.
    Real-time safe.
    """
    keys = k.pixels
    steps = keys + keys % UNROLL
    row = padded(keys)
    width = padded(channels)
    scale = np.float32(1.0 / np.sqrt(channels))
    for head in range(heads):
        first = head * channels
        _pack_keys(k, first, channels, work.keys)
        _pack_values(v, first, channels, work.values)
        for block in range(0, q.pixels, ATTENTION_ROWS):
            rows = min(ATTENTION_ROWS, q.pixels - block)
            q_at = q.origin + block * q.pixel_stride + first
            queries = Image(q.values, q_at, 0, q.pixel_stride, 1, rows)
            scores = Image(work.scores, 0, 0, row, 1, rows)
            for key in range(0, row, DENSE_PANEL):
                panel = DensePanel(work.keys, False, key * channels, 0)
                dense_panel(queries, panel, None, scores, key, channels, False)
            softmax_rows(work.scores, row, rows, keys, scale)
            gathered = Image(work.gathered, 0, 0, width, 1, rows)
            for channel in range(0, width, DENSE_PANEL):
                panel = DensePanel(work.values, False, channel * steps, 0)
                dense_panel(scores, panel, None, gathered, channel, steps, False)
            y_at = y.origin + block * y.pixel_stride + first
            _give(work.gathered, width, Image(y.values, y_at, 0, y.pixel_stride, 1, rows), channels)
