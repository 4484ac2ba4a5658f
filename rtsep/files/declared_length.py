"""Does a file hold as many bytes of sound as its header says?

Decoders read a WAV, AIFF, CAF, W64, AU or Ogg file that was cut short to the end of what is there
and say nothing. The header, or the last page, gives it away: this module reads just enough of it.
Formats whose decoders notice a missing part themselves (FLAC) or count in time (MP4, Matroska) are
not handled here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

# A 32-bit length from here up is what a program writes that cannot go back to fill in the length.
UNKNOWN_LENGTH_FROM = 0x7FFF_0000

# Headers that are off by a few bytes are common and lose nothing: 6 ms of CD sound.
SLOPPY_HEADER_BYTES = 1024

# An Ogg page has a header of 27 bytes, up to 255 lacing values and up to 255 * 255 bytes of body.
OGG_HEADER_BYTES = 27
OGG_PAGE_BYTES_MAX = OGG_HEADER_BYTES + 255 + 255 * 255
OGG_FLAGS_AT, OGG_LAST_PAGE = 5, 4


@dataclass(frozen=True)
class _Chunked:
    """How a container of chunks is laid out: name, length, body, padding; and so on.

    first_chunk: offset of the first chunk in the file, bytes.
    name_bytes: length of a chunk's name; only its first four bytes are compared.
    length_code: struct code of a chunk's length.
    sound: the name of the chunk with the sound.
    length_counts_header: whether the length includes name and length themselves.
    alignment: chunks start at multiples of this many bytes.
    """

    first_chunk: int
    name_bytes: int
    length_code: str
    sound: bytes
    length_counts_header: bool = False
    alignment: int = 1


_WAV = _Chunked(12, 4, "<I", b"data", alignment=2)
_WAV_BIG_ENDIAN = _Chunked(12, 4, ">I", b"data", alignment=2)
_AIFF = _Chunked(12, 4, ">I", b"SSND", alignment=2)
_CAF = _Chunked(8, 4, ">q", b"data")
_W64 = _Chunked(40, 16, "<q", b"data", length_counts_header=True, alignment=8)


def why_cut_short(file: BinaryIO) -> str | None:
    """Return what shows that `file` was cut short, as a clause; None where nothing does.

    file: a binary file that can seek; its position is changed.
    None too where the length is left open, or the format is not one of those above.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"OggS":
        return _end_of_last_page(file, end)
    missing = _missing_bytes(file, head, end)
    if missing > SLOPPY_HEADER_BYTES:
        return f"its header declares {missing} bytes more than it has"
    return None


def _missing_bytes(file: BinaryIO, head: bytes, end: int) -> int:
    layout = _find_layout(head)
    if layout is not None:
        return _missing_in_chunks(file, end, layout)
    if head[:4] == b".snd" and len(head) >= 12:
        offset, length = struct.unpack(">II", head[4:12])
        return 0 if length >= UNKNOWN_LENGTH_FROM else max(0, offset + length - end)
    return 0


def _find_layout(head: bytes) -> _Chunked | None:
    family, kind = head[:4], head[8:12]
    if family in (b"RIFF", b"RF64", b"BW64") and kind == b"WAVE":
        return _WAV
    if family == b"RIFX" and kind == b"WAVE":
        return _WAV_BIG_ENDIAN
    if family == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return _AIFF
    if family == b"caff":
        return _CAF
    if family == b"riff":
        return _W64
    return None


def _missing_in_chunks(file: BinaryIO, end: int, layout: _Chunked) -> int:
    """Walk from chunk to chunk to the sound."""
    length_bytes = struct.calcsize(layout.length_code)
    header_bytes = layout.name_bytes + length_bytes
    length_in_64_bits = None  # of the sound, where a WAV file keeps it in its ds64 chunk
    position = layout.first_chunk
    while position + header_bytes <= end:
        file.seek(position)
        header = file.read(header_bytes)
        if len(header) < header_bytes:  # of a stream, of which the middle is not kept
            return 0
        (length,) = struct.unpack(layout.length_code, header[layout.name_bytes :])
        if layout.length_counts_header:
            length -= header_bytes
        body = position + header_bytes
        if header[:4] == layout.sound:
            if length_in_64_bits is not None:
                length = length_in_64_bits
            elif length < 0 or (length_bytes == 4 and length >= UNKNOWN_LENGTH_FROM):
                return 0
            return max(0, body + length - end)
        if header[:4] == b"ds64" and body + 16 <= end:
            _riff_bytes, length_in_64_bits = struct.unpack("<QQ", file.read(16))
        if length < 0:
            return 0
        position = body + length + -length % layout.alignment
    return 0


def _end_of_last_page(file: BinaryIO, end: int) -> str | None:
    """Look whether the last page of an Ogg file is whole, and is the last of its stream."""
    start = max(0, end - OGG_PAGE_BYTES_MAX)
    file.seek(start)
    tail = file.read(end - start)
    page = tail.rfind(b"OggS")
    if page < 0:
        return "its last page is not there"
    body = page + OGG_HEADER_BYTES
    if body <= len(tail):
        lacing_values = tail[body:][: tail[body - 1]]
        body += tail[body - 1] + sum(lacing_values)
    if body > len(tail):
        return "its last page is not whole"
    if not tail[page + OGG_FLAGS_AT] & OGG_LAST_PAGE:
        return "its last page is not there"
    return None
