"""Devices that ask in bursts: the callback waits where it is asked ahead of time, and nowhere else."""

import time

import numpy as np
import pytest

from rtsep.live import device_adapter
from rtsep.live.asked_ahead import AT_ONCE, MARGIN_S, AskedAhead
from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.plans.notation import read_plan
from rtsep.nets.sliding import SlidingState
from tests.live.streams import HOP, noise, offline

RATE, BLOCK = 48_000, 480
BLOCK_S = BLOCK / RATE
PLAN = read_plan("64/1/1/1/hann/4")


def _waits_s(times_s, took_s=0.0):
    """What the callback of each block may wait, for blocks asked for at these times; else 0."""
    asked, waits_s = AskedAhead(RATE), []
    for now_s in times_s:
        until_s = asked.wait_until_s(BLOCK, now_s)
        waits_s.append(until_s - now_s if until_s else 0.0)
        asked.answered(now_s + took_s, late=False)
    return np.array(waits_s)


def _regular(count, jitter_s=0.0, seed=0):
    jitter = np.random.default_rng(seed).uniform(0, jitter_s, count)
    return 100 + BLOCK_S * np.arange(count) + jitter


@pytest.mark.parametrize("jitter_s", [0, 0.7 * BLOCK_S])
def test_a_regular_device_is_never_waited_for(jitter_s):
    assert not _waits_s(_regular(1000, jitter_s)).any()


@pytest.mark.parametrize("blocks", [2, 20])
def test_within_a_burst_a_block_may_take_as_long_as_the_sound_given_since_it_began(blocks):
    place = np.arange(1200) % blocks
    took_s = 1e-4
    times_s = _regular(1200) - BLOCK_S * place + took_s * place
    expected_s = np.maximum(0, (BLOCK_S - took_s) * place - MARGIN_S)
    np.testing.assert_allclose(_waits_s(times_s, took_s), expected_s, atol=1e-9)


def test_a_device_is_never_kept_waiting_for_longer_than_what_it_was_given_lasts():
    """Bursts of any size on a device that had nothing left, answered as late as is allowed."""
    rng, asked, now_s, empty_s = np.random.default_rng(3), AskedAhead(RATE), 100.0, None
    for _ in range(500):
        for block in range(rng.integers(1, 12)):
            if block == 0:
                empty_s = now_s  # worst case
            now_s = max(now_s, asked.wait_until_s(BLOCK, now_s))
            asked.answered(now_s, late=False)
            assert now_s <= empty_s
            empty_s += BLOCK_S
        now_s = empty_s + rng.uniform(AT_ONCE, 5) * BLOCK_S


def test_a_moment_in_which_the_machine_stood_still_is_no_time_to_wait():
    """The device asks for what it missed, and then as before: what it keeps is not spent."""
    times_s = _regular(3000)
    for stalled in range(70, 3000, 200):
        times_s[stalled] += 0.7 * BLOCK_S
    assert not _waits_s(times_s).any()


def test_nets_that_do_not_keep_up_are_not_waited_for():
    asked = AskedAhead(RATE)
    now_s, allowed = 100.0, []
    for block in range(1000):
        now_s += 2.0 if block == 500 else 0.0
        until_s = asked.wait_until_s(BLOCK, now_s)
        allowed.append(until_s > 0)
        now_s = max(now_s + 1e-3, until_s)
        asked.answered(now_s, late=until_s > 0)
    # Once, in vain, and once more in the burst of seconds later.
    assert [sum(allowed[:500]), sum(allowed[500:])] == [1, 1]


@pytest.mark.parametrize("together", [False, True], ids=["blocks", "one block"])
def test_bursts_of_four_hops_have_no_late_mask(start_engine, two_stems, monkeypatch, together):
    """Runs that take a third of a hop, four hops at once: without waiting three of four are late."""
    run = SlidingState.run

    def slow(state, *arguments):
        time.sleep(0.3 * HOP / 44_100)
        return run(state, *arguments)

    monkeypatch.setattr(SlidingState, "run", slow)
    # The margin is for devices; so long that nothing depends on how busy the machine is.
    monkeypatch.setattr("rtsep.live.signal_path.MOST_WAITED", 100.0)
    monkeypatch.setattr(device_adapter, "AskedAhead", _PatientDevice)
    engine = start_engine(PLAN)
    adapter = DeviceAdapter(engine, 44_100, 2, 2)
    audio = noise(40 * HOP, seed=5)
    out = np.zeros_like(audio)
    for burst in range(0, len(audio), 4 * HOP):
        engine.wait_for_workers()
        step = 4 * HOP if together else HOP
        for at in range(burst, burst + 4 * HOP, step):
            adapter.process(audio[at : at + step], out[at : at + step])
    assert engine.counters.late_masks == 0
    assert engine.counters.waited_s > 0
    # What is waited for is not the callback's own time.
    own_s = engine.callback_durations.newest(1000).sum()
    assert own_s < engine.counters.waited_s
    sure = slice(PLAN.latency_samples, len(audio))
    expected = offline(*two_stems, PLAN, audio)[: len(audio) - PLAN.latency_samples]
    np.testing.assert_allclose(out[sure], expected, atol=1e-5)


class _PatientDevice(AskedAhead):
    """Asks for four hops at once, and plays them so slowly that no machine is too busy."""

    def __init__(self, rate):
        super().__init__(rate)
        self._asked = 0

    def wait_until_s(self, samples, now_s):
        is_first = self._asked % (4 * HOP) == 0
        self._asked += samples
        return 0.0 if is_first else now_s + 60.0


def test_a_regular_stream_holds_masks_that_are_late(start_engine, monkeypatch):
    run = SlidingState.run

    def slow(state, *arguments):
        time.sleep(3 * HOP / 44_100)
        return run(state, *arguments)

    engine = start_engine(PLAN)
    monkeypatch.setattr(SlidingState, "run", slow)
    adapter = DeviceAdapter(engine, 44_100, 2, 2)
    audio, out = noise(30 * HOP), np.zeros((HOP, 2), np.float32)
    due = time.perf_counter()
    for at in range(0, len(audio), HOP):
        due += HOP / 44_100
        time.sleep(max(0.0, due - time.perf_counter()))
        adapter.process(audio[at : at + HOP], out)
    assert engine.counters.late_masks > 10
    assert engine.counters.waited_s < 0.5 * len(audio) / 44_100
