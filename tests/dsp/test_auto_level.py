"""The nets' level: a mean that music moves as ever, and that a click does not move for long."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.dsp.auto_level import FOLLOW_S, GATE_DBFS, TARGET_DBFS, NetworkLevel

RATE, HOP = 44_100, 1024
HOP_S = HOP / RATE
SECOND = round(1 / HOP_S)


def gains_db(samples, level=None):
    """The gain after every hop of (samples, channels), in dB."""
    level = level or NetworkLevel(HOP_S)
    hops = samples.astype(np.float32).reshape(-1, HOP, samples.shape[1])
    return np.array([20 * np.log10(level.update(hop)) for hop in hops])


def mean_gains_db(samples):
    """By the plain mean over FOLLOW_S of all hops above the gate, believed as they are."""
    mean, hops, gains = 0.0, 0, []
    for hop in samples.reshape(-1, HOP, samples.shape[1]):
        mean_square = np.mean(hop.astype(np.float64) ** 2)
        if mean_square > 10 ** (GATE_DBFS / 10):
            hops += 1
            mean += max(1 / hops, HOP_S / FOLLOW_S) * (mean_square - mean)
        gains.append(TARGET_DBFS - 10 * np.log10(mean) if mean else 0.0)
    return np.clip(gains, -20, 40)


def music(seconds, level_db=-20.0, seed=0):
    """Chords with a beat twice a second, 10 dB above them, and a bar of silence now and then."""
    rng = np.random.default_rng(seed)
    count = round(seconds / HOP_S) * HOP
    t = np.arange(count) / RATE
    beat = np.exp(-(t % 0.5) / 0.08)[:, None] * rng.standard_normal((count, 2))
    chords = np.sin(2 * np.pi * np.outer(t, [220, 277]))
    sound = (chords + 2.2 * beat) * (t % 8 < 7)[:, None]
    return 10 ** (level_db / 20) * sound


@pytest.mark.parametrize("level_db", [-45.0, -20.0, 0.0])
def test_music_gets_the_gain_of_the_plain_mean(level_db):
    sound = music(24, level_db)
    np.testing.assert_allclose(gains_db(sound), mean_gains_db(sound), atol=0.1)


@pytest.mark.parametrize(("before_db", "after_db"), [(-50, -10), (-20, -12), (-30, -24)])
def test_music_that_sets_in_is_followed(before_db, after_db):
    sound = np.concatenate([music(10, before_db), music(10, after_db, seed=1)])
    got, plain = gains_db(sound), mean_gains_db(sound)
    # Above what a drum does it takes a moment to know that it is no click; then nothing is missing.
    settled = np.r_[0 : 10 * SECOND, 10 * SECOND + SECOND // 4 : len(got)]
    np.testing.assert_allclose(got[settled], plain[settled], atol=0.1)


def test_music_that_grows_softer_is_followed():
    sound = np.concatenate([music(10, -10), music(20, -50)])
    np.testing.assert_allclose(gains_db(sound), mean_gains_db(sound), atol=0.1)


@pytest.mark.parametrize("at_s", [0.0, 0.01, 0.5, 10.0])
@pytest.mark.parametrize(
    ("amplitude", "seconds"),
    [(1e5, 0), (1e4, 0), (50, 0), (50, 0.005), (1e4, 0.005), (1.0, 0.05), (1e4, 0.05)],
)
def test_a_click_is_over_within_a_second(at_s, amplitude, seconds):
    sound = music(20, -26.0)
    clicking = sound.copy()
    first = round(at_s * RATE)
    clicking[first : first + max(1, round(seconds * RATE))] += amplitude
    ends = int((at_s + seconds) / HOP_S) + 1
    got, quiet = gains_db(clicking), gains_db(sound)
    np.testing.assert_allclose(got[:ends][: int(at_s / HOP_S)], quiet[: int(at_s / HOP_S)])
    assert np.abs(got - quiet)[ends + SECOND :].max() < 2.5


def test_clicks_in_silence_are_forgotten_when_music_begins():
    silence, sound = np.zeros((SECOND * HOP, 2)), music(5)
    click = silence.copy()
    click[: 2 * HOP] = 3.0
    start = np.concatenate([silence, click, silence, click, click, silence])
    got, alone = gains_db(np.concatenate([start, sound])), gains_db(sound)
    np.testing.assert_allclose(got[len(start) // HOP :], alone, atol=1e-6)


def test_music_goes_on_after_a_click_in_a_pause():
    sound, pause = music(6), np.zeros((3 * SECOND * HOP, 2))
    click = pause.copy()
    click[SECOND * HOP] = 1e4
    got, quiet = (gains_db(np.concatenate([sound, middle, sound])) for middle in (click, pause))
    np.testing.assert_allclose(got, quiet, atol=0.8)


def test_levels_beyond_the_gains_range_are_forgotten_from_its_end_on():
    # A second of 16 bits as integers by mistake, as loud as it gets, then what was meant.
    sound = np.concatenate([32_768 * music(1), music(80)])
    got = gains_db(sound)
    assert got[SECOND - 1] == -20
    assert got[-1] == pytest.approx(gains_db(music(80))[-1], abs=1)


def test_going_on_from_another_is_as_if_it_had_been_there_from_the_start():
    sound = music(8)
    first, second = NetworkLevel(HOP_S), NetworkLevel(HOP_S)
    half = 4 * SECOND * HOP
    gains_db(sound[:half], first)
    gains_db(music(3, -50), second)
    second.continue_from(first)
    np.testing.assert_array_equal(gains_db(sound[half:], second), gains_db(sound)[4 * SECOND :])
