"""BSS Eval v4 as published figures have it: museval's, the median over frames of a second.

Stoeter, Liutkus, Ito, "The 2018 Signal Separation Evaluation Campaign" (LVA/ICA 2018). The references
are the stem and the sum of all others, as museval takes vocals and accompaniment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import MissingLibraryError, one_line
from rtsep_bench.report import import_extra
from rtsep_bench.true_stems import Song

# In museval's order.
MEASURES = ("sdr", "isr", "sir", "sar")


def field(measure: str) -> str:
    """What a measure is called in rows."""
    return f"v4_{measure}_db"


FIELDS = tuple(map(field, MEASURES))


def load_museval() -> None:
    """Import museval. Raises MissingLibraryError where it, or ffmpeg, which it asks for, is missing."""
    try:
        import_extra("museval", "quality", "--museval")
    except RuntimeError as error:
        # stempeg, which it imports, looks for ffmpeg at once.
        raise MissingLibraryError(f"--museval: {one_line(error)}") from None


def bss_eval(estimate: NDArray[np.float32], song: Song) -> dict[str, float | None]:
    """SDR, ISR, SIR and SAR of `estimate`, (samples, 2) at 44.1 kHz, by `field`, in dB.

    Each is the median over the frames in which neither the stem nor the estimate is silent, and where
    it is finite; None where there is no such frame.
    """
    museval = import_extra("museval", "quality", "--museval")
    if not hasattr(np.linalg, "linalg"):
        # Where museval 0.4.1 looks for LinAlgError, which a mono stem may cause; NumPy 2.4 has no such
        # module any more.
        np.linalg.linalg = np.linalg  # type: ignore[attr-defined]
    references = np.stack([song.true, song.rest]).astype(np.float64)
    # An estimate of the others has no part in the stem's figures, but museval wants one for each.
    estimates = np.stack([estimate, estimate]).astype(np.float64)
    try:
        found = museval.evaluate(references, estimates, win=SAMPLE_RATE, hop=SAMPLE_RATE)
    except ValueError:
        # It refuses sounds that are silent throughout; the references are not.
        return dict.fromkeys(FIELDS)
    return {name: _median(frames[0]) for name, frames in zip(FIELDS, found, strict=True)}


def _median(frames: NDArray[np.float64]) -> float | None:
    finite = frames[np.isfinite(frames)]
    return float(np.median(finite)) if len(finite) else None
