"""Stems of other programs: where they are found, and how they are brought in line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import AudioFileError
from rtsep_bench import rivals
from rtsep_bench.true_stems import Song
from tests.benchmarks.made_up_songs import RATE, sound, write

TITLE = "Some Band - A Song"


@pytest.mark.parametrize(
    "path",
    [
        f"{TITLE}/vocals.wav",
        f"htdemucs/{TITLE}/vocals.flac",
        f"htdemucs/{TITLE}.stem/vocals.wav",
        f"test/{TITLE}/vocals.wav",
        f"{TITLE}/mixture/vocals.wav",
        f"{TITLE}_(Vocals).wav",
        f"1_{TITLE}_(Vocals).wav",
        f"{TITLE}_(Vocals)_UVR-MDX-NET.wav",
        f"{TITLE}_vocals.wav",
        f"{TITLE} - vocals.wav",
        f"{TITLE}/{TITLE}.vocals.wav",
    ],
)
def test_layouts(tmp_path: Path, path: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    for other in (
        f"{TITLE} 2/vocals.wav", f"{TITLE} 2_(Vocals).wav", f"{TITLE}/no_vocals.wav",
        f"{TITLE}_(Instrumental).wav", f"{TITLE}/vocals.txt", "vocals.wav",
    ):  # fmt: skip
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).touch()
    assert rivals.find_stem(tmp_path, TITLE, "vocals") == file


def test_other_names_of_a_stem(tmp_path: Path) -> None:
    (tmp_path / f"{TITLE}_(Instrumental).wav").touch()
    assert rivals.find_stem(tmp_path, TITLE, "accompaniment").suffix == ".wav"


def test_no_stem_and_too_many(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"holds no vocals of it: .*/vocals\.wav or"):
        rivals.find_stem(tmp_path, TITLE, "vocals")
    for model in ("one", "two"):
        (tmp_path / model / TITLE).mkdir(parents=True)
        (tmp_path / model / TITLE / "vocals.wav").touch()
    with pytest.raises(AudioFileError, match=r"more than one vocals .*one.*two.*: name one folder"):
        rivals.find_stem(tmp_path, TITLE, "vocals")


@pytest.mark.parametrize("late", [-3000, 0, 1, 4096])
def test_an_offset_is_found_and_taken_out(late: int) -> None:
    true = sound(0).astype(np.float32)
    estimate = true + 0.3 * sound(1).astype(np.float32)
    moved = np.pad(estimate, ((late, 0), (0, 0))) if late > 0 else estimate[-late:]
    aligned = rivals.align(moved, true, "a.wav")
    assert aligned.offset_samples == late
    assert len(aligned.sound) == len(true)
    heard = slice(max(0, -late), None)
    np.testing.assert_array_equal(aligned.sound[heard], estimate[heard])
    assert (aligned.remark is None) == (late == 0)
    if late:
        assert f"{abs(late)} samples {'late' if late > 0 else 'early'}" in str(aligned.remark)


def test_an_offset_is_not_made_up() -> None:
    """A low-passed bass matches nearly as well a sample later."""
    time_s = np.arange(RATE) / RATE
    true = np.stack([np.sin(2 * np.pi * 60 * time_s)] * 2, axis=1).astype(np.float32)
    estimate = np.roll(true, 3, axis=0) + 0.3 * sound(1).astype(np.float32)
    assert rivals.align(estimate, true, "a.wav").offset_samples == 0


@pytest.mark.parametrize(
    ("by", "words"), [(-100, "100 samples too short"), (50, "50 samples too long")]
)
def test_another_length_is_told(by: int, words: str) -> None:
    true = sound(0).astype(np.float32)
    estimate = true[:by] if by < 0 else np.pad(true, ((0, by), (0, 0)))
    aligned = rivals.align(estimate, true, "a.wav")
    assert (aligned.offset_samples, aligned.difference_samples) == (0, by)
    assert words in str(aligned.remark)
    same = slice(None, min(by, 0) or None)
    np.testing.assert_array_equal(aligned.sound[same], true[same])


def test_another_song_and_another_rate(tmp_path: Path) -> None:
    true = sound(0).astype(np.float32)
    song = Song(TITLE, true, true, true)
    with pytest.raises(
        AudioFileError, match=r"lasts 12\.0 s, the song 1\.0 s: is it another song\?"
    ):
        rivals.read_stem(write(tmp_path / "long.wav", sound(0, 12)), song)
    with pytest.raises(AudioFileError, match="has 48000 Hz, the song 44100"):
        rivals.read_stem(write(tmp_path / "fast.wav", sound(0, 1, 48_000), 48_000), song)
