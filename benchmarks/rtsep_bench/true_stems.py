"""Songs with their true stems, decoded: what a separation is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.errors import AudioFileError, UsageError
from rtsep.files.reader import AudioReader
from rtsep.files.song_files import STEM_FILE_TRACKS, SongFiles, Sound
from rtsep_bench.song_files import ACCOMPANIMENT, AT_SPEED, VOCALS, find

BLOCK_SAMPLES = 65_536


@dataclass(frozen=True)
class Song:
    """A song and one of its stems: (samples, 2) float32, 44.1 kHz.

    name: with the speed, if it is another one.  title: without.
    true: the stem.  rest: the sum of all the others.
    """

    name: str
    mixture: NDArray[np.float32]
    true: NDArray[np.float32]
    rest: NDArray[np.float32]
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)

    def cut(self, part: slice) -> Song:
        """That part of the song."""
        sounds = {name: getattr(self, name)[part] for name in ("mixture", "true", "rest")}
        return replace(self, **sounds)


def songs(places: Iterable[str], stem: str) -> list[Song]:
    """Every song found at `places` (see song_files.find), with the true sound of `stem`.

    Folders that hold other stems, or none, are passed over. Raises UsageError where a place holds no
    song with that stem, AudioFileError where a song is damaged (see `load`).
    """
    found = []
    for place in places:
        here = [song for song in find([place]).songs if has_stem(song, stem)]
        if not here:
            raise UsageError(
                f"{place} holds no song: a Stem file, or a folder with {stem}.* and the other stems,"
                f" is needed"
            )
        found += [load(song, stem) for song in here]
    return found


def has_stem(files: SongFiles, stem: str) -> bool:
    """Whether the true sound of `stem` is known; the accompaniment is all but the vocals."""
    return stem in files.stems or (stem == ACCOMPANIMENT and VOCALS in files.stems)


def load(files: SongFiles, stem: str) -> Song:
    """Decode a song. Raises AudioFileError where it lacks the stem, or its files do not fit together."""
    if not has_stem(files, stem):
        raise AudioFileError(f"has no {stem}: its stems are {', '.join(files.stems)}")
    _check_tracks(files)
    sounds = {name: _read(sound) for name, sound in files.stems.items()}
    mixture = None if files.mixture is None else _read(files.mixture)
    _check_alike({**sounds, **({} if mixture is None else {"mixture": mixture})})
    parts = {name: samples for name, (samples, _) in sounds.items()}
    wanted = [stem] if stem in parts else [name for name in parts if name != VOCALS]
    others = [name for name in parts if name not in wanted]
    if not wanted or not others:
        raise AudioFileError(f"has only {', '.join(parts)}: the other stems are needed, too")
    true, rest = (_sum([parts[name] for name in names]) for names in (wanted, others))
    return Song(files.name, true + rest if mixture is None else mixture[0], true, rest)


def at_speed(song: Song, speed: float) -> Song:
    """The song played `speed` times as fast, which moves its pitch, too; called ``NAME@SPEED``.

    How well a net separates depends on where a song's partials fall between its bins and rows: another
    speed is nearly another song.
    """
    if speed == 1:
        return song
    import soxr

    mixture, true, rest = (
        soxr.resample(sound, speed * SAMPLE_RATE, SAMPLE_RATE).astype(np.float32)
        for sound in (song.mixture, song.true, song.rest)
    )
    return Song(version(song.title, speed), mixture, true, rest, song.title)


def middle(samples: int, seconds: float | None) -> slice:
    """The seconds in the middle of so many samples; all of them if there are no more, or for None."""
    wanted = samples if seconds is None else round(seconds * SAMPLE_RATE)
    first = max(0, samples - wanted) // 2
    return slice(first, first + wanted)


def version(title: str, speed: float) -> str:
    """What a song is called at a speed: ``NAME@SPEED``, or its title as it is."""
    return title if speed == 1 else f"{title}{AT_SPEED}{speed:g}"


def read_sound(path: Path) -> NDArray[np.float32]:
    """A whole file, (samples, 2) float32 at 44.1 kHz; raises AudioFileError, also for damage."""
    return _read(Sound(path))[0]


def read_with_rate(path: Path) -> tuple[NDArray[np.float32], int]:
    """As `read_sound`, with the rate in Hz that the file has."""
    return _read(Sound(path))


def _read(sound: Sound) -> tuple[NDArray[np.float32], int]:
    with AudioReader(sound.path, track=sound.track, strict=True) as reader:
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, reader.channels)
        blocks = [resampler.push(block) for block in reader.blocks(BLOCK_SAMPLES)]
        blocks.append(resampler.flush())
    return to_stereo(np.concatenate(blocks)), reader.sample_rate


def _sum(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.sum(sounds, axis=0, dtype=np.float32)


def _check_tracks(files: SongFiles) -> None:
    """Raise AudioFileError for a Stem file that has not the tracks of one."""
    import av  # here, because it is slow to import

    path = next((sound.path for sound in files.stems.values() if sound.track is not None), None)
    if path is None:
        return
    try:
        with av.open(str(path)) as container:
            tracks = len(container.streams.audio)
    except (av.FFmpegError, OSError) as error:
        raise AudioFileError(f"{path.name} cannot be decoded: {error.strerror}") from error
    if tracks != len(STEM_FILE_TRACKS):
        raise AudioFileError(
            f"{path.name} has {tracks} audio tracks, a Stem file has {len(STEM_FILE_TRACKS)}:"
            f" {', '.join(STEM_FILE_TRACKS)}"
        )


def _check_alike(sounds: dict[str, tuple[NDArray[np.float32], int]]) -> None:
    """Raise AudioFileError for sounds of different rates or lengths."""
    (first, (samples, rate)), *others = sounds.items()
    for name, (more, other_rate) in others:
        if other_rate != rate:
            raise AudioFileError(
                f"{name} has {other_rate} Hz, {first} {rate}: bring all stems to one rate"
            )
        if len(more) != len(samples):
            raise AudioFileError(
                f"{name} has {len(more)} samples at {SAMPLE_RATE} Hz, {first} {len(samples)}:"
                " make all stems equally long"
            )
