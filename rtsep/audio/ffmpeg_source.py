"""Sound decoded by FFmpeg through PyAV: MP3, M4A, Opus, the sound of a video, and the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.source import CannotDecodeError, DecodingStoppedError, NoSoundError

if TYPE_CHECKING:
    import av.container
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

# Formats whose stream states its own length. The others estimate it from bit rate or time stamps.
FORMATS_THAT_COUNT = frozenset(("mov", "flac", "tta", "wv", "wav", "w64", "aiff", "caf", "au"))

# An MP3 file says how long it is only in one of these marks, in its first frame.
MP3_COUNT_MARKS = (b"Xing", b"Info", b"VBRI")
MP3_FIRST_FRAME_BYTES_MAX = 4096

DAMAGED_PACKETS_IN_A_ROW_MAX = 1000


class FfmpegSource:
    """One open file; see `rtsep.audio.source.Source` for the attributes.

    Takes the first audio stream. More than two channels are mixed down to stereo by libswresample,
    with the gains normalised so that no mix can clip.
    Raises CannotDecodeError for an unknown format, NoSoundError for a file without sound.
    """

    def __init__(self, path: Path) -> None:
        import av

        self._av_error = av.FFmpegError
        # A file object instead of the name: FFmpeg takes names like "concat:a" for orders.
        self._file = path.open("rb")
        try:
            self._container = av.open(self._file, mode="r", **_lenient_tags(av))
        except av.FFmpegError as error:
            self._file.close()
            raise CannotDecodeError from error
        try:
            self._select_stream()
        except DecodingStoppedError as error:
            self.close()
            raise CannotDecodeError from error
        except BaseException:
            self.close()
            raise

    def _select_stream(self) -> None:
        """Take the first audio stream and look at its first frame.

        Only a decoded frame tells the true rate and layout: HE-AAC doubles both.
        """
        if not self._container.streams.audio:
            raise NoSoundError("has no audio stream")
        self._stream: AudioStream = self._container.streams.audio[0]
        self._frames = self._decode(self._container)
        self._first_frame = next(self._frames, None)
        if self._first_frame is None:
            raise NoSoundError("has an audio stream in which not one sample can be decoded")
        self._inspect(self._first_frame)

    def _inspect(self, frame: AudioFrame) -> None:
        """Set the attributes from the first frame and the container."""
        self.sample_rate = int(frame.sample_rate)
        self.source_channels = int(frame.layout.nb_channels)
        self.channels = min(2, self.source_channels)
        self._converter = _Converter(frame, self.channels)
        seconds = self._declared_s()
        self.frames_declared = None if seconds is None else round(seconds * self.sample_rate)
        if seconds is None:
            seconds = self._estimated_s()
        self.frames_estimate = None if seconds is None else round(seconds * self.sample_rate)

    def _estimated_s(self) -> float | None:
        """Return the length in seconds that FFmpeg estimates, if it does."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1e6 if self._container.duration else None

    def _declared_s(self) -> float | None:
        """Return the length of the stream in seconds if the file states it, else None."""
        names = set(self._container.format.name.split(","))
        stream = self._stream
        if stream.duration and stream.time_base:
            seconds = stream.duration * stream.time_base
            if names & FORMATS_THAT_COUNT:
                return float(seconds)
            # A count gives whole samples, an estimate from the bit rate hardly ever.
            whole_samples = (seconds * self.sample_rate).denominator == 1
            if "mp3" in names and whole_samples and self._mp3_counts():
                return float(seconds)
        if "matroska" in names:
            # Per stream as a tag; the container's own length may be that of a longer video.
            tag = stream.metadata.get("DURATION")
            if tag is not None:
                return _seconds_of(tag)
            if len(self._container.streams) == 1 and self._container.duration:
                return self._container.duration / 1e6
        return None

    def _mp3_counts(self) -> bool:
        """Return whether an MP3 file states its length."""
        position = self._file.tell()
        try:
            self._file.seek(0)
            head = self._file.read(10)
            tag_bytes = 0
            if head[:3] == b"ID3":  # the tag's length: four times seven bits, header left out
                tag_bytes = 10 + sum((byte & 0x7F) << 7 * k for k, byte in enumerate(head[:5:-1]))
            self._file.seek(tag_bytes)
            first_frame = self._file.read(MP3_FIRST_FRAME_BYTES_MAX)
        finally:
            self._file.seek(position)
        return any(mark in first_frame for mark in MP3_COUNT_MARKS)

    def _decode(self, container: av.container.InputContainer) -> Iterator[AudioFrame]:
        """Yield the stream's frames; leave out damaged packets, as players do.

        What is lost is found afterwards by comparing with the declared length.
        """
        damaged_in_a_row = 0
        packets = container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av_error as error:
                raise DecodingStoppedError(error.strerror) from error
            try:
                frames = packet.decode()
            except self._av_error as error:
                damaged_in_a_row += 1
                if damaged_in_a_row > DAMAGED_PACKETS_IN_A_ROW_MAX:
                    raise DecodingStoppedError(error.strerror) from error
                continue
            if frames:
                damaged_in_a_row = 0
            yield from frames

    def pieces(self, start_frame: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_frame` on, (samples, channels) float32.

        What lies before is decoded and dropped: seeking is not exact in these formats.
        """
        skip = start_frame
        frame = self._first_frame
        while frame is not None:
            try:
                piece = self._converter.convert(frame)
            except self._av_error as error:
                raise DecodingStoppedError(error.strerror) from error
            dropped = min(skip, len(piece))
            skip -= dropped
            yield piece[dropped:]
            frame = next(self._frames, None)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()


class _Converter:
    """From the decoder's sample format and channels to interleaved float32, through libswresample.

    Raises NoSoundError for a layout that libswresample cannot mix down.
    """

    def __init__(self, frame: AudioFrame, channels: int) -> None:
        import av
        from av.filter import Graph

        self._settings = self._settings_of(frame)
        self._channels = channels
        self._nothing_ready = (av.error.BlockingIOError, av.error.EOFError)
        layout = frame.layout.name if frame.layout.nb_channels <= 2 else "stereo"
        self._graph = Graph()
        steps: list[Any] = [
            self._graph.add(
                "abuffer",
                sample_rate=str(frame.sample_rate),
                sample_fmt=frame.format.name,
                channel_layout=frame.layout.name,
                time_base=str(frame.time_base or f"1/{frame.sample_rate}"),
            ),
            self._graph.add("aresample", rematrix_maxval="1.0"),
            self._graph.add("aformat", sample_fmts="flt", channel_layouts=layout),
            self._graph.add("abuffersink"),
        ]
        for step, following in itertools.pairwise(steps):
            step.link_to(following)
        try:
            self._graph.configure()
        except av.FFmpegError as error:
            raise NoSoundError(
                f"has {frame.layout.nb_channels} channels in no known arrangement:"
                " mix it down to stereo first"
            ) from error

    @staticmethod
    def _settings_of(frame: AudioFrame) -> tuple[int, int]:
        return int(frame.sample_rate), int(frame.layout.nb_channels)

    def convert(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Return the frame's samples, (samples, channels) float32.

        Raises DecodingStoppedError if sample rate or channels have changed since the first frame.
        """
        if self._settings_of(frame) != self._settings:
            raise DecodingStoppedError("sample rate or channels change")
        self._graph.push(frame)
        pieces = []
        while True:
            try:
                converted = self._graph.pull()
            except self._nothing_ready:
                break
            pieces.append(converted.to_ndarray().reshape(-1, self._channels))
        if not pieces:
            return np.zeros((0, self._channels), np.float32)
        return np.concatenate(pieces)


def _seconds_of(tag: str) -> float | None:
    """Convert Matroska's ``00:03:25.123000000`` to seconds; None if it is not of that form."""
    try:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def _lenient_tags(av) -> dict[str, Any]:
    """What makes PyAV put up with tags in no known encoding: from version 19 on it always does."""
    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
