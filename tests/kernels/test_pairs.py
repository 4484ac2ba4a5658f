"""Pairs of bfloat16, and weights in 16 bits: each layer against the reference on the rounded data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import conv, deconv, pack, reference, rounding, shapes, thin
from rtsep_kernels.blocking import THIN_PIXELS, WIDTH
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.jit import VECTOR
from rtsep_kernels.products import pixels_behind
from rtsep_kernels.records import Layer
from tests.kernels.pairs import Canvas, Picture, assert_rounded_once, rest_for, rounded, used

pytestmark = pytest.mark.skipif(not VECTOR, reason="the plain kernels know float32 only")

act_names = st.sampled_from(["linear", "leaky_relu", "elu"])
channels_out = st.sampled_from([WIDTH, 2 * WIDTH, 3 * WIDTH, 4 * WIDTH])
precisions = st.sampled_from(["bf16", "weights16"])


def _weights(rng, *shape):
    fan_in = shape[0] * shape[1] * shape[2]
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    precision=precisions,
    rows=st.integers(1, 7),
    width=st.integers(1, 70),
    c_in=st.sampled_from([2, 4, 16, 32, 36, 102, 128]),
    c_out=channels_out,
    act=act_names,
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_direct_conv_and_its_row_ranges(precision, rows, width, c_in, c_out, act, seed, data):
    rng = np.random.default_rng(seed)
    x = rounded(rng.standard_normal((2 * rows, 2 * width, c_in)).astype(np.float32))
    w, e = _weights(rng, 5, 5, c_in, c_out), rng.standard_normal((5, c_out)).astype(np.float32)
    act = activation(act)
    shape = shapes.tensorflow_same(x.shape[:2], (5, 5), (2, 2))
    expected, expected_skip = np.zeros((2, rows, width, c_out))
    reference.conv2d(x, used(w, precision), e, act, shape, expected, skip=expected_skip)
    image = Picture(x, precision).image
    layer = Layer(pack.pack_conv(w, precision), pack.pack_epilogue(e), act, c_out)
    rest = rest_for(rows, width, precision)

    def run(first, stop):
        y, skip = (Canvas(rows, width, c_out, precision) for _ in range(2))
        conv.conv_rows(image, layer, skip.image, y.image, rest, first, stop)
        assert y.untouched_outside(first, stop)
        assert skip.untouched_outside(first, stop)
        return y.pixels, skip.pixels

    whole, whole_skip = run(0, rows)
    assert_rounded_once(whole_skip, expected_skip, precision)
    assert_rounded_once(whole, expected, precision)
    first = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(first + 1, rows))
    part, part_skip = run(first, stop)
    np.testing.assert_array_equal(part[first:stop], whole[first:stop])
    np.testing.assert_array_equal(part_skip[first:stop], whole_skip[first:stop])
    # Without a skip the activations are the same.
    y = Canvas(rows, width, c_out, precision)
    conv.conv_rows(image, layer, None, y.image, rest, 0, rows)
    np.testing.assert_array_equal(y.pixels, whole)


@settings(max_examples=60, deadline=None)
@given(
    precision=precisions,
    rows=st.integers(1, 6),
    width=st.integers(1, 70),
    c_in=st.sampled_from([4, 32, 36, 64, 132]),
    c_out=channels_out,
    act=act_names,
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_subpixel_transposed_conv_and_its_row_ranges(
    precision, rows, width, c_in, c_out, act, seed, data
):
    rng = np.random.default_rng(seed)
    x = rounded(rng.standard_normal((rows, width, c_in)).astype(np.float32))
    w, e = _weights(rng, 5, 5, c_out, c_in), rng.standard_normal((5, c_out)).astype(np.float32)
    act = activation(act)
    shape = shapes.tensorflow_same_transposed(x.shape[:2], (5, 5), (2, 2))
    expected = np.zeros((2 * rows, 2 * width, c_out))
    held = used(w.transpose(0, 1, 3, 2), precision).transpose(0, 1, 3, 2)
    reference.conv_transpose2d(x, held, e, act, shape, expected)
    image = Picture(x, precision, behind=1).image
    layer = Layer(pack.pack_subpixel(w, precision), pack.pack_epilogue(e), act, c_out)
    rest = rest_for(rows, width, precision)

    def run(first, stop):
        y = Canvas(2 * rows, 2 * width, c_out, precision)
        deconv.upconv_rows(image, layer, y.image, rest, first, stop)
        assert y.untouched_outside(first, stop)
        return y.pixels

    whole = run(0, 2 * rows)
    assert_rounded_once(whole, expected, precision)
    first = data.draw(st.integers(0, 2 * rows - 1))
    stop = data.draw(st.integers(first + 1, 2 * rows))
    np.testing.assert_array_equal(run(first, stop)[first:stop], whole[first:stop])


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 6),
    groups=st.integers(1, 40),
    blocks=st.integers(1, 3),
    act=st.sampled_from(["relu", "elu"]),
    seed=st.integers(0, 999),
)
def test_thin_transposed_conv_of_pairs(rows, groups, blocks, act, seed):
    rng = np.random.default_rng(seed)
    width, channels = groups * THIN_PIXELS, blocks * 2 * WIDTH
    x = rounded(rng.standard_normal((rows, width, channels)).astype(np.float32))
    w = (rng.standard_normal((5, 5, 1, channels)) / np.sqrt(25 * channels)).astype(np.float32)
    bias, scale, shift = rng.standard_normal((3, 1)).astype(np.float32)
    act = activation(act)
    expected = np.zeros((2 * rows, 2 * width, 1))
    reference.conv_transpose2d(
        x,
        used(w.transpose(0, 1, 3, 2), "bf16").transpose(0, 1, 3, 2),
        epilogue_parameters(1, bias, post_scale=scale, post_shift=shift),
        act,
        shapes.tensorflow_same_transposed((rows, width), (5, 5), (2, 2)),
        expected,
    )
    image = Picture(x, "bf16", behind=1, rows_behind=1).image
    parameters = thin.thin_parameters(bias, scale, shift)
    layer = Layer(pack.pack_thin(w, "bf16"), parameters, act, 1)
    y = Canvas(2 * rows, 2 * width, 1, "f32")
    thin.thin_upconv_rows(image, rows * image.row_stride, layer, y.image, 0, 2 * rows)
    np.testing.assert_allclose(y.pixels, expected, atol=2e-5)


@pytest.mark.parametrize("act", ["relu", "elu"])
def test_nan_reaches_every_output_that_sees_it(act):
    x = np.zeros((8, 40, 2), np.float32)
    rng = np.random.default_rng(3)
    w, e = _weights(rng, 5, 5, 2, WIDTH), rng.standard_normal((5, WIDTH)).astype(np.float32)
    layer = Layer(pack.pack_conv(w, "bf16"), pack.pack_epilogue(e), activation(act), WIDTH)
    image = Picture(x, "bf16").image
    at = image.origin + 4 * image.row_stride + 20 * image.pixel_stride
    image.values[at] = 0x7FC0_0000
    y = Canvas(4, 20, WIDTH, "bf16")
    conv.conv_rows(image, layer, None, y.image, rest_for(4, 20, "bf16"), 0, 4)
    seen = np.isnan(y.pixels)
    # Output r sees input rows 2 r - 1 .. 2 r + 3, and some columns more, whose weights are zero.
    assert not seen[[0, 3]].any()
    assert seen[1:3, 9:11].all()
    assert not seen[:, 11:].any()
    assert not seen[:, : 9 - pixels_behind(1, True) // 2].any()


@pytest.mark.parametrize("halves", [False, True])
def test_the_errors_of_a_kernels_taps_cancel(halves):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 5, 8, 16)).astype(np.float32)
    held = used(weights, "weights16" if halves else "bf16")
    ulp = 2.0**-7 * np.abs(weights).max(axis=(0, 1))
    sums = np.abs((held - weights).sum(axis=(0, 1)))
    assert (sums <= ulp / 2 + 1e-6).all()
    # Each is a neighbour of what it stands for, though not always the nearest.
    assert (np.abs(held - weights) <= 2 * 2.0**-8 * np.abs(weights) + ulp).all()
    nearest = np.abs((rounded(weights) - weights).sum(axis=(0, 1)))
    assert sums.mean() < nearest.mean() / 2


@pytest.mark.parametrize("halves", [False, True])
def test_weights_are_rounded_as_their_numpy_twin_rounds_them(halves):
    rng = np.random.default_rng(4)
    weights = rng.standard_normal((5, 5, 6, 16)) * 2.0 ** rng.integers(-8, 3, (5, 5, 6, 16))
    weights = weights.astype(np.float32)
    # Any strides: as the transposed convolutions hand them over.
    strided = np.ascontiguousarray(weights.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    expected = reference.diffused(weights, halves)
    np.testing.assert_array_equal(rounding.diffused(weights, halves), expected)
    np.testing.assert_array_equal(rounding.diffused(strided, halves), expected)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-30, -1e-30, 1e-42, -3.5e38 / 4, 1.0, -1.0])
def test_the_half_below_is_allowed_for_at_every_size(value):
    weights = np.full((1, 1, 2, 1), value, np.float32)
    weights[0, 0, 0] = -1.9999
    held = used(weights, "weights16")[0, 0, 1, 0]
    # The half below is the lower part of the mantissa: with the smallest numbers it is all there is.
    assert abs(held - weights[0, 0, 1, 0]) <= 2.0**-8 * abs(value) + 1e-40
