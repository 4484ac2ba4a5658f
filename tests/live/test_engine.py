"""The engine: a pure delay under a unit mask, equal to offline, late masks counted and survived."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.errors import RtsepError, UsageError
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.mask_source import HOLD_HOPS
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.sliding import SlidingState
from rtsep.nets.view import views_of
from tests.live.streams import HOP, noise, offline, through

CLASSIC = PLANS["classic"]
SMALL = StreamPlan("small", frames=64, stride=64, look_ahead=0, compute_delay=61)
SLIDING = StreamPlan("sliding", frames=64, stride=8, look_ahead=3, compute_delay=5)
EVERY_HOP = StreamPlan("every hop", frames=64, stride=1, look_ahead=0, compute_delay=2)
EXTRAPOLATING = StreamPlan(
    "extrapolating", 64, stride=2, look_ahead=1, compute_delay=2, extrapolated=5
)
SEVERAL_VIEWS = StreamPlan(
    "several views", 128, stride=2, look_ahead=1, compute_delay=2, extrapolated=5,
    views=views_of({64: 3, 128: 1}),
)  # fmt: skip


def test_classic_is_two_images_of_128_frames():
    assert CLASSIC.latency_samples == 2 * 128 * HOP
    assert CLASSIC.history_frames == 256
    assert CLASSIC.mask_slots == 2
    assert 5.94 < CLASSIC.latency_ms / 1000 < 5.95


@pytest.mark.parametrize(
    "plan",
    [*PLANS.values(), SMALL, SLIDING, EVERY_HOP, EXTRAPOLATING, SEVERAL_VIEWS],
    ids=lambda p: p.name,
)
def test_a_unit_mask_is_a_pure_delay(start_engine, plan):
    engine = start_engine(plan)
    engine.bypass = True
    audio = noise(5 * HOP + 77)
    out = through(engine, audio)
    latency = plan.latency_samples
    assert np.abs(out[:latency]).max() < 1e-7
    np.testing.assert_allclose(out[latency:], audio, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 3 * HOP), min_size=1, max_size=6))
def test_a_pure_delay_for_any_block_sizes(two_stems, sizes):
    engine = Engine(*two_stems, SLIDING, {}, auto_level=False)
    engine.start()
    try:
        engine.bypass = True
        audio = noise(3 * HOP + 5, seed=1)
        out = through(engine, audio, [1 + sum(sizes) // 9, *sizes])
        np.testing.assert_allclose(out[SLIDING.latency_samples :], audio, atol=1e-6)
    finally:
        engine.stop()


def test_all_stems_together_are_the_delayed_input(start_engine):
    engine = start_engine(SLIDING, {"vocals": 1.0, "accompaniment": 1.0})
    audio = noise(20 * HOP, seed=2)
    out = through(engine, audio)
    np.testing.assert_allclose(out[SLIDING.latency_samples :], audio, atol=2e-6)


@pytest.mark.parametrize(
    ("plan", "sizes"),
    [
        (SMALL, (HOP,)),
        (SMALL, (3000, 17, 999)),
        (SLIDING, (256,)),
        (SLIDING, (3000, 17, 999)),
        (EVERY_HOP, (HOP,)),
        (EVERY_HOP, (256,)),
        (EXTRAPOLATING, (3000, 17, 999)),
        (SEVERAL_VIEWS, (256,)),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_streaming_equals_offline_however_workers_are_scheduled(
    start_engine, two_stems, plan, sizes, monkeypatch
):
    rng, run = np.random.default_rng(5), SlidingState.run

    def dawdle(state, *arguments):
        time.sleep(rng.random() * 0.01)
        first_read = run(state, *arguments)
        time.sleep(rng.random() * 0.01)
        return first_read

    monkeypatch.setattr(SlidingState, "run", dawdle)
    engine = start_engine(plan)
    frames = 3 * plan.stride if plan.stride > 8 else 80
    audio = noise(frames * HOP, seed=3)
    out = through(engine, audio, sizes)[plan.latency_samples :]
    # The last frames of the audio are not the last of the stream, so their masks may differ.
    sure = len(audio) - (plan.stride + plan.look_ahead + 3) * HOP
    np.testing.assert_allclose(out[:sure], offline(*two_stems, plan, audio)[:sure], atol=1e-5)
    assert engine.counters.late_masks == 0


def test_every_stem_on_its_own_channels(start_engine):
    engine = start_engine(SLIDING, {"vocals": 0.5}, separate_stems=True)
    out = through(engine, noise(20 * HOP, seed=4))
    mix, vocals, accompaniment = out[:, :2], out[:, 2:4], out[:, 4:6]
    np.testing.assert_allclose(mix, 0.5 * vocals, atol=1e-6)
    assert np.abs(accompaniment).max() > 0.01


class Gate:
    """Holds the nets back until it is opened."""

    def __init__(self, monkeypatch):
        self.open = threading.Event()
        run = SlidingState.run

        def gated(state, *arguments):
            self.open.wait(30)
            return run(state, *arguments)

        monkeypatch.setattr(SlidingState, "run", gated)


@pytest.mark.parametrize(("on_late", "level"), [("dry", 1.0), ("mute", 0.0)])
def test_late_masks_are_counted_and_follow_the_policy(start_engine, monkeypatch, on_late, level):
    engine = start_engine(EVERY_HOP, {"vocals": 1.0, "accompaniment": 1.0}, on_late=on_late)
    gate = Gate(monkeypatch)
    audio, out = noise(40 * HOP, seed=6), np.zeros((40 * HOP, 2), np.float32)
    engine.process(audio, out)  # nobody waits for the workers, and they are held back
    gate.open.set()
    # The frame that the last hop makes due would be mixed with the next sample.
    assert engine.counters.late_masks == 40 - EVERY_HOP.delay_hops - 1
    latency = EVERY_HOP.latency_samples
    steady = slice((HOLD_HOPS + 6) * HOP, 30 * HOP)
    # Before any mask has come there is nothing to hold: dry from the start.
    expected = audio[: len(audio) - latency] * (level if on_late == "mute" else 1.0)
    np.testing.assert_allclose(out[latency:][steady], expected[steady], atol=1e-6)


def test_held_masks_and_recovery_do_not_click(start_engine, monkeypatch):
    engine = start_engine(EVERY_HOP, {"vocals": 1.0}, on_late="mute")
    t = np.arange(120 * HOP) / 44_100
    audio = np.repeat(0.3 * np.sin(2 * np.pi * 220 * t)[:, None], 2, axis=1).astype(np.float32)
    first = list(run_unpaced(engine, [audio[: 40 * HOP]]))[0]
    gate = Gate(monkeypatch)
    late = np.zeros((40 * HOP, 2), np.float32)
    engine.process(audio[40 * HOP : 80 * HOP], late)
    gate.open.set()
    last = list(run_unpaced(engine, [audio[80 * HOP :]]))[0]
    assert engine.counters.late_masks > HOLD_HOPS
    out = np.concatenate([first, late, last])
    # A click is a jump of the second difference far beyond that of a 220 Hz tone of this level.
    curvature = np.abs(np.diff(out[10 * HOP :, 0], 2)).max()
    assert curvature < 3 * 0.3 * (2 * np.pi * 220 / 44_100) ** 2
    assert np.abs(out[-2 * HOP :]).max() > 0.01  # heard again


def test_a_failing_worker_is_named_with_its_cause(start_engine, monkeypatch):
    engine = start_engine(SLIDING)

    def broken(state, *arguments):
        raise ArithmeticError("no such number")

    monkeypatch.setattr(SlidingState, "run", broken)
    with pytest.raises(RtsepError, match="vocals.*no such number"):
        list(run_unpaced(engine, [noise(20 * HOP)]))


def test_stats_name_what_was_measured(start_engine):
    engine = start_engine(SLIDING)
    through(engine, noise(20 * HOP))
    stats = engine.stats()
    assert stats["hops"] > 20
    assert stats["latency_samples"] == SLIDING.latency_samples
    assert set(stats["worker_ms"]) == {"vocals", "accompaniment"}
    assert 0 < stats["worker_ms"]["vocals"]["p50"] <= stats["worker_ms"]["vocals"]["max"]
    assert 0 < stats["callback_ms"]["p50"] <= stats["callback_ms"]["p99"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((100, 1, 0, 1), "frames must be a multiple of 64: got frames=100"),
        ((64, 0, 0, 1), "stride=0"),
        ((64, 60, 5, 1), "60 \\+ 5 > 64"),
        ((64, 1, 0, 0.3), "multiple of 1/4 hop, at least 0: got compute_delay=0.3"),
        ((64, 1, 0, -1), "compute_delay=-1"),
        ((64, 1, 0, float("inf")), "compute_delay=inf"),
        ((64, 1, 0, float("nan")), "compute_delay=nan"),
        ((64, 1, 0, 1, 33), "at most half of frames: got 33 of 64"),
        ((64, 1, 0, 1, -1), "got -1 of 64"),
        ((64, 58, 3, 1, 4), "less those extrapolated: got 58 \\+ 3 > 60"),
    ],
)
def test_impossible_plans_are_refused(numbers, words):
    frames, stride, look_ahead, compute_delay, *extrapolated = numbers
    with pytest.raises(UsageError, match=words):
        StreamPlan("x", frames, stride, look_ahead, compute_delay, extrapolated=sum(extrapolated))


def test_unknown_names_are_refused(two_stems):
    with pytest.raises(UsageError, match="'fast'.*classic"):
        read_plan("fast")
    with pytest.raises(UsageError, match="no stem 'drums'"):
        Engine(*two_stems, SLIDING, {"drums": 1.0})
    with pytest.raises(UsageError, match="hold, dry, mute"):
        Engine(*two_stems, SLIDING, {}, on_late="wait")


@pytest.mark.parametrize("hops, runs", [(2, {0, 1}), (12, {10, 11})], ids=["two at once", "late"])
def test_windows_that_wait_are_computed_if_their_masks_are_still_to_be_heard(two_stems, hops, runs):
    config, nets = two_stems
    engine = Engine(config, nets, PLANS["low"], {"vocals": 1.0})
    engine.warm_up()
    out = np.zeros((HOP, 2), np.float32)
    for _ in range(hops):
        engine.process(noise(HOP), out)
    engine.start()
    try:
        engine.wait_for_workers()
        for worker in engine.workers:
            assert worker.durations.count == len(runs)
            assert all(worker.slots.read(run) is not None for run in runs)
    finally:
        engine.stop()
