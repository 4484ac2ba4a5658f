"""Another sample rate by a rational polyphase filter: block by block, as soon as the input allows.

Output sample n stands for input time n * step / phases. Its newest input sample is the whole part of
that, `position` says how far that lies ahead, and the remainder chooses a row of coefficients:

    input    ... x x x x x|x|. .        rows[remainder] has `taps` coefficients, oldest sample first
                 taps of them ^ the newest that this output needs
"""

from __future__ import annotations

import numpy as np

from rtsep_kernels.jit import FAST_MATH, kernel
from rtsep_kernels.records import Array, Ints, Real


@kernel(fastmath=FAST_MATH)
def _dot(a: Array, b: Array) -> Real:
    total = a[0] * b[0]
    for i in range(1, len(a)):
        total += a[i] * b[i]
    return total


@kernel
def resample(
    x: Array,
    rows: Array,
    step: int,
    phases: int,
    position: Ints,
    history: Array,
    out: Array,
) -> int:
    """Resample a block; see docs/kernels.md. How a stream is cut into blocks changes no bit of it.

    Parameters
    ----------
    x : (samples, channels) float32
    rows : (fineness + 1, taps) float32
        Row r is the filter for a remainder of r / fineness of an input sample. Where that falls between
        two rows, the result does, too.
    step, phases : int
        An output sample is step / phases input samples long.
    position : (2,) int64
        Newest input sample of the next output, counted from x[0], and the remainder in units of
        1 / phases. Updated for the next block.
    history : (channels, taps + most samples of a block) float32
        The input before x; updated.
    out : (any, channels) float32
        Filled as far as the input goes. Has room for all outputs but those that the last sample of x
        has made possible.

    Returns
    -------
    int
        Samples written.
    """
    samples, channels = x.shape
    fineness, taps = rows.shape[0] - 1, rows.shape[1]
    for c in range(channels):
        for i in range(samples):
            history[c, taps + i] = x[i, c]
    count, newest, remainder = 0, position[0], position[1]
    while newest < samples and count < len(out):
        scaled = remainder * fineness
        row = scaled // phases
        between = scaled - row * phases
        for c in range(channels):
            seen = history[c, newest + 1 : newest + 1 + taps]
            value = _dot(rows[row], seen)
            if between:
                share = np.float32(between / phases)
                value += share * (_dot(rows[row + 1], seen) - value)
            out[count, c] = value
        count += 1
        remainder += step
        newest += remainder // phases
        remainder %= phases
    position[0], position[1] = newest - samples, remainder
    for c in range(channels):
        for i in range(taps):
            history[c, i] = history[c, samples + i]
    return count
