"""A net in 16 bits: close to its float32 self, half as large, and only in buffers of its own kind."""

import tracemalloc

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep.nets.sliding import SlidingState, SlidingWindow
from rtsep.nets.unet import UNet, UNetState
from rtsep_kernels.jit import VECTOR
from tests.weights.made_up_weights import made_up_arrays

pytestmark = pytest.mark.skipif(not VECTOR, reason="the plain kernels know float32 only")

FRAMES, BINS = 64, 128


@pytest.fixture(scope="module")
def magnitudes():
    return np.abs(np.random.default_rng(5).standard_normal((FRAMES, BINS, 2), np.float32))


def masks_of(net, magnitudes):
    masks = np.zeros((FRAMES, 2, BINS), np.float32)
    UNetState(FRAMES, BINS, net.precision).run(net, magnitudes, masks)
    return masks


@pytest.mark.parametrize("model", ["spleeter:2stems", "spleeter:4stems"])
@pytest.mark.parametrize("precision", ["weights16", "bf16"])
def test_masks_are_those_of_float32_to_a_hundredth(model, precision, magnitudes):
    exact = UNet(find_model(model), made_up_arrays(3))
    net = UNet(find_model(model), made_up_arrays(3), precision)
    off = masks_of(net, magnitudes) - masks_of(exact, magnitudes)
    assert 0 < np.sqrt((off**2).mean()) < 5e-3
    assert np.abs(off).max() < 5e-2
    held = sum(layer.weights.nbytes for layer in net.constants.layers)
    assert held < 0.51 * sum(layer.weights.nbytes for layer in exact.constants.layers)


@pytest.mark.parametrize("precision", ["f32", "weights16", "bf16"])
def test_packing_holds_no_array_twice(precision):
    arrays = made_up_arrays(3)
    UNet(find_model("spleeter:2stems"), arrays, precision)  # compiled
    tracemalloc.start()
    try:
        net = UNet(find_model("spleeter:2stems"), arrays, precision)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held > sum(layer.weights.nbytes for layer in net.constants.layers)
    # A panel of the largest layer has 1.6 MB in float32.
    assert peak - held < 4e6


def test_a_state_of_pairs_is_about_half_as_large():
    assert UNetState(128, 1024, "bf16").nbytes < 0.55 * UNetState(128, 1024).nbytes


@pytest.mark.parametrize(("precision", "of_state"), [("bf16", "f32"), ("f32", "bf16")])
def test_buffers_of_another_kind_are_refused(precision, of_state, magnitudes):
    net = UNet(find_model("spleeter:2stems"), made_up_arrays(3), precision)
    masks = np.zeros((FRAMES, 2, BINS), np.float32)
    with pytest.raises(
        ValueError, match=f"a net in {precision} cannot run in buffers for {of_state}"
    ):
        UNetState(FRAMES, BINS, of_state).run(net, magnitudes, masks)
    sliding = SlidingState(SlidingWindow(FRAMES, BINS, 1, 62, 63), of_state)
    with pytest.raises(ValueError, match=f"a net in {precision} cannot run"):
        sliding.run(net, magnitudes, np.ones(FRAMES, np.float32), 0, masks)
