"""The ceiling and the floors: what each makes of sounds whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep_bench.bounds import BOUNDS, CROSSOVER_HZ, MEDIAN_OF, running_median
from rtsep_bench.evaluation import sdr_db
from rtsep_bench.true_stems import Song

RATE = 44_100


def tone(hertz: float, seconds: float = 1.5) -> np.ndarray:
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([samples, 0.5 * samples], axis=1).astype(np.float32)


def song(true: np.ndarray, rest: np.ndarray) -> Song:
    return Song("one", true + rest, true, rest)


def test_the_oracle_takes_apart_what_does_not_overlap() -> None:
    apart = song(tone(440), tone(2000))
    assert sdr_db(BOUNDS["oracle"](apart, "vocals"), apart.true) > 40
    together = song(tone(440), np.roll(tone(440), 25, axis=0))
    assert sdr_db(BOUNDS["oracle"](together, "vocals"), together.true) < 10


def test_the_mixture_is_the_mixture() -> None:
    apart = song(tone(440), tone(2000))
    np.testing.assert_array_equal(BOUNDS["mixture"](apart, "vocals"), apart.mixture)


@pytest.mark.parametrize(("stem", "low"), [("bass", True), ("vocals", False)])
def test_low_pass(stem: str, low: bool) -> None:
    below, above = tone(CROSSOVER_HZ / 2), tone(2 * CROSSOVER_HZ)
    out = BOUNDS["low-pass"](song(below, above), stem)
    assert sdr_db(out, below if low else above) > 30


@pytest.mark.parametrize(("stem", "percussive"), [("drums", True), ("other", False)])
def test_hpss_tells_clicks_from_tones(stem: str, percussive: bool) -> None:
    quiet = 0.2 * tone(500)
    clicks = np.zeros_like(quiet)
    clicks[5000::11_025] = 1
    both = song(clicks, quiet)
    true = clicks if percussive else quiet
    assert sdr_db(BOUNDS["hpss"](both, stem), true) > sdr_db(both.mixture, true) + 6


@pytest.mark.parametrize("length", [1, MEDIAN_OF - 1, 100])
def test_the_running_median(length: int) -> None:
    rows = np.random.default_rng(0).standard_normal((3, length)).astype(np.float32)
    out = np.empty_like(rows)
    running_median(rows, out)
    half = MEDIAN_OF // 2
    for i, n in np.ndindex(rows.shape):
        near = np.sort(rows[i, max(0, n - half) : n + half + 1])
        assert out[i, n] == near[len(near) // 2]


@pytest.mark.parametrize("samples", [1, 1023, 44_100])
def test_every_length_comes_back(samples: int) -> None:
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (samples, 2)).astype(np.float32)
    short = song(sound, np.zeros_like(sound))
    np.testing.assert_allclose(BOUNDS["oracle"](short, "vocals"), sound, atol=1e-4)
