"""Resampling against the reference: any ratio, filter, block and room in the output."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import polyphase, reference


class Stream:
    """A stream of random sound through `kernel`, with a state of its own."""

    def __init__(self, kernel, rows, step, phases, channels, longest):
        self.kernel, self.rows, self.ratio = kernel, rows, (step, phases)
        self.position = np.zeros(2, np.int64)
        self.history = np.zeros((channels, rows.shape[1] + longest), np.float32)

    def push(self, x, room):
        out = np.full((room, x.shape[1]), np.nan, np.float32)
        count = self.kernel(x, self.rows, *self.ratio, self.position, self.history, out)
        return out[:count]


@settings(max_examples=60, deadline=None)
@given(
    step=st.integers(1, 40),
    phases=st.integers(1, 40),
    fineness=st.one_of(st.none(), st.integers(1, 50)),
    taps=st.integers(1, 70),
    channels=st.integers(1, 4),
    blocks=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    seed=st.integers(0, 999),
)
def test_resample(step, phases, fineness, taps, channels, blocks, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal(((fineness or phases) + 1, taps)).astype(np.float32)
    fast, slow = (
        Stream(kernel, rows, step, phases, channels, max(blocks))
        for kernel in (polyphase.resample, reference.resample)
    )
    given_to_each = 0
    for total, length in zip(np.cumsum(blocks), blocks):
        x = rng.standard_normal((length, channels)).astype(np.float32)
        # Now and then the outputs of the last sample have to wait.
        due = -(-max(0, total - int(rng.integers(2))) * phases // step) - given_to_each
        room = max(0, due)
        expected = slow.push(x, room)
        np.testing.assert_allclose(fast.push(x, room), expected, atol=1e-4)
        np.testing.assert_array_equal(fast.position, slow.position)
        assert len(expected) == room
        given_to_each += room
