"""Songs with their true stems: folders of stem files, Stem files (.stem.mp4), the demo's song."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.errors import UsageError
from rtsep.files.reader import AudioReader
from rtsep_bench import demo_song

DEMO = "demo"
STEM_FILE_SUFFIX = ".mp4"
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aif", ".aiff", ".opus")
VOCALS, ACCOMPANIMENT = "vocals", "accompaniment"
BLOCK_SAMPLES = 65_536


@dataclass(frozen=True)
class Song:
    """A mixture, which is the sum of its stems, and one of them: (samples, 2) float32, 44.1 kHz."""

    name: str
    mixture: NDArray[np.float32]
    true: NDArray[np.float32]


def songs(places: Iterable[str], stem: str) -> list[Song]:
    """Every song found at `places`, with the true sound of `stem`.

    A place is ``demo`` (see demo_song.py; fetched if need be), a Stem file, a folder of one
    song's stems (vocals.flac, drums.flac, ...), or a folder of such files and folders.
    Raises UsageError where a place holds no song with that stem, AudioFileError where a file cannot
    be read.
    """
    found = []
    for place in places:
        here = [_song(path, stem) for path in _paths(place)]
        if not any(here):
            raise UsageError(
                f"{place} holds no song: a Stem file, or a folder with {stem}.* and the other stems,"
                f" is needed"
            )
        found += [song for song in here if song is not None]
    return found


def at_speed(song: Song, speed: float) -> Song:
    """The song played `speed` times as fast, which moves its pitch, too; called ``NAME@SPEED``.

    How well a net separates depends on where a song's partials fall between its bins and rows: another
    speed is nearly another song.
    """
    if speed == 1:
        return song
    import soxr

    mixture, true = (
        soxr.resample(sound, speed * SAMPLE_RATE, SAMPLE_RATE).astype(np.float32)
        for sound in (song.mixture, song.true)
    )
    return Song(f"{song.name}@{speed:g}", mixture, true)


def _paths(place: str) -> list[Path]:
    if place == DEMO:
        return [demo_song.fetch()]
    path = Path(place)
    if not path.exists():
        raise UsageError(f"{path} is not there: name songs, or {DEMO}")
    return [path, *sorted(path.iterdir())] if path.is_dir() else [path]


def _song(path: Path, stem: str) -> Song | None:
    """The song at `path`; None where it is none, or has no such stem."""
    if path.suffix.lower() == STEM_FILE_SUFFIX:
        stems = demo_song.true_stems(path)
        # The sum of the others, which it is given as, too.
        del stems[ACCOMPANIMENT]
    elif path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in SOUND_SUFFIXES)
        names = {file.stem for file in files}
        if not {stem, VOCALS if stem == ACCOMPANIMENT else stem} & names:
            return None
        stems = {file.stem: read_sound(file) for file in files}
    else:
        return None
    samples = min(map(len, stems.values()))
    mixture = np.sum([sound[:samples] for sound in stems.values()], axis=0)
    if stem == ACCOMPANIMENT and stem not in stems:
        return Song(_name(path), mixture, mixture - stems[VOCALS][:samples])
    return Song(_name(path), mixture, stems[stem][:samples]) if stem in stems else None


def _name(path: Path) -> str:
    return path.resolve().name.removesuffix(STEM_FILE_SUFFIX).removesuffix(".stem")


def read_sound(path: Path) -> NDArray[np.float32]:
    """A whole file, (samples, 2) float32 at 44.1 kHz; raises AudioFileError, also for damage."""
    with AudioReader(path, strict=True) as reader:
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, reader.channels)
        blocks = [resampler.push(block) for block in reader.blocks(BLOCK_SAMPLES)]
        blocks.append(resampler.flush())
    return to_stereo(np.concatenate(blocks))
