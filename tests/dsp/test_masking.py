"""Ratio masks against the formula written out in NumPy, and what they must add up to."""

import numpy as np
import pytest

from rtsep.dsp import MASK_EXTENSIONS, masking
from rtsep.errors import UsageError

# More bins than `top` looks at.
STEMS, FRAMES, BINS, ALL_BINS = 3, 5, 300, 401


def _nets(seed=0):
    rng = np.random.default_rng(seed)
    masks = rng.random((STEMS, FRAMES, 2, BINS)).astype(np.float32)
    magnitudes = (rng.random((FRAMES, BINS, 2)) * 3).astype(np.float32)
    magnitudes[1] = 0  # silence: every stem gets the same share
    return masks, magnitudes


def _ratio(masks, magnitudes, members, extension, first=0, frames=FRAMES, exponent=2):
    out = np.full((FRAMES, 2, ALL_BINS), np.nan, np.float32)
    members = np.array(members)
    masking.ratio_mask(masks, magnitudes, members, exponent, first, frames, extension, out)
    return out


def _continued(mask, extension):
    """Above the bins of a stem's `mask`, (frames, channels, bins): (frames, channels, 1)."""
    average, top = (part.mean(axis=2, keepdims=True) for part in (mask, mask[:, :, -256:]))
    return {"zeros": 0 * average, "average": average, "top": np.minimum(average, top)}[extension]


@pytest.mark.parametrize("exponent", [1, masking.OFFICIAL_EXPONENT])
@pytest.mark.parametrize("extension", MASK_EXTENSIONS)
def test_ratio_mask_is_the_formula(extension, exponent):
    masks, magnitudes = _nets()
    estimates = masks.astype(np.float64) * magnitudes.transpose(0, 2, 1)
    powers = estimates**exponent
    expected = (powers[1] + 1e-10 / STEMS) / (powers.sum(0) + 1e-10)
    code = masking.mask_extension(extension)
    out = _ratio(masks, magnitudes, [False, True, False], code, exponent=exponent)
    np.testing.assert_allclose(out[:, :, :BINS], expected, atol=1e-6)
    beyond = _continued(expected, extension)
    np.testing.assert_allclose(
        out[:, :, BINS:], np.broadcast_to(beyond, (FRAMES, 2, ALL_BINS - BINS)), atol=1e-6
    )


@pytest.mark.parametrize("extension", [masking.AVERAGE, masking.TOP])
def test_the_masks_of_all_stems_add_up_to_one(extension):
    masks, magnitudes = _nets(1)
    each = [_ratio(masks, magnitudes, np.arange(STEMS) == stem, extension) for stem in range(STEMS)]
    np.testing.assert_allclose(sum(each), 1, atol=1e-6)
    np.testing.assert_allclose(each[1][1], 1 / STEMS, atol=1e-6)
    others = _ratio(masks, magnitudes, [True, False, True], extension)
    np.testing.assert_allclose(others, each[0] + each[2], atol=1e-6)


@pytest.mark.parametrize("extension", MASK_EXTENSIONS)
def test_own_masks_are_scaled_down_to_one_and_leave_the_rest(extension):
    masks = _nets(4)[0][:, 0]
    masks[:, 0, :9] *= 0.1  # adds up to less than one there, to more elsewhere
    out = np.full((STEMS + 1, 2, ALL_BINS), np.nan, np.float32)
    code = masking.mask_extension(extension)
    masking.own_masks(masks, code, out)
    total = masks.sum(axis=0, dtype=np.float64)
    expected = masks / np.maximum(1, total)
    assert 0 < np.mean(total > 1) < 1
    np.testing.assert_allclose(out[:-1, :, :BINS], expected, atol=1e-6)
    beyond = _continued(expected, extension)
    np.testing.assert_allclose(
        out[:-1, :, BINS:], np.broadcast_to(beyond, (STEMS, 2, ALL_BINS - BINS)), atol=1e-6
    )
    np.testing.assert_allclose(out.sum(axis=0), 1, atol=1e-6)
    assert out.min() > -1e-6


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
    with pytest.raises(UsageError, match="'mirror'.*zeros, average, top"):
        masking.mask_extension("mirror")
