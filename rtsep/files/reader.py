"""Reading audio files and streams: any format, in blocks, and everything that is wrong in one line.

FFmpeg (through PyAV) reads what it knows, libsndfile the rest. This is the edge at which sound is
validated: what comes out of `AudioReader.blocks` is finite, and lasts as long as the file plays.
What had to be replaced or left out on the way is told in `AudioReader.remarks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import AudioFileError, UsageError
from rtsep.files.byte_source import ByteStream, OpenFile
from rtsep.files.declared_length import why_cut_short
from rtsep.files.decoders import open_source
from rtsep.files.mended import Mended
from rtsep.files.raw_pcm import RawFormat, RawSource
from rtsep.files.remarks import Remark
from rtsep.files.source import DecodingStoppedError, NoSoundError, Source

# How much less than declared may be decoded before it is called cut short. An encoder's delay and
# padding, some 3,000 samples, may be in the declared length or not; estimates are off by a little.
MISSING_SAMPLES_MIN = 4096
MISSING_S_MAX = 0.5
MISSING_PART_MAX = 0.05


class AudioReader:
    """One audio file or stream, or a part of it, in blocks.

    Use it in a ``with`` statement.

    Parameters
    ----------
    source : str | Path | BinaryIO | ByteStream
        The file's path; or a file object opened for binary reading, which is read as a stream, from
        where it stands, without seeking, and stays open. A stream needs a format that can be read
        so: WAV, FLAC, Ogg, MP3, ADTS, Matroska, MPEG-TS, fragmented MP4; or `raw`.
    start_s, duration_s : float, optional
        The part to read, in seconds, exact to the sample; None for all. A part that reaches beyond
        the end is cut there.
    track : int | None
        Number of the audio track, counted from 1; None takes the default one.
    strict : bool
        Refuse files that are damaged, in place of remarks about them.
    raw : RawFormat | None
        What raw PCM a stream holds; None where it says so itself.

    Attributes
    ----------
    label : str
        How the source is called in messages.
    sample_rate : int
        In Hz.
    channels : int
        Of the blocks, 1 or 2; more channels are mixed down to stereo.
    source_channels : int
        Of the file.
    samples_estimate : int or None
        Samples per channel that `blocks` is expected to yield in all, if that is known.

    Raises
    ------
    AudioFileError
        If the file is missing, a folder, empty, or has no sound.

    Examples
    --------
    >>> with AudioReader("song.mp3") as reader:
    ...     for block in reader.blocks(4096):
    ...         ...
    """

    def __init__(
        self,
        source: str | Path | BinaryIO | ByteStream,
        start_s: float | None = None,
        duration_s: float | None = None,
        track: int | None = None,
        strict: bool = False,
        raw: RawFormat | None = None,
    ) -> None:
        self._file = _open(source)
        self.label = self._file.label
        try:
            self._source = _source_in(self._file, track, raw)
        except BaseException:
            self._file.close()
            raise
        self._strict = strict
        self.sample_rate = self._source.sample_rate
        self.channels = self._source.channels
        self.source_channels = self._source.source_channels
        self._start_sample = round((start_s or 0.0) * self.sample_rate)
        self._samples_wanted = None if duration_s is None else round(duration_s * self.sample_rate)
        self.samples_estimate = self._estimate()
        self._mended = Mended()

    @property
    def is_stream(self) -> bool:
        """Whether the sound comes as it is made, so that nobody should wait for more than there is."""
        return isinstance(self._file, ByteStream)

    def _estimate(self) -> int | None:
        whole = self._source.samples_estimate
        if whole is None:
            return self._samples_wanted
        rest = max(0, whole - self._start_sample)
        return rest if self._samples_wanted is None else min(rest, self._samples_wanted)

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a stream stays open."""
        self._source.close()
        self._file.close()

    @property
    def remarks(self) -> list[Remark]:
        """What was found, each a clause that goes after the file's name; complete after `blocks`."""
        return self._source.remarks.all() + self._mended.remarks(self.sample_rate)

    @property
    def bad_samples(self) -> int:
        """How many samples have been replaced so far, see dsp/bad_samples.py."""
        return self._mended.count

    def blocks(self, samples_per_block: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound in blocks; can be called once.

        Parameters
        ----------
        samples_per_block : int
            Samples per channel of every block but the last, at least 1.

        Yields
        ------
        ndarray of float32, (samples, channels)
            C-contiguous; full scale is 1. Samples that are NaN, infinite or absurd are replaced, see
            dsp/bad_samples.py.

        Raises
        ------
        AudioFileError
            Where there is no sample at all, or the source cannot be read; and, if strict, at the
            first damage.
        """
        count = 0
        for block in _in_blocks(self._selected(), samples_per_block):
            self._mended.mend(block, self._start_sample + count)
            self._refuse_damage()
            count += len(block)
            yield block
        self._refuse_damage()
        if count == 0:
            damage = self._source.remarks.first_damage
            reason = f"{damage}: " if damage else ""
            raise AudioFileError(f"{self.label} {reason}holds no sound, it has 0 samples")

    def _refuse_damage(self) -> None:
        if not self._strict:
            return
        for remark in self.remarks:
            if remark.damage:
                raise AudioFileError(f"{self.label} {remark}: get it again, or do without `strict`")

    def _selected(self) -> Iterator[NDArray[np.float32]]:
        """Yield the part that was asked for, in pieces of any length."""
        remarks, left = self._source.remarks, self._samples_wanted
        count = 0
        try:
            for piece in self._source.pieces(self._start_sample):
                if left is not None:
                    piece = piece[:left]
                    left -= len(piece)
                count += len(piece)
                yield piece
                if left == 0:
                    return
        except OSError as error:
            raise AudioFileError(f"cannot read {self.label}: {error.strerror}") from error
        except NoSoundError as error:
            raise AudioFileError(f"{self.label} {error}") from error
        except DecodingStoppedError as error:
            remarks.damage(
                f"cannot be decoded beyond {self._seconds(self._start_sample + count)} s ({error})"
            )
        self._check_end(count)

    def _check_end(self, count: int) -> None:
        """Compare the end of the sound, `count` after the start, with what the file declares."""
        if count == 0 and self._start_sample:
            raise AudioFileError(
                f"{self.label} ends before {self._seconds(self._start_sample)} s: choose an earlier"
                " start"
            )
        declared = self._source.samples_declared
        if declared is not None:
            missing = declared - self._start_sample - count
            tolerated = min(MISSING_PART_MAX * declared, MISSING_S_MAX * self.sample_rate)
            if missing > max(tolerated, MISSING_SAMPLES_MIN):
                self._source.remarks.damage(
                    f"is cut short: {self._seconds(declared - missing)} s of"
                    f" {self._seconds(declared)} s are there"
                )
                return
        why = why_cut_short(self._file.view())
        if why is not None:
            self._source.remarks.damage(f"is cut short: {why}")

    def _seconds(self, count: int) -> str:
        return f"{count / self.sample_rate:.2f}"


def _open(source: str | Path | BinaryIO | ByteStream) -> OpenFile | ByteStream:
    if isinstance(source, (str, Path)):
        return OpenFile(Path(source))
    return source if isinstance(source, ByteStream) else ByteStream(source)


def _source_in(file: OpenFile | ByteStream, track: int | None, raw: RawFormat | None) -> Source:
    if raw is None:
        return open_source(file, track)
    if not isinstance(file, ByteStream):
        raise UsageError(
            f"{file.label}: only a stream can be raw PCM: open the file and hand it over"
        )
    if track not in (None, 1):
        raise AudioFileError(f"{file.label} has no audio track {track}: raw PCM has 1")
    return RawSource(file, raw)


def _in_blocks(
    pieces: Iterable[NDArray[np.float32]], samples_per_block: int
) -> Iterator[NDArray[np.float32]]:
    """Cut and join pieces to blocks of one length; the last one may be shorter."""
    if samples_per_block < 1:
        raise ValueError(f"samples_per_block must be at least 1: got {samples_per_block}")
    waiting: list[NDArray[np.float32]] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count < samples_per_block:
            continue
        joined = np.concatenate(waiting)
        whole = count - count % samples_per_block
        for start in range(0, whole, samples_per_block):
            yield joined[start : start + samples_per_block]
        waiting = [joined[whole:]]
        count -= whole
    if count:
        yield np.concatenate(waiting)
