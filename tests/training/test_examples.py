"""Examples: functions of seed, step and number alone, and what augmentation does to them."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.constants import SAMPLE_RATE
from rtsep.training.examples import ExampleMaker
from rtsep.training.recipe import Augmentation, Recipe
from rtsep.training.song_cache import FULL_SCALE, Song
from tests.files.sounds import music

STEMS = (("a", ("a",)), ("b", ("b",)))
SILENCE = np.zeros((8 * SAMPLE_RATE, 2), np.int16)


def song(name: str, seed: int, mixture: bool = False, **silent: np.ndarray) -> Song:
    sounds = [np.rint(music(8.0, seed=seed + n) * FULL_SCALE).astype(np.int16) for n in range(3)]
    stems = {"a": sounds[0], "b": sounds[1], "c": sounds[2]} | silent
    return Song(name, len(sounds[0]), stems, sounds[2] if mixture else None)


def maker(songs: list[Song], recipe: Recipe | None = None, **augmentation: float) -> ExampleMaker:
    recipe = recipe or Recipe(
        stems=STEMS, rest=("c",), frames=64, seed=5, augmentation=Augmentation(**augmentation)
    )
    return ExampleMaker(recipe, songs)


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [song("one", 1), song("two", 11)]


def level(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def test_an_example_depends_on_seed_step_and_number_alone(songs: list[Song]) -> None:
    everything = {
        "gain_db": 6, "swap": True, "speed": 0.1, "equalise_db": 6, "remix": 0.5, "silence": 0.2,
    }  # fmt: skip
    batch = maker(songs, **everything).batch(7)
    later = maker(songs, **everything)
    later.batch(3)
    np.testing.assert_array_equal(later.batch(7).mixture, batch.mixture)
    np.testing.assert_array_equal(later.example(7, 2).stems, batch.stems[2])
    ahead = later.batches(6)
    next(ahead)
    np.testing.assert_array_equal(next(ahead).stems, batch.stems)
    ahead.close()
    assert not np.array_equal(batch.mixture[0], batch.mixture[1])
    assert not np.array_equal(batch.mixture, later.batch(8).mixture)


def test_the_mixture_is_the_sum_of_all_stems(songs: list[Song]) -> None:
    made = maker(songs).example(0, 0)
    samples = 63 * 1024 + 4096
    assert made.mixture.shape == (samples, 2) and made.stems.shape == (2, samples, 2)
    rest = made.mixture - made.stems.sum(0)
    assert level(rest) > 0.01
    everything = Recipe(stems=(*STEMS, ("c", ("c",))), frames=64, seed=5)
    same = maker(songs, everything).example(0, 0)
    np.testing.assert_allclose(same.stems[2], rest, atol=1e-6)


def test_a_mixture_of_its_own_is_taken_unless_stems_are_changed() -> None:
    songs = [song("one", 1, mixture=True)]
    made = maker(songs).example(0, 0)
    plain = maker([song("one", 1)]).example(0, 0)
    # The third stem stands for it.
    np.testing.assert_allclose(made.mixture, plain.mixture - plain.stems.sum(0), atol=1e-6)
    changed, expected = (maker(s, gain_db=3).example(0, 0) for s in (songs, [song("one", 1)]))
    np.testing.assert_array_equal(changed.mixture, expected.mixture)


def test_gains_are_within_bounds_and_the_mixture_follows() -> None:
    songs = [song("one", 1)]
    plain = maker(songs)
    loud = maker(songs, gain_db=6)
    for step in range(8):
        before, after = plain.example(step, 0), loud.example(step, 0)
        gains_db = [20 * np.log10(level(x) / level(y)) for x, y in zip(after.stems, before.stems)]
        assert max(map(abs, gains_db)) < 6.01 and abs(gains_db[0] - gains_db[1]) > 0.01
        assert level(after.mixture - after.stems.sum(0)) > 0.001


def test_swapping_exchanges_the_sides() -> None:
    songs = [song("one", 1)]
    plain, swapped = maker(songs), maker(songs, swap=True)
    seen = set()
    for step in range(12):
        before, after = plain.example(step, 0).stems[0], swapped.example(step, 0).stems[0]
        seen.add(
            next(n for n, x in enumerate((before, before[:, ::-1])) if np.array_equal(x, after))
        )
    assert seen == {0, 1}


def test_equalising_changes_each_octave_by_at_most_what_it_says_and_not_its_phase() -> None:
    noise = np.random.default_rng(3).normal(0, 3000, (8 * SAMPLE_RATE, 2)).astype(np.int16)
    songs = [Song("one", len(noise), {"a": noise, "b": noise, "c": noise}, None)]
    plain, equalised = maker(songs), maker(songs, equalise_db=12)
    before, after = plain.example(0, 0).stems[0], equalised.example(0, 0).stems[0]
    ratio = np.fft.rfft(after[:, 0]) / np.fft.rfft(before[:, 0])
    heard = np.fft.rfftfreq(len(before), 1 / SAMPLE_RATE) > 20
    gains_db = 20 * np.log10(np.abs(ratio[heard]))
    assert np.abs(gains_db).max() < 12.1
    assert np.ptp(gains_db) > 6
    assert np.abs(np.angle(ratio[heard])).max() < 0.01
    # Steeper than from one end of its range to the other within an octave it is nowhere.
    assert np.abs(np.diff(gains_db)).max() < 0.6


def test_remixing_takes_stems_of_other_songs() -> None:
    one, two = song("one", 1, b=SILENCE), song("two", 2, a=SILENCE)
    plain = maker([one, two])
    assert all(not plain.example(n, 0).stems.any((1, 2)).all() for n in range(12))
    remixed = maker([one, two], remix=1)
    assert any(remixed.example(n, 0).stems.any((1, 2)).all() for n in range(12))


def test_silence_leaves_stems_out() -> None:
    quiet = maker([song("one", 1)], silence=0.5)
    sounding = np.array([quiet.example(n, 0).stems.any((1, 2)) for n in range(24)])
    assert 0.2 < sounding.mean() < 0.8
    assert {tuple(row) for row in sounding.tolist()} >= {(True, False), (False, True)}


def test_another_speed_is_another_pitch() -> None:
    time_s = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.repeat(np.sin(2 * np.pi * 1000 * time_s)[:, None], 2, 1)
    steady = np.rint(tone * FULL_SCALE / 2).astype(np.int16)
    fast = maker([Song("tone", len(steady), {"a": steady}, None)], speed=0.2)
    peaks = []
    for step in range(8):
        sound = fast.example(step, 0).stems[0][8192:40960, 0]
        assert abs(level(sound) - 0.5 / np.sqrt(2)) < 0.01
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        peaks.append(int(np.argmax(spectrum)) * SAMPLE_RATE / len(sound))
    assert 790 < min(peaks) < 950 and 1050 < max(peaks) < 1210


def test_a_song_shorter_than_a_window_is_surrounded_by_silence() -> None:
    short = np.full((SAMPLE_RATE // 2, 2), 1000, np.int16)
    made = maker([Song("short", len(short), {"a": short}, None)]).example(0, 0)
    assert made.stems[0].any() and np.count_nonzero(made.stems[0][:, 0]) <= len(short)
