"""im2col and col2im against the reference, and as each other's adjoint."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rtsep_kernels import reference, shapes
from rtsep_kernels.im2col import col2im, im2col
from tests.kernels.torch_shapes import torch_padding, torch_padding_transposed

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
images = st.tuples(st.integers(1, 12), st.integers(1, 12))


@st.composite
def conv_shapes(draw):
    """Any geometry of either convention, in either direction."""
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    image = draw(images)
    if draw(st.booleans()):
        make = draw(st.sampled_from([shapes.tensorflow_same, shapes.tensorflow_same_transposed]))
        return make(image, kernel, stride, dilation)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    try:
        if draw(st.booleans()):
            return torch_padding(image, kernel, stride, padding, dilation)
        appended = draw(
            st.tuples(*(st.integers(0, max(s, d) - 1) for s, d in zip(stride, dilation)))
        )
        return torch_padding_transposed(image, kernel, stride, padding, appended, dilation)
    except ValueError:
        assume(False)


@settings(max_examples=60, deadline=None)
@given(shape=conv_shapes(), channels=st.integers(1, 5), seed=st.integers(0, 999))
def test_equals_the_reference(shape, channels, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*shape.large, channels)).astype(np.float32)
    columns = rng.standard_normal((shape.small_pixels, shape.taps * channels)).astype(np.float32)
    expected = reference.im2col(x, shape, np.empty_like(columns))
    np.testing.assert_array_equal(im2col(x, shape, np.full_like(columns, 7)), expected)
    summed = reference.col2im(columns, shape, np.empty_like(x))
    np.testing.assert_allclose(col2im(columns, shape, np.full_like(x, 7)), summed, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(shape=conv_shapes(), channels=st.integers(1, 5), seed=st.integers(0, 999))
def test_col2im_is_the_adjoint_of_im2col(shape, channels, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*shape.large, channels)).astype(np.float32)
    columns = rng.standard_normal((shape.small_pixels, shape.taps * channels)).astype(np.float32)
    left = np.vdot(im2col(x, shape, np.empty_like(columns)).astype(np.float64), columns)
    right = np.vdot(x, col2im(columns, shape, np.empty_like(x)).astype(np.float64))
    scale = np.linalg.norm(columns) * np.linalg.norm(x) + 1
    assert abs(left - right) <= 1e-5 * scale
