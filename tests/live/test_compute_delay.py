"""Compute delays below a hop and of none: the same pure delay, and what becomes of late workers."""

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.live.engine import Engine
from rtsep.live.exchange import Bell, FrameHistory
from rtsep.live.plans.plan import MOST_WAITED, StreamPlan
from rtsep.nets.sliding import SlidingState
from tests.choices import each_once
from tests.live.streams import HOP, noise, offline, through

DELAYS = (0, 0.25, 0.5, 0.75, 1, 2)
PLAN = StreamPlan("", frames=64, stride=2, look_ahead=1, compute_delay=0)


def with_delay(compute_delay, **numbers):
    return replace(PLAN, compute_delay=compute_delay, **numbers)


@pytest.mark.parametrize("asymmetric", [False, True], ids=["hann", "asymmetric"])
@pytest.mark.parametrize("compute_delay", [*DELAYS, 3.25])
def test_the_latency_is_the_formula(compute_delay, asymmetric):
    plan = with_delay(compute_delay, asymmetric=asymmetric)
    hops = plan.look_ahead + plan.stride - 1 + compute_delay + (2 if asymmetric else 4)
    assert plan.latency_samples == hops * HOP
    assert isinstance(plan.latency_samples, int)


@settings(max_examples=30, deadline=None)
@given(
    compute_delay=st.sampled_from(DELAYS),
    sizes=st.lists(st.integers(1, 3 * HOP), min_size=1, max_size=6),
    independent=st.booleans(),
    asymmetric=st.booleans(),
)
def test_a_pure_delay_for_any_block_sizes(two_stems, compute_delay, sizes, independent, asymmetric):
    config, nets = two_stems
    plan = with_delay(compute_delay, asymmetric=asymmetric)
    stems, nets = (("vocals",), nets[:1]) if independent else (None, nets)
    gains = dict.fromkeys(config.stems, 1.0)
    engine = Engine(config, nets, plan, gains, independent=stems, auto_level=False)
    engine.start()
    try:
        audio = noise(5 * HOP + 5, seed=1)
        out = through(engine, audio, [1 + sum(sizes) // 9, *sizes])
    finally:
        engine.stop()
    assert engine.counters.late_masks == 0
    np.testing.assert_allclose(out[: plan.latency_samples], 0, atol=1e-7)
    np.testing.assert_allclose(out[plan.latency_samples :], audio, atol=2e-6)


@pytest.mark.parametrize(
    ("numbers", "sizes"),
    each_once(
        [(1, 0), (1, 0.25), (2, 0.75), (4, 0), (4, 3.5), (2, 4)],
        [(HOP,), (256,), (3000, 17, 999)],
    ),
    ids=str,
)
def test_streaming_equals_offline(two_stems, start_engine, numbers, sizes):
    # The workers are done long before their masks are due: none may be overwritten by then.
    stride, compute_delay = numbers
    plan = with_delay(compute_delay, stride=stride)
    engine = start_engine(plan)
    audio = noise(40 * HOP, seed=3)
    out = through(engine, audio, sizes)[plan.latency_samples :]
    sure = len(audio) - (plan.stride + plan.look_ahead + 3) * HOP
    np.testing.assert_allclose(out[:sure], offline(*two_stems, plan, audio)[:sure], atol=1e-5)
    assert engine.counters.late_masks == 0


def test_without_compute_delay_the_callback_waits(two_stems, start_engine, monkeypatch):
    run, rng = SlidingState.run, np.random.default_rng(4)

    def dawdle(state, *arguments):
        time.sleep(rng.random() * 0.01)
        return run(state, *arguments)

    monkeypatch.setattr(SlidingState, "run", dawdle)
    # So long that nothing comes late however busy the machine is.
    monkeypatch.setattr("rtsep.live.signal_path.MOST_WAITED", 100.0)
    plan = with_delay(0, stride=1)
    engine = start_engine(plan)
    audio = noise(40 * HOP, seed=5)
    out = np.zeros_like(audio)
    for at in range(0, len(audio), 1600):  # hops end within blocks
        engine.process(audio[at : at + 1600], out[at : at + 1600])
    assert engine.counters.late_masks == 0
    sure = slice(plan.latency_samples, len(audio))
    expected = offline(*two_stems, plan, audio)[: len(audio) - plan.latency_samples]
    np.testing.assert_allclose(out[sure], expected, atol=1e-5)


@pytest.mark.parametrize("compute_delay", DELAYS)
def test_it_never_waits_for_ever_and_late_is_late(start_engine, monkeypatch, compute_delay):
    opened, run = threading.Event(), SlidingState.run

    def gated(state, *arguments):
        opened.wait(60)
        return run(state, *arguments)

    plan = with_delay(compute_delay)
    engine = start_engine(plan)
    monkeypatch.setattr(SlidingState, "run", gated)
    try:
        audio = noise(10 * HOP)
        engine.process(audio, np.zeros_like(audio))
        # The frames that have come due, but for one that waits for the sample after its offset.
        due = 10 - plan.delay_hops - 1
        assert engine.counters.late_masks == due
        assert not opened.is_set()
    finally:
        opened.set()


@pytest.mark.parametrize("block", [64, 256, 441, 512, 940, 1024, 1500, 2048, 4096])
@pytest.mark.parametrize("compute_delay", DELAYS[1:])
def test_time_for_a_run_is_counted_in_whole_blocks(block, compute_delay):
    plan = with_delay(compute_delay, stride=1)
    ends = range(HOP, HOP * (block + 1), HOP)
    # Of each window, the block that completes it and the one that asks for its masks.
    completed = [(end - 1) // block for end in ends]
    asking = [(end + int(compute_delay * HOP)) // block for end in ends]
    granted = block * min(after - before for before, after in zip(completed, asking))
    if not granted and compute_delay >= 1:
        # The runs whose masks the same block asks for share what its callback waits.
        most = max(Counter(a for a, b in zip(completed, asking) if a == b).values())
        granted = MOST_WAITED * block / most
    expected = 1000 * min(HOP, granted) / 44_100
    assert plan.time_for_run_ms(block) == pytest.approx(expected)


def test_without_compute_delay_a_run_has_what_the_callback_waits():
    plan = with_delay(0, stride=1)
    hop_ms = 1000 * HOP / 44_100
    assert plan.deadline_ms == pytest.approx(MOST_WAITED * hop_ms)
    assert plan.time_for_run_ms(256) == pytest.approx((1 + MOST_WAITED) * hop_ms / 4)
    assert plan.time_for_run_ms(1024) == pytest.approx(hop_ms)
    assert plan.time_for_run_ms(2048) == pytest.approx(MOST_WAITED * hop_ms)


def test_a_bell_wakes_whoever_waits_and_is_kept_until_then():
    bell, looks = Bell(), []

    def looked(wanted):
        looks.append(1)
        return len(looks) == wanted

    bell.ring()
    bell.ring()  # twice is as good as once
    # Looked at first, after the ring, and when the time is over.
    assert not bell.wait_for(lambda: looked(4), time.perf_counter() + 0.3)
    assert len(looks) == 3
    threading.Timer(0.05, bell.ring).start()
    # The first look is in vain, the one after the ring is not.
    assert bell.wait_for(lambda: looked(5), time.perf_counter() + 60)
    assert not bell.wait_for(lambda: False, 0.0)


@given(
    stride=st.integers(1, 64),
    look_ahead=st.integers(0, 16),
    compute_delay=st.sampled_from([*DELAYS, 5, 61.5, 130]),
)
def test_frames_are_kept_and_masks_are_not_replaced_until_they_are_heard(
    stride, look_ahead, compute_delay
):
    plan = StreamPlan("", 128, stride, look_ahead, compute_delay)
    history = FrameHistory(plan, bins=1)
    run = 200 // stride
    complete = next(frame for frame in range(200 - stride, 400) if plan.run_after(frame) == run)
    # What the workers read is whole until the masks are due, and a sample before the next hop.
    history.newest = complete + int(compute_delay)
    assert history.holds(plan.window_stop(run) - plan.real_frames)
    # The newest frame when the last of the run's frames is mixed, and the run that is then newest.
    last = max(f for f in range(complete - 128, complete + 1) if plan.run_of(f)[0] == run)
    newest = last + plan.delay_hops
    assert newest - history.length < last
    assert (newest + 1) // stride - 1 < run + plan.mask_slots
