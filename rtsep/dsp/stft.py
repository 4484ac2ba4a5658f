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
from rtsep_kernels.records import Array, Spectra


class Analysis:
    """Windowed FFT of `batch` overlapping frames at a time. One user at a time.

    Planning (FFTW_MEASURE) happens here; `transform` allocates nothing.

    Parameters
    ----------
    windows : WindowPair
    channels : int
    batch : int
        Frames per call of FFTW.
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

        Parameters
        ----------
        samples : (samples, channels) float32
            At least (frames - 1) * hop + frame_length of them.
        spectra : (frames, channels, bins) complex64
            Any number of frames; overwritten.
        """
        for first in range(0, len(spectra), self.batch):
            frames = min(self.batch, len(spectra) - first)
            window_frames(samples, first, self.windows.hop, self.windows.analysis, self._frames)
            self._plan.execute()
            spectra[first : first + frames] = self._spectra[:frames]


class Synthesis:
    """Inverse FFT, window and overlap-add of `batch` frames at a time. One user at a time.

    Parameters
    ----------
    windows : WindowPair
    channels : int
    batch : int
        Frames per call of FFTW.

    Attributes
    ----------
    spectra : (batch, channels, bins) complex64
        To be filled before each `add`, which destroys it.
    """

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
        """Add the first `frames` of `self.spectra` to `samples`.

        Parameters
        ----------
        samples : (samples, channels) float32
            Frame t is added from sample t * hop on.
        first_frame : int
            t of the first of them.
        frames : int
            At most `batch`.
        """
        self._plan.execute()
        hop, start = self.windows.hop, self.windows.synthesis_start
        overlap_add(self._frames, frames, first_frame, hop, self._window, start, samples)


def find_kernels(windows: WindowPair, channels: int) -> None:
    """Call a kernel, so that later ones are found quickly.

    The first kernel of a process has Numba import and prepare what all of them need, for 0.2 s.
    """
    samples = np.zeros((windows.frame_length, channels), np.float32)
    frames = np.zeros((1, channels, windows.frame_length), np.float32)
    window_frames(samples, 0, windows.hop, windows.analysis, frames)


@kernel
def window_frames(samples: Array, first_frame: int, hop: int, window: Array, frames: Array) -> None:
    """frames[i, channel] = window * samples from (first_frame + i) * hop on; zeros past the end.

    Parameters
    ----------
    samples : (samples, channels) float32
    first_frame : int
    hop : int
        In samples.
    window : (frame_length,) float32
    frames : (batch, channels, frame_length) float32
        Overwritten.
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
def overlap_add(
    frames: Array,
    count: int,
    first_frame: int,
    hop: int,
    window: Array,
    synthesis_start: int,
    samples: Array,
) -> None:
    """samples[(first_frame + i) * hop + n, channel] += window[n] * frames[i, channel, n].

    Parameters
    ----------
    frames : (batch, channels, frame_length) float32
    count : int
        Frames to add.
    first_frame : int
    hop : int
        In samples.
    window : (frame_length,) float32
    synthesis_start : int
        First n that the window does not silence.
    samples : (samples, channels) float32
    """
    for i in range(count):
        start = (first_frame + i) * hop
        for channel in range(frames.shape[1]):
            for n in range(synthesis_start, len(window)):
                samples[start + n, channel] += window[n] * frames[i, channel, n]


@kernel
def magnitudes(spectra: Spectra, out: Array) -> None:
    """out[frame, bin, channel] = |spectra[frame, channel, bin]| for the first bins.

    Parameters
    ----------
    spectra : (frames, channels, all bins) complex64
    out : (frames, bins, channels) float32
        Overwritten.
    """
    for t in range(out.shape[0]):
        for f in range(out.shape[1]):
            for channel in range(out.shape[2]):
                value = spectra[t, channel, f]
                out[t, f, channel] = np.sqrt(value.real * value.real + value.imag * value.imag)
