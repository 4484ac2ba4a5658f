"""Time-frequency masks: from what the nets say to what a spectrum is multiplied with.

A net's mask m_i gives an estimate e_i = m_i * |X| of its stem's magnitude. The ratio mask shares
each bin among the stems by their estimates to the power p,

    r_i = (e_i^p + eps / n) / (sum over j of e_j^p + eps),      eps = 1e-10,

so that the masks of all stems add up to one. Spleeter's post-processing has p = 2; p = 1 separates
better by SDR and lets more of the other stems through, see docs/experiments.md. (On powers other than 2:
Liutkus and Badeau, "Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015.)
Where only some of the nets run, each mask is that of its own net, and what these leave of one goes to
the rest.

Above the bins that the nets see a mask is continued as zero or as its mean over frequency (`average`),
both as in Spleeter, or as that mean or the mean of its top bins, whichever is less (`top`): a stem
that is loud below but not near the top is not heard above, nor one that is heard near the top for
its noise only. What nobody is so sure of goes to the model's last stem, which is the one for
everything else, or to the rest.

Every change of gain, bypass or late mask is a change of mask from one frame to the next, and so is
faded by the synthesis window like the masks themselves: nothing can click.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp import MASK_EXTENSIONS
from rtsep.errors import UsageError, WeightsError
from rtsep_kernels.epilogue import exp_f32
from rtsep_kernels.jit import kernel
from rtsep_kernels.records import Array, Flags, Real, Spectra

# The codes of MASK_EXTENSIONS, in its order.
ZEROS, AVERAGE, TOP = range(3)
# Bins that `top` looks at, 10.8 Hz each. 192 to 512 separate alike, see docs/experiments.md.
TOP_BINS = 256
# The power of Spleeter's ratio masks.
OFFICIAL_EXPONENT = 2
_EPSILON = np.float32(1e-10)


def mask_extension(name: str) -> int:
    """The code of the mask extension called `name`.

    Raises
    ------
    UsageError
        For another name, with the known ones.
    """
    if name not in MASK_EXTENSIONS:
        known = ", ".join(MASK_EXTENSIONS)
        raise UsageError(f"unknown mask extension {name!r}: choose one of {known}")
    return MASK_EXTENSIONS.index(name)


def check_masks(masks: NDArray[np.float32], stem: str) -> None:
    """Refuse masks that are not numbers.

    Samples beyond bad_samples.LIMIT never reach a net, and those below it cannot overflow it, so it
    is the net's own constants that do.

    Parameters
    ----------
    masks : (any shape) float32
        A net's masks or logits.
    stem : str
        Of the net, for the message.

    Raises
    ------
    WeightsError
        Where they hold NaN or infinity.
    """
    # The sum is finite only if all are, and needs no array of its own.
    if not math.isfinite(masks.sum()):
        raise WeightsError(
            f"the net of {stem} gives masks that are not numbers: its weights are damaged; see "
            "`rtsep-weights verify`"
        )


@kernel
def softmax_across_stems(logits: Array) -> None:
    """Turn logits into masks that add up to one over the stems, in place.

    Parameters
    ----------
    logits : (stems, frames, channels, bins) float32
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
def _continued(total: float, top_total: float, bins: int, extension: int) -> float:
    """What a mask goes on as, from its sums over all `bins` and over its top TOP_BINS."""
    if extension == ZEROS:
        return 0.0
    average = total / bins
    if extension == TOP:
        return min(average, top_total / min(bins, TOP_BINS))
    return average


@kernel
def _power(estimate: Real, exponent: int) -> Real:
    return estimate * estimate if exponent == OFFICIAL_EXPONENT else estimate


@kernel
def ratio_mask(
    masks: Array,
    magnitudes: Array,
    members: Flags,
    exponent: int,
    first_frame: int,
    frames: int,
    extension: int,
    out: Array,
) -> None:
    """The ratio mask of a group of stems, for `frames` frames from `first_frame` on.

    Above the nets' bins the last stem gets what the others leave.

    Parameters
    ----------
    masks : (stems, frames, channels, bins) float32
        The nets' masks.
    magnitudes : (frames, bins, channels) float32
        What the nets saw.
    members : (stems,) bool
        The stems whose masks are added up.
    exponent : int
        p, 1 or 2.
    first_frame, frames : int
    extension : int
        ZEROS, AVERAGE or TOP.
    out : (batch, channels, all bins) float32
        Its first `frames` frames are written.
    """
    stems, _, channels, bins = masks.shape
    share = _EPSILON / np.float32(stems)
    # Double precision: what the stems go on as adds up to one as exactly as their masks do.
    totals, top_totals = np.zeros(stems), np.zeros(stems)
    for i in range(frames):
        t = first_frame + i
        for c in range(channels):
            totals[:], top_totals[:] = 0.0, 0.0
            for f in range(bins):
                level = magnitudes[t, f, c]
                chosen, total = np.float32(0.0), _EPSILON
                for stem in range(stems):
                    power = _power(masks[stem, t, c, f] * level, exponent)
                    total += power
                    if members[stem]:
                        chosen += power + share
                out[i, c, f] = chosen / total
                if extension != ZEROS:
                    for stem in range(stems - 1):
                        power = _power(masks[stem, t, c, f] * level, exponent)
                        ratio = (power + share) / total
                        totals[stem] += ratio
                        if f >= bins - TOP_BINS:
                            top_totals[stem] += ratio
            beyond, left = 0.0, 0.0 if extension == ZEROS else 1.0
            for stem in range(stems - 1):
                continued = _continued(totals[stem], top_totals[stem], bins, extension)
                left -= continued
                if members[stem]:
                    beyond += continued
            if members[stems - 1]:
                beyond += left
            out[i, c, bins:] = np.float32(beyond)


@kernel
def own_masks(masks: Array, extension: int, out: Array) -> None:
    """Each net's own mask, for one frame, and what all of them leave.

    Where the masks add up to more than one, which nets that know nothing of each other may make
    them do, they are scaled down to one: in proportion, so that nothing jumps where the sum passes
    one, and the rest is silent there, never of opposite sign.

    Parameters
    ----------
    masks : (stems, channels, bins) float32
        From 0 to 1.
    extension : int
        ZEROS, AVERAGE or TOP.
    out : (stems + 1, channels, all bins) float32
        Overwritten; the last is one minus all others at every bin.
    """
    stems, channels, bins = masks.shape
    for c in range(channels):
        for f in range(bins):
            total = np.float32(0.0)
            for i in range(stems):
                out[i, c, f] = masks[i, c, f]
                total += masks[i, c, f]
            if total > 1:
                for i in range(stems):
                    out[i, c, f] /= total
        for i in range(stems):
            total, top_total = 0.0, 0.0
            for f in range(bins):
                total += out[i, c, f]
                if f >= bins - TOP_BINS:
                    top_total += out[i, c, f]
            out[i, c, bins:] = np.float32(_continued(total, top_total, bins, extension))
        for f in range(out.shape[2]):
            rest = np.float32(1.0)
            for i in range(stems):
                rest -= out[i, c, f]
            out[stems, c, f] = rest


@kernel
def own_mask(
    masks: Array,
    members: Flags,
    first_frame: int,
    frames: int,
    extension: int,
    all_masks: Array,
    out: Array,
) -> None:
    """The sum of `own_masks` over a group of stems, for `frames` frames from `first_frame` on.

    Parameters
    ----------
    masks : (stems, frames, channels, bins) float32
        The nets' masks.
    members : (stems + 1,) bool
        The stems whose masks are added up; the last is the rest.
    first_frame, frames : int
    extension : int
        ZEROS, AVERAGE or TOP.
    all_masks : (stems + 1, channels, all bins) float32
        Overwritten.
    out : (batch, channels, all bins) float32
        Its first `frames` frames are written.
    """
    for i in range(frames):
        own_masks(masks[:, first_frame + i], extension, all_masks)
        out[i] = np.float32(0.0)
        for stem in range(len(members)):
            if members[stem]:
                out[i] += all_masks[stem]


@kernel
def apply_mask(spectra: Spectra, first_frame: int, frames: int, mask: Array, out: Spectra) -> None:
    """out[i] = mask[i] * spectra[first_frame + i].

    Parameters
    ----------
    spectra : (frames, channels, bins) complex64
    first_frame, frames : int
    mask : (batch, channels, bins) float32
    out : (batch, channels, bins) complex64
        Its first `frames` frames are written.
    """
    for i in range(frames):
        for c in range(spectra.shape[1]):
            for f in range(spectra.shape[2]):
                out[i, c, f] = spectra[first_frame + i, c, f] * mask[i, c, f]


@kernel
def mix_frame(spectrum: Spectra, masks: Array, gains: Array, out: Spectra, powers: Array) -> None:
    """out = spectrum * sum over stems of gains * masks; powers: the energy of each stem.

    Parameters
    ----------
    spectrum : (channels, bins) complex64
    masks : (stems, channels, bins) float32
    gains : (stems,) float32
    out : (channels, bins) complex64
        Overwritten.
    powers : (stems,) float32
        Overwritten by the sums of |mask * spectrum|^2.
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
