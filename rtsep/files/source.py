"""What the reader asks of a decoder, and how a decoder says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.files.remarks import Remarks

# No sound is stored at fewer samples per second; a damaged header may say so.
LOWEST_RATE, HIGHEST_RATE = 1_000, 12_000_000


class CannotDecodeError(Exception):
    """This decoder does not know the format: another may."""


class NoSoundError(Exception):
    """The format is known, but the file has no sound to give. Its text is a whole clause."""


class DecodingStoppedError(Exception):
    """The rest of the file cannot be decoded. Its text is the decoder's reason."""


class Source(Protocol):
    """The sound in one file or stream.

    sample_rate: in Hz.
    channels: of what `pieces` yields, 1 or 2; or more, if the source cannot mix down.
    source_channels: of the file.
    samples_estimate: samples per channel as far as known beforehand, or None.
    samples_declared: samples per channel that the file claims to hold, or None where it makes no
        claim to be held to.
    remarks: what was found in the file; complete once `pieces` has ended.
    """

    sample_rate: int
    channels: int
    source_channels: int
    samples_estimate: int | None
    samples_declared: int | None
    remarks: Remarks

    def pieces(self, start_sample: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_sample` on, (samples, channels) float32; once only.

        Raises DecodingStoppedError where the rest cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Let go of the decoder; the file is its owner's to close."""
        ...
