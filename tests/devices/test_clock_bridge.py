"""Two clocks, simulated for minutes: drift, jitter, bursts, devices that stop."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.devices import dry_watch
from rtsep.devices.clock_bridge import FADE_S, OBSERVE_S, SETTLE_S, ClockBridge
from rtsep.devices.drift_loop import MOST_PUSH, DriftLoop
from rtsep.devices.dry_watch import DRY_TIMES, STEP_S, WET_S, DryWatch
from tests.devices.two_clocks import OUTPUT_BEGINS_S, Device, run

TONE_HZ, SLOW_HZ, LEVEL = 997.0, 3.0, 0.5
LOCKED_S = 25
# Samples of a spectrum, and how far from the tone its side-bands count as wow, which is slow.
WINDOW, WOW_HZ = 1 << 16, 5.0


def tones(seconds):
    """A tone, and one so slow that its phase tells the delay without a doubt."""
    angles = 2 * np.pi * np.outer(seconds, [TONE_HZ, SLOW_HZ])
    return LEVEL * np.sin(angles)


def signal_to_noise_db(heard, rate):
    """Of the tone, window by window, at worst."""
    ratios = []
    for start in range(0, len(heard) - WINDOW, WINDOW):
        part = heard[start : start + WINDOW] * np.kaiser(WINDOW, 22)
        power = np.abs(np.fft.rfft(part)) ** 2
        peak, near = int(np.argmax(power)), int(WOW_HZ * WINDOW / rate) + 8
        tone = power[peak - near : peak + near + 1].sum()
        ratios.append(10 * np.log10(tone / (power.sum() - tone)))
    return min(ratios)


def delays_s(heard, first_s, source, target):
    """From the input's time to the output's, every half second from `first_s` on, by the phases."""
    length, delays = target.rate // 3, []
    for start in range(int(first_s * target.rate), len(heard) - length, target.rate // 2):
        now_s = OUTPUT_BEGINS_S + start / target.true_rate
        late_s = []
        for side, frequency_hz in enumerate((TONE_HZ, SLOW_HZ)):
            true_hz = frequency_hz * source.true_rate / source.rate
            angles = 2 * np.pi * true_hz / target.rate * np.arange(length)
            waves = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            there, *_ = np.linalg.lstsq(waves, heard[start : start + length, side])
            late_s.append(((now_s * true_hz - np.arctan2(*there) / (2 * np.pi)) % 1) / true_hz)
        fine, coarse = late_s
        delays.append(fine + round((coarse - fine) * TONE_HZ) / TONE_HZ)
    return np.array(delays)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Device(44_100, 1024, ppm=50), Device(44_100, 1024)),
        (Device(44_100, 256, ppm=-50), Device(44_100, 1024)),
        (Device(48_000, 1024, ppm=300), Device(44_100, 512)),
        (Device(44_100, 441, ppm=-300), Device(48_000, 1024)),
        (Device(44_100, 1024, ppm=20, burst=4), Device(44_100, 1024, burst=2)),
        (Device(96_000, 1024, ppm=5), Device(48_000, 1024)),
    ],
    ids=lambda device: f"{device.rate}{device.ppm:+.0f}ppm/{device.block}x{device.burst}",
)
def test_drift_is_followed_and_not_heard(source, target):
    done = run(source, target, tones, 120)
    bridge = done.bridge
    assert (bridge.underflows, bridge.overflows) == (0, 0)
    assert bridge.drift_ppm == pytest.approx(source.ppm, abs=10)
    assert np.ptp(done.drift_ppm[len(done.drift_ppm) // 3 :]) < 50

    assert signal_to_noise_db(done.heard[LOCKED_S * target.rate :, 0], target.rate) > 80
    # The delay that is told, all the time. Blocks of a burst are asked for early, all but the first.
    delays = delays_s(done.heard, LOCKED_S, source, target)
    early_s = (target.burst - 1) / 2 * target.block / target.rate
    assert delays.mean() == pytest.approx(bridge.delay_s + early_s, abs=0.001)
    assert np.ptp(delays) < 0.001


def test_a_clock_that_is_far_off_is_found():
    source, target = Device(44_100, 512, ppm=2000), Device(44_100, 512)
    done = run(source, target, tones, 60)
    assert (done.bridge.underflows, done.bridge.overflows) == (0, 0)
    assert done.bridge.drift_ppm == pytest.approx(2000, abs=100)


def test_nothing_is_heard_or_counted_before_both_run():
    bridge = ClockBridge(44_100, 44_100, 1, 0.02, 0.02)
    out = np.ones((441, 1), np.float32)
    for turn in range(300):
        bridge.read(out, turn / 100)
        assert not out.any()
    now_s = 3.0
    while now_s < 3 + SETTLE_S + OBSERVE_S:
        bridge.write(np.ones((441, 1), np.float32), now_s)
        bridge.read(out, now_s)
        assert not out.any()
        now_s += 0.01
    assert (bridge.underflows, bridge.overflows) == (0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("rate_in", [44_100, 48_000])
def test_bad_samples_are_mended_before_the_resampler_and_counted(rate_in, value):
    def broken(seconds):
        sound = tones(seconds)
        if seconds[0] <= 5 < seconds[-1]:
            sound[100:104, 1] = value
        return sound

    source, target = Device(rate_in, 512), Device(44_100, 512)
    done, whole = run(source, target, broken, 10), run(source, target, tones, 10)
    assert done.bridge.bad_samples == 4
    assert whole.bridge.bad_samples == 0
    # So slow a tone is a line there, and not one sample else is touched.
    np.testing.assert_allclose(done.heard, whole.heard, atol=1e-4)


# What a fade from full level adds to the steepest slope of the tones.
STEEPEST = 1.05 * (LEVEL * 2 * np.pi * TONE_HZ / 44_100 + LEVEL / (FADE_S * 44_100))


def test_an_input_that_stops_is_counted_once_and_does_not_click():
    source, target = Device(44_100, 512), Device(44_100, 512)
    done = run(source, target, tones, 60, pauses=[(source, 30, 31)])
    assert (done.bridge.underflows, done.bridge.overflows) == (1, 0)
    assert not done.heard[round(30.2 * 44_100) : round(30.9 * 44_100)].any()
    assert np.abs(np.diff(done.heard, axis=0)).max() < STEEPEST
    # What was not handed over is not heard later: the delay is the same again.
    delays = delays_s(done.heard, 50, source, target)
    np.testing.assert_allclose(delays, done.bridge.delay_s, atol=0.001)


@pytest.mark.parametrize(("apart_s", "longer"), [(2, 1), (31, 0)])
def test_an_input_that_falls_short_again_and_again_is_kept_for_longer(apart_s, longer):
    source, target = Device(44_100, 512), Device(44_100, 512)
    begins_s = [20 + apart_s * number for number in range(DRY_TIMES)]
    pauses = [(source, begin, begin + 0.1) for begin in begins_s]
    done = run(source, target, tones, begins_s[-1] + 40, pauses=pauses)
    before = ClockBridge(source.rate, target.rate, 2, source.most_s, target.most_s)
    assert done.bridge.underflows == DRY_TIMES
    assert done.bridge.delay_s == pytest.approx(before.delay_s + longer * STEP_S, abs=1e-4)
    assert done.bridge.lengthened_s == pytest.approx(longer * STEP_S)
    delays = delays_s(done.heard, begins_s[-1] + LOCKED_S, source, target)
    np.testing.assert_allclose(delays, done.bridge.delay_s, atol=0.001)


def test_the_delay_goes_back_slowly_where_the_input_has_not_fallen_short_for_long(monkeypatch):
    wet_s = LOCKED_S + 15
    monkeypatch.setattr(dry_watch, "WET_S", wet_s)
    source, target = Device(44_100, 512), Device(44_100, 512)
    begins_s = [20 + 2 * number for number in range(DRY_TIMES)]
    pauses = [(source, begin, begin + 0.1) for begin in begins_s]
    shorter_s = begins_s[-1] + wet_s
    done = run(source, target, tones, shorter_s + LOCKED_S + 5, pauses=pauses)
    before = ClockBridge(source.rate, target.rate, 2, source.most_s, target.most_s)
    assert done.bridge.underflows == DRY_TIMES
    assert done.bridge.delay_s == before.delay_s
    delays = delays_s(done.heard, begins_s[-1] + LOCKED_S, source, target)
    # Two a second; the last of them may reach into what comes after.
    longer = delays[: 2 * (wet_s - LOCKED_S) - 1]
    np.testing.assert_allclose(longer, before.delay_s + STEP_S, atol=0.001)
    np.testing.assert_allclose(delays[-3:], before.delay_s, atol=0.001)
    # Nothing is left out: the sound only runs faster for a while.
    heard = done.heard[round((begins_s[-1] + 1) * 44_100) :]
    assert np.abs(np.diff(heard, axis=0)).max() < STEEPEST
    assert np.diff(delays).min() > -1.1 * MOST_PUSH / 2


def test_more_is_kept_only_after_several_times_and_up_to_a_limit():
    watch = DryWatch(0.01, 0.01 + 2.5 * STEP_S)
    # One stall, whatever comes of it.
    assert not any(watch.note_dry(0.1 * tenth) for tenth in range(9))
    raised = [watch.note_dry(float(second)) for second in range(1, 13)]
    assert raised == [second in (2, 5) for second in range(1, 13)]
    assert watch.kept_s == pytest.approx(0.01 + 2 * STEP_S)


def test_less_is_kept_after_a_while_and_after_twice_the_while_where_that_was_too_little():
    watch = DryWatch(0.01, 1.0)

    def runs_dry(now_s):
        """Until more is kept; returns when it ran dry last."""
        while not watch.note_dry(now_s):
            now_s += 2.0
        return now_s

    assert not watch.note_wet(10 * WET_S)
    dry_s = runs_dry(0.0)
    # Two steps up; and one that runs dry once meanwhile has its time begin anew.
    dry_s = runs_dry(dry_s + 2.0)
    assert not watch.note_wet(dry_s + 0.9 * WET_S)
    assert not watch.note_dry(dry_s + 0.95 * WET_S)
    dry_s += 0.95 * WET_S
    assert not watch.note_wet(dry_s + 0.99 * WET_S)
    assert watch.note_wet(dry_s + 1.01 * WET_S)
    assert watch.lengthened_s == STEP_S
    dry_s = runs_dry(dry_s + 1.1 * WET_S)
    assert watch.lengthened_s == 2 * STEP_S
    assert not watch.note_wet(dry_s + 1.99 * WET_S)
    assert watch.note_wet(dry_s + 2.01 * WET_S)
    assert not watch.note_wet(dry_s + 3.99 * WET_S)
    assert watch.note_wet(dry_s + 4.1 * WET_S)
    # At what was kept at first it stays.
    assert watch.lengthened_s == 0
    assert not watch.note_wet(dry_s + 100 * WET_S)
    assert watch.kept_s == 0.01


def test_an_output_that_stops_is_counted_once_and_does_not_click():
    source, target = Device(44_100, 512), Device(44_100, 512)
    done = run(source, target, tones, 60, pauses=[(target, 30, 31)])
    assert (done.bridge.underflows, done.bridge.overflows) == (0, 1)
    # The samples that were never asked for are zeros here: they are no part of the sound.
    asked = np.asarray(done.heard.any(axis=1))
    asked[: 44_100 * 29] = True
    assert np.abs(np.diff(done.heard[asked], axis=0)).max() < STEEPEST
    delays = delays_s(done.heard, 50, source, target)
    np.testing.assert_allclose(delays, done.bridge.delay_s, atol=0.001)


def test_the_pitch_is_never_pushed_far():
    loop, error_s = DriftLoop(), 0.2
    for _ in range(2000):
        correction = loop.update(error_s, 0.01)
        assert abs(correction - loop.drift) <= MOST_PUSH
        error_s -= 0.01 * correction
    assert 0 < error_s < 0.2
