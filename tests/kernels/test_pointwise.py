"""The 1x1 convolution: equal to a matrix product, writing nothing but its own channels."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep_kernels.blocking import ROWS_OUTERMOST_BYTES
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.pack import pack_conv, pack_epilogue
from rtsep_kernels.pointwise import pointwise_rows
from rtsep_kernels.records import Layer
from tests.kernels.images import GUARD, guarded, padded, untouched_outside

# The last one is too large for its rows to pass by resident weights.
CHANNELS = [(2, 16), (32, 16), (96, 48), (288, 256)]


def layer_of(weights: np.ndarray, bias: np.ndarray, slope: str) -> Layer:
    packed = pack_conv(weights[np.newaxis, np.newaxis])
    channels = weights.shape[1]
    parameters = pack_epilogue(epilogue_parameters(channels, bias=bias))
    return Layer(packed, parameters, activation(slope), channels)


@pytest.mark.parametrize(("channels_in", "channels_out"), CHANNELS)
@pytest.mark.parametrize("act", ["linear", "relu"])
def test_it_is_a_product_for_each_pixel(channels_in: int, channels_out: int, act: str) -> None:
    assert (CHANNELS[-1][0] * CHANNELS[-1][1] * 4) > ROWS_OUTERMOST_BYTES
    random = np.random.default_rng(channels_in)
    pixels = random.standard_normal((4, 13, channels_in), np.float32)
    weights = random.standard_normal((channels_in, channels_out), np.float32)
    bias = random.standard_normal(channels_out, np.float32)
    expected = pixels.astype(np.float64) @ weights + bias
    expected = np.maximum(expected, 0) if act == "relu" else expected
    # A part of the target's channels only, as the skip half of a pair is.
    target, view = guarded(4, 13, channels_out + 16)
    x, layer = padded(pixels, 1, 2), layer_of(weights, bias, act)

    pointwise_rows(x, layer, target, 0, 4)
    np.testing.assert_allclose(view[..., :channels_out], expected, rtol=1e-4, atol=1e-4)
    assert (view[..., channels_out:] == GUARD).all()
    assert untouched_outside(target, view)

    whole = view[..., :channels_out].copy()
    view[:] = GUARD
    pointwise_rows(x, layer, target, 1, 3)
    np.testing.assert_array_equal(view[1:3, :, :channels_out], whole[1:3])
    assert (view[[0, 3]] == GUARD).all()
