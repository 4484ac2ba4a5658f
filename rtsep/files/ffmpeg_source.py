"""Sound decoded by FFmpeg through PyAV: files, the sound of videos, whatever holds it.

    packets -> frames -> where they stand (timeline.py) -> float32, one rate, one number of channels

What cannot be decoded is left out, as players do, and silence takes its place, so that what follows
is heard at its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.files import encryption
from rtsep.files.byte_source import ByteStream, OpenFile
from rtsep.files.ffmpeg_formats import (
    ELEMENTARY,
    FILE_OPTIONS,
    SAFE_OPTIONS,
    STREAM_OPTIONS,
    THAT_MAY_HAVE_GAPS,
    WITH_COARSE_STAMPS,
    names_of,
    probing_options,
)
from rtsep.files.ffmpeg_length import declared_s, known_s
from rtsep.files.frame_converter import FrameConverter, settings_of
from rtsep.files.remarks import Remarks
from rtsep.files.source import CannotDecodeError, DecodingStoppedError, NoSoundError
from rtsep.files.timeline import Timeline
from rtsep.files.wreckage import Wreckage

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# Packets that cannot be decoded, one after the other, before the first frame: then it is no sound.
DAMAGED_AT_START_MAX = 1000
# Times in a row that the container itself cannot go on.
FAILED_READS_MAX = 50

# An MP3 file begins with a frame that holds its length and no sound. Where files were joined such a
# frame stands in the middle, behind a tag, and FFmpeg calls both invalid.
_MARKS_OF_A_JOIN = (b"ID3", b"Xing", b"Info", b"VBRI")
_MARKS_SEARCHED_BYTES = 4096

SILENCE_PIECE_S = 1.0


class FfmpegSource:
    """The sound in one file or stream; see `rtsep.files.source.Source` for the attributes.

    file: stays open when the source is closed.
    track: number of the audio track, counted from 1; None takes the default one.

    Raises CannotDecodeError for an unknown format, NoSoundError for a file without sound, without
    this track, or that is encrypted.
    """

    def __init__(self, file: OpenFile | ByteStream, track: int | None = None) -> None:
        import av

        self._av_error = av.FFmpegError
        self.remarks = Remarks()
        # A file object instead of a name: FFmpeg takes names like "concat:a" for orders.
        self._file = file
        is_stream = isinstance(file, ByteStream)
        options = {**SAFE_OPTIONS, **(STREAM_OPTIONS if is_stream else FILE_OPTIONS)}
        if not isinstance(file, ByteStream):
            options |= probing_options(file)
        try:
            self._container: InputContainer = av.open(
                file, mode="r", options=options, **_lenient_tags(av)
            )
        except av.FFmpegError as error:
            if encryption.head_is_encrypted(file.view()):
                raise NoSoundError(encryption.MESSAGE) from error
            raise CannotDecodeError from error
        try:
            if encryption.head_is_encrypted(file.view()):
                raise NoSoundError(encryption.MESSAGE)
            self._select_stream(track)
        except BaseException:
            self.close()
            raise

    def _select_stream(self, track: int | None) -> None:
        """Take a track and look at its first frame.

        Only a decoded frame tells the true rate and layout: HE-AAC doubles both.
        """
        self._stream = self._choose_track(track)
        # Why packets before the frame at hand could not be decoded, and time that was in none.
        self._damage: str | None = None
        self._lost_s = 0.0
        self._wreckage = Wreckage()
        self._rejoin = False
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            if isinstance(self._file, ByteStream):
                raise CannotDecodeError  # as where an MP4 has its index behind the sound
            raise NoSoundError("has an audio stream in which not one sample can be decoded")
        self._first_frame: AudioFrame = first
        self._inspect(first)

    def _choose_track(self, track: int | None) -> AudioStream:
        import av

        tracks = self._container.streams.audio
        if not tracks:
            raise NoSoundError("has no audio stream")
        if track is not None and track > len(tracks):
            raise NoSoundError(f"has no audio track {track}: it has {len(tracks)}")
        default = [s for s in tracks if s.disposition & av.stream.Disposition.default]
        stream = (default or tracks)[0] if track is None else tracks[track - 1]
        if len(tracks) > 1 and track is None:
            self.remarks.note(
                f"has {len(tracks)} audio tracks: number {tracks.index(stream) + 1} is taken, "
                "no track was chosen"
            )
        if "mov" in names_of(self._container) and encryption.stream_is_encrypted(stream):
            raise NoSoundError(encryption.MESSAGE)
        if stream.codec_context is None:
            raise NoSoundError("has sound in a coding that no decoder here knows: convert it first")
        return stream

    def _inspect(self, first: AudioFrame) -> None:
        """Set the attributes from the first frame and the container."""
        self._converter = FrameConverter(first)
        self.sample_rate, self.channels = self._converter.sample_rate, self._converter.channels
        self.source_channels = int(first.layout.nb_channels)
        names = names_of(self._container)
        begin_s = self._begin_s()
        known = known_s(self._container, self._stream)
        self._timeline = Timeline(
            begin_s,
            known,
            coarse=bool(names & WITH_COARSE_STAMPS),
            may_have_gaps=bool(names & THAT_MAY_HAVE_GAPS),
            remarks=self.remarks,
        )
        late_s = max(0.0, (first.time or 0.0) - begin_s)
        view = self._file.view()
        declared = declared_s(self._container, self._stream, view, self.sample_rate, late_s)
        self.samples_declared = self._in_samples(declared)
        self.samples_estimate = self._in_samples(known if declared is None else declared)

    def _in_samples(self, seconds: float | None) -> int | None:
        return None if seconds is None else round(seconds * self.sample_rate)

    def _begin_s(self) -> float:
        """The time stamp at which the output begins.

        With a picture, where that or the sound begins. Without one the first frame, which an
        encoder's delay may have moved; or, where frames before it were destroyed, the first packet.
        """
        import av

        first_s = self._first_frame.time or 0.0
        pictures = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if not pictures and self._damage is None:
            return first_s
        starts = [
            float(stream.start_time * stream.time_base)
            for stream in (self._stream, *pictures)
            if stream.start_time is not None and stream.time_base
        ]
        return min(starts, default=first_s)

    # --- packets to frames --------------------------------------------------------------------------

    def _packets(self) -> Iterator[Packet]:
        """Yield the track's packets; where the container stumbles, go on behind it."""
        failed_in_a_row = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    failed_in_a_row = 0
                    yield packet
                return
            except (self._av_error, IndexError) as error:
                # IndexError: PyAV met a packet of a stream that was not there at the beginning.
                self._damage = getattr(error, "strerror", "a stream that was not declared")
                failed_in_a_row += 1
                if failed_in_a_row > FAILED_READS_MAX:
                    return

    def _decode(self) -> Iterator[AudioFrame]:
        """Yield the track's frames; of packets that cannot be decoded only the reason is kept."""
        damaged_at_start, started, was_corrupt = 0, False, False
        is_elementary = ELEMENTARY in names_of(self._container)
        for packet in self._packets():
            if not started and encryption.packet_is_encrypted(packet):
                raise NoSoundError(encryption.MESSAGE)
            # The last packet of a file may be called corrupt because it is short.
            if was_corrupt and packet.size:
                self._damage = "a packet is marked as corrupt"
            was_corrupt = packet.is_corrupt
            try:
                frames = packet.decode()
            except self._av_error as error:
                if is_elementary:
                    if _is_join(packet):
                        self._rejoin = True
                        continue
                    self._wreckage.add(packet)
                self._damage = error.strerror
                damaged_at_start += not started
                if damaged_at_start > DAMAGED_AT_START_MAX:
                    return
                continue
            for frame in frames:
                started = True
                if is_elementary:
                    self._lost_s += self._wreckage.lost_s_before(packet)
                yield frame  # type: ignore[misc]  # of an audio stream

    # --- frames to samples --------------------------------------------------------------------------

    def pieces(self, start_sample: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_sample` on, (samples, channels) float32.

        What lies before is decoded and dropped: seeking is not exact in these formats.
        """
        skip = start_sample
        for piece in self._all_pieces():
            dropped = min(skip, len(piece))
            skip -= dropped
            yield piece[dropped:]

    def _all_pieces(self) -> Iterator[NDArray[np.float32]]:
        frame: AudioFrame | None = self._first_frame
        settings = settings_of(self._first_frame)[:2]
        while frame is not None:
            yield from self._silence_before(frame)
            if settings_of(frame)[:2] != settings:
                settings = settings_of(frame)[:2]
                self._tell_change(*settings)
            yield self._converted(frame)
            self._timeline.advance(frame.samples / frame.sample_rate)
            frame = next(self._frames, None)
        if self._damage is not None:
            self.remarks.damage(
                f"is damaged at its end, {self._timeline.now_s:.2f} s ({self._damage})"
            )
        yield self._converter.finish()

    def _converted(self, frame: AudioFrame) -> NDArray[np.float32]:
        try:
            return self._converter.convert(frame)
        except (self._av_error, NoSoundError) as error:
            raise DecodingStoppedError(str(error)) from error

    def _silence_before(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        damage, self._damage = self._damage, None
        if frame.is_corrupt and damage is None:
            damage = "a frame is marked as corrupt"
        if self._rejoin:
            self._rejoin = False
            self._timeline.rejoin()
        stamp_s = frame.time
        if stamp_s is not None:
            stamp_s += self._lost_s
        missing = round(self._timeline.gap_before_s(stamp_s, damage) * self.sample_rate)
        self._timeline.advance(missing / self.sample_rate)
        longest = round(SILENCE_PIECE_S * self.sample_rate)
        while missing > 0:
            count = min(missing, longest)
            missing -= count
            yield np.zeros((count, self.channels), np.float32)

    def _tell_change(self, rate: int, channels: int) -> None:
        self.remarks.note(
            f"changes to {rate} Hz and {channels} channel{'s' * (channels != 1)} at "
            f"{self._timeline.now_s:.2f} s: converted to what it began with"
        )

    def close(self) -> None:
        """Let go of the decoder; the file is its owner's to close."""
        self._container.close()


def _is_join(packet: Packet) -> bool:
    head = bytes(packet)[:_MARKS_SEARCHED_BYTES]
    return any(mark in head for mark in _MARKS_OF_A_JOIN)


def _lenient_tags(av: ModuleType) -> dict[str, Any]:
    """What makes PyAV put up with tags in no known encoding: from version 19 on it always does."""
    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
