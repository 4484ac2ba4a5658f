"""Computing only the rows that are heard changes nothing in them, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.nets.registry import find_model
from rtsep.nets.rows import rows_for
from rtsep.nets.unet import UNet, UNetState
from tests.weights.made_up_weights import made_up_arrays

BINS = 64


@pytest.fixture(scope="module")
def net():
    return UNet(find_model("spleeter:2stems"), made_up_arrays(3))


def _spectrogram(frames, seed):
    return np.abs(np.random.default_rng(seed).standard_normal((frames, BINS, 2))).astype("f")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), frames=st.sampled_from([64, 128, 192]))
def test_cropped_equals_whole(net, data, frames):
    first = data.draw(st.integers(0, frames - 1))
    stop = data.draw(st.integers(first + 1, frames))
    x = _spectrogram(frames, first)
    whole, part = np.zeros((2, frames, 2, BINS), np.float32)
    UNetState(frames, BINS).run(net, x, whole)
    state = UNetState(frames, BINS)
    # What is not computed must not matter: poison it.
    _poison(state)
    state.take_in(x)
    state.forward(net, part, rows_for(frames, first, stop))
    np.testing.assert_array_equal(part[first:stop], whole[first:stop])


def _poison(state):
    """NaN into every pixel of the buffers; the padding stays zero."""
    buffers = state.buffers
    for image in (*buffers.encoder[1:], *buffers.decoder, buffers.last):
        rows = image.values[: image.rows * image.row_stride].reshape(image.rows, -1)
        rows[:, image.origin : image.origin + image.pixels * image.pixel_stride] = np.nan


def test_all_rows_for_the_whole_mask():
    np.testing.assert_array_equal(rows_for(128, 0, 128), UNetState(128, BINS).all_rows)


def test_the_newest_frame_needs_few_rows_of_the_decoder():
    # Mask row 63 sees up6 rows 60, 62 (and beyond the edge), and so on down: at most 4 rows a layer.
    rows = rows_for(64, 63, 64)
    assert (rows[6:, 1] - rows[6:, 0] <= 4).all()
