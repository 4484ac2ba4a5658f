"""Which decoder reads a file: the first one that knows it, or else one line that says why none does."""

from __future__ import annotations

from pathlib import Path

from rtsep.errors import AudioFileError
from rtsep.files.byte_source import ByteStream, OpenFile
from rtsep.files.source import (
    HIGHEST_RATE,
    LOWEST_RATE,
    CannotDecodeError,
    NoSoundError,
    Source,
)

UNKNOWN_TO_ALL = "is no audio file, or so damaged or cut short that no decoder can open it"
UNKNOWN_STREAM = (
    "has no sound that can be read as it comes: send WAV, FLAC, Ogg, MP3, ADTS, Matroska, MPEG-TS or"
    " fragmented MP4, say what raw PCM it is, or save it to a file first"
)

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
_PLAYLIST_HEAD_BYTES = 512


def open_source(file: OpenFile | ByteStream, track: int | None) -> Source:
    """The sound in `file`; raises AudioFileError where no decoder gets at it."""
    # Here, because the libraries behind them are slow to import.
    from rtsep.files.ffmpeg_source import FfmpegSource
    from rtsep.files.sndfile_source import SndfileSource

    if isinstance(file, OpenFile):
        _refuse_playlist(file)
    problem = ""
    for decoder in (FfmpegSource, SndfileSource):
        if decoder is SndfileSource and isinstance(file, ByteStream):
            continue  # the first decoder has read its beginning already
        try:
            source: Source = decoder(file, track)  # type: ignore[arg-type]
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
    if isinstance(file, ByteStream):
        _explain_stream(file)
        raise AudioFileError(f"{file.label} {problem or UNKNOWN_STREAM}")
    raise AudioFileError(f"{file.label} {problem or UNKNOWN_TO_ALL}")


def _explain_stream(stream: ByteStream) -> None:
    """Raise AudioFileError where the beginning of a stream shows what it is instead of sound."""
    view = stream.view()
    if view.seek(0, 2) == 0:
        raise AudioFileError(f"{stream.label} is empty: it has 0 bytes")
    if _begins_like_playlist(_head_of(stream)):
        raise AudioFileError(f"{stream.label} {PLAYLIST}")


def _refuse_playlist(file: OpenFile) -> None:
    """Tell by its beginning, or by its name where that is text, whether `file` lists other files."""
    head = _head_of(file)
    named_so = Path(file.label).suffix.lower() in _PLAYLIST_EXTENSIONS and b"\0" not in head
    if named_so or _begins_like_playlist(head):
        raise AudioFileError(f"{file.label} {PLAYLIST}")


def _begins_like_playlist(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PLAYLIST_BEGINNINGS)


def _head_of(file: OpenFile | ByteStream) -> bytes:
    view = file.view()
    view.seek(0)
    head = view.read(_PLAYLIST_HEAD_BYTES)
    view.seek(0)
    return head
