"""What waits comes out in order, and holds no more memory than it must."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.dsp.sample_queue import SampleQueue


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), max_size=60))
def test_samples_come_out_in_order_whatever_the_blocks(turns):
    queue, pushed, taken, most = SampleQueue(2), 0, 0, 0
    for count, share in turns:
        block = np.repeat(np.arange(pushed, pushed + count, dtype=np.float32)[:, None], 2, axis=1)
        queue.push(block)
        block[:] = -1  # the caller's again
        pushed += count
        most = max(most, pushed - taken)
        out = queue.take(int(share * (pushed - taken)))
        np.testing.assert_array_equal(out[:, 1], np.arange(taken, taken + len(out)))
        taken += len(out)
        assert len(queue._samples) <= max(2 * most, 1)
