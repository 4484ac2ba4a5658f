"""Reading audio files: any format, in blocks, and everything that is wrong said in one line.

FFmpeg (through PyAV) reads what it knows, libsndfile the rest. This is the edge at which sound is
validated: what comes out of `AudioReader.blocks` is finite, and lasts as long as the file plays.
What had to be replaced or left out on the way is told in `AudioReader.remarks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import AudioFileError
from rtsep.files.declared_length import why_cut_short
from rtsep.files.remarks import Remark
from rtsep.files.source import CannotDecodeError, DecodingStoppedError, NoSoundError, Source

# How much less than declared may be decoded before it is called cut short. An encoder's delay and
# padding, some 3,000 samples, may be in the declared length or not; estimates are off by a little.
MISSING_SAMPLES_MIN = 4096
MISSING_S_MAX = 0.5
MISSING_PART_MAX = 0.05

# No sound is stored at fewer samples per second; a damaged header may say so.
LOWEST_RATE, HIGHEST_RATE = 1_000, 12_000_000

UNKNOWN_TO_ALL = "is no audio file, or so damaged or cut short that no decoder can open it"

PLAYLIST = "is a playlist or a list of files, which holds no sound: name the files in it"
_PLAYLIST_BEGINNINGS = (
    b"#extm3u", b"ffconcat version", b"[playlist]", b"<asx", b"<smil", b"<mpd", b"<playlist",
    b"[reference]", b"v=0", b"file '", b"file \"",
)  # fmt: skip
_PLAYLIST_EXTENSIONS = (
    ".m3u",
    ".m3u8",
    ".pls",
    ".xspf",
    ".asx",
    ".cue",
    ".mpd",
    ".sdp",
    ".ffconcat",
)


class AudioReader:
    """One audio file, or a part of it, as a stream of blocks. Use it in a `with` statement.

    path: the file.
    start_s, duration_s: the part to read, in seconds, exact to the sample; None for all. A part
        that reaches beyond the end is cut there.
    track: number of the audio track, counted from 1; None takes the default one.
    strict: refuse files that are damaged, in place of remarks about them.

    sample_rate: in Hz.
    channels: of the blocks, 1 or 2; more channels are mixed down to stereo.
    source_channels: of the file.
    samples_estimate: samples per channel that `blocks` is expected to yield in all, or None.

    Raises AudioFileError if the file is missing, a folder, empty, or has no sound.
    """

    def __init__(
        self,
        path: str | Path,
        start_s: float | None = None,
        duration_s: float | None = None,
        track: int | None = None,
        strict: bool = False,
    ) -> None:
        self.path = Path(path)
        _check_file(self.path)
        self._source = _open_source(self.path, track)
        self._strict = strict
        self.sample_rate = self._source.sample_rate
        self.channels = self._source.channels
        self.source_channels = self._source.source_channels
        self._start_sample = round((start_s or 0.0) * self.sample_rate)
        self._samples_wanted = None if duration_s is None else round(duration_s * self.sample_rate)
        self.samples_estimate = self._estimate()
        self._mended = Mended()

    def _estimate(self) -> int | None:
        whole = self._source.samples_estimate
        if whole is None:
            return self._samples_wanted
        rest = max(0, whole - self._start_sample)
        return rest if self._samples_wanted is None else min(rest, self._samples_wanted)

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

    @property
    def remarks(self) -> list[Remark]:
        """What was found, each a clause that goes after the file's name; complete after `blocks`."""
        return self._source.remarks.all() + self._mended.remarks(self.sample_rate)

    def blocks(self, samples_per_block: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound in blocks; can be called once.

        samples_per_block: samples per channel of every block but the last, at least 1.
        Yields (samples, channels) float32, C-contiguous; full scale is 1. Samples that are NaN,
        infinite or absurd are replaced, see dsp/bad_samples.py.
        Raises AudioFileError where there is no sample at all, and, if strict, at the first damage.
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
            raise AudioFileError(f"{self.path} {reason}holds no sound, it has 0 samples")

    def _refuse_damage(self) -> None:
        if not self._strict:
            return
        for remark in self.remarks:
            if remark.damage:
                raise AudioFileError(f"{self.path} {remark}: get it again, or leave out --strict")

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
            raise AudioFileError(f"cannot read {self.path}: {error.strerror}") from error
        except NoSoundError as error:
            raise AudioFileError(f"{self.path} {error}") from error
        except DecodingStoppedError as error:
            remarks.damage(
                f"cannot be decoded beyond {self._seconds(self._start_sample + count)} s ({error})"
            )
        self._check_end(count)

    def _check_end(self, count: int) -> None:
        """Compare the end of the sound, `count` after the start, with what the file declares."""
        if count == 0 and self._start_sample:
            raise AudioFileError(
                f"{self.path} ends before {self._seconds(self._start_sample)} s: choose an earlier"
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
        with self.path.open("rb") as file:
            why = why_cut_short(file)
        if why is not None:
            self._source.remarks.damage(f"is cut short: {why}")

    def _seconds(self, count: int) -> str:
        return f"{count / self.sample_rate:.2f}"


class Mended:
    """Replaces the bad samples of a stream, block by block, and remembers the first and how many."""

    def __init__(self) -> None:
        self._count = 0
        self._first_sample = 0
        self._first_value = 0.0
        self._before: NDArray[np.float32] | None = None

    def mend(self, block: NDArray[np.float32], first_sample: int) -> None:
        """Replace what is bad in `block`, (samples, channels) float32, which begins at `first_sample`."""
        from rtsep.dsp.bad_samples import LIMIT, mend

        if self._before is None:
            self._before = np.zeros(block.shape[1], np.float32)
        with np.errstate(invalid="ignore"):
            good = np.abs(block) <= LIMIT
        if good.all():
            self._before[:] = block[-1]
            return
        if not self._count:
            row, channel = np.argwhere(~good)[0]
            self._first_sample, self._first_value = first_sample + row, block[row, channel]
        self._count += mend(block, self._before)

    def remarks(self, sample_rate: int) -> list[Remark]:
        """What was replaced; nothing if nothing was."""
        if not self._count:
            return []
        what = "1 sample that is" if self._count == 1 else f"{self._count} samples that are"
        first_s = self._first_sample / sample_rate
        text = (
            f"has {what} no sound, the first at {first_s:.3f} s ({self._first_value:g}):"
            " replaced by a line between the neighbours"
        )
        return [Remark(text, True)]


def _check_file(path: Path) -> None:
    """Raise AudioFileError unless `path` is a file with something in it."""
    try:
        if not path.exists():
            raise AudioFileError(f"no such file: {path}")
        if path.is_dir():
            raise AudioFileError(f"{path} is a folder: name the audio files in it")
        if not path.is_file():
            raise AudioFileError(f"{path} is not a regular file: save the sound to a file first")
        if path.stat().st_size == 0:
            raise AudioFileError(f"{path} is empty: it has 0 bytes")
        path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AudioFileError(f"cannot read {path}: {reason}") from error


def _open_source(path: Path, track: int | None) -> Source:
    """Open `path` with the first decoder that knows it."""
    # Here, because the libraries behind them are slow to import.
    from rtsep.files.ffmpeg_source import FfmpegSource
    from rtsep.files.sndfile_source import SndfileSource

    if _is_playlist(path):
        raise AudioFileError(f"{path} {PLAYLIST}")
    problem = ""
    for decoder in (FfmpegSource, SndfileSource):
        try:
            source: Source = decoder(path, track)
        except CannotDecodeError:
            continue
        except NoSoundError as error:
            problem = problem or str(error)
            continue
        if source.channels > 2:
            problem = problem or f"has {source.channels} channels: mix it down to stereo first"
        elif not LOWEST_RATE <= source.sample_rate <= HIGHEST_RATE:
            problem = f"declares a sample rate of {source.sample_rate} Hz, which no sound has"
        else:
            return source
        source.close()
    raise AudioFileError(f"{path} {problem or UNKNOWN_TO_ALL}")


def _is_playlist(path: Path) -> bool:
    """Tell by its beginning, or by its name where that is text, whether `path` lists other files."""
    with path.open("rb") as file:
        head = file.read(512)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PLAYLIST_BEGINNINGS):
        return True
    return path.suffix.lower() in _PLAYLIST_EXTENSIONS and b"\0" not in head


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
