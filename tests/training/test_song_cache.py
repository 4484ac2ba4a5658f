"""Songs are decoded once, and what is wrong with them is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.errors import AudioFileError, TrainingError
from rtsep.training.layouts import find_songs
from rtsep.training.song_cache import Song, decode_songs, read
from tests.files.sounds import music

RATE = 44_100


def decoded(folder: Path, cache: Path) -> tuple[list[Song], list[str]]:
    said: list[str] = []
    songs = decode_songs(find_songs(folder).training, cache, said.append, lambda done, all_: None)
    return songs, said


def write(folder: Path, **stems: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, sound in stems.items():
        soundfile.write(folder / f"{name}.wav", sound, RATE, subtype="FLOAT")
    return folder


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    loud, mono = 3 * music(1.0), music(1.0, channels=1, seed=2)
    write(tmp_path / "songs" / "a", loud=loud, mono=mono)
    (song,), said = decoded(tmp_path / "songs", tmp_path / "cache")
    assert said == [] and song.samples == len(loud) and song.name == "a"
    step = 4 / 32767
    np.testing.assert_allclose(read(song.stems["loud"], 0, len(loud)), loud, atol=step)
    both = read(song.stems["mono"], -10, len(mono) + 30)
    np.testing.assert_allclose(both[10:-20], np.repeat(mono, 2, 1), atol=step)
    assert not both[:10].any() and not both[-20:].any()


def test_other_rates_become_44100(tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", music(1.0, rate=48_000), 48_000)
    (song,), _ = decoded(folder, tmp_path / "cache")
    assert song.samples == RATE


def test_a_song_is_decoded_again_only_if_it_changed(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", x=music(0.5), y=music(0.5, seed=2))
    decoded(folder, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    stamp = (kept / "song.json").stat().st_mtime_ns
    decoded(folder, tmp_path / "cache")
    assert (kept / "song.json").stat().st_mtime_ns == stamp
    os.utime(folder / "x.wav", ns=(1, 1))
    decoded(folder, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_shorter_stem_goes_on_with_silence(tmp_path: Path) -> None:
    write(tmp_path / "a", short=music(0.5), long=music(1.5))
    (song,), (told,) = decoded(tmp_path, tmp_path / "cache")
    assert "unequal length, short 0.5 s, long 1.5 s: silence" in told
    assert song.samples == len(music(1.5))
    assert not read(song.stems["short"], RATE, 1000).any()
    # Told again where nothing is decoded again.
    assert decoded(tmp_path, tmp_path / "cache")[1] == [told]


def test_silent_songs_are_left_out(tmp_path: Path) -> None:
    silence = np.zeros((RATE, 2), np.float32)
    write(tmp_path / "songs" / "still", x=silence, y=silence)
    with pytest.raises(TrainingError, match="all of them are silent"):
        decoded(tmp_path / "songs", tmp_path / "cache")
    write(tmp_path / "songs" / "loud", x=silence, y=music(1.0))
    (song,), (told,) = decoded(tmp_path / "songs", tmp_path / "cache")
    assert song.name == "loud" and told == "still: is silent: it is left out"


def test_a_file_that_is_no_sound_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a", x=music(0.5))
    (tmp_path / "a" / "y.wav").write_text("no sound")
    with pytest.raises(AudioFileError, match=r"y\.wav"):
        decoded(tmp_path, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_cache_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", x=music(0.5), y=music(0.5))
    decoded(tmp_path / "a", tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    os.truncate(kept / "0.pcm", 100)
    with pytest.raises(TrainingError, match="is damaged .* delete that folder"):
        decoded(tmp_path / "a", tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a", x=music(0.5), y=music(0.5))
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(TrainingError, match="cannot write .*: make room, or name another folder"):
        decoded(tmp_path / "a", tmp_path / "cache")
