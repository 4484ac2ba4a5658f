"""Each layer of a net in 16 bits, on what those before it gave: the reference on the rounded data."""

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep.nets.unet import LEVELS, UNet, UNetState
from rtsep_bench.layers import unet_layers
from rtsep_kernels import reference
from rtsep_kernels.jit import VECTOR
from tests.kernels.pairs import assert_rounded_once, used
from tests.weights.made_up_weights import made_up_arrays

pytestmark = pytest.mark.skipif(not VECTOR, reason="the plain kernels know float32 only")

FRAMES = 64
# The narrow levels have rows for whole tiles of AMX's, too.
CASES = [("spleeter:2stems", "bf16", 1024), ("spleeter:4stems", "bf16", 128)]
CASES += [("spleeter:2stems", "weights16", 128)]


def pixels(image):
    """An image's pixels, (rows, pixels, channels) float32."""
    shape = image.rows, image.pixels, image.pixel_stride
    strides = [4 * stride for stride in (image.row_stride, image.pixel_stride, 1)]
    view = np.lib.stride_tricks.as_strided(image.values[image.origin :], shape, strides)
    if image.values.dtype == np.float32:
        return view
    return reference.from_bf16(np.ascontiguousarray(view).view(np.uint16))


def held(layer, precision):
    """The weights that the kernels multiply with, in the layer's own order of axes."""
    if layer.name == "mask" or (layer.name == "up6" and precision == "weights16"):
        return layer.weights
    if layer.transposed:
        return used(layer.weights.transpose(0, 1, 3, 2), precision).transpose(0, 1, 3, 2)
    return used(layer.weights, precision)


@pytest.mark.parametrize(("model", "precision", "bins"), CASES)
def test_every_layer_is_rounded_once(model, precision, bins):
    config, arrays = find_model(model), made_up_arrays(3)
    state = UNetState(FRAMES, bins, precision)
    rng = np.random.default_rng(6)
    magnitudes = np.abs(rng.standard_normal((FRAMES, bins, 2), np.float32))
    masks = np.zeros((FRAMES, 2, bins), np.float32)
    state.run(UNet(config, arrays, precision), magnitudes, masks)

    encoder, decoder = state.buffers.encoder, state.buffers.decoder
    inputs = [*encoder, *decoder[::-1], state.buffers.last]
    outputs = [*encoder[1:], decoder[-1], *decoder[-2::-1], state.buffers.last, None]
    skips = {f"conv{level}": decoder[level - 1] for level in range(1, LEVELS)}
    for layer, source, target in zip(
        unet_layers(config, arrays, FRAMES, bins), map(pixels, inputs), outputs, strict=True
    ):
        found = masks.transpose(0, 2, 1) if target is None else pixels(target)
        channels = layer.epilogue.shape[1]
        expected, skip = np.zeros((2, *found.shape[:2], channels))
        geometry = held(layer, precision), layer.epilogue, layer.act, layer.shape
        if layer.transposed:
            reference.conv_transpose2d(source, *geometry, expected)
        else:
            reference.conv2d(source, *geometry, expected, skip=skip)
        if layer.name in skips:
            assert_rounded_once(pixels(skips[layer.name])[:, :, :channels], skip, precision)
        # An upconvolution writes the upper half of [skip, up]; the last two layers float32.
        ended = "f32" if layer.name in ("up6", "mask") else precision
        assert_rounded_once(found[:, :, -channels:], expected, ended)
