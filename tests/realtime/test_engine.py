"""The engine: a pure delay under a unit mask, equal to offline, late masks counted and survived."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.errors import RtsepError, UsageError
from rtsep.models import weights
from rtsep.models.registry import find_model
from rtsep.models.sliding import SlidingState
from rtsep.models.unet import UNet, UNetState
from rtsep.plan import PLANS, StreamPlan, find_plan
from rtsep.realtime.engine import HOLD_HOPS, Engine
from rtsep.realtime.file_session import run_unpaced

CLASSIC = PLANS["classic"]
SMALL = StreamPlan("small", frames=64, stride=64, look_ahead=0, compute_delay=61)
SLIDING = StreamPlan("sliding", frames=64, stride=8, look_ahead=3, compute_delay=5)
EVERY_HOP = StreamPlan("every hop", frames=64, stride=1, look_ahead=0, compute_delay=2)
HOP = 1024


@pytest.fixture(scope="module")
def model(_made_up_weights_folder):
    config = find_model("spleeter:2stems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
        arrays = weights.load(config)
    return config, [UNet(config, arrays[stem]) for stem in config.stems]


@pytest.fixture
def make_engine(model):
    engines = []

    def make(plan, gains=None, **options):
        gains = {"vocals": 1.0} if gains is None else gains
        engine = Engine(*model, plan, gains, **{"auto_level": False, **options})
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


def _noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((samples, 2))).astype(np.float32)


def _through(engine, audio, sizes=(HOP,)):
    """`audio` and its latency of silence through the engine, in blocks of the given sizes."""
    audio = np.concatenate([audio, np.zeros((engine.plan.latency_samples, 2), np.float32)])

    def blocks():
        at = i = 0
        while at < len(audio):
            yield audio[at : at + sizes[i % len(sizes)]]
            at += sizes[i % len(sizes)]
            i += 1

    return np.concatenate(list(run_unpaced(engine, blocks())))


def test_classic_is_two_images_of_128_frames():
    assert CLASSIC.latency_samples == 2 * 128 * HOP
    assert CLASSIC.history_frames == 256
    assert CLASSIC.mask_slots == 2
    assert 5.94 < CLASSIC.latency_ms / 1000 < 5.95


@pytest.mark.parametrize("plan", [*PLANS.values(), SMALL, SLIDING, EVERY_HOP], ids=lambda p: p.name)
def test_a_unit_mask_is_a_pure_delay(make_engine, plan):
    engine = make_engine(plan)
    engine.bypass = True
    audio = _noise(5 * HOP + 77)
    out = _through(engine, audio)
    latency = plan.latency_samples
    assert np.abs(out[:latency]).max() < 1e-7
    np.testing.assert_allclose(out[latency:], audio, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 3 * HOP), min_size=1, max_size=6))
def test_a_pure_delay_for_any_block_sizes(model, sizes):
    engine = Engine(*model, SLIDING, {}, auto_level=False)
    engine.start()
    try:
        engine.bypass = True
        audio = _noise(3 * HOP + 5, seed=1)
        out = _through(engine, audio, [1 + sum(sizes) // 9, *sizes])
        np.testing.assert_allclose(out[SLIDING.latency_samples :], audio, atol=1e-6)
    finally:
        engine.stop()


def test_all_stems_together_are_the_delayed_input(make_engine):
    engine = make_engine(SLIDING, {"vocals": 1.0, "accompaniment": 1.0})
    audio = _noise(20 * HOP, seed=2)
    out = _through(engine, audio)
    np.testing.assert_allclose(out[SLIDING.latency_samples :], audio, atol=2e-6)


def _offline(model, plan, audio):
    """The plan's masks, window by window, and the transform, written out in float64."""
    config, nets = model
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    frames = len(audio) // HOP
    padded = np.concatenate([np.zeros((3 * HOP, 2)), audio.astype(np.float64)])
    spectra = np.stack(
        [np.fft.rfft(padded[t * HOP : t * HOP + 4096].T * window) for t in range(frames)]
    )
    magnitude = np.abs(spectra[:, :, : config.bins]).transpose(0, 2, 1).astype(np.float32)
    history = np.concatenate([np.zeros((plan.frames, config.bins, 2), np.float32), magnitude])
    state, square = UNetState(plan.frames, config.bins), []
    masks = np.zeros((plan.frames, 2, config.bins), np.float32)
    for net in nets:
        estimates = np.zeros((frames, 2, config.bins))
        for newest in range(plan.stride - 1, frames, plan.stride):
            state.run(net, history[newest + 1 : newest + 1 + plan.frames], masks)
            for back in range(plan.stride):
                t = newest - plan.look_ahead - back
                if t >= 0:
                    estimates[t] = masks[plan.frames - 1 - plan.look_ahead - back]
        square.append((estimates * magnitude.transpose(0, 2, 1)) ** 2)
    ratio = (square[0] + 0.5e-10) / (sum(square) + 1e-10)
    beyond = np.repeat(ratio.mean(2, keepdims=True), 2049 - config.bins, 2)
    mask = np.concatenate([ratio, beyond], 2)
    out = np.zeros_like(padded)
    for t in range(frames):
        frame = np.fft.irfft(spectra[t] * mask[t]).T
        out[t * HOP : t * HOP + 4096] += frame * window[:, None] * 2 / 3
    return out[3 * HOP :]


@pytest.mark.parametrize("plan", [SMALL, SLIDING, EVERY_HOP], ids=lambda p: p.name)
@pytest.mark.parametrize("sizes", [(HOP,), (256,), (3000, 17, 999)], ids=str)
def test_streaming_equals_offline_however_workers_are_scheduled(
    make_engine, model, plan, sizes, monkeypatch
):
    rng, run = np.random.default_rng(5), SlidingState.run

    def dawdle(state, *arguments):
        time.sleep(rng.random() * 0.01)
        first_read = run(state, *arguments)
        time.sleep(rng.random() * 0.01)
        return first_read

    monkeypatch.setattr(SlidingState, "run", dawdle)
    engine = make_engine(plan)
    frames = 3 * plan.stride if plan.stride > 8 else 80
    audio = _noise(frames * HOP, seed=3)
    out = _through(engine, audio, sizes)[plan.latency_samples :]
    # The last frames of the audio are not the last of the stream, so their masks may differ.
    sure = len(audio) - (plan.stride + plan.look_ahead + 3) * HOP
    np.testing.assert_allclose(out[:sure], _offline(model, plan, audio)[:sure], atol=1e-5)
    assert engine.counters.late_masks == 0


def test_every_stem_on_its_own_channels(make_engine):
    engine = make_engine(SLIDING, {"vocals": 0.5}, separate_stems=True)
    out = _through(engine, _noise(20 * HOP, seed=4))
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
def test_late_masks_are_counted_and_follow_the_policy(make_engine, monkeypatch, on_late, level):
    engine = make_engine(EVERY_HOP, {"vocals": 1.0, "accompaniment": 1.0}, on_late=on_late)
    gate = Gate(monkeypatch)
    audio, out = _noise(40 * HOP, seed=6), np.zeros((40 * HOP, 2), np.float32)
    engine.process(audio, out)  # nobody waits for the workers, and they are held back
    gate.open.set()
    assert engine.counters.late_masks == 40 - EVERY_HOP.delay_hops
    latency = EVERY_HOP.latency_samples
    steady = slice((HOLD_HOPS + 6) * HOP, 30 * HOP)
    # Before any mask has come there is nothing to hold: dry from the start.
    expected = audio[: len(audio) - latency] * (level if on_late == "mute" else 1.0)
    np.testing.assert_allclose(out[latency:][steady], expected[steady], atol=1e-6)


def test_held_masks_and_recovery_do_not_click(make_engine, monkeypatch):
    engine = make_engine(EVERY_HOP, {"vocals": 1.0}, on_late="mute")
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


def test_a_failing_worker_is_named_with_its_cause(make_engine, monkeypatch):
    engine = make_engine(SLIDING)

    def broken(state, *arguments):
        raise ArithmeticError("no such number")

    monkeypatch.setattr(SlidingState, "run", broken)
    with pytest.raises(RtsepError, match="vocals.*no such number"):
        list(run_unpaced(engine, [_noise(20 * HOP)]))


def test_nonfinite_input_is_silenced_counted_and_over_at_the_next_block(make_engine):
    engine = make_engine(SLIDING, {"vocals": 1.0, "accompaniment": 1.0})
    audio = _noise(30 * HOP, seed=8)
    audio[5 * HOP + 3, 1] = np.nan
    out = _through(engine, audio)[SLIDING.latency_samples :]
    audio[5 * HOP : 6 * HOP] = 0
    np.testing.assert_allclose(out, audio, atol=2e-6)
    assert engine.counters.nonfinite_blocks == 1


def test_stats_name_what_was_measured(make_engine):
    engine = make_engine(SLIDING)
    _through(engine, _noise(20 * HOP))
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
    ],
)
def test_impossible_plans_are_refused(numbers, words):
    with pytest.raises(UsageError, match=words):
        StreamPlan("x", *numbers)


def test_unknown_names_are_refused(model):
    with pytest.raises(UsageError, match="'fast'.*classic"):
        find_plan("fast")
    with pytest.raises(UsageError, match="no stem 'drums'"):
        Engine(*model, SLIDING, {"drums": 1.0})
    with pytest.raises(UsageError, match="hold, dry, mute"):
        Engine(*model, SLIDING, {}, on_late="wait")
