"""Layer norm: each token's channels to mean 0 and variance 1, then scaled and shifted.

(Ba, Kiros, Hinton: "Layer normalization", 2016.) Two passes, since in the mean of squares less the
square of the mean a large mean leaves nothing of small differences. Plain Numba in every set: LLVM
vectorises the three loops.
"""

from __future__ import annotations

import numpy as np

from .jit import FAST_MATH, kernel
from .records import Image, Norm

# Added to the variance, as torch does by default.
EPSILON = 1e-5


@kernel(fastmath=FAST_MATH)
def layer_norm(x: Image, norm: Norm, y: Image) -> None:
    """Normalise every token of `x` into `y`; y may be x.

    x, y: one row of `x.pixels` tokens, each of as many neighbouring float32 as norm.channels.
    Real-time safe.
    """
    source, target = x.values, y.values
    channels = norm.channels
    scale = norm.values[norm.at : norm.at + channels]
    shift = norm.values[norm.at + channels : norm.at + 2 * channels]
    for token in range(x.pixels):
        x_at, y_at = x.origin + token * x.pixel_stride, y.origin + token * y.pixel_stride
        taken, given = source[x_at : x_at + channels], target[y_at : y_at + channels]
        total = np.float32(0.0)
        for c in range(channels):
            total += taken[c]
        mean = total / np.float32(channels)
        squares = np.float32(0.0)
        for c in range(channels):
            squares += (taken[c] - mean) * (taken[c] - mean)
        share = np.float32(1.0) / np.sqrt(squares / np.float32(channels) + np.float32(EPSILON))
        for c in range(channels):
            given[c] = (taken[c] - mean) * share * scale[c] + shift[c]
