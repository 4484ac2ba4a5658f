"""Samples that no music holds: NaN, infinities and absurd values, found and replaced.

One of them, left alone, spreads over every frame that covers it, and through a level that is
followed or a filter that remembers over all that comes after. Replaced where it comes in, it is a
gap of a sample that nobody hears.
"""

from __future__ import annotations

import numpy as np

from rtsep_kernels.jit import kernel
from rtsep_kernels.records import Array, Real

# Full scale is 1. Integers of 16 bits written as floats without scaling reach 32,768, and are music
# still; from here on (+100 dBFS) it is memory that was never set, or a defect of whoever wrote it.
LIMIT = 1e5


@kernel
def mend(samples: Array, before: Array) -> int:
    """Replace every sample that is NaN or beyond LIMIT by a line between its good neighbours.

    Where no good sample follows in this block the line ends in silence. Real-time safe.

    Parameters
    ----------
    samples : (samples, channels) float32
        Changed in place.
    before : (channels,) float32
        The last sample of the block before; set to that of this one.

    Returns
    -------
    int
        Instants at which a channel was bad.
    """
    count, channels = samples.shape
    limit = np.float32(LIMIT)
    bad_instants = 0
    for n in range(count):
        bad = False
        for c in range(channels):
            # False for NaN as well.
            if not abs(samples[n, c]) <= limit:
                bad = True
        if bad:
            bad_instants += 1
    for c in range(channels):
        if bad_instants:
            _mend_channel(samples[:, c], before[c], limit)
        if count:
            before[c] = samples[count - 1, c]
    return bad_instants


@kernel
def _mend_channel(samples: Array, before: Real, limit: Real) -> None:
    n, count = 0, len(samples)
    while n < count:
        if abs(samples[n]) <= limit:
            n += 1
            continue
        after = n + 1
        while after < count and not abs(samples[after]) <= limit:
            after += 1
        left = before if n == 0 else samples[n - 1]
        right = samples[after] if after < count else np.float32(0.0)
        for k in range(n, after):
            share = np.float32(k - n + 1) / np.float32(after - n + 1)
            samples[k] = left + share * (right - left)
        n = after
