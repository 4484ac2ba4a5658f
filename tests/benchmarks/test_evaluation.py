"""SDR, SI-SDR and leakage: known ratios, what each counts, silence."""

import numpy as np
import pytest

from rtsep_bench.evaluation import (
    LEAKAGE_FRAME_SAMPLES,
    is_silent,
    leakage_db,
    sdr_db,
    si_sdr_db,
)


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


# --- leakage ----------------------------------------------------------------------------------------

FRAME = LEAKAGE_FRAME_SAMPLES


def _parts(*levels: float) -> np.ndarray:
    """A frame of noise at each level."""
    noise = np.random.default_rng(2).standard_normal((len(levels), FRAME, 2))
    return np.concatenate([level * part for level, part in zip(levels, noise)])


def test_leakage_is_the_level_where_the_stem_is_silent():
    mixture = _parts(0.1, 0.1, 0.2)
    true = _parts(0.1, 0.0, 0.0)
    # Loud where the stem is, which is no leakage; a tenth of the mixture where it is not.
    estimate = np.concatenate([mixture[:FRAME], 0.1 * mixture[FRAME:]])
    assert leakage_db(estimate, true, mixture) == pytest.approx(-20, abs=1e-6)
    assert leakage_db(mixture, true, mixture) == pytest.approx(0, abs=1e-9)
    assert leakage_db(0 * mixture, true, mixture) == -120


def test_leakage_counts_no_frame_where_the_mixture_is_silent_too():
    mixture = _parts(0.1, 0.1, 1e-4)
    true = _parts(0.1, 1e-4, 0.0)
    estimate = np.concatenate([mixture[: 2 * FRAME], np.ones((FRAME, 2))])
    assert leakage_db(estimate, true, mixture) == pytest.approx(0, abs=1e-9)
    assert leakage_db(mixture, _parts(0.1, 0.1, 0.1), mixture) is None
    assert leakage_db(mixture[:100], true[:100], mixture[:100]) is None


def test_silence_is_what_no_frame_is_louder_than():
    assert is_silent(_parts(0.0, 5e-4))
    assert not is_silent(_parts(0.0, 2e-3))
    assert is_silent(np.zeros((10, 2))) and not is_silent(np.ones((10, 2)))
