"""Convolution and transposed convolution, general and fast, against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import conv, deconv, pack, reference, shapes
from rtsep_kernels.blocking import WIDTH
from rtsep_kernels.epilogue import activation
from rtsep_kernels.records import Layer
from tests.kernels.images import guarded, padded, untouched_outside
from tests.kernels.test_im2col import conv_shapes

act_names = st.sampled_from(["linear", "relu", "leaky_relu", "elu"])
channels_out = st.sampled_from([WIDTH, 2 * WIDTH, 3 * WIDTH, 4 * WIDTH])


def _parameters(rng, channels):
    return rng.standard_normal((5, channels)).astype(np.float32)


def _weights(rng, *shape):
    fan_in = shape[0] * shape[1] * shape[2]
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(
    shape=conv_shapes(),
    c_in=st.integers(1, 6),
    c_out=st.integers(1, 40),
    act=st.sampled_from(["linear", "relu", "leaky_relu", "elu", "sigmoid"]),
    seed=st.integers(0, 999),
)
def test_general_conv_of_any_geometry(shape, c_in, c_out, act, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*shape.large, c_in)).astype(np.float32)
    w, e = _weights(rng, *shape.kernel, c_in, c_out), _parameters(rng, c_out)
    act = activation(act)
    expected, expected_skip = np.zeros((2, *shape.small, c_out), np.float32)
    reference.conv2d(x, w, e, act, shape, expected, skip=expected_skip)
    out, skip = np.zeros((2, *shape.small, c_out), np.float32)
    workspace = conv.conv_workspace(shape, c_in, c_out)
    assert conv.conv2d(x, w, e, act, shape, out, workspace, skip) is out
    np.testing.assert_allclose(skip, expected_skip, atol=2e-5)
    np.testing.assert_allclose(out, expected, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    shape=conv_shapes(),
    c_in=st.integers(1, 6),
    c_out=st.integers(1, 12),
    act=act_names,
    seed=st.integers(0, 999),
)
def test_general_transposed_conv_of_any_geometry(shape, c_in, c_out, act, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*shape.small, c_in)).astype(np.float32)
    w, e = _weights(rng, *shape.kernel, c_out, c_in), _parameters(rng, c_out)
    act = activation(act)
    expected, out = np.zeros((2, *shape.large, c_out), np.float32)
    reference.conv_transpose2d(x, w, e, act, shape, expected)
    workspace = deconv.deconv_workspace(shape, c_out)
    assert deconv.conv_transpose2d(x, w, e, act, shape, out, workspace) is out
    np.testing.assert_allclose(out, expected, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 7),
    width=st.integers(1, 40),
    c_in=st.sampled_from([2, 4, 16, 34, 102]),
    c_out=channels_out,
    act=act_names,
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_direct_conv_and_its_row_ranges(rows, width, c_in, c_out, act, seed, data):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2 * rows, 2 * width, c_in)).astype(np.float32)
    w, e = _weights(rng, 5, 5, c_in, c_out), _parameters(rng, c_out)
    act = activation(act)
    shape = shapes.tensorflow_same(x.shape[:2], (5, 5), (2, 2))
    expected, expected_skip = np.zeros((2, rows, width, c_out), np.float32)
    reference.conv2d(x, w, e, act, shape, expected, skip=expected_skip)
    image = padded(x, 1, 2)
    layer = Layer(pack.pack_conv(w), pack.pack_epilogue(e), act, c_out)

    def run(first, stop):
        y, y_pixels = guarded(rows, width, c_out)
        skip, skip_pixels = guarded(rows, width, c_out)
        conv.conv_rows(image, layer, skip, y, None, first, stop)
        assert untouched_outside(y, y_pixels[first:stop])
        assert untouched_outside(skip, skip_pixels[first:stop])
        return y_pixels, skip_pixels

    whole, whole_skip = run(0, rows)
    np.testing.assert_allclose(whole_skip, expected_skip, atol=2e-5)
    np.testing.assert_allclose(whole, expected, atol=1e-4)
    first = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(first + 1, rows))
    part, part_skip = run(first, stop)
    np.testing.assert_array_equal(part[first:stop], whole[first:stop])
    np.testing.assert_array_equal(part_skip[first:stop], whole_skip[first:stop])
    # Without a skip the activations are the same.
    y, y_pixels = guarded(rows, width, c_out)
    conv.conv_rows(image, layer, None, y, None, 0, rows)
    np.testing.assert_array_equal(y_pixels, whole)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 6),
    width=st.integers(1, 40),
    c_in=st.sampled_from([2, 16, 34, 130]),
    c_out=channels_out,
    act=act_names,
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_subpixel_transposed_conv_and_its_row_ranges(rows, width, c_in, c_out, act, seed, data):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width, c_in)).astype(np.float32)
    w, e = _weights(rng, 5, 5, c_out, c_in), _parameters(rng, c_out)
    act = activation(act)
    shape = shapes.tensorflow_same_transposed(x.shape[:2], (5, 5), (2, 2))
    expected = np.zeros((2 * rows, 2 * width, c_out), np.float32)
    reference.conv_transpose2d(x, w, e, act, shape, expected)
    image = padded(x, 1, 1)
    layer = Layer(pack.pack_subpixel(w), pack.pack_epilogue(e), act, c_out)

    def run(first, stop):
        y, pixels = guarded(2 * rows, 2 * width, c_out)
        deconv.upconv_rows(image, layer, y, None, first, stop)
        assert untouched_outside(y, pixels[first:stop])
        return pixels

    whole = run(0, 2 * rows)
    np.testing.assert_allclose(whole, expected, atol=1e-4)
    first = data.draw(st.integers(0, 2 * rows - 1))
    stop = data.draw(st.integers(first + 1, 2 * rows))
    np.testing.assert_array_equal(run(first, stop)[first:stop], whole[first:stop])


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "elu"])
def test_nan_reaches_every_output_that_sees_it(act):
    x = np.zeros((8, 8, 2), np.float32)
    x[4, 4, 1] = np.nan
    rng = np.random.default_rng(3)
    w, e = _weights(rng, 5, 5, 2, WIDTH), _parameters(rng, WIDTH)
    layer = Layer(pack.pack_conv(w), pack.pack_epilogue(e), activation(act), WIDTH)
    y, pixels = guarded(4, 4, WIDTH)
    conv.conv_rows(padded(x, 1, 2), layer, None, y, None, 0, 4)
    seen = np.isnan(pixels).all(axis=2)
    # Output r sees input rows 2 r - 1 .. 2 r + 3.
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(seen, expected)
