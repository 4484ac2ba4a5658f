"""Reading audio files: any format, in blocks, and everything that is wrong said in one line.

libsndfile reads what it knows exactly, FFmpeg (through PyAV) everything else. This is the edge at
which sound is validated: what comes out of `AudioReader.blocks` is finite and complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.declared_length import missing_bytes
from rtsep.audio.source import CannotDecodeError, DecodingStoppedError, NoSoundError, Source
from rtsep.errors import AudioFileError

# Headers that are off by a few bytes are common and lose nothing: 6 ms of CD sound.
SLOPPY_HEADER_BYTES = 1024

# How much less than declared may be decoded. An encoder's delay and padding, some 3,000 samples,
# may be in the declared length or not; a damaged packet is no cut either: up to 5 % of a short file
# and 0.5 s of a long one.
MISSING_FRAMES_MIN = 4096
MISSING_S_MAX = 0.5
MISSING_PART_MAX = 0.05

UNKNOWN_TO_ALL = "is no audio file, or so damaged or cut short that no decoder can open it"


class AudioReader:
    """One audio file, or a part of it, as a stream of blocks. Use it in a `with` statement.

    path: the file.
    start_s, duration_s: the part to read, in seconds, exact to the sample; None for all. A part
        that reaches beyond the end is cut there.

    sample_rate: in Hz.
    channels: of the blocks, 1 or 2; more channels are mixed down to stereo.
    source_channels: of the file.
    frames_estimate: samples per channel that `blocks` is expected to yield in all, or None.

    Raises AudioFileError if the file is missing, a folder, empty, cut short, or has no sound.
    """

    def __init__(
        self,
        path: str | Path,
        start_s: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        self.path = Path(path)
        _check_file(self.path)
        self._source = _open_source(self.path)
        self.sample_rate = self._source.sample_rate
        self.channels = self._source.channels
        self.source_channels = self._source.source_channels
        self._start_frame = round((start_s or 0.0) * self.sample_rate)
        self._frames_wanted = None if duration_s is None else round(duration_s * self.sample_rate)
        self.frames_estimate = self._estimate()

    def _estimate(self) -> int | None:
        whole = self._source.frames_estimate
        if whole is None:
            return self._frames_wanted
        rest = max(0, whole - self._start_frame)
        return rest if self._frames_wanted is None else min(rest, self._frames_wanted)

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def blocks(self, frames_per_block: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound in blocks; can be called once.

        frames_per_block: samples per channel of every block but the last, at least 1.
        Yields (samples, channels) float32, C-contiguous; full scale is 1.
        Raises AudioFileError where the sound ends before the length that the file declares,
        cannot be decoded, holds NaN or infinite samples, or where there is no sample at all.
        """
        frames = 0
        for block in _in_blocks(self._selected(), frames_per_block):
            self._check_finite(block, self._start_frame + frames)
            frames += len(block)
            yield block
        if frames == 0:
            raise AudioFileError(f"{self.path} holds no sound: it has 0 samples")

    def _selected(self) -> Iterator[NDArray[np.float32]]:
        """Yield the part that was asked for, in pieces of any length."""
        left = self._frames_wanted
        frames = 0
        try:
            for piece in self._source.pieces(self._start_frame):
                if left is not None:
                    piece = piece[:left]
                    left -= len(piece)
                frames += len(piece)
                yield piece
                if left == 0:
                    return
        except OSError as error:
            raise AudioFileError(f"cannot read {self.path}: {error.strerror}") from error
        except DecodingStoppedError as error:
            raise AudioFileError(
                f"{self.path} cannot be decoded beyond {self._seconds(self._start_frame + frames)}"
                f" s ({error}): it is damaged or cut short, get it again"
            ) from error
        self._check_end(frames)

    def _check_end(self, frames: int) -> None:
        """Compare the end of the sound, `frames` after the start, with the declared length."""
        declared = self._source.frames_declared
        if frames == 0 and self._start_frame:
            raise AudioFileError(
                f"{self.path} ends before {self._seconds(self._start_frame)} s: choose an earlier"
                " start"
            )
        if declared is None:
            return
        missing = declared - self._start_frame - frames
        damaged = min(MISSING_PART_MAX * declared, MISSING_S_MAX * self.sample_rate)
        if missing > max(damaged, MISSING_FRAMES_MIN):
            raise AudioFileError(
                f"{self.path} is cut short or damaged: {self._seconds(declared - missing)} s of"
                f" {self._seconds(declared)} s can be decoded, get it again"
            )

    def _check_finite(self, block: NDArray[np.float32], first_frame: int) -> None:
        finite = np.isfinite(block)
        if finite.all():
            return
        row = int(np.argmin(finite.all(axis=1)))
        kind = "NaN" if np.isnan(block[row]).any() else "infinite"
        raise AudioFileError(
            f"{self.path} holds {kind} samples, the first at {self._seconds(first_frame + row)} s:"
            " repair or re-export it"
        )

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.sample_rate:.2f}"


def _check_file(path: Path) -> None:
    """Raise AudioFileError unless `path` is a file with something in it, complete by its header."""
    try:
        if not path.exists():
            raise AudioFileError(f"no such file: {path}")
        if path.is_dir():
            raise AudioFileError(f"{path} is a folder: name the audio files in it")
        if not path.is_file():
            raise AudioFileError(f"{path} is not a regular file: save the sound to a file first")
        if path.stat().st_size == 0:
            raise AudioFileError(f"{path} is empty: it has 0 bytes")
        with path.open("rb") as file:
            missing = missing_bytes(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AudioFileError(f"cannot read {path}: {reason}") from error
    if missing > SLOPPY_HEADER_BYTES:
        raise AudioFileError(
            f"{path} is cut short: its header declares {missing} bytes more than it has,"
            " get it again"
        )


def _open_source(path: Path) -> Source:
    """Open `path` with the first decoder that knows it."""
    # Here, because the libraries behind them are slow to import.
    from rtsep.audio.ffmpeg_source import FfmpegSource
    from rtsep.audio.sndfile_source import SndfileSource, starts_like_sndfile

    with path.open("rb") as file:
        sndfile_first = starts_like_sndfile(file.read(12))
    decoders: list[type[SndfileSource] | type[FfmpegSource]] = [SndfileSource, FfmpegSource]
    if not sndfile_first:
        decoders.reverse()
    if path.suffix.lower() == ".mp3":
        decoders.remove(SndfileSource)
    problem = ""
    for decoder in decoders:
        try:
            source = decoder(path)
        except CannotDecodeError:
            continue
        except NoSoundError as error:
            problem = str(error)
            continue
        if source.channels <= 2:
            return source
        source.close()  # libsndfile does not mix down: FFmpeg's turn
        problem = f"has {source.channels} channels, which cannot be mixed down: make it stereo"
    raise AudioFileError(f"{path} {problem or UNKNOWN_TO_ALL}")


def _in_blocks(
    pieces: Iterable[NDArray[np.float32]], frames_per_block: int
) -> Iterator[NDArray[np.float32]]:
    """Cut and join pieces to blocks of one length; the last one may be shorter."""
    if frames_per_block < 1:
        raise ValueError(f"frames_per_block must be at least 1: got {frames_per_block}")
    waiting: list[NDArray[np.float32]] = []
    frames = 0
    for piece in pieces:
        waiting.append(piece)
        frames += len(piece)
        if frames < frames_per_block:
            continue
        joined = np.concatenate(waiting)
        whole = frames - frames % frames_per_block
        for start in range(0, whole, frames_per_block):
            yield joined[start : start + frames_per_block]
        waiting = [joined[whole:]]
        frames -= whole
    if frames:
        yield np.concatenate(waiting)
