"""The ring buffer: first in, first out, for any lengths; what is lost is known."""

import threading
import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.dsp.ring import Ring

LENGTH = 16


def _numbered(begin, count):
    return np.repeat(np.arange(begin, begin + count, dtype=np.float32)[:, np.newaxis], 2, axis=1)


@settings(max_examples=60, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, LENGTH), st.integers(0, 2 * LENGTH)), max_size=40))
def test_what_is_pushed_is_pulled_in_its_order(moves):
    ring = Ring(LENGTH, 2)
    pushed = pulled = 0
    for to_push, to_pull in moves:
        count = min(to_push, ring.room)
        ring.push(_numbered(pushed, count))
        pushed += count
        assert ring.waiting + ring.room == len(ring) == LENGTH
        assert ring.waiting == pushed - pulled
        out = np.full((to_pull, 2), -1.0, np.float32)
        got = ring.pull(out)
        assert got == min(to_pull, pushed - pulled)
        np.testing.assert_array_equal(out[:got], _numbered(pulled, got))
        assert (out[got:] == -1).all()
        pulled += got


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 3 * LENGTH), min_size=1, max_size=8))
def test_the_newest_samples_stay_and_the_others_are_known_to_be_lost(sizes):
    ring, pushed = Ring(LENGTH, 2), 0
    for size in sizes:
        ring.push(_numbered(pushed, size))
        pushed += size
    for begin in range(max(0, pushed - LENGTH), pushed):
        assert ring.holds(begin)
        found = ring.view(begin, pushed - begin)
        assert len(found) >= 1
        np.testing.assert_array_equal(found, _numbered(begin, len(found)))
    assert not ring.holds(pushed - LENGTH - 1)


def test_silence_and_what_is_forgotten():
    ring = Ring(LENGTH, 1)
    ring.push(np.ones((10, 1), np.float32))
    ring.clear()
    ring.push_silence(LENGTH)
    out = np.ones((LENGTH, 1), np.float32)
    assert ring.pull(out) == LENGTH
    assert not out.any()


def test_a_thread_may_push_what_another_pulls():
    ring, count, heard = Ring(100, 2), 20_000, []

    def write():
        at = 0
        while at < count:
            size = min(1 + at % 37, ring.room, count - at)
            ring.push(_numbered(at, size))
            at += size

    writer = threading.Thread(target=write)
    writer.start()
    out = np.zeros((23, 2), np.float32)
    while sum(map(len, heard)) < count:
        heard.append(out[: ring.pull(out)].copy())
    writer.join()
    np.testing.assert_array_equal(np.concatenate(heard), _numbered(0, count))


def test_nothing_is_allocated():
    ring, block = Ring(5_000, 2), np.ones((4_000, 2), np.float32)
    ring.push(block), ring.pull(block)
    tracemalloc.start()
    ring.push(block), ring.pull(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000
