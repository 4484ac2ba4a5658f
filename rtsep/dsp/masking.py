"""Time-frequency masks: from what the nets say to what a spectrum is multiplied with.

A net's mask m_i gives an estimate e_i = m_i * |X| of its stem's magnitude. The ratio mask shares
each bin among the stems by their squared estimates,

    r_i = (e_i^2 + eps / n) / (sum over j of e_j^2 + eps),      eps = 1e-10,

so that the masks of all stems add up to one (Wiener-like, exponent 2: Spleeter's post-processing).
Above the bins that the nets see a mask is continued as zero, or as its mean over frequency.
"""

from __future__ import annotations

import numpy as np

from rtsep.errors import UsageError
from rtsep.kernels.epilogue import exp_f32
from rtsep.kernels.jit import kernel

ZEROS, AVERAGE = 0, 1
MASK_EXTENSIONS = {"zeros": ZEROS, "average": AVERAGE}
_EPSILON = np.float32(1e-10)


def mask_extension(name: str) -> int:
    """Code of a mask extension; raises UsageError naming the known ones."""
    try:
        return MASK_EXTENSIONS[name]
    except KeyError:
        known = ", ".join(MASK_EXTENSIONS)
        raise UsageError(f"unknown mask extension {name!r}: choose one of {known}") from None


@kernel
def softmax_across_stems(logits):
    """Turn logits into masks that add up to one over the stems, in place.

    logits: (stems, frames, channels, bins) float32.
    """
    stems, frames, channels, bins = logits.shape
    for t in range(frames):
        for c in range(channels):
            for f in range(bins):
                highest = logits[0, t, c, f]
                for i in range(1, stems):
                    highest = max(highest, logits[i, t, c, f])
                total = np.float32(0.0)
                for i in range(stems):
                    power = exp_f32(logits[i, t, c, f] - highest)
                    logits[i, t, c, f] = power
                    total += power
                for i in range(stems):
                    logits[i, t, c, f] /= total


@kernel
def ratio_mask(masks, magnitudes, members, first_frame, frames, extension, out):
    """The ratio mask of a group of stems, for `frames` frames from `first_frame` on.

    masks: (stems, frames, channels, bins) float32, the nets' masks.
    magnitudes: (frames, bins, channels) float32, what the nets saw.
    members: (stems,) bool, the stems whose masks are added up.
    extension: ZEROS or AVERAGE.
    out: (batch, channels, all bins) float32; its first `frames` frames are written.
    """
    stems, _, channels, bins = masks.shape
    share = _EPSILON / np.float32(stems)
    for i in range(frames):
        t = first_frame + i
        for c in range(channels):
            mean = np.float32(0.0)
            for f in range(bins):
                level = magnitudes[t, f, c]
                chosen, total = np.float32(0.0), _EPSILON
                for stem in range(stems):
                    estimate = masks[stem, t, c, f] * level
                    square = estimate * estimate
                    total += square
                    if members[stem]:
                        chosen += square + share
                out[i, c, f] = chosen / total
                mean += out[i, c, f]
            beyond = mean / np.float32(bins) if extension == AVERAGE else np.float32(0.0)
            for f in range(bins, out.shape[2]):
                out[i, c, f] = beyond


@kernel
def apply_mask(spectra, first_frame, frames, mask, out):
    """out[i] = mask[i] * spectra[first_frame + i].

    spectra: (frames, channels, bins) complex64; mask, out: (batch, channels, bins).
    """
    for i in range(frames):
        for c in range(spectra.shape[1]):
            for f in range(spectra.shape[2]):
                out[i, c, f] = spectra[first_frame + i, c, f] * mask[i, c, f]
