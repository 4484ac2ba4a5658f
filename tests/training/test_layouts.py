"""Where songs are found, and what stems are made of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.errors import UsageError
from rtsep.training.layouts import find_songs, parse_stems, stems_of

FOUR = ("vocals", "drums", "bass", "other")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_of_stems_are_found_at_any_depth(tmp_path: Path) -> None:
    touch(
        tmp_path / "a" / "vocals.wav",
        tmp_path / "a" / "Drums.FLAC",
        tmp_path / "album" / "b" / "vocals.opus",
        tmp_path / "album" / "b" / "guitar.wav",
        tmp_path / "album" / "b" / "mixture.wav",
        tmp_path / "album" / "cover.jpg",
        tmp_path / "alone" / "vocals.wav",
        tmp_path / ".hidden" / "vocals.wav",
        tmp_path / ".hidden" / "drums.wav",
    )
    songs = find_songs(tmp_path)
    assert {song.name: set(song.stems) for song in songs.training} == {
        "a": {"vocals", "drums"},
        "b": {"vocals", "guitar"},
    }
    assert songs.held_out is None
    assert stems_of(songs.training) == ("vocals", "drums", "guitar")


def test_a_link_to_a_folder_around_it_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "songs" / "a" / "x.wav", tmp_path / "songs" / "a" / "y.wav")
    (tmp_path / "songs" / "album").mkdir()
    (tmp_path / "songs" / "album" / "all").symlink_to(tmp_path)
    assert [song.name for song in find_songs(tmp_path / "songs").training] == ["a"]


def test_two_files_for_one_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "Drums.wav", tmp_path / "a" / "drums.flac", tmp_path / "a" / "x.wav")
    with pytest.raises(UsageError, match=r"two files for drums: Drums\.wav, drums\.flac"):
        find_songs(tmp_path)


def test_a_song_alone_is_one(tmp_path: Path) -> None:
    touch(tmp_path / "song" / "x.wav", tmp_path / "song" / "y.wav")
    assert [song.name for song in find_songs(tmp_path / "song").training] == ["song"]


def test_stem_files_have_their_stems_in_tracks(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "A - B.stem.mp4", tmp_path / "test" / "C.stem.mp4")
    songs = find_songs(tmp_path)
    (song,) = songs.training
    assert song.name == "A - B" and song.mixture is None
    assert {name: sound.track for name, sound in song.stems.items()} == {
        "drums": 2, "bass": 3, "other": 4, "vocals": 5,
    }  # fmt: skip
    assert songs.held_out is None
    assert songs.notes == [f"the 1 songs in {tmp_path / 'test'} are left alone"]


def test_musdb_hq_has_a_part_to_judge_by(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        touch(*(tmp_path / part / f"song of {part}" / f"{stem}.wav" for stem in (*FOUR, "mixture")))
    songs = find_songs(tmp_path)
    assert [song.name for song in songs.training] == ["song of train"]
    assert songs.held_out is not None
    assert [song.name for song in songs.held_out] == ["song of valid"]
    assert stems_of(songs.training) == FOUR


@pytest.mark.parametrize(
    ("name", "told"),
    [("nowhere", "is not there"), ("song.wav", "is no Stem file"), ("empty", "holds no song")],
)
def test_what_holds_no_song_is_refused(name: str, told: str, tmp_path: Path) -> None:
    touch(tmp_path / "song.wav", tmp_path / "empty" / "x.txt")
    with pytest.raises(UsageError, match=told):
        find_songs(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "stems", "rest"),
    [
        (None, {stem: (stem,) for stem in FOUR}, ()),
        ("drums", {"drums": ("drums",)}, ("vocals", "bass", "other")),
        ("vocals, accompaniment", {"vocals": ("vocals",), "accompaniment": FOUR[1:]}, ()),
        ("rhythm=drums+bass", {"rhythm": ("drums", "bass")}, ("vocals", "other")),
        ("x=no_bass,bass", {"x": ("vocals", "drums", "other"), "bass": ("bass",)}, ()),
    ],
)
def test_stems_are_sums_of_stems(text: str | None, stems: dict, rest: tuple) -> None:
    assert parse_stems(text, FOUR) == (tuple(stems.items()), rest)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("drums,rhythm=drums+bass", "drums is in two stems, drums and rhythm"),
        ("piano", "no song has a stem 'piano': there are vocals, drums, bass, other"),
        ("vocals,no_piano", "no song has a stem 'no_piano'"),
    ],
)
def test_stems_that_cannot_be_are_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_stems(text, FOUR)
