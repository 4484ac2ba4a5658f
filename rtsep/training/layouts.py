"""Where songs with their true stems are, on disk. Nothing is decoded here.

    a folder of stem files    SONG/vocals.wav, SONG/drums.flac, ...
    a Stem file               SONG.stem.mp4, five tracks: mixture, drums, bass, other, vocals
    MUSDB18, MUSDB18-HQ       train/ of one of the two kinds; valid/ is held out, test/ left alone
    lists of Spleeter's       see spleeter_files.py

Folders are searched to any depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtsep.errors import TrainingError, UsageError
from rtsep.files.song_files import SOUND_SUFFIXES, STEM_FILE_TRACKS, SongFiles, Sound

STEM_FILE_SUFFIX = ".stem.mp4"
# Files in a song's folder that are the whole song.
MIXTURES = ("mixture", "mix", "linear_mixture")
TRAIN, HELD_OUT, LEFT_ALONE = ("train", "training"), ("valid", "validation"), ("test",)
# The order of stems, as in Spleeter's models; others follow by name.
USUAL_ORDER = ("vocals", "piano", "drums", "bass", "other", "accompaniment")
VOCALS, ACCOMPANIMENT, WITHOUT = "vocals", "accompaniment", "no_"


@dataclass(frozen=True)
class Songs:
    """Songs to train on and songs held out; held_out None where nobody has said which."""

    training: list[SongFiles]
    held_out: list[SongFiles] | None = None
    notes: list[str] = field(default_factory=list)


def find_songs(place: Path) -> Songs:
    """The songs at `place`, a folder or a Stem file.

    Raises UsageError where there is nothing, or no song.
    """
    if not place.exists():
        raise UsageError(f"{place} is not there: name a folder of songs with their stems")
    if place.is_file():
        if not _is_stem_file(place):
            raise UsageError(
                f"{place} is no Stem file (*{STEM_FILE_SUFFIX}): name a folder of songs with their stems"
            )
        return Songs([_stem_file(place)])
    training, held_out, left = (_part(place, names) for names in (TRAIN, HELD_OUT, LEFT_ALONE))
    if training is None:
        songs = list(_below(place))
        if not songs:
            raise UsageError(
                f"{place} holds no song: needed are folders with two stems or more each (vocals.wav,"
                f" drums.wav, ...), or Stem files (*{STEM_FILE_SUFFIX})"
            )
        return Songs(songs)
    if not training:
        raise UsageError(f"{place} has a folder train, but no song in it")
    notes = [f"the {len(left)} songs in {place / 'test'} are left alone"] if left else []
    return Songs(training, held_out or None, notes)


def stems_of(songs: Iterable[SongFiles]) -> tuple[str, ...]:
    """The names of all stems, the usual ones first."""
    names = {stem for song in songs for stem in song.stems}
    usual = [stem for stem in USUAL_ORDER if stem in names]
    return (*usual, *sorted(names - set(usual)))


def parse_stems(
    text: str | None, there: Sequence[str]
) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], tuple[str, ...]]:
    """The stems to be trained, each with the songs' stems it is the sum of, and those left over.

    text: ``vocals,accompaniment`` or ``rhythm=drums+bass,vocals``; None for all of `there`.
    ``accompaniment`` is all but the vocals, and ``X=no_Y`` all but Y, where no file is called so.
    Raises UsageError for a stem that is not there, or is in two of them.
    """
    if text is None:
        return tuple((stem, (stem,)) for stem in there), ()
    stems: list[tuple[str, tuple[str, ...]]] = []
    owner: dict[str, str] = {}
    for item in text.split(","):
        name, _, sum_of = (part.strip() for part in item.partition("="))
        parts = tuple(
            stem for part in (sum_of or name).split("+") for stem in _expanded(part.strip(), there)
        )
        for part in parts:
            if part in owner:
                raise UsageError(f"{part} is in two stems, {owner[part]} and {name}: leave out one")
            owner[part] = name
        stems.append((name, parts))
    return tuple(stems), tuple(stem for stem in there if stem not in owner)


def _expanded(part: str, there: Sequence[str]) -> tuple[str, ...]:
    if part in there:
        return (part,)
    without = VOCALS if part == ACCOMPANIMENT else part.removeprefix(WITHOUT)
    if without in there and without != part:
        return tuple(stem for stem in there if stem != without)
    raise UsageError(f"no song has a stem {part!r}: there are {', '.join(there)}")


def _part(place: Path, names: Sequence[str]) -> list[SongFiles] | None:
    """The songs in the folder of one of these names; None where there is no such folder."""
    for name in names:
        # Names alone do not make a part: a song may be called "test".
        if (place / name).is_dir() and not _stems_in(place / name):
            return list(_below(place / name))
    return None


def _below(folder: Path) -> Iterable[SongFiles]:
    stems = _stems_in(folder)
    if len(stems) > 1:
        yield SongFiles(folder.resolve().name, stems)
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise TrainingError(f"cannot read {folder}: {error.strerror}") from error
    around = {folder.resolve(), *folder.resolve().parents}
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(".") and entry.resolve() not in around:
            yield from _below(entry)
        elif _is_stem_file(entry):
            yield _stem_file(entry)


def _stems_in(folder: Path) -> dict[str, Sound]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SOUND_SUFFIXES)
    except OSError as error:
        raise TrainingError(f"cannot read {folder}: {error.strerror}") from error
    stems: dict[str, Sound] = {}
    for path in files:
        # One stem is "Drums" here and "drums" there.
        stem = path.stem.lower()
        if stem in stems:
            raise UsageError(
                f"{folder} has two files for {stem}: {stems[stem].path.name}, {path.name}"
            )
        if stem not in MIXTURES:
            stems[stem] = Sound(path)
    return stems


def _is_stem_file(path: Path) -> bool:
    return path.name.lower().endswith(STEM_FILE_SUFFIX)


def _stem_file(path: Path) -> SongFiles:
    name = path.name[: -len(STEM_FILE_SUFFIX)]
    tracks = {track: Sound(path, number) for number, track in enumerate(STEM_FILE_TRACKS, 1)}
    return SongFiles(name, {stem: tracks[stem] for stem in tracks if stem not in MIXTURES})
