"""Sound decoded by libsndfile: WAV and its relatives, AIFF, CAF, AU, FLAC, Ogg.

MP3 is left to FFmpeg: where a file with a variable bit rate has no index, libsndfile takes a guess
at the length for the truth and stops there, and its decoder prints on stderr.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.source import CannotDecodeError, DecodingStoppedError

# libsndfile's "unknown", e.g. for a FLAC stream that was written to a pipe.
UNKNOWN_FRAMES = 2**63 - 1

FRAMES_PER_READ = 32_768


def starts_like_sndfile(head: bytes) -> bool:
    """Tell by the first 12 bytes of a file whether libsndfile is to be asked first."""
    return head[:4] in (
        b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd", b"fLaC", b"OggS",
    )  # fmt: skip


class SndfileSource:
    """One open file; see `rtsep.audio.source.Source` for the attributes.

    Raises CannotDecodeError if libsndfile does not know the format.
    """

    def __init__(self, path: Path) -> None:
        import soundfile

        self._decoding_error = soundfile.LibsndfileError
        # Bytes, because soundfile cannot encode names that are not valid UTF-8 itself.
        name = str(path) if os.name == "nt" else os.fsencode(path)
        try:
            self._file = soundfile.SoundFile(name)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name in .raw
            raise CannotDecodeError from error
        if self._file.subtype.startswith("MPEG"):
            self._file.close()
            raise CannotDecodeError
        self.sample_rate = int(self._file.samplerate)
        self.channels = self.source_channels = int(self._file.channels)
        known = 0 <= self._file.frames < UNKNOWN_FRAMES
        self.frames_estimate = int(self._file.frames) if known else None
        self.frames_declared = self.frames_estimate

    def pieces(self, start_frame: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_frame` on, (samples, channels) float32."""
        skip = start_frame
        try:
            if skip and self._file.seekable():
                self._file.seek(min(skip, self._file.frames))
                skip = 0
            while len(piece := self._read()):
                dropped = min(skip, len(piece))
                skip -= dropped
                yield piece[dropped:]
        except self._decoding_error as error:
            raise DecodingStoppedError(error.error_string) from error

    def _read(self) -> NDArray[np.float32]:
        piece: NDArray[np.float32] = self._file.read(
            FRAMES_PER_READ, dtype="float32", always_2d=True
        )
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()
