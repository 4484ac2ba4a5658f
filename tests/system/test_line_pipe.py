"""Lines from a pipe: whole ones alone, and no waiting for others."""

from __future__ import annotations

import os

from rtsep.system.line_pipe import LineReader


def test_lines_come_when_they_are_whole_and_the_end_is_told():
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe:
        reader = LineReader(pipe)
        assert reader.read(0) == []
        os.write(write, b"one\ntwo\nthr")
        assert reader.read(0) == [b"one", b"two"]
        assert reader.read(0) == []
        os.write(write, b"ee\n")
        assert reader.read(5) == [b"three"]
        assert not reader.ended
        os.close(write)
        assert reader.read(5) == [] and reader.ended
        assert reader.read(5) == []
