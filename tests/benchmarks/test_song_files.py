"""Where songs are found, MUSDB18 in its genuine layouts, and songs that are not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import AudioFileError, UsageError
from rtsep.files.song_files import SongFiles
from rtsep_bench import demo_song, song_files, true_stems
from rtsep_bench.evaluation import sdr_db
from tests.benchmarks.made_up_songs import RATE, STEMS, sound, write, write_song, write_stem_file

TRACK = "Some Band - A Song"


def hq(root: Path, title: str = TRACK, subset: str = "test") -> dict[str, np.ndarray]:
    return write_song(root / subset / title, mixture=True)


@pytest.mark.parametrize("place", ["", "one"], ids=["folder of songs", "song"])
def test_a_folder_of_stems_is_their_sum_at_its_own_length(tmp_path: Path, place: str) -> None:
    stems = write_song(tmp_path / "one")
    (tmp_path / "one" / "cover.txt").write_text("no sound")
    (song,) = true_stems.songs([str(tmp_path / place)], "drums")
    assert song.name == song.title == "one"
    np.testing.assert_allclose(song.mixture, sum(stems.values()), atol=1e-6)
    np.testing.assert_allclose(song.true, stems["drums"], atol=1e-6)
    np.testing.assert_allclose(song.rest, song.mixture - song.true, atol=1e-6)


def test_accompaniment_is_all_but_the_vocals(tmp_path: Path) -> None:
    stems = write_song(tmp_path / "one")
    (song,) = true_stems.songs([str(tmp_path)], "accompaniment")
    np.testing.assert_allclose(song.rest, stems["vocals"], atol=1e-6)
    np.testing.assert_allclose(song.true, song.mixture - stems["vocals"], atol=1e-6)


def test_a_mixture_is_no_stem(tmp_path: Path) -> None:
    stems = write_song(tmp_path / "one", ("vocals", "drums"))
    write(tmp_path / "one" / "mixture.wav", 0.5 * sum(stems.values()))
    (song,) = true_stems.songs([str(tmp_path)], "vocals")
    np.testing.assert_allclose(song.mixture, 0.5 * sum(stems.values()), atol=1e-6)
    np.testing.assert_allclose(song.rest, stems["drums"], atol=1e-6)


def test_places_without_songs_are_named(tmp_path: Path) -> None:
    write_song(tmp_path / "one", ("drums", "bass"))
    with pytest.raises(UsageError, match="holds no song: .* vocals"):
        true_stems.songs([str(tmp_path)], "vocals")
    with pytest.raises(UsageError, match=r"nowhere is not there: .* demo"):
        true_stems.songs([str(tmp_path / "nowhere")], "vocals")


def test_folders_without_stems_and_second_names_are_unusable(tmp_path: Path) -> None:
    write_song(tmp_path / "a" / "one")
    write_song(tmp_path / "b" / "one")
    (tmp_path / "b" / "covers").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "b" / ".hidden").mkdir()
    found = song_files.find([str(tmp_path / name) for name in ("a", "b", "empty")])
    assert [song.paths[0].parent for song in found.songs] == [tmp_path / "a" / "one"]
    assert found.unusable.keys() == {
        f"one in {tmp_path / 'b' / 'one'}", "covers", str(tmp_path / "empty")
    }  # fmt: skip
    assert "another song" in found.unusable[f"one in {tmp_path / 'b' / 'one'}"]


def test_a_song_goes_through_json(tmp_path: Path) -> None:
    hq(tmp_path)
    (song,) = song_files.find_musdb(tmp_path, "test").songs
    assert SongFiles.from_json(song.as_json()) == song


# --- MUSDB18 ----------------------------------------------------------------------------------------


def test_musdb_hq(tmp_path: Path) -> None:
    stems = hq(tmp_path)
    hq(tmp_path, "Another - Song", "train")
    (files,) = song_files.find_musdb(tmp_path, "test").songs
    song = true_stems.load(files, "vocals")
    assert song.name == TRACK
    np.testing.assert_allclose(song.true, stems["vocals"], atol=1e-6)
    np.testing.assert_allclose(song.mixture, sum(stems.values()), atol=1e-6)
    assert [song.name for song in song_files.find_musdb(tmp_path, "train").songs] == [
        "Another - Song"
    ]


@pytest.mark.needs("ffmpeg")
def test_musdb18_stem_files(tmp_path: Path) -> None:
    time_s = np.arange(RATE) / RATE
    tones = [np.sin(2 * np.pi * hertz * time_s) for hertz in (200, 400, 600, 800)]
    stems = [0.2 * np.stack([tone, -tone], axis=1) for tone in tones]
    # Not their sum, so that it is seen where the mixture comes from.
    tracks = [0.5 * sum(stems), *stems]
    write_stem_file(tmp_path / "test" / f"{TRACK}.stem.mp4", tracks, tmp_path)
    (files,) = song_files.find_musdb(tmp_path, "test").songs
    song = true_stems.load(files, "vocals")
    assert song.name == TRACK
    samples = len(stems[0])
    assert len(song.mixture) >= samples
    assert sdr_db(song.mixture[:samples], tracks[0]) > 15
    assert sdr_db(song.true[:samples], stems[3]) > 15
    assert sdr_db(song.rest[:samples], sum(stems[:3])) > 15
    # The same file beside other songs has its stems' sum for a mixture, as Stem files have.
    (stem_file,) = song_files.find([str(tmp_path / "test")]).songs
    assert sdr_db(true_stems.load(stem_file, "vocals").mixture[:samples], sum(stems)) > 15


@pytest.mark.needs("ffmpeg")
def test_a_stem_file_of_too_few_tracks(tmp_path: Path) -> None:
    write_stem_file(tmp_path / "test" / "song.stem.mp4", [sound(0), sound(1)], tmp_path)
    (files,) = song_files.find_musdb(tmp_path, "test").songs
    with pytest.raises(AudioFileError, match=r"song\.stem\.mp4 has 2 audio tracks, .* 5: mixture"):
        true_stems.load(files, "vocals")


def test_musdb_with_files_missing(tmp_path: Path) -> None:
    hq(tmp_path)
    hq(tmp_path, "Half - Unpacked")
    for name in ("bass", "mixture"):
        (tmp_path / "test" / "Half - Unpacked" / f"{name}.wav").unlink()
    found = song_files.find_musdb(tmp_path, "test")
    assert [song.name for song in found.songs] == [TRACK]
    assert found.unusable == {
        "Half - Unpacked": "lacks mixture.wav, bass.wav: unpack MUSDB18-HQ again"
    }


def test_no_musdb(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no folder test: .* train and test"):
        song_files.find_musdb(tmp_path, "test")
    (tmp_path / "test").mkdir()
    with pytest.raises(UsageError, match="holds no song"):
        song_files.find_musdb(tmp_path, "test")


# --- songs that do not fit together -----------------------------------------------------------------


def load(folder: Path, stem: str = "vocals") -> true_stems.Song:
    (files,) = song_files.find([str(folder)]).songs
    return true_stems.load(files, stem)


def test_stems_of_unequal_length(tmp_path: Path) -> None:
    write_song(tmp_path)
    write(tmp_path / "bass.wav", sound(0, 0.9))
    with pytest.raises(
        AudioFileError, match="drums has 44100 samples at 44100 Hz, bass 39690: make"
    ):
        load(tmp_path)


def test_stems_of_unequal_rate(tmp_path: Path) -> None:
    write_song(tmp_path)
    write(tmp_path / "vocals.wav", sound(0, 1.0, 48_000), 48_000)
    with pytest.raises(AudioFileError, match="vocals has 48000 Hz, bass 44100: bring"):
        load(tmp_path)


def test_a_song_at_another_rate_is_resampled(tmp_path: Path) -> None:
    for seed, stem in enumerate(STEMS):
        write(tmp_path / f"{stem}.wav", sound(seed, 1.0, 48_000), 48_000)
    assert len(load(tmp_path).mixture) == RATE


def test_a_sample_that_is_no_number(tmp_path: Path) -> None:
    stems = write_song(tmp_path)
    stems["drums"][1000, 1] = np.nan
    write(tmp_path / "drums.wav", stems["drums"])
    with pytest.raises(AudioFileError, match=r"drums\.wav has 1 sample that is no sound"):
        load(tmp_path)


def test_songs_of_other_stems(tmp_path: Path) -> None:
    write_song(tmp_path / "instrumental", ("drums", "bass"))
    with pytest.raises(AudioFileError, match="has no vocals: its stems are bass, drums"):
        load(tmp_path / "instrumental")
    write_song(tmp_path / "a capella", ("vocals",))
    with pytest.raises(AudioFileError, match="has only vocals: the other stems are needed"):
        load(tmp_path / "a capella")


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    write_song(tmp_path)
    (tmp_path / "bass.wav").write_text("no sound")
    with pytest.raises(AudioFileError, match=r"bass\.wav"):
        load(tmp_path)
    (tmp_path / "text.mp4").write_text("no sound")
    (files,) = song_files.find([str(tmp_path / "text.mp4")]).songs
    with pytest.raises(AudioFileError, match=r"text\.mp4 cannot be decoded"):
        true_stems.load(files, "vocals")


# --- versions and parts -----------------------------------------------------------------------------


def test_a_song_at_another_speed_is_shorter_and_higher() -> None:
    tone = np.repeat(np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[:, np.newaxis], 2, axis=1)
    tone = tone.astype(np.float32)
    song = true_stems.Song("one", tone, 0.5 * tone, 0.25 * tone)
    assert true_stems.at_speed(song, 1.0) is song
    faster = true_stems.at_speed(song, 1.25)
    assert (faster.name, faster.title) == ("one@1.25", "one")
    assert len(faster.mixture) == pytest.approx(RATE / 1.25, abs=1)
    spectrum = np.abs(np.fft.rfft(faster.mixture[:, 0]))
    assert np.argmax(spectrum) * RATE / len(faster.mixture) == pytest.approx(550, abs=1)
    np.testing.assert_allclose(faster.true, 0.5 * faster.mixture, atol=1e-6)
    np.testing.assert_allclose(faster.rest, 0.25 * faster.mixture, atol=1e-6)


@pytest.mark.parametrize("seconds", [None, 2.0, 0.5])
def test_the_middle_of_a_song(seconds: float | None) -> None:
    samples = np.arange(RATE)
    part = samples[true_stems.middle(RATE, seconds)]
    if seconds == 0.5:
        assert len(part) == RATE // 2
        assert part[0] == pytest.approx(RATE - 1 - part[-1], abs=1)
    else:
        assert len(part) == RATE


def test_the_demo_is_one_song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a song.stem.mp4"
    file.touch()
    monkeypatch.setattr(demo_song, "fetch", lambda: file)
    (song,) = song_files.find(["demo"]).songs
    assert (song.name, song.mixture) == ("a song", None)
    assert [sound.track for sound in song.stems.values()] == [2, 3, 4, 5]


@pytest.mark.network
def test_the_demos_stems_are_those_that_the_demo_shows() -> None:
    (song,) = true_stems.songs(["demo"], "vocals")
    stems = demo_song.true_stems(demo_song.fetch())
    np.testing.assert_array_equal(song.true, stems["vocals"])
    np.testing.assert_allclose(song.rest, stems["accompaniment"], atol=1e-6)
