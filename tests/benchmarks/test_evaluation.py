"""SDR and SI-SDR: known ratios, what each counts as distortion, silence."""

import numpy as np
import pytest

from rtsep_bench.evaluation import sdr_db, si_sdr_db


@pytest.fixture
def song() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)


def _orthogonal_noise(song: np.ndarray) -> np.ndarray:
    """Noise of the song's energy that has nothing in common with it."""
    noise = np.random.default_rng(1).standard_normal(song.shape)
    noise -= song * (np.sum(noise * song) / np.sum(song**2))
    return noise * np.sqrt(np.sum(song**2) / np.sum(noise**2))


@pytest.mark.parametrize("measure", [sdr_db, si_sdr_db])
@pytest.mark.parametrize("noise_db", [-20.0, 0.0, 6.0])
def test_noise_of_a_known_level(song, measure, noise_db):
    estimate = song + _orthogonal_noise(song) * 10 ** (noise_db / 20)
    assert measure(estimate, song) == pytest.approx(-noise_db, abs=1e-4)


def test_a_wrong_level_is_distortion_to_sdr_alone(song):
    noisy = song + 0.1 * _orthogonal_noise(song)
    assert sdr_db(0.5 * song, song) == pytest.approx(20 * np.log10(2), abs=1e-4)
    assert si_sdr_db(0.5 * noisy, song) == pytest.approx(si_sdr_db(noisy, song), abs=1e-6)


def test_a_swap_of_channels_is_seen(song):
    assert sdr_db(song[:, ::-1], song) < 0


@pytest.mark.parametrize("measure", [sdr_db, si_sdr_db])
def test_silence_and_equality(song, measure):
    silence = np.zeros_like(song)
    assert measure(song, song) > 120
    assert measure(silence, silence) == np.inf
    assert measure(song, silence) == -np.inf


def test_silence_is_as_bad_as_leaving_everything_out(song):
    assert sdr_db(np.zeros_like(song), song) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("measure", [sdr_db, si_sdr_db])
def test_different_shapes_are_refused(song, measure):
    with pytest.raises(ValueError, match=r"\(999, 2\) and \(1000, 2\)"):
        measure(song[:-1], song)


@pytest.mark.parametrize("measure", [sdr_db, si_sdr_db])
def test_whole_numbers_do_not_overflow(song, measure):
    reference = np.round(8000 * song.clip(-3, 3)).astype(np.int16)
    estimate = np.round(8000 * (song.clip(-3, 3) + 0.1 * _orthogonal_noise(song).clip(-3, 3)))
    assert measure(estimate.astype(np.int16), reference) == pytest.approx(20, abs=0.5)
