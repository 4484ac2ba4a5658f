"""NaN, absurd values and clicks from a device: heard again at once, counted, and told."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import rtsep
from rtsep.dsp.bad_samples import LIMIT
from rtsep.errors import RtsepError
from rtsep.live.adaptive import AdaptiveEngine
from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.engine import Engine
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.sliding import SlidingState
from rtsep.nets.unet import UNet
from tests.live.streams import HOP, noise, push, through
from tests.weights.made_up_weights import made_up_arrays

SLIDING = StreamPlan("sliding", frames=64, stride=4, look_ahead=2, compute_delay=4)
ALL = {"vocals": 1.0, "accompaniment": 1.0}
BAD = [np.nan, np.inf, -np.inf, 1e38, -2 * LIMIT]


@pytest.mark.parametrize("value", BAD)
def test_a_bad_sample_is_one_sample_and_no_more(start_engine, value):
    engine = start_engine(SLIDING, ALL, auto_level=True)
    audio = noise(30 * HOP, seed=8)
    clean = audio.copy()
    audio[5 * HOP + 3, 1] = value
    clean[5 * HOP + 3, 1] = (clean[5 * HOP + 2, 1] + clean[5 * HOP + 4, 1]) / 2
    out = through(engine, audio, (700,))[SLIDING.latency_samples :]
    np.testing.assert_allclose(out, clean, atol=2e-6)
    stats = engine.stats()
    assert (stats["bad_samples"], stats["nonfinite_blocks"]) == (1, 1)


def test_nothing_but_bad_samples_is_silence_and_music_is_heard_after_it(start_engine):
    engine = start_engine(SLIDING, ALL)
    audio = noise(40 * HOP)
    audio[10 * HOP : 14 * HOP] = np.nan
    out = through(engine, audio)[SLIDING.latency_samples :]
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[14 * HOP :], audio[14 * HOP :], atol=2e-6)
    assert engine.counters.bad_samples == 4 * HOP
    assert engine.counters.nonfinite_blocks == 4


@pytest.mark.parametrize(
    ("plan", "values"),
    [(PLANS["low"], [1e4]), (PLANS["balanced"], [50.0, LIMIT])],
    ids=lambda value: getattr(value, "name", ""),
)
def test_after_a_click_the_stems_are_soon_what_they_were(start_engine, plan, values):
    audio, at = noise(300 * HOP, seed=3), 100 * HOP
    sounds = [audio]
    for value in values:
        sounds.append(audio.copy())
        sounds[-1][at + 500] += value
    heard = [through(start_engine(plan, auto_level=True), sound) for sound in sounds]
    # What is left of it in a window, and a second.
    begins = at + plan.latency_samples + max(plan.frames * HOP, 44_100)
    levels_db = [20 * np.log10(np.std(out[begins:])) for out in heard]
    assert levels_db[1:] == pytest.approx(levels_db[:1] * len(values), abs=1)


@pytest.mark.parametrize(
    ("rate", "channels_in", "value"),
    [
        (44_100, 1, np.nan),
        (44_100, 2, 1e38),
        (48_000, 1, 1e38),
        (48_000, 2, np.nan),
        (16_000, 1, np.nan),
        (16_000, 2, 1e38),
    ],
)
def test_a_bad_sample_from_a_device_is_heard_for_no_longer_than_a_click(
    start_engine, rate, channels_in, value
):
    audio = noise(60 * HOP)[:, :channels_in]
    clean = audio.copy()
    audio[20 * HOP + 7, 0] = value
    clean[20 * HOP + 7, 0] = (clean[20 * HOP + 6, 0] + clean[20 * HOP + 8, 0]) / 2
    kept = audio.copy()
    heard = []
    for sound in (audio, clean):
        bridge = DeviceAdapter(start_engine(SLIDING, ALL), rate, channels_in, 2)
        heard.append(_played(bridge, sound))
        if sound is audio:
            assert bridge.engine.counters.bad_samples == 1
    np.testing.assert_allclose(*heard, atol=1e-5)
    assert np.std(heard[0][-10 * HOP :]) > 0.02
    np.testing.assert_array_equal(audio, kept)  # a device's buffer is not ours


def _played(bridge, sound, block=480):
    out = np.zeros((len(sound), 2), np.float32)
    for at in range(0, len(sound), block):
        bridge.engine.wait_for_workers()
        bridge.process(sound[at : at + block], out[at : at + block])
    return out


def test_bad_samples_are_counted_once_across_a_change_of_plan(two_stems):
    engine = AdaptiveEngine(
        lambda plan: Engine(*two_stems, plan, ALL), PLANS["low"], lambda line: None, watching=False
    )
    engine.start()
    try:
        audio = noise(100 * HOP)
        audio[95 * HOP : 95 * HOP + 3] = np.nan
        push(engine, audio)
        engine.change_plan(PLANS["balanced"], "because")
        out = push(engine, noise(60 * HOP))
        audio[:2] = np.inf
        push(engine, audio[:HOP])
    finally:
        engine.stop()
    assert np.isfinite(out).all()
    assert engine.stats()["bad_samples"] == 5
    assert engine.stats()["nonfinite_blocks"] == 2


@pytest.fixture
def damaged(two_stems):
    """The two nets, with one number of the first one's weights no longer a number."""
    config, nets = two_stems
    arrays = {name: array.copy() for name, array in made_up_arrays(0).items()}
    arrays["conv3/bias"][5] = np.nan
    return config, [UNet(config, arrays), nets[1]]


def test_a_damaged_net_is_found_before_anything_is_heard(damaged):
    engine = Engine(*damaged, SLIDING, ALL)
    with pytest.raises(RtsepError, match=r"the net of vocals .* weights are damaged.*verify"):
        engine.start()


def test_masks_that_are_not_numbers_are_never_heard(start_engine, monkeypatch):
    engine = start_engine(SLIDING, ALL)
    run, runs = SlidingState.run, []

    def failing(state, net, magnitudes, gains, start, masks):
        first = run(state, net, magnitudes, gains, start, masks)
        runs.append(start)
        if len(runs) > 10:
            masks[:] = np.nan
        return first

    monkeypatch.setattr(SlidingState, "run", failing)
    out = np.zeros((HOP, 2), np.float32)
    with pytest.raises(RtsepError, match="masks that are not numbers"):
        for _ in range(60):
            with contextlib.suppress(RtsepError):  # heard on, as on a device
                engine.wait_for_workers()
            engine.process(noise(HOP), out)
            assert np.isfinite(out).all()
        engine.check()


def test_offline_a_damaged_net_is_an_error(monkeypatch, damaged):
    monkeypatch.setattr(
        "rtsep.offline.separator.load_nets", lambda config, progress, precision: damaged[1]
    )
    with pytest.raises(RtsepError, match="the net of vocals"):
        rtsep.Separator().separate(noise(5000), 44_100)
