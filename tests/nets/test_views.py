"""A net that is shown the same frames in several ways: the mean of what the whole net says to each."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rtsep.live.plans.plan import PLANS
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet, UNetState
from rtsep.nets.view import View, views_of
from rtsep.nets.views import SlidingViews
from tests.weights.made_up_weights import made_up_arrays

BINS = 64
CONFIG = replace(find_model("spleeter:2stems"), bins=BINS)


@pytest.fixture(scope="module")
def net():
    return UNet(CONFIG, made_up_arrays(3))


def test_views_lie_around_the_spectrum_as_it_is():
    assert views_of({64: 1}) == (View(64, 0),)
    assert views_of({64: 2}) == (View(64, -1), View(64, 1))
    assert views_of({128: 1, 64: 5}) == (View(128), *(View(64, shift) for shift in range(-2, 3)))
    for times in ({64: 4}, {64: 3}, {128: 7}):
        assert sum(view.shift for view in views_of(times)) == 0


def _moved(window, shift):
    """Bin f + shift in the place of bin f, silence beyond the bins."""
    moved = np.zeros_like(window)
    for f in range(BINS):
        if 0 <= f + shift < BINS:
            moved[:, f] = window[:, f + shift]
    return moved


def _moved_back(masks, shift):
    return np.stack([masks[..., min(max(f - shift, 0), BINS - 1)] for f in range(BINS)], axis=-1)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("views", [views_of({64: 3, 128: 1}), views_of({64: 4})], ids=str)
def test_a_slide_of_several_views_is_the_mean_of_the_whole_nets(net, views, stride):
    rng, look_ahead, extrapolated = np.random.default_rng(stride), 2, 4
    pauses: list[int] = []
    sliding = SlidingViews(CONFIG, views, stride, look_ahead, extrapolated)
    ring, gains = np.zeros((256, BINS, 2), np.float32), np.ones(256, np.float32)
    got = np.full((stride, 2, BINS), np.nan, np.float32)
    for stop in range(stride, 40 + 3 * stride, stride):
        new = slice(stop - stride, stop)
        ring[new] = np.abs(rng.standard_normal((stride, BINS, 2)))
        gains[new] = rng.uniform(0.5, 2)
        assert (
            sliding.run(net, ring, gains, stop, got[np.newaxis], partial(pauses.append, stop))
            <= stop - stride
        )
    assert len(pauses) == (len(views) - 1) * len(range(stride, 40 + 3 * stride, stride))
    expected = np.zeros_like(got)
    for view in views:
        real = view.frames - extrapolated
        window = np.zeros((view.frames, BINS, 2), np.float32)
        seen = (ring * gains[:, None, None])[max(0, stop - real) : stop]
        window[real - len(seen) : real] = seen
        window[real:] = (window[real - 1] + window[real - extrapolated : real][::-1]) / 2
        masks = np.zeros((view.frames, 2, BINS), np.float32)
        UNetState(view.frames, BINS).run(net, _moved(window, view.shift), masks)
        heard = masks[real - look_ahead - stride : real - look_ahead]
        expected += _moved_back(heard, view.shift) / len(views)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_one_view_is_the_net_as_it_is_bit_for_bit(net):
    rng = np.random.default_rng(0)
    ring = np.abs(rng.standard_normal((64, BINS, 2))).astype(np.float32)
    got, masks = np.zeros((64, 2, BINS), np.float32), np.zeros((64, 2, BINS), np.float32)
    views = SlidingViews(CONFIG, views_of({64: 1}), 64, 0, 0)
    views.run(net, ring, np.ones(64, np.float32), 64, got[np.newaxis])
    UNetState(64, BINS).run(net, ring, masks)
    np.testing.assert_array_equal(got, masks)
    assert PLANS["classic"].views == (View(128),)
    assert PLANS["classic"].underrated_weight == 1
