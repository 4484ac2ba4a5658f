"""Writing one stem: block by block into a temporary file that takes its final name when complete.

Whatever goes wrong on the way, under the final name stands either the old file or the whole new
one (see part_file.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.resample import StreamResampler
from rtsep.errors import AudioFileError
from rtsep.files.clipping import ClippingCounter
from rtsep.files.formats import DEFAULT_FORMAT, OutputFormat, find_format
from rtsep.system.part_file import PartFile, commit_together

# libsndfile's Vorbis encoder keeps a whole call's samples on the stack.
SAMPLES_PER_WRITE = 32_768

# More than any encoder holds back until the file is closed.
LAST_WRITE_BYTES_MAX = 65_536

# libsndfile's number of the command, which soundfile has no name for.
SFC_RF64_AUTO_DOWNGRADE = 0x1210

# Room in a plain WAV, AIFF or AU file for everything that is not sound.
HEADER_BYTES_MAX = 4096


class StemWriter(ClippingCounter):
    """One audio file being written. Use it in a ``with`` statement: what is not committed is removed.

    Parameters
    ----------
    path : str | Path
        The final name; missing folders on the way are made.
    sample_rate : int
        In Hz, of the blocks. Where the format cannot hold it, the sound is resampled to
        `stored_rate`.
    channels : int
        Of the blocks.
    format : str | OutputFormat
        A name in `rtsep.files.formats.FORMATS`, or the format itself.
    bit_depth : str | None
        ``16``, ``24``, ``float`` or None for the format's default.
    samples_estimate : int | None
        Samples per channel that are expected, or None if that is unknown. A WAV file that may pass
        4 GB is begun as RF64, and is a plain WAV file again if it does not.

    Attributes
    ----------
    part_path : Path
        The file's name until it is committed.
    stored_rate : int
        In Hz, of the file.
    clipped_samples : int
        How many samples were beyond full scale and have been limited to it (0 in formats that keep
        them: float and lossy ones).
    peak : float
        The greatest absolute value so far; full scale is 1.

    Raises
    ------
    UsageError
        For an impossible format or bit depth.
    AudioFileError
        If the file cannot be written.

    Examples
    --------
    >>> with StemWriter("vocals.flac", 44100, 2, "flac", "24") as writer:
    ...     writer.write(block)
    ...     writer.commit()
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        format: str | OutputFormat = DEFAULT_FORMAT,
        bit_depth: str | None = None,
        samples_estimate: int | None = None,
    ) -> None:
        import soundfile  # here, because it is slow to import

        self.path = Path(path)
        output = find_format(format) if isinstance(format, str) else format
        self.bit_depth = output.bit_depth(bit_depth)
        self.stored_rate = output.stored_rate(sample_rate)
        self._limits = self.bit_depth in ("16", "24")
        self._channels = channels
        self._samples_written = 0
        self._resampler = StreamResampler(sample_rate, self.stored_rate, channels)
        self._bytes_max = output.bytes_max
        self._container = output.container
        if self._container == "WAV" and (
            samples_estimate is None or self._too_long(samples_estimate)
        ):
            self._container, self._bytes_max = "RF64", None
        self._errors = (soundfile.LibsndfileError, AssertionError, OSError)
        self._file: Any = None
        try:
            # Made here first: unlike libsndfile, Python says why a file cannot be made.
            self._part = PartFile(self.path)
        except OSError as error:
            raise AudioFileError(f"cannot write {self.path}: {_reason(error)}") from error
        self.part_path = self._part.temporary
        try:
            self._file = soundfile.SoundFile(
                str(self.part_path) if os.name == "nt" else os.fsencode(self.part_path),
                "w",
                samplerate=self.stored_rate,
                channels=channels,
                format=self._container,
                subtype=output.encodings[self.bit_depth],
                **dict(output.options),
            )
            if self._container == "RF64" and output.container == "WAV":
                _become_wav_if_short(self._file)
        except self._errors as error:
            self.discard()
            raise AudioFileError(f"cannot write {self.path}: {_reason(error)}") from error

    def __enter__(self) -> StemWriter:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.discard()

    def write(self, block: NDArray[np.float32]) -> None:
        """Append a block.

        Parameters
        ----------
        block : ndarray
            (samples, channels) float32; full scale is 1.
        """
        if self._limits:
            self._count_clipping(block)
        self._store(self._resampler.push(block))

    def _store(self, block: NDArray[np.float32]) -> None:
        if self._too_long(self._samples_written + len(block)):
            raise AudioFileError(
                f"cannot write {self.path}: it would be longer than its format allows (4 GB):"
                " choose the format w64 or flac"
            )
        try:
            for start in range(0, len(block), SAMPLES_PER_WRITE):
                self._file.write(block[start : start + SAMPLES_PER_WRITE])
        except self._errors as error:
            raise self._cannot_write(error) from error
        self._samples_written += len(block)

    def _too_long(self, samples: int) -> bool:
        """Return whether so many samples per channel are too long for the format."""
        if self._bytes_max is None:
            return False
        bytes_per_sample = {"16": 2, "24": 3, "float": 4}[self.bit_depth]
        return samples * self._channels * bytes_per_sample + HEADER_BYTES_MAX > self._bytes_max

    def finish(self) -> None:
        """Write what is left and close the file; check that all of it has arrived."""
        if self._file is None:
            return
        self._store(self._resampler.flush())
        try:
            self._file.close()
            self._check_arrived()
        except self._errors as error:
            raise self._cannot_write(error) from error
        finally:
            self._file = None

    def _check_arrived(self) -> None:
        """Raise OSError if the disk was full when the encoder gave out its last bytes.

        libsndfile does not report that. All formats but MP3 show it in their length.
        """
        import soundfile

        if self._container == "MP3" or self._samples_written == 0:
            _append_and_take_back(self.part_path)
            return
        name = str(self.part_path) if os.name == "nt" else os.fsencode(self.part_path)
        if soundfile.info(name).frames != self._samples_written:
            raise OSError(None, "the file lacks its end")

    def commit(self) -> None:
        """Give the file its final name, in place of whatever had it. Calls `finish` if need be.

        Raises AudioFileError where another program has written a file of that name since the
        beginning.
        """
        commit_all([self])

    def discard(self) -> None:
        """Close and remove the file, unless it is committed, and folders made for it alone."""
        if self._file is not None:
            with contextlib.suppress(*self._errors):  # it is about to go anyway
                self._file.close()
            self._file = None
        self._part.discard()

    def _cannot_write(self, error: Exception) -> AudioFileError:
        """Make the error message; libsndfile only ever says `System error`, so ask the system."""
        try:
            _append_and_take_back(self.part_path)
        except OSError as cause:
            return AudioFileError(f"cannot write {self.path}: {_reason(cause)}")
        return AudioFileError(f"cannot write {self.path}: {_reason(error)}")


def commit_all(writers: Sequence[StemWriter]) -> None:
    """Give all files their final names, or none; raises AudioFileError as `StemWriter.commit`."""
    for writer in writers:
        writer.finish()
    try:
        commit_together([writer._part for writer in writers])
    except OSError as error:
        raise AudioFileError(f"cannot write {error.filename}: {_reason(error)}") from error


def _become_wav_if_short(file: Any) -> None:
    """Let an RF64 file that has just been opened be a plain WAV file if it ends below 4 GB."""
    import soundfile

    soundfile._snd.sf_command(file._file, SFC_RF64_AUTO_DOWNGRADE, soundfile._ffi.NULL, 1)


def _append_and_take_back(path: Path) -> None:
    """Raise the OSError that keeps a file from growing, if something does."""
    length = path.stat().st_size
    with path.open("r+b", buffering=0) as file:
        try:
            file.seek(length)
            left = LAST_WRITE_BYTES_MAX
            while left:
                left -= file.write(bytes(left))
        finally:
            file.truncate(length)


def _reason(error: Exception) -> str:
    """Return the clause of an error that says why."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    text = getattr(error, "error_string", "") or str(error)
    return text.strip(" .") or "the system refused"
