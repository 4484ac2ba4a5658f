"""How many bytes a header promises beyond the end of the file."""

from __future__ import annotations

import io
import struct

import pytest

from rtsep.audio.declared_length import missing_bytes


def wav(declared: int, present: int, before: bytes = b"", family: bytes = b"RIFF") -> io.BytesIO:
    head = family + struct.pack("<I", 0) + b"WAVE" + before
    return io.BytesIO(head + b"data" + struct.pack("<I", declared) + bytes(present))


def ogg_page(lacing: list[int], body_bytes: int) -> bytes:
    return b"OggS" + bytes(22) + bytes([len(lacing), *lacing]) + bytes(body_bytes)


ODD_CHUNK = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
DS64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 900, 0, 0)


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        (wav(1000, 1000), 0),
        (wav(1000, 400), 600),
        (wav(1000, 1400), 0),  # further chunks follow
        (wav(1000, 400, ODD_CHUNK), 600),
        (wav(0xFFFF_FFFF, 400), 0),  # length left open
        (wav(0xFFFF_FFFF, 400, DS64, b"RF64"), 500),
        (io.BytesIO(b".snd" + struct.pack(">II", 24, 1000) + bytes(12 + 300)), 700),
        (io.BytesIO(b".snd" + struct.pack(">II", 24, 0xFFFF_FFFF) + bytes(12 + 300)), 0),
        (io.BytesIO(ogg_page([255, 10], 265) + ogg_page([200], 200)), 0),
        (io.BytesIO(ogg_page([255, 10], 265) + ogg_page([200], 150)), 50),
        (io.BytesIO(ogg_page([255, 10], 265) + ogg_page([200], 0)[:20]), 7),
        (io.BytesIO(ogg_page([10], 10) + ogg_page([200, 100], 0)[:28]), 201),
        (io.BytesIO(b"RIFF"), 0),
        (io.BytesIO(b"caff" + bytes(60)), 0),
        (io.BytesIO(b""), 0),
    ],
)
def test_missing_bytes(file, missing):
    assert missing_bytes(file) == missing


def test_a_chunk_of_negative_length_ends_the_search():
    inside = b"data" + struct.pack(">q", 10_000)  # would be found by stepping back into it
    caf = b"caff" + bytes(4) + b"free" + struct.pack(">q", len(inside)) + inside
    caf += b"free" + struct.pack(">q", -24) + bytes(40)
    assert missing_bytes(io.BytesIO(caf)) == 0
