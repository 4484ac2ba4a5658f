"""Keeping what a slide does not touch changes nothing in the masks, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.nets.registry import find_model
from rtsep.nets.rows import clean_stops
from rtsep.nets.sliding import SlidingState, SlidingWindow
from rtsep.nets.unet import UNet, UNetState
from rtsep_kernels.jit import VECTOR
from rtsep_kernels.reference import from_bf16, to_bf16
from tests.choices import all_pairs
from tests.weights.made_up_weights import made_up_arrays

BINS = 64


@pytest.fixture(scope="module")
def net():
    return UNet(find_model("spleeter:2stems"), made_up_arrays(3))


@pytest.fixture(scope="module", params=["weights16", "bf16"])
def net_16(request):
    """A net in 16 bits."""
    if not VECTOR:
        pytest.skip("the plain kernels know float32 only")
    return UNet(find_model("spleeter:2stems"), made_up_arrays(3), request.param)


class Stream:
    """A spectrogram with gains, the window's masks by sliding and by running the whole net on it."""

    def __init__(self, net, frames, stride, look_ahead, seed, extrapolated=0, bins=BINS):
        self.bins = bins
        rng = np.random.default_rng(seed)
        self.net, self.frames, self.stride = net, frames, stride
        self.gains = np.zeros(0, np.float32)
        self.length = frames + 3 * stride  # of the ring
        self.rng = rng
        self.all = np.zeros((0, bins, 2), np.float32)
        self.extrapolated, self.real_frames = extrapolated, frames - extrapolated
        stop = self.real_frames - look_ahead
        self.wanted = slice(stop - stride, stop)
        self.sliding = SlidingState(
            SlidingWindow(frames, bins, stride, stop - stride, stop, extrapolated), net.precision
        )
        self.whole = UNetState(frames, bins, net.precision)

    def grow(self, count):
        new = np.abs(self.rng.standard_normal((count, self.bins, 2))).astype(np.float32)
        self.all = np.concatenate([self.all, new])
        self.gains = (0.5 + np.arange(len(self.all)) % 7 / 7).astype(np.float32)

    def replace_all(self):
        """Another recording: nothing of the one before may be left after a reset."""
        self.all = np.abs(self.rng.standard_normal(self.all.shape)).astype(np.float32)

    def ring(self):
        magnitudes = np.full((self.length, self.bins, 2), np.nan, np.float32)
        gains = np.full(self.length, np.nan, np.float32)
        for t in range(max(0, len(self.all) - self.length), len(self.all)):
            magnitudes[t % self.length], gains[t % self.length] = self.all[t], self.gains[t]
        return magnitudes, gains

    def warm_up(self):
        """Runs on the silence before the stream."""
        spare = np.zeros((self.frames, 2, self.bins), np.float32)
        for run in range(-self.sliding.phases, 0):
            start = (run + 1) * self.stride - self.real_frames
            self.sliding.run(self.net, *self.ring(), start, spare)

    def compare(self):
        start = len(self.all) - self.real_frames
        got = np.full((self.frames, 2, self.bins), np.nan, np.float32)
        self.sliding.run(self.net, *self.ring(), start, got)
        window = np.zeros((self.frames, self.bins, 2), np.float32)
        seen = self.all[max(0, start) :] * self.gains[max(0, start) :, None, None]
        if self.net.precision == "bf16":
            # Frames are extrapolated from what the window holds.
            seen = from_bf16(to_bf16(seen))
        window[self.real_frames - len(seen) : self.real_frames] = seen
        for i in range(self.extrapolated):
            image = window[self.real_frames - 1 - i]
            window[self.real_frames + i] = (window[self.real_frames - 1] + image) / 2
        expected = np.zeros_like(got)
        self.whole.run(self.net, window, expected)
        np.testing.assert_array_equal(got[self.wanted], expected[self.wanted])


@pytest.mark.parametrize(
    ("stride", "look_ahead", "frames"),
    all_pairs([1, 2, 4, 8, 16, 32, 3, 12], [0, 1, 4, 17], [64, 128, 256]),
)
def test_masks_equal_the_whole_nets_over_a_long_slide(net, frames, stride, look_ahead):
    stream = Stream(net, frames, stride, look_ahead, seed=stride)
    runs = (frames + 40) // stride + 2 if frames == 64 else 60 // stride + 2
    for _ in range(min(runs, 80)):
        stream.grow(stride)
        stream.compare()


@pytest.mark.parametrize(
    ("stride", "extrapolated", "frames"), all_pairs([1, 2, 4, 8, 3], [1, 4, 7, 32], [64, 128])
)
def test_extrapolated_frames_equal_a_window_that_holds_them(net, frames, stride, extrapolated):
    stream = Stream(net, frames, stride, 2, seed=stride, extrapolated=extrapolated)
    for _ in range((frames + 40) // stride + 2):
        stream.grow(stride)
        stream.compare()


@pytest.mark.parametrize(
    ("stride", "extrapolated", "frames"), all_pairs([1, 2, 8], [0, 4], [64, 128])
)
def test_masks_in_16_bits_equal_the_whole_nets(net_16, frames, stride, extrapolated):
    stream = Stream(net_16, frames, stride, 1, seed=stride, extrapolated=extrapolated)
    for _ in range((frames + 40) // stride + 2):
        stream.grow(stride)
        stream.compare()


@pytest.mark.parametrize(("stride", "extrapolated"), [(1, 4), (8, 0)])
def test_masks_in_16_bits_equal_the_whole_nets_where_amx_computes_every_level(
    net_16, stride, extrapolated
):
    # Even level 6 has 16 pixels, which is a tile of AMX's.
    stream = Stream(net_16, 64, stride, 1, seed=stride, extrapolated=extrapolated, bins=1024)
    stream.warm_up()
    for _ in range(40 // stride):
        stream.grow(stride)
        stream.compare()


@settings(max_examples=15, deadline=None)
@given(
    data=st.data(),
    stride=st.sampled_from([1, 2, 4]),
    look_ahead=st.integers(0, 5),
    extrapolated=st.sampled_from([0, 4]),
)
def test_runs_left_out_and_resets_do_no_harm(net, data, stride, look_ahead, extrapolated):
    stream = Stream(net, 64, stride, look_ahead, seed=look_ahead, extrapolated=extrapolated)
    for skipped in data.draw(st.lists(st.integers(0, 3), min_size=10, max_size=40)):
        stream.grow(stride * (1 + (30 if skipped == 3 else skipped)))
        if data.draw(st.integers(0, 9)) == 0:
            stream.replace_all()
            stream.sliding.reset()
        stream.compare()


def test_rows_beyond_the_edges_reach_are_known():
    # T = 64: level 1's row 31 sees frame 65, level 2's rows 14 and 15 see that, and so on.
    assert clean_stops(64) == [64, 31, 14, 6, 2, 0]


def test_a_short_stride_computes_few_rows_of_the_wide_levels(net):
    stream = Stream(net, 64, 1, 1, seed=0)
    for _ in range(100):
        stream.grow(1)
        stream.compare()
    computed = stream.sliding.computed_rows()
    assert computed[0] == [(0, 1), (30, 32)]
    counts = [sum(stop - first for first, stop in ranges) for ranges in computed]
    assert counts[:6] == [3, 4, 4, 4, 2, 1]


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_silence_before_the_stream_fills_every_phase(net, stride):
    stream = Stream(net, 64, stride, 1, seed=1)
    stream.warm_up()
    for _ in range(20):
        stream.grow(stride)
        stream.compare()
        level_1 = stream.sliding.computed_rows()[0]
        assert sum(stop - first for first, stop in level_1) < 32


def test_a_stride_as_long_as_the_window_keeps_nothing(net):
    assert SlidingState(SlidingWindow(64, BINS, 64, 0, 64)).nbytes <= UNetState(64, BINS).nbytes


@pytest.mark.parametrize(("frames", "bins"), [(100, 64), (64, 1000)])
def test_windows_off_the_grid_are_refused(frames, bins):
    with pytest.raises(ValueError, match="must be a positive multiple of 64"):
        SlidingState(SlidingWindow(frames, bins, 1, 0, 1))
