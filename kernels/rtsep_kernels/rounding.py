"""Weights rounded to bfloat16 so that the errors of a kernel's taps cancel.

Neighbouring activations are alike, so what counts of a weight's error is its sum over the taps of the
kernel: rounded to nearest it grows with their number, diffused from tap to tap it stays below one ulp
(error diffusion after Floyd and Steinberg, 1976).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .jit import kernel
from .records import Array

# The bits of bfloat16 numbers.
Bits = NDArray[np.uint16]


def diffused(weights: Array, halves: bool) -> Bits:
    """Weights rounded to bfloat16, each pair of channels out and in with an error that cancels.

    Parameters
    ----------
    weights : (rows, columns, channels in, channels out) float32
        Of any strides. An even number of channels in.
    halves : bool
        They are used as `products.load_weights` does for images of float32: an odd channel's weight is
        the float32 whose lower half is the weight of the channel before.

    Returns
    -------
    uint16
        The bits, of the same shape, contiguous.
    """
    out = np.empty(weights.shape, np.uint16)
    # A copy: compiled for one layout only, and read along its rows.
    _diffuse(np.array(weights, np.float32, order="C"), halves, out)
    return out


@kernel
def _diffuse(weights: Array, halves: bool, out: Bits) -> None:
    """Tap by tap, every other row of taps backwards; an odd channel after the one before it."""
    rows, columns, channels_in, channels_out = weights.shape
    carry = np.zeros((channels_in, channels_out), np.float32)
    for tap in range(rows * columns):
        i, j = tap // columns, tap % columns
        if i % 2 == 1:
            j = columns - 1 - j
        for c in range(channels_in):
            for o in range(channels_out):
                wanted = np.float32(weights[i, j, c, o] + carry[c, o])
                bits = np.int64(wanted.view(np.uint32))
                lower = np.int64(0)
                if halves and c % 2 == 1:
                    # Of the float32s with this lower half the one with the fewest others between it and
                    # what is wanted, and of the same sign.
                    lower = np.int64(out[i, j, c - 1, o])
                    upper = (bits - lower + 0x8000) >> 16
                    if upper < bits >> 31 << 15:
                        upper = bits >> 31 << 15
                else:
                    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
                out[i, j, c, o] = upper
                value = np.uint32(upper << 16 | lower).view(np.float32)
                carry[c, o] = wanted - value
