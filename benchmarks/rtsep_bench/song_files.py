"""Where songs with true stems lie: folders of stems, Stem files, MUSDB18 and MUSDB18-HQ.

Nothing is decoded here (true_stems.py does that), so that hundreds of songs are found at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import UsageError
from rtsep.files.song_files import SOUND_SUFFIXES, STEM_FILE_TRACKS, SongFiles, Sound
from rtsep_bench import demo_song

DEMO = "demo"
STEM_FILE_SUFFIX = ".mp4"
VOCALS, ACCOMPANIMENT, MIXTURE = "vocals", "accompaniment", "mixture"
# Between a song's name and its speed in the name of a version.
AT_SPEED = "@"
# MUSDB18's subsets, and the songs that each has when it is complete.
SUBSETS = {"train": 100, "test": 50}


@dataclass(frozen=True)
class Found:
    """Songs, and by name those that cannot be measured, each with the reason."""

    songs: list[SongFiles]
    unusable: dict[str, str]


def find(places: Iterable[str]) -> Found:
    """Every song found at `places`.

    A place is ``demo`` (see demo_song.py; fetched if need be), a Stem file, a folder of one song's
    stems (vocals.flac, drums.flac, ...), or a folder of such files and folders. A folder among them
    without sound is unusable, and so is the second of two songs of one name.
    Raises UsageError where a place does not exist.
    """
    every = Found([], {})
    for place in places:
        here = _at(place)
        if not here.songs and not here.unusable:
            every.unusable[place] = (
                "holds no song: a Stem file or a folder of stems (vocals.wav, drums.wav, ...) is needed"
            )
        add(every, here)
    return every


def find_musdb(folder: Path, subset: str) -> Found:
    """The songs of MUSDB18 (Stem files) or MUSDB18-HQ (folders of wav) in `folder`, one subset.

    Raises UsageError where the subset's folder is missing or holds neither.
    """
    inside = folder / subset
    if not inside.is_dir():
        raise UsageError(
            f"--musdb {folder} has no folder {subset}: name the folder of MUSDB18 or MUSDB18-HQ that"
            f" holds {' and '.join(SUBSETS)}"
        )
    found = Found([], {})
    for path in _visible(inside):
        if path.name.lower().endswith(f".stem{STEM_FILE_SUFFIX}"):
            add(found, Found([_stem_file(path, with_mixture=True)], {}))
        elif path.is_dir():
            add(found, _hq_song(path))
    if not found.songs and not found.unusable:
        raise UsageError(
            f"--musdb: {inside} holds no song: MUSDB18 has Stem files (.stem{STEM_FILE_SUFFIX}) there,"
            f" MUSDB18-HQ a folder for each song"
        )
    return found


def _hq_song(folder: Path) -> Found:
    sounds = {name: Sound(folder / f"{name}.wav") for name in STEM_FILE_TRACKS}
    missing = [sound.path.name for sound in sounds.values() if not sound.path.is_file()]
    if missing:
        return Found([], {folder.name: f"lacks {', '.join(missing)}: unpack MUSDB18-HQ again"})
    mixture = sounds.pop(MIXTURE)
    return Found([SongFiles(folder.name, sounds, mixture)], {})


def _at(place: str) -> Found:
    if place == DEMO:
        return Found([_stem_file(demo_song.fetch())], {})
    path = Path(place)
    if not path.exists():
        raise UsageError(f"{path} is not there: name songs, or {DEMO}")
    if not path.is_dir():
        return Found([_stem_file(path)] if _is_stem_file(path) else [], {})
    if _stems_in(path):
        return Found([_folder_song(path)], {})
    found = Found([], {})
    for inside in _visible(path):
        if inside.is_dir():
            add(found, _song_or_reason(inside))
        elif _is_stem_file(inside):
            add(found, Found([_stem_file(inside)], {}))
    return found


def _song_or_reason(folder: Path) -> Found:
    if _stems_in(folder):
        return Found([_folder_song(folder)], {})
    return Found(
        [], {folder.name: f"holds no stems: vocals.wav, drums.wav, ... belong in {folder}"}
    )


def add(every: Found, more: Found) -> None:
    """Put `more` into `every`; a song whose name is taken is unusable."""
    names = {song.name for song in every.songs}
    for song in more.songs:
        if song.name in names:
            where = song.paths[0].parent
            every.unusable[f"{song.name} in {where}"] = "has the name of another song: rename one"
        else:
            every.songs.append(song)
    every.unusable.update(more.unusable)


def _stems_in(folder: Path) -> dict[str, Sound]:
    """The sound files of a folder by name, a mixture included."""
    files = [path for path in _visible(folder) if path.suffix.lower() in SOUND_SUFFIXES]
    return {file.stem: Sound(file) for file in files if file.is_file()}


def _folder_song(folder: Path) -> SongFiles:
    sounds = _stems_in(folder)
    mixture = sounds.pop(MIXTURE, None)
    return SongFiles(folder.resolve().name, sounds, mixture)


def _is_stem_file(path: Path) -> bool:
    return path.suffix.lower() == STEM_FILE_SUFFIX


def _stem_file(path: Path, *, with_mixture: bool = False) -> SongFiles:
    """with_mixture: take the first track as it is. A Stem file's may be a master of its own."""
    tracks = {name: Sound(path, track) for track, name in enumerate(STEM_FILE_TRACKS, 1)}
    mixture = tracks.pop(MIXTURE)
    name = path.resolve().name[: -len(STEM_FILE_SUFFIX)].removesuffix(".stem")
    return SongFiles(name, tracks, mixture if with_mixture else None)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
