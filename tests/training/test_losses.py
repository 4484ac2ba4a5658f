"""The losses, against their definitions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.dsp.stft import Analysis
from rtsep.dsp.windows import hann_pair
from rtsep.training.recipe import LOSSES
from rtsep_bench.evaluation import si_sdr_db
from tests.files.sounds import music

torch = pytest.importorskip("torch", reason="pip install 'rtsep[train]'")

from rtsep.training.losses import loss_named, spectra  # noqa: E402

BINS = 128
SAMPLES = 63 * 1024 + 4096


def sounds(count: int) -> np.ndarray:
    return np.stack([music(2.0, seed=n + 1)[:SAMPLES] for n in range(count)])


def test_spectra_are_the_engines() -> None:
    samples = sounds(2)
    found = spectra(torch.from_numpy(samples), 2049).numpy()
    assert found.shape == (2, 2, 64, 2049)
    wanted = np.zeros((64, 2, 2049), np.complex64)
    Analysis(hann_pair(4096, 1024), 2, 16).transform(samples[1], wanted)
    np.testing.assert_allclose(found[1].transpose(1, 0, 2), wanted, atol=1e-3)
    np.testing.assert_array_equal(spectra(torch.from_numpy(samples), BINS), found[..., :BINS])


@pytest.fixture(scope="module")
def case() -> tuple:
    """Masks, mixture and stems of a batch of two: two stems, the second song's second one silent."""
    made = sounds(4).reshape(2, 2, SAMPLES, 2)
    made[1, 1] = 0
    stems = spectra(torch.from_numpy(made), BINS)
    mixture = spectra(torch.from_numpy(made.sum(1)), BINS)
    masks = torch.rand(stems.shape, generator=torch.Generator().manual_seed(1))
    return masks, mixture, stems


def test_magnitude_is_spleeters(case: tuple) -> None:
    masks, mixture, stems = (x.numpy() for x in case)
    errors = np.abs(masks * np.abs(mixture)[:, None] - np.abs(stems))
    wanted = sum(errors[:, stem].mean() for stem in range(2))
    assert float(loss_named("magnitude")(*case)) == pytest.approx(wanted, rel=1e-5)


def test_spectrum_counts_phases(case: tuple) -> None:
    masks, mixture, stems = (x.numpy() for x in case)
    errors = np.abs(masks * mixture[:, None] - stems)
    wanted = sum(errors[:, stem].mean() for stem in range(2))
    assert float(loss_named("spectrum")(*case)) == pytest.approx(wanted, rel=1e-4)
    assert wanted > float(loss_named("magnitude")(*case))


def test_sdr_is_of_the_batch(case: tuple) -> None:
    masks, mixture, stems = (x.numpy() for x in case)
    error = np.square(np.abs(masks * mixture[:, None] - stems)).sum((0, 2, 3, 4))
    energy = np.square(np.abs(stems)).sum((0, 2, 3, 4))
    wanted = -10 * np.log10(energy / error).mean()
    assert float(loss_named("sdr")(*case)) == pytest.approx(wanted, abs=1e-3)
    # A mask that lets something through where its stem is silent is worse.
    shut = case[0].clone()
    shut[1, 1] = 0
    assert float(loss_named("sdr")(shut, *case[1:])) < wanted - 0.1


def test_si_sdr_is_the_mean_over_stems_that_sound(case: tuple) -> None:
    masks, mixture, stems = (x.numpy() for x in case)
    estimate = (masks * mixture[:, None]).reshape(2, 2, -1).view(np.float32)
    true = stems.reshape(2, 2, -1).view(np.float32)
    pairs = [(0, 0), (0, 1), (1, 0)]
    wanted = -np.mean([si_sdr_db(estimate[at], true[at]) for at in pairs])
    assert float(loss_named("si-sdr")(*case)) == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("name", LOSSES)
def test_the_true_mask_is_best_and_slopes_are_finite(name: str, case: tuple) -> None:
    masks, mixture, _ = case
    stems = masks * mixture[:, None]
    loss = loss_named(name)
    right = masks.clone().requires_grad_()
    found = loss(right, mixture, stems)
    found.backward()
    assert right.grad is not None and right.grad.isfinite().all()
    assert float(found) < float(loss(masks * 0.9 + 0.05, mixture, stems))
    silent = loss(right, torch.zeros_like(mixture), torch.zeros_like(stems))
    silent.backward()
    assert silent.isfinite() and right.grad.isfinite().all()
