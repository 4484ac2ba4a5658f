"""WAV files that hold something else than the PCM that they declare."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtsep.files import ffmpeg_formats
from tests.files.sounds import RATE, music, read_file, write_file


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("silence_s", [0.0, 0.5, 3.0])
def test_dts_under_the_name_of_pcm_is_found(tmp_path, silence_s):
    """As on CDs of DTS: words of 16 bits, with silence before them."""
    made = ["-f", "lavfi", "-i", "sine=duration=2", "-ac", "2", "-ar", str(RATE)]
    coding = ["-c:a", "dca", "-strict", "-2", "-f", "dts", "-"]
    coded = subprocess.run(["ffmpeg", *made, *coding], check=True, capture_output=True).stdout
    words = np.frombuffer(coded[: len(coded) // 2 * 2], ">u2").astype("<u2").tobytes()
    sound = bytes(4 * round(silence_s * RATE)) + words
    head = struct.pack("<IHHIIHH", 16, 1, 2, RATE, 4 * RATE, 4, 16)
    path = tmp_path / "a.wav"
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(sound)) + b"WAVEfmt " + head
        + b"data" + struct.pack("<I", len(sound)) + sound
    )  # fmt: skip
    # Taken for PCM it would be noise at full scale.
    assert np.abs(read_file(path)).max() < 0.5


def test_pcm_is_believed_at_once(tmp_path):
    path = write_file(tmp_path / "a.wav", music(1.0))
    with path.open("rb") as file:
        assert ffmpeg_formats.probing_options(file) == {"max_probe_packets": "1"}
        assert file.tell() == 0
    for name, content in (("short", b"RIFF"), ("other", path.read_bytes()[4:])):
        Path(tmp_path, name).write_bytes(content)
        with Path(tmp_path, name).open("rb") as file:
            assert ffmpeg_formats.probing_options(file) == {}
