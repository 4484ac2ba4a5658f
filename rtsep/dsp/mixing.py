"""From the masks of one frame to the spectrum that is heard: gains and levels.

Every change of gain, bypass or late mask is a change of mask from one frame to the next, and so is
faded by the synthesis window like the masks themselves: nothing can click.
"""

from __future__ import annotations

import numpy as np

from rtsep_kernels.jit import kernel


@kernel
def mix_frame(spectrum, masks, gains, out, powers):
    """out = spectrum * sum over stems of gains * masks; powers: mean square of each stem.

    spectrum, out: (channels, bins) complex64. masks: (stems, channels, bins) float32.
    gains: (stems,) float32. powers: (stems,) float32, sums of |mask * spectrum|^2.
    """
    stems, channels, bins = masks.shape
    for stem in range(stems):
        powers[stem] = np.float32(0.0)
    for c in range(channels):
        for f in range(bins):
            value = spectrum[c, f]
            power = value.real * value.real + value.imag * value.imag
            gain = np.float32(0.0)
            for stem in range(stems):
                mask = masks[stem, c, f]
                gain += gains[stem] * mask
                powers[stem] += mask * mask * power
            out[c, f] = value * gain
