"""Analysis and synthesis windows: overlapped, the products of a pair add up to a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError


@dataclass(frozen=True)
class WindowPair:
    """The two windows of one transform.

    The analysis window is applied before the FFT, the synthesis window after the inverse FFT;
    overlapped at `hop` samples, the sum of their products is 1 at every sample.

    Attributes
    ----------
    analysis, synthesis : (frame_length,) float32
    hop : int
        In samples.
    synthesis_start : int
        First sample of a frame that the synthesis window does not silence. What comes before needs no
        overlap-add, which is what makes an asymmetric pair quick.
    """

    analysis: NDArray[np.float32]
    synthesis: NDArray[np.float32]
    hop: int
    synthesis_start: int = 0

    @property
    def frame_length(self) -> int:
        """Samples of a frame."""
        return len(self.analysis)

    @property
    def overlap_hops(self) -> int:
        """Hops that a frame's synthesis spans: what lies between its last and first sample."""
        return (self.frame_length - self.synthesis_start) // self.hop


def hann(length: int) -> NDArray[np.float64]:
    """Periodic Hann window, (length,) float64."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def hann_pair(frame_length: int, hop: int) -> WindowPair:
    """Hann before and after, as Spleeter has it; at a quarter overlap the squares add up to 3 / 2.

    Parameters
    ----------
    frame_length, hop : int
        In samples.

    Raises
    ------
    UsageError
        Unless hop divides frame_length at least three times.
    """
    _check(frame_length, hop)
    window = hann(frame_length)
    overlapped = np.sum(window[::hop] ** 2)
    return WindowPair(window.astype(np.float32), (window / overlapped).astype(np.float32), hop)


def asymmetric_pair(frame_length: int, hop: int) -> WindowPair:
    """A long analysis window and a short synthesis window: half the delay of a Hann pair.

    The analysis window rises as half a Hann window and falls, over the last hop and a quarter, as half
    the root of one; the synthesis window is zero but for the last two hops, where it makes the product
    a Hann window of that length. Frames keep their frequency resolution. (Falls over 1, 1.25 and 1.5
    hops were measured: docs/experiments.md.)
    After Mauler and Martin, "A low delay, variable resolution, perfect reconstruction spectral
    analysis-synthesis system for speech enhancement" (EUSIPCO 2007).

    Parameters
    ----------
    frame_length, hop : int
        In samples.

    Raises
    ------
    UsageError
        Unless hop divides frame_length at least three times.
    """
    _check(frame_length, hop)
    fall = hop + hop // 4
    rise = frame_length - fall
    analysis = np.concatenate([hann(2 * rise)[:rise], np.sqrt(hann(2 * fall))[fall:]])
    start = frame_length - 2 * hop
    synthesis = np.zeros(frame_length)
    # Hann is zero at its first sample, where the analysis window is not.
    synthesis[start:] = hann(2 * hop) / analysis[start:]
    return WindowPair(analysis.astype(np.float32), synthesis.astype(np.float32), hop, start)


def _check(frame_length: int, hop: int) -> None:
    if frame_length % hop or frame_length // hop < 3:
        raise UsageError(
            f"hop must divide frame_length three times or more: got hop={hop}, "
            f"frame_length={frame_length}"
        )
