"""Slow cores: which times are a slow phase, and the programs that take them."""

import os
import sys
import time
from collections import Counter

import numpy as np
import pytest

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench import core_speed as module
from rtsep_bench.core_speed import CORE, MEMORY, PERIOD_S, WINDOW, CoreSpeed, slow_phases

WINDOW_S = WINDOW * PERIOD_S


def _times(windows, seed=0):
    """When work began that took `windows` times 30 us, each for a whole window, and how long it took."""
    took = 30e-6 * np.repeat(windows, WINDOW)
    took *= np.random.default_rng(seed).uniform(0.9, 1.1, len(took))
    return list(5.0 + PERIOD_S * np.arange(len(took))), list(took)


def test_a_core_that_needs_twice_the_time_is_slow_from_then_until_then():
    begun_s, took_s = _times([1.0] * 20 + [1.8] * 7 + [1.0] * 20 + [2.5])
    first, last = slow_phases(begun_s, took_s, CORE)
    assert first.from_s == pytest.approx(5 + 20 * WINDOW_S)
    assert first.to_s == pytest.approx(5 + 27 * WINDOW_S)
    assert first.what == CORE
    assert (first.times, last.times) == pytest.approx((1.8, 2.5), rel=0.1)
    assert last.from_s == pytest.approx(5 + 47 * WINDOW_S)


def test_single_long_times_are_not_a_slow_core():
    begun_s, took_s = _times([1.0] * 20)
    for at in range(0, len(took_s), 3):
        took_s[at] = 0.03
    assert slow_phases(begun_s, took_s, CORE) == []


def test_a_core_that_is_slow_most_of_the_time_is_compared_with_the_rest_of_it():
    begun_s, took_s = _times([1.8] * 14 + [1.0] * 6)
    (phase,) = slow_phases(begun_s, took_s, CORE)
    assert phase.to_s == pytest.approx(5 + 14 * WINDOW_S)


def test_what_was_hardly_watched_was_not_slow():
    assert slow_phases([], [], CORE) == []
    assert slow_phases(*_times([1.0]), CORE) == []


linux_only = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")


# To which any machine is slow all the time.
STRICT = """
from rtsep_bench import core_speed
core_speed.SLOW_TIMES = 0.0
core_speed.main()
"""


@linux_only
def test_the_programs_say_when_on_this_program_s_clock(monkeypatch):
    strict = [sys.executable, "-c", STRICT]
    monkeypatch.setattr(child, "command", lambda module, core: [*strict, core])
    begun_s = time.monotonic()
    with CoreSpeed() as speed:
        time.sleep(1.0)
        programs = len(speed._programs)
    ended_s = time.monotonic()
    assert Counter(slow.what for slow in speed.slow) == {CORE: programs, MEMORY: programs}
    for slow in speed.slow:
        assert begun_s <= slow.from_s < slow.to_s <= ended_s
        assert slow.to_s - slow.from_s > 0.3 and slow.times > 0


@linux_only
def test_a_program_that_does_not_start_or_ends_early_is_an_error(monkeypatch):
    told = pytest.raises(RtsepError, match="times the cores ended before its time: exit status -9")
    with told, CoreSpeed() as speed:
        speed._programs[0].kill()
    monkeypatch.setattr(module, "MODULE", "rtsep_bench.nothing_of_that_name")
    with pytest.raises(RtsepError, match="times the cores did not start"), CoreSpeed():
        pytest.fail("measured without")
