"""Writing: what was written is read again, whole or not at all, and losses are counted."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.errors import AudioFileError, UsageError
from rtsep.files import formats
from rtsep.files.formats import FORMATS, find_format
from rtsep.files.reader import AudioReader
from rtsep.files.writer import StemWriter
from tests.files.sounds import music, signal_to_noise_db

REPOSITORY = Path(__file__).parents[2]
WITH_DEPTH = [
    (name, depth) for name, output in FORMATS.items() for depth in output.encodings if depth
]
NOISE_LIMIT_DB = {"16": 65, "24": 110, "float": 300}


def read(path) -> tuple[np.ndarray, int]:
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(4096))), reader.sample_rate


def write(path, sound, rate=44_100, block=10_000, **options) -> StemWriter:
    with StemWriter(path, rate, sound.shape[1], **options) as writer:
        for start in range(0, len(sound), block):
            writer.write(sound[start : start + block])
        writer.commit()
    return writer


@pytest.mark.parametrize(("name", "depth"), WITH_DEPTH)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats_keep_the_sound(tmp_path, name, depth, channels):
    sound = music(0.5, channels=channels)
    write(tmp_path / f"stem.{name}", sound, format=name, bit_depth=depth)
    result, rate = read(tmp_path / f"stem.{name}")
    assert rate == 44_100
    assert result.shape == sound.shape
    assert signal_to_noise_db(result, sound) > NOISE_LIMIT_DB[depth]


@pytest.mark.parametrize(
    ("name", "rate", "stored_rate"),
    [
        ("ogg", 44_100, 44_100),
        ("ogg", 96_000, 96_000),
        ("opus", 48_000, 48_000),
        ("opus", 44_100, 48_000),
        ("opus", 11_025, 12_000),
        ("mp3", 44_100, 44_100),
        ("mp3", 96_000, 48_000),
        ("mp3", 37_801, 44_100),
    ],
)
def test_lossy_formats_keep_the_length_at_a_rate_they_can_hold(tmp_path, name, rate, stored_rate):
    writer = write(tmp_path / f"stem.{name}", music(1.0, rate), rate, format=name)
    assert writer.stored_rate == stored_rate
    result, rate_found = soundfile.read(tmp_path / f"stem.{name}")
    assert rate_found == stored_rate
    assert len(result) == rate_found
    assert signal_to_noise_db(result, music(1.0, rate_found)) > 15


def test_the_final_name_appears_only_on_commit(tmp_path):
    target = tmp_path / "song" / "stem.wav"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with StemWriter(target, 44_100, 2) as writer:
        writer.write(music(1.0))
        assert writer.part_path.parent == target.parent
        assert writer.part_path.match(f".stem.wav.{os.getpid()}-*.part")
        assert writer.part_path.stat().st_size > 100_000  # it grows while it is being written
        writer.finish()
        assert target.read_bytes() == b"the old one"
        writer.commit()
    assert [path.name for path in target.parent.iterdir()] == ["stem.wav"]
    assert soundfile.info(target).frames == 44_100


def test_without_commit_nothing_is_left(tmp_path):
    old = tmp_path / "old.wav"
    old.write_bytes(b"the old one")
    with pytest.raises(KeyboardInterrupt), StemWriter(old, 44_100, 2) as writer:
        writer.write(music(0.1))
        raise KeyboardInterrupt
    with StemWriter(tmp_path / "new" / "folders" / "new.wav", 44_100, 2) as writer:
        writer.write(music(0.1))
    assert [path.name for path in tmp_path.iterdir()] == ["old.wav"]
    assert old.read_bytes() == b"the old one"


@pytest.mark.parametrize("depth", ["16", "24", "float"])
def test_clipped_samples_are_counted_and_limited(tmp_path, depth):
    sound = music(0.2) * 0.01
    sound[100, 0], sound[200, 1], sound[300, 0] = 1.5, -1.2, 1.0
    writer = write(tmp_path / "stem.wav", sound, block=150, bit_depth=depth)
    result, _rate = read(tmp_path / "stem.wav")
    if depth == "float":
        assert writer.clipped_samples == 0
        assert np.array_equal(result, sound)
    else:
        assert writer.clipped_samples == 2
        assert writer.peak == pytest.approx(1.5)
        assert np.allclose(result, np.clip(sound, -1, 1), atol=2**-14)


@pytest.mark.parametrize("estimate", [None, 3 * 3600 * 44_100, 4 * 3600 * 44_100])
def test_a_wav_file_is_a_plain_one_whatever_length_was_expected(tmp_path, estimate):
    with StemWriter(tmp_path / "s.wav", 44_100, 2, "wav", "float", estimate) as writer:
        writer.write(music(0.1))
        writer.commit()
    assert (tmp_path / "s.wav").read_bytes()[:4] == b"RIFF"
    assert read(tmp_path / "s.wav")[0].shape == (4410, 2)


@pytest.mark.slow
@pytest.mark.skipif("RTSEP_LONG" not in os.environ, reason="writes 4.3 GB: set RTSEP_LONG=1")
def test_a_wav_file_beyond_4_gb_becomes_rf64(tmp_path):
    second = np.full((96_000, 2), 0.25, np.float32)
    seconds = 2**32 // second.nbytes + 2
    with StemWriter(tmp_path / "s.wav", 96_000, 2, "wav", "float") as writer:
        for _ in range(seconds):
            writer.write(second)
        writer.commit()
    with (tmp_path / "s.wav").open("rb") as file:
        assert file.read(4) == b"RF64"
    assert soundfile.info(tmp_path / "s.wav").frames == seconds * len(second)


def test_a_format_that_is_full_says_so(tmp_path, monkeypatch):
    small = dataclasses.replace(FORMATS["aiff"], bytes_max=20_000)
    monkeypatch.setitem(formats.FORMATS, "aiff", small)
    with pytest.raises(AudioFileError, match="longer than its format allows .* w64 or flac"):
        write(tmp_path / "stem.aiff", music(0.2), format="aiff", block=1000)
    assert list(tmp_path.iterdir()) == []


# Run apart, because the limit on the length of files holds for the whole process. For the
# writer it is what a full disk is: the system takes part of the bytes, then none.
FULL_DISK = """
import os, resource, sys
import numpy as np
from rtsep.files.writer import StemWriter
from rtsep.errors import AudioFileError
path, name, part, spared = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
noise = np.random.default_rng(1).standard_normal((48_000, 2)).astype(np.float32) * 0.1

def write(path):
    with StemWriter(path, 48_000, 2, name) as writer:
        for start in range(0, 48_000, 4800):
            writer.write(noise[start : start + 4800])
        print("written", flush=True)
        writer.commit()

write(path)
limit = int(part * os.path.getsize(path)) - spared
os.remove(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write(path)
except AudioFileError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the length of files")
@pytest.mark.parametrize(
    ("name", "part", "spared", "when"),
    [
        *((name, 0.5, 0, "writing") for name in ("wav", "flac", "ogg", "mp3")),
        # What the encoder holds back to the end does not fit: libsndfile reports nothing.
        *((name, 1.0, 100, "closing") for name in ("flac", "ogg", "opus", "mp3")),
    ],
)
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path, name, part, spared, when):
    path = tmp_path / f"stem.{name}"
    command = [sys.executable, "-c", FULL_DISK, str(path), name, str(part), str(spared)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:-1] == ["written"] * (2 if when == "closing" else 1)
    assert lines[-1].startswith(f"cannot write {path}: file too large")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    cases = {
        tmp_path / "file" / "stem.wav": "file",
        tmp_path / "folder.wav": "it is a folder",
        tmp_path / ("x" * 300 + ".wav"): "name too long",
    }
    for path, reason in cases.items():
        with pytest.raises(AudioFileError, match=reason) as caught:
            StemWriter(path, 44_100, 2)
        assert str(caught.value).startswith(f"cannot write {path}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.wav"]


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("wma", None, "unknown format 'wma': choose one of wav, flac, "),
        ("flac", "float", "flac cannot hold bit depth float: choose 16 or 24"),
        ("wav", "8", "wav cannot hold bit depth 8: choose 16 or 24 or float"),
        ("mp3", "16", "mp3 has no bit depth: ask for none instead of 16"),
    ],
)
def test_impossible_formats_are_told(name, depth, message):
    with pytest.raises(UsageError, match=message):
        find_format(name).bit_depth(depth)


def test_formats_go_by_their_name_in_any_case():
    assert find_format("FLAC") is find_format(".flac") is FORMATS["flac"]
