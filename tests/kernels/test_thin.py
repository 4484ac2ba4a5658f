"""The two thin layers against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import pack, reference, shapes, thin
from rtsep_kernels.blocking import THIN_PIXELS, WIDTH
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.records import Layer, MaskLayer
from tests.kernels.images import GUARD, guarded, padded


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 6),
    groups=st.integers(1, 6),
    blocks=st.integers(1, 3),
    act=st.sampled_from(["relu", "elu"]),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_thin_transposed_conv(rows, groups, blocks, act, seed, data):
    rng = np.random.default_rng(seed)
    width, channels = groups * THIN_PIXELS, blocks * WIDTH
    x = rng.standard_normal((rows, width, channels)).astype(np.float32)
    w = (rng.standard_normal((5, 5, 1, channels)) / np.sqrt(25 * channels)).astype(np.float32)
    bias, scale, shift = rng.standard_normal((3, 1)).astype(np.float32)
    act = activation(act)
    expected = np.zeros((2 * rows, 2 * width, 1), np.float32)
    reference.conv_transpose2d(
        x,
        w,
        epilogue_parameters(1, bias, post_scale=scale, post_shift=shift),
        act,
        shapes.tensorflow_same_transposed((rows, width), (5, 5), (2, 2)),
        expected,
    )
    image = padded(x, 1, 1, rows_behind=1)
    zero_row = rows * image.row_stride
    layer = Layer(pack.pack_thin(w), thin.thin_parameters(bias, scale, shift), act, 1)

    def run(first, stop):
        y, pixels = guarded(2 * rows, 2 * width, 1)
        thin.thin_upconv_rows(image, zero_row, layer, y, first, stop)
        return pixels

    whole = run(0, 2 * rows)
    np.testing.assert_allclose(whole, expected, atol=2e-5)
    first = data.draw(st.integers(0, 2 * rows - 1))
    stop = data.draw(st.integers(first + 1, 2 * rows))
    np.testing.assert_array_equal(run(first, stop)[first:stop], whole[first:stop])


@pytest.mark.parametrize("logits_only", [False, True])
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 12), bins=st.integers(1, 50), seed=st.integers(0, 999), data=st.data())
def test_mask_convolution(logits_only, rows, bins, seed, data):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, bins, 1)).astype(np.float32)
    w = rng.standard_normal((4, 4, 1, 2)).astype(np.float32)
    bias = rng.standard_normal(2).astype(np.float32)
    expected = np.zeros((rows, bins, 2), np.float32)
    reference.conv2d(
        x,
        w,
        epilogue_parameters(2, bias),
        activation("linear" if logits_only else "sigmoid"),
        shapes.tensorflow_same((rows, bins), (4, 4), (1, 1), (2, 2)),
        expected,
    )
    image = padded(x, thin.MASK_PADDING, thin.MASK_PADDING)
    first = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(first + 1, rows))
    masks = np.full((rows, 2, bins), GUARD, np.float32)
    layer = MaskLayer(np.ascontiguousarray(w[:, :, 0]), bias, logits_only)
    scratch = np.zeros((2, bins), np.float32)
    thin.mask_rows(image, layer, scratch, masks, first, stop)
    np.testing.assert_allclose(
        masks[first:stop], expected.transpose(0, 2, 1)[first:stop], atol=2e-5
    )
    assert (masks[:first] == GUARD).all()
    assert (masks[stop:] == GUARD).all()


def test_masks_keep_nan_and_survive_huge_logits():
    # One tap only: output row 0, bin f sees row 1, bin f - 1 (row offset 2 * 2 - 3, bin 2 * 1 - 3).
    x = np.zeros((4, 20, 1), np.float32)
    x[1, 0] = np.nan
    x[1, 15] = 3e38
    x[1, 17] = -3e38
    image = padded(x, thin.MASK_PADDING, thin.MASK_PADDING)
    kernel = np.zeros((4, 4, 2), np.float32)
    kernel[2, 1] = 1.0
    masks = np.zeros((4, 2, 20), np.float32)
    layer = MaskLayer(kernel, np.zeros(2, np.float32), False)
    thin.mask_rows(image, layer, np.zeros((2, 20), np.float32), masks, 0, 1)
    assert np.isnan(masks[0, :, 1]).all()
    assert (masks[0, :, 16] == 1.0).all()
    assert (masks[0, :, 18] < 1e-30).all()
    assert np.isfinite(masks[0, :, 4:]).all()
