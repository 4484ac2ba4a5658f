"""Sound decoded by libsndfile: what FFmpeg does not know (MATLAB, Sound Designer, HTK, ...).

MP3 is left to FFmpeg: where a file with a variable bit rate has no index, libsndfile takes a guess
at the length for the truth and stops there, and its decoder prints on stderr.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtsep.files.byte_source import OpenFile
from rtsep.files.remarks import Remarks
from rtsep.files.source import CannotDecodeError, DecodingStoppedError, NoSoundError

# libsndfile's "unknown", e.g. for a FLAC stream that was written to a pipe.
UNKNOWN_LENGTH = 2**63 - 1

SAMPLES_PER_READ = 32_768


class SndfileSource:
    """The sound in one file; see `rtsep.files.source.Source` for the attributes.

    file: stays open when the source is closed.
    track: as for FfmpegSource; there is one.

    Raises CannotDecodeError if libsndfile does not know the format, NoSoundError for another track.
    """

    def __init__(self, file: OpenFile, track: int | None = None) -> None:
        import soundfile

        self._decoding_error = soundfile.LibsndfileError
        self.remarks = Remarks()
        file.seek(0)
        # A file object instead of the name: of some names libsndfile opens neighbours, or takes the
        # extension for the format.
        try:
            self._file = soundfile.SoundFile(file)
        except soundfile.LibsndfileError as error:
            raise CannotDecodeError from error
        if self._file.subtype.startswith("MPEG"):
            self.close()
            raise CannotDecodeError
        if track not in (None, 1):
            self.close()
            raise NoSoundError(f"has no audio track {track}: it has 1")
        self.sample_rate = int(self._file.samplerate)
        self.channels = self.source_channels = int(self._file.channels)
        known = 0 <= self._file.frames < UNKNOWN_LENGTH
        self.samples_estimate = int(self._file.frames) if known else None
        self.samples_declared = self.samples_estimate

    def pieces(self, start_sample: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_sample` on, (samples, channels) float32."""
        skip = start_sample
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
            SAMPLES_PER_READ, dtype="float32", always_2d=True
        )
        return piece

    def close(self) -> None:
        """Let go of the decoder; the file is its owner's to close."""
        self._file.close()
