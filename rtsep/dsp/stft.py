"""Short-time Fourier transform and its inverse, planned once, float32, batches of frames.

    samples -> windowed frames -> FFT -> spectra        (Analysis)
    masked spectra -> inverse FFT -> overlap-add        (Synthesis)

Frames of all channels go through FFTW in batches of fixed size: the result of a frame depends on
nothing but its samples.
"""

from __future__ import annotations

import numpy as np
import pyfftw
from numpy.typing import NDArray

from rtsep.dsp.windows import WindowPair
from rtsep_kernels.jit import kernel


class Analysis:
    """Windowed FFT of `batch` overlapping frames at a time. One user at a time.

    Planning (FFTW_MEASURE) happens here; `transform` allocates nothing.
    """

    def __init__(self, windows: WindowPair, channels: int, batch: int):
        self.windows, self.channels, self.batch = windows, channels, batch
        length = windows.frame_length
        # writer: window_frames; reader: FFTW. (frame, channel, sample)
        self._frames = pyfftw.zeros_aligned((batch, channels, length), "float32")
        # writer: FFTW; reader: the copy into the caller's spectra. (frame, channel, bin)
        self._spectra = pyfftw.zeros_aligned((batch, channels, length // 2 + 1), "complex64")
        self._plan = pyfftw.FFTW(self._frames, self._spectra, axes=(2,), threads=1)

    def transform(self, samples: NDArray[np.float32], spectra: NDArray[np.complex64]) -> None:
        """Fill `spectra` with the frames that start at samples 0, hop, 2 hop, ...

        samples: (samples, channels) float32, at least (frames - 1) * hop + frame_length of them.
        spectra: (frames, channels, bins) complex64, any number of frames.
        """
        for first in range(0, len(spectra), self.batch):
            frames = min(self.batch, len(spectra) - first)
            window_frames(samples, first, self.windows.hop, self.windows.analysis, self._frames)
            self._plan.execute()
            spectra[first : first + frames] = self._spectra[:frames]


class Synthesis:
    """Inverse FFT, window and overlap-add of `batch` frames at a time. One user at a time."""

    def __init__(self, windows: WindowPair, channels: int, batch: int):
        self.windows, self.channels, self.batch = windows, channels, batch
        length = windows.frame_length
        # writer: the caller, before each `add`; reader: FFTW, which destroys it.
        self.spectra = pyfftw.zeros_aligned((batch, channels, length // 2 + 1), "complex64")
        # writer: FFTW; reader: overlap_add. (frame, channel, sample)
        self._frames = pyfftw.zeros_aligned((batch, channels, length), "float32")
        self._plan = pyfftw.FFTW(
            self.spectra, self._frames, axes=(2,), direction="FFTW_BACKWARD", threads=1
        )
        # FFTW's inverse is unnormalised.
        self._window = (windows.synthesis / length).astype(np.float32)

    def add(self, samples: NDArray[np.float32], first_frame: int, frames: int) -> None:
        """Add the first `frames` of `self.spectra` to `samples`, from frame `first_frame` on.

        samples: (samples, channels) float32; frame t is added from sample t * hop on.
        """
        self._plan.execute()
        overlap_add(
            self._frames, frames, first_frame, self.windows.hop, self._window,
            self.windows.synthesis_start, samples,
        )  # fmt: skip


@kernel
def window_frames(samples, first_frame, hop, window, frames):
    """frames[i, channel] = window * samples from (first_frame + i) * hop on; zeros past the end.

    samples: (samples, channels) float32. frames: (batch, channels, frame_length) float32.
    """
    length = len(window)
    for i in range(frames.shape[0]):
        start = (first_frame + i) * hop
        inside = max(0, min(length, samples.shape[0] - start))
        for channel in range(frames.shape[1]):
            for n in range(inside):
                frames[i, channel, n] = samples[start + n, channel] * window[n]
            for n in range(inside, length):
                frames[i, channel, n] = np.float32(0.0)


@kernel
def overlap_add(frames, count, first_frame, hop, window, synthesis_start, samples):
    """samples[(first_frame + i) * hop + n, channel] += window[n] * frames[i, channel, n].

    frames: (batch, channels, frame_length) float32. samples: (samples, channels) float32.
    """
    for i in range(count):
        start = (first_frame + i) * hop
        for channel in range(frames.shape[1]):
            for n in range(synthesis_start, len(window)):
                samples[start + n, channel] += window[n] * frames[i, channel, n]


@kernel
def magnitudes(spectra, out):
    """out[frame, bin, channel] = |spectra[frame, channel, bin]| for the first bins.

    spectra: (frames, channels, all bins) complex64. out: (frames, bins, channels) float32.
    """
    for t in range(out.shape[0]):
        for f in range(out.shape[1]):
            for channel in range(out.shape[2]):
                value = spectra[t, channel, f]
                out[t, f, channel] = np.sqrt(value.real * value.real + value.imag * value.imag)
