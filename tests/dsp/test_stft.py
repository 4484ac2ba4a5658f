"""The transform against NumPy's FFT in float64, and against perfect reconstruction."""

import numpy as np
import pytest

from rtsep.dsp.stft import Analysis, Synthesis, magnitudes
from rtsep.dsp.windows import asymmetric_pair, hann_pair
from rtsep.errors import UsageError

LENGTH, HOP = 512, 128


def _noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal((samples, 2)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_spectra_are_numpys(batch):
    windows = hann_pair(LENGTH, HOP)
    samples = _noise(9 * HOP + LENGTH)
    spectra = np.zeros((10, 2, LENGTH // 2 + 1), np.complex64)
    Analysis(windows, 2, batch).transform(samples, spectra)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH)
    for t in range(10):
        frame = samples[t * HOP : t * HOP + LENGTH].astype(np.float64).T * window
        np.testing.assert_allclose(spectra[t], np.fft.rfft(frame), atol=2e-5)


def test_frames_past_the_end_hold_zeros():
    windows = hann_pair(LENGTH, HOP)
    spectra = np.ones((4, 2, LENGTH // 2 + 1), np.complex64)
    Analysis(windows, 2, 2).transform(_noise(LENGTH), spectra)
    assert np.abs(spectra[0]).max() > 1
    Analysis(windows, 2, 2).transform(_noise(HOP), spectra)
    assert (spectra[1:] == 0).all()


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("pair", [hann_pair, asymmetric_pair])
def test_analysis_and_synthesis_give_the_samples_back(pair, batch):
    windows = pair(LENGTH, HOP)
    frames = 4 * batch
    samples = _noise((frames - 1) * HOP + LENGTH, seed=1)
    spectra = np.zeros((frames, 2, LENGTH // 2 + 1), np.complex64)
    Analysis(windows, 2, batch).transform(samples, spectra)
    synthesis, out = Synthesis(windows, 2, batch), np.zeros_like(samples)
    for first in range(0, frames, batch):
        synthesis.spectra[:] = spectra[first : first + batch]
        synthesis.add(out, first, batch)
    inside = slice(LENGTH - HOP, -(LENGTH - HOP))
    np.testing.assert_allclose(out[inside], samples[inside], atol=3e-6)


def test_magnitudes():
    spectra = np.array([[[3 + 4j, 1j, 9], [-2, 5 - 12j, 9]]], np.complex64)
    out = np.zeros((1, 2, 2), np.float32)
    magnitudes(spectra, out)
    np.testing.assert_allclose(out[0], [[5, 2], [1, 13]], rtol=1e-6)


def test_a_hop_that_does_not_divide_is_refused():
    with pytest.raises(UsageError, match="hop=1000, frame_length=4096"):
        hann_pair(4096, 1000)


def test_asymmetric_windows_reconstruct_perfectly_over_two_hops():
    windows = asymmetric_pair(4096, 1024)
    product = windows.analysis.astype(np.float64) * windows.synthesis
    np.testing.assert_allclose(product.reshape(4, 1024).sum(0), 1, atol=1e-6)
    assert (windows.synthesis[:2048] == 0).all()
    assert windows.overlap_hops == 2
    assert windows.synthesis.max() < 1.5
