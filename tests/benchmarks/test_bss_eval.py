"""BSS Eval v4: museval's figures, the median over frames as published."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep_bench.bss_eval import FIELDS, bss_eval
from rtsep_bench.evaluation import sdr_db
from rtsep_bench.true_stems import Song

pytest.importorskip("museval")
# Which museval's reader looks for as it is imported.
pytestmark = pytest.mark.needs("ffmpeg")

RATE = 44_100
SECONDS = 3


def noise(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal((SECONDS * RATE, 2))).astype(np.float32)


@pytest.fixture
def song() -> Song:
    true, rest = noise(0), noise(1)
    return Song("one", true + rest, true, rest)


def test_the_sdr_is_the_median_over_seconds(song: Song) -> None:
    level = np.repeat([0.5, 0.2, 0.05], RATE)[:, np.newaxis].astype(np.float32)
    estimate = song.true + level * noise(2)
    by_second = [
        sdr_db(estimate[first : first + RATE], song.true[first : first + RATE])
        for first in range(0, SECONDS * RATE, RATE)
    ]
    figures = bss_eval(estimate, song)
    assert tuple(figures) == FIELDS
    assert figures["v4_sdr_db"] == pytest.approx(np.median(by_second), abs=1e-3)


def test_interference_and_artifacts_are_told_apart(song: Song) -> None:
    leaking = bss_eval(song.true + 0.1 * song.rest, song)
    noisy = bss_eval(song.true + 0.1 * noise(2), song)
    assert leaking["v4_sir_db"] == pytest.approx(20, abs=0.5)
    assert noisy["v4_sar_db"] == pytest.approx(20, abs=0.5)
    assert leaking["v4_sar_db"] > 40 and noisy["v4_sir_db"] > 30
    # A filter of a stem is a spatial distortion, neither of the two.
    swapped = bss_eval(0.5 * song.true, song)
    assert swapped["v4_isr_db"] == pytest.approx(20 * np.log10(2), abs=0.1)
    assert swapped["v4_sir_db"] > 40


def test_seconds_in_which_the_stem_is_silent_do_not_count(song: Song) -> None:
    song.true[:RATE] = 0
    figures = bss_eval(song.true + 0.1 * noise(2), song)
    assert figures["v4_sdr_db"] == pytest.approx(20, abs=0.2)


def test_where_no_filters_are_the_best_least_squares_find_some(
    song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for stems whose channels are alike: how museval then goes on must work with this NumPy."""
    # One channel is an eighth of the work.
    song = Song("one", *(sound[:, :1] for sound in (song.mixture, song.true, song.rest)))
    estimate = song.true + 0.1 * song.rest
    figures = bss_eval(estimate, song)

    def solve(*_: object) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(np.linalg, "solve", solve)
    assert bss_eval(estimate, song) == pytest.approx(figures, abs=0.1)


def test_silence_has_no_figures(song: Song) -> None:
    assert bss_eval(np.zeros_like(song.true), song) == dict.fromkeys(FIELDS)
