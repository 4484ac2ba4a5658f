"""Stems that another program made of the same songs: finding the file, bringing it in line.

Programs lay out what they write in different ways. A file belongs to a song and a stem if

    .../SONG/.../STEM.wav        its name is the stem's, and a folder above it the song's
                                 (demucs, Spleeter, museval's estimates)
    .../SONG_(STEM)_MODEL.wav    its name is both, with signs between, perhaps a number in front and
                                 more behind (UVR, audio-separator)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import AudioFileError
from rtsep.files.song_files import SOUND_SUFFIXES
from rtsep_bench.song_files import ACCOMPANIMENT
from rtsep_bench.true_stems import Song, read_with_rate

# What else programs call a stem.
OTHER_NAMES = {
    ACCOMPANIMENT: ("instrumental", "no_vocals", "karaoke"),
    "vocals": ("vocal", "voice"),
}
# Between a song's name and a stem's.
_BETWEEN = r"[\s._()\[\]-]+"
# A stem may begin so much early or late, and be so much shorter or longer.
MOST_OFFSET_S, MOST_DIFFERENCE_S = 10.0, 10.0
# Another offset than none is believed only if the sounds match better by so much there.
BETTER_BY = 1.01


@dataclass(frozen=True)
class Aligned:
    """A stem in line with its song. sound: (samples, 2) float32, as long as the song.

    offset_samples: by how much it came late, at 44.1 kHz; this has been taken out.
    difference_samples: by how much its end came late once the offset was out; cut, or filled up with
        silence.
    """

    sound: NDArray[np.float32]
    offset_samples: int
    difference_samples: int

    @property
    def remark(self) -> str | None:
        """What was done to it, a clause; None for nothing."""
        done = []
        if self.offset_samples:
            late = "late" if self.offset_samples > 0 else "early"
            done.append(f"came {abs(self.offset_samples)} samples {late}, which is taken out")
        if self.difference_samples > 0:
            done.append(f"is {self.difference_samples} samples too long, which are cut")
        elif self.difference_samples < 0:
            done.append(
                f"is {-self.difference_samples} samples too short, silence is in their place"
            )
        return " and ".join(done) or None


def find_stem(folder: Path, title: str, stem: str) -> Path:
    """The file in `folder`, at any depth, that holds `stem` of the song `title`.

    Raises AudioFileError where there is none, or more than one.
    """
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SOUND_SUFFIXES and _belongs(path.relative_to(folder), title, stem)
    ]
    if not found:
        raise AudioFileError(
            f"{folder} holds no {stem} of it: {title}/{stem}.wav or {title}_({stem}).wav is needed"
        )
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found)
        raise AudioFileError(
            f"{folder} holds more than one {stem} of it ({names}): name one folder"
        )
    return found[0]


def read_stem(path: Path, song: Song) -> Aligned:
    """The stem in `path`, in line with `song`. Raises AudioFileError where it cannot be.

    It must be of 44.1 kHz: another rate would be another sound.
    """
    sound, rate = read_with_rate(path)
    if rate != SAMPLE_RATE:
        raise AudioFileError(
            f"{path} has {rate} Hz, the song {SAMPLE_RATE}: let the program write that rate"
        )
    return align(sound, song.true, str(path))


def align(sound: NDArray[np.float32], true: NDArray[np.float32], name: str) -> Aligned:
    """Take an offset out of `sound`, found by correlation with `true`, and make it as long.

    sound, true: (samples, 2) float32.  name: for the error. Raises AudioFileError where the lengths
    differ by more than MOST_DIFFERENCE_S.
    """
    if abs(len(sound) - len(true)) > MOST_DIFFERENCE_S * SAMPLE_RATE:
        raise AudioFileError(
            f"{name} lasts {len(sound) / SAMPLE_RATE:.1f} s, the song {len(true) / SAMPLE_RATE:.1f} s:"
            " is it another song?"
        )
    offset = _offset(sound.sum(axis=1), true.sum(axis=1))
    begins = sound[offset:] if offset >= 0 else np.pad(sound, ((-offset, 0), (0, 0)))
    difference = len(begins) - len(true)
    whole = np.pad(begins[: len(true)], ((0, max(0, -difference)), (0, 0)))
    return Aligned(whole, offset, difference)


def _offset(sound: NDArray[np.float32], true: NDArray[np.float32]) -> int:
    """By how many samples `sound` is later than `true`, both (samples,)."""
    most = int(MOST_OFFSET_S * SAMPLE_RATE)
    length = 1 << (len(sound) + len(true) - 1).bit_length()
    spectrum = np.fft.rfft(sound, length) * np.conj(np.fft.rfft(true, length))
    match = np.fft.irfft(spectrum, length)
    offsets = np.concatenate(
        [np.arange(min(most, length // 2)), -np.arange(1, min(most, length // 2))]
    )
    best = int(offsets[np.argmax(match[offsets])])
    return best if match[best] > BETTER_BY * max(match[0], 0.0) else 0


def _belongs(path: Path, title: str, stem: str) -> bool:
    names = (stem, *OTHER_NAMES.get(stem, ()))
    titles = {title.lower(), f"{title}.stem".lower()}
    if path.stem.lower() in names and titles & {folder.lower() for folder in path.parts[:-1]}:
        return True
    return bool(_both(titles, names).fullmatch(path.stem.lower()))


def _both(titles: Iterable[str], names: Iterable[str]) -> re.Pattern[str]:
    title, name = ("|".join(map(re.escape, words)) for words in (titles, names))
    return re.compile(rf"(\d+_)?({title}){_BETWEEN}({name})([^\w].*|_.*)?")
