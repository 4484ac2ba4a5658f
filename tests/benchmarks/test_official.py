"""The official pipeline written down once more: a pure delay under a unit mask, and equal to rtsep."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep_bench import official
from rtsep_bench.agreement import agreement_db
from rtsep_bench.made_up import made_up_stems
from rtsep_bench.sound import LEVEL_RMS, music, music_magnitudes

TWO = find_model("spleeter:2stems")


@pytest.mark.parametrize("samples", [1, 1000, 4096, 44_101])
def test_a_unit_mask_gives_the_song_back(samples: int) -> None:
    audio = np.random.default_rng(samples).standard_normal((samples, 2))
    spectra = official.analyse(audio)
    assert spectra.shape == (-(-(samples + 4096) // 1024), 2049, 2)
    np.testing.assert_allclose(official.synthesise(spectra, samples), audio, atol=1e-12)


def test_masks_of_all_stems_add_up_to_one() -> None:
    spectra = official.analyse(music(1.0))
    five = find_model("spleeter:5stems")
    random = np.random.default_rng(3)

    def logits(magnitudes: np.ndarray) -> np.ndarray:
        return random.standard_normal((5, len(magnitudes), 2, five.bins))

    ratios = official.ratio_masks(spectra, five, logits)
    assert ratios.shape == (5, len(spectra), five.bins, 2)
    np.testing.assert_allclose(ratios.sum(axis=0), 1, atol=1e-12)
    average = official.extend(ratios[0], 2049, average=True)
    assert average.shape == spectra.shape
    np.testing.assert_allclose(average[:, 2048], ratios[0].mean(axis=1))
    assert not official.extend(ratios[0], 2049, average=False)[:, five.bins :].any()


def test_the_ratio_is_that_of_squared_estimates() -> None:
    """Masks 0.6 and 0.2: shares 0.36 and 0.04 of 0.4, wherever there is sound."""
    spectra = np.full((3, 2049, 2), 10 + 0j)

    def masks(magnitudes: np.ndarray) -> np.ndarray:
        return np.stack([np.full((512, 2, TWO.bins), mask) for mask in (0.6, 0.2)])

    ratios = official.ratio_masks(spectra, TWO, masks)
    np.testing.assert_allclose(ratios[0], 0.9, rtol=1e-9)
    np.testing.assert_allclose(ratios[1], 0.1, rtol=1e-9)


def test_the_sound_is_seeded_and_as_loud_as_it_says() -> None:
    sound = music(2.0)
    assert sound.shape == (88_200, 2) and sound.dtype == np.float32
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(LEVEL_RMS, rel=1e-4)
    np.testing.assert_array_equal(sound, music(2.0))
    assert np.abs(sound - music(2.0, seed=1)).max() > 0.01
    magnitudes = music_magnitudes(64, 128)
    assert magnitudes.shape == (64, 128, 2) and (magnitudes.max(axis=(1, 2)) > 1).all()


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_weights")
def test_rtsep_agrees_with_the_official_pipeline() -> None:
    """Within 70 dB; float32 against float64 leaves more than 100."""
    found = agreement_db(TWO, made_up_stems(TWO), music(3.0), threads=2, precision="f32")
    assert set(found) == {(e, s) for e in ("zeros", "average") for s in TWO.stems}
    for ratio_db, difference in found.values():
        assert ratio_db > 100 and difference < 1e-5
    # Other weights are another matter.
    swapped = dict(zip(TWO.stems, reversed(made_up_stems(TWO).values())))
    assert max(ratio for ratio, _ in agreement_db(TWO, swapped, music(3.0), 2, "f32").values()) < 20
