"""How many bytes a header promises beyond the end of the file."""

from __future__ import annotations

import io
import struct

import pytest

from rtsep.files.declared_length import why_cut_short


def wav(declared: int, present: int, before: bytes = b"", family: bytes = b"RIFF") -> io.BytesIO:
    head = family + struct.pack("<I", 0) + b"WAVE" + before
    return io.BytesIO(head + b"data" + struct.pack("<I", declared) + bytes(present))


def ogg_page(lacing: list[int], body_bytes: int, flags: int = 0) -> bytes:
    head = b"OggS" + bytes([0, flags]) + bytes(20)
    return head + bytes([len(lacing), *lacing]) + bytes(body_bytes)


ODD_CHUNK = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
DS64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 9000, 0, 0)


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        (wav(10_000, 10_000), 0),
        (wav(10_000, 400), 9600),
        (wav(1000, 400), 0),  # sloppy,
        (wav(10_000, 10_400), 0),  # further chunks follow
        (wav(10_000, 400, ODD_CHUNK), 9600),
        (wav(0xFFFF_FFFF, 400), 0),  # length left open
        (wav(0xFFFF_FFFF, 400, DS64, b"RF64"), 8600),
        (io.BytesIO(b".snd" + struct.pack(">II", 24, 10_000) + bytes(12 + 300)), 9700),
        (io.BytesIO(b".snd" + struct.pack(">II", 24, 0xFFFF_FFFF) + bytes(12 + 300)), 0),
        (io.BytesIO(b"RIFF"), 0),
        (io.BytesIO(b"caff" + bytes(60)), 0),
        (io.BytesIO(b""), 0),
    ],
)
def test_missing_bytes(file, missing):
    declares = f"its header declares {missing} bytes more than it has"
    assert why_cut_short(file) == (declares if missing else None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (ogg_page([255, 10], 265) + ogg_page([200], 200, flags=4), None),
        (ogg_page([255, 10], 265) + ogg_page([200], 200), "its last page is not there"),
        (ogg_page([255, 10], 265) + ogg_page([200], 150, flags=4), "its last page is not whole"),
        (ogg_page([255, 10], 265) + ogg_page([200], 0)[:20], "its last page is not whole"),
        (ogg_page([10], 10) + ogg_page([200, 100], 0)[:28], "its last page is not whole"),
    ],
)
def test_the_last_page_of_an_ogg_file(content, why):
    assert why_cut_short(io.BytesIO(content)) == why


def test_a_chunk_of_negative_length_ends_the_search():
    inside = b"data" + struct.pack(">q", 10_000)  # would be found by stepping back into it
    caf = b"caff" + bytes(4) + b"free" + struct.pack(">q", len(inside)) + inside
    caf += b"free" + struct.pack(">q", -24) + bytes(40)
    assert why_cut_short(io.BytesIO(caf)) is None
