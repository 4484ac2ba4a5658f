"""How long a file says that it is: by its own word, or by FFmpeg's estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from rtsep.files.ffmpeg_formats import THAT_COUNT, names_of

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# An MP3 file says how long it is only in one of these marks, in its first frame.
MP3_COUNT_MARKS = (b"Xing", b"Info", b"VBRI")
MP3_FIRST_FRAME_BYTES_MAX = 4096


def known_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the length of the file or else of the stream in seconds, if FFmpeg has an idea of it."""
    lengths = [container.duration / 1e6] if container.duration else []
    if stream.duration and stream.time_base:
        lengths.append(float(stream.duration * stream.time_base))
    return max(lengths, default=None)


def declared_s(
    container: InputContainer, stream: AudioStream, file: BinaryIO, sample_rate: int, late_s: float
) -> float | None:
    """Return the time in seconds at which the sound ends if the file states it, else None.

    file: the one that is open; its position is kept. late_s: when the sound begins.
    """
    names = names_of(container)
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
        if names & THAT_COUNT:
            return late_s + float(seconds)
        # A count gives whole samples, an estimate from the bit rate hardly ever.
        whole_samples = (seconds * sample_rate).denominator == 1
        if "mp3" in names and whole_samples and _mp3_counts(file):
            return float(seconds)
    if "matroska" in names:
        # Per stream as a tag; the container's own length may be that of a longer video.
        tag = stream.metadata.get("DURATION")
        if tag is not None:
            return _seconds_of(tag)
        if len(container.streams) == 1 and container.duration:
            return container.duration / 1e6
    return None


def _mp3_counts(file: BinaryIO) -> bool:
    """Return whether an MP3 file states its length."""
    position = file.tell()
    try:
        file.seek(0)
        head = file.read(10)
        tag_bytes = 0
        if head[:3] == b"ID3":  # the tag's length: four times seven bits, header left out
            tag_bytes = 10 + sum((byte & 0x7F) << 7 * k for k, byte in enumerate(head[:5:-1]))
        file.seek(tag_bytes)
        first_frame = file.read(MP3_FIRST_FRAME_BYTES_MAX)
    finally:
        file.seek(position)
    return any(mark in first_frame for mark in MP3_COUNT_MARKS)


def _seconds_of(tag: str) -> float | None:
    """Convert Matroska's ``00:03:25.123000000`` to seconds; None if it is not of that form."""
    try:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None
