"""Ratio masks against the formula written out in NumPy, and what they must add up to."""

import numpy as np
import pytest

from rtsep.dsp import masking
from rtsep.errors import UsageError

STEMS, FRAMES, BINS, ALL_BINS = 3, 5, 8, 17


def _nets(seed=0):
    rng = np.random.default_rng(seed)
    masks = rng.random((STEMS, FRAMES, 2, BINS)).astype(np.float32)
    magnitudes = (rng.random((FRAMES, BINS, 2)) * 3).astype(np.float32)
    magnitudes[1] = 0  # silence: every stem gets the same share
    return masks, magnitudes


def _ratio(masks, magnitudes, members, extension, first=0, frames=FRAMES):
    out = np.full((FRAMES, 2, ALL_BINS), np.nan, np.float32)
    masking.ratio_mask(masks, magnitudes, np.array(members), first, frames, extension, out)
    return out


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_ratio_mask_is_the_formula(extension):
    masks, magnitudes = _nets()
    estimates = masks.astype(np.float64) * magnitudes.transpose(0, 2, 1)
    expected = (estimates[1] ** 2 + 1e-10 / STEMS) / ((estimates**2).sum(0) + 1e-10)
    out = _ratio(masks, magnitudes, [False, True, False], masking.mask_extension(extension))
    np.testing.assert_allclose(out[:, :, :BINS], expected, atol=1e-6)
    beyond = expected.mean(axis=2, keepdims=True) if extension == "average" else 0.0
    np.testing.assert_allclose(
        out[:, :, BINS:], np.broadcast_to(beyond, (FRAMES, 2, ALL_BINS - BINS)), atol=1e-6
    )


def test_the_masks_of_all_stems_add_up_to_one():
    masks, magnitudes = _nets(1)
    each = [
        _ratio(masks, magnitudes, np.arange(STEMS) == stem, masking.AVERAGE)
        for stem in range(STEMS)
    ]
    np.testing.assert_allclose(sum(each), 1, atol=1e-6)
    np.testing.assert_allclose(each[1][1], 1 / STEMS, atol=1e-6)
    others = _ratio(masks, magnitudes, [True, False, True], masking.AVERAGE)
    np.testing.assert_allclose(others, each[0] + each[2], atol=1e-6)


def test_a_part_of_the_frames_is_the_same_part():
    masks, magnitudes = _nets(2)
    whole = _ratio(masks, magnitudes, [True, False, False], masking.AVERAGE)
    part = _ratio(masks, magnitudes, [True, False, False], masking.AVERAGE, 2, 3)
    np.testing.assert_array_equal(part[:3], whole[2:])
    assert np.isnan(part[3:]).all()


def test_softmax_shares_among_the_stems_even_for_huge_logits():
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal((STEMS, FRAMES, 2, BINS)) * 5).astype(np.float32)
    logits[0, 0, 0, 0] = 3e4
    expected = np.exp(logits.astype(np.float64) - logits.max(0))
    expected /= expected.sum(0)
    masking.softmax_across_stems(logits)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_apply_mask():
    spectra = np.arange(12).reshape(3, 2, 2).astype(np.complex64) * 1j
    mask = np.full((2, 2, 2), 0.5, np.float32)
    out = np.zeros((2, 2, 2), np.complex64)
    masking.apply_mask(spectra, 1, 2, mask, out)
    np.testing.assert_array_equal(out, spectra[1:] * np.float32(0.5))


def test_an_unknown_extension_is_named():
    with pytest.raises(UsageError, match="'mirror'.*zeros, average"):
        masking.mask_extension("mirror")
