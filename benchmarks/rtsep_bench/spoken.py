"""Speech for the benchmarks: read out by espeak-ng, or from files.

espeak-ng is a synthesiser: it is installed easily, and reads the same text the same way everywhere. Its
voices are monotonous, have no room and nothing above 11 kHz, and are unlike singing.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import MissingLibraryError, RtsepError, UsageError
from rtsep.files.song_files import SOUND_SUFFIXES
from rtsep_bench.true_stems import read_sound

ESPEAK = "espeak"
PROGRAM = "espeak-ng"

# Article 1 of the Universal Declaration of Human Rights (United Nations, 1948).
TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason"
    " and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und"
    " Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de"
    " raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están"
    " de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
}


class Reader(NamedTuple):
    """A voice of espeak-ng. variant: m for male, f for female. rate: words per minute."""

    language: str
    variant: str
    rate: int


READERS = (
    Reader("en", "m3", 175),
    Reader("en", "f2", 150),
    Reader("de", "f4", 165),
    Reader("de", "m7", 140),
    Reader("fr", "m1", 175),
    Reader("fr", "f3", 190),
    Reader("es", "f1", 160),
    Reader("es", "m5", 200),
)


class Speech(NamedTuple):
    """Someone who speaks. sound: (samples, 2) float32, 44.1 kHz, the same on both channels of a
    voice that was recorded with one.
    """

    name: str
    sound: NDArray[np.float32]


def speeches(place: str, seconds: float) -> list[Speech]:
    """The speech at `place`: ``espeak``, a file, or a folder of files.

    Each is `seconds` long: longer files are cut into as many as there are in them, shorter ones are
    repeated.

    Raises UsageError where there is none, MissingLibraryError where espeak-ng is not installed,
    AudioFileError where a file cannot be read.
    """
    whole = _read_out() if place == ESPEAK else _files(place)
    return [piece for speech in whole for piece in _pieces(speech, round(seconds * SAMPLE_RATE))]


def _pieces(speech: Speech, samples: int) -> Iterator[Speech]:
    count = len(speech.sound) // samples
    if count <= 1:
        yield Speech(speech.name, np.resize(speech.sound, (samples, 2)))
        return
    for number in range(count):
        piece = speech.sound[number * samples : (number + 1) * samples]
        yield Speech(f"{speech.name}-{number + 1}", piece)


def _read_out() -> list[Speech]:
    program = shutil.which(PROGRAM)
    if program is None:
        raise MissingLibraryError(
            f"{PROGRAM} is not installed: install it, or name files of speech with --speech"
        )
    found = []
    with tempfile.TemporaryDirectory(prefix="rtsep-bench-") as folder:
        for reader in READERS:
            name = f"{reader.language}-{reader.variant}-{reader.rate}"
            path = Path(folder) / f"{name}.wav"
            voice = f"{reader.language}+{reader.variant}"
            done = subprocess.run(
                [program, "-v", voice, "-s", str(reader.rate), "-w", str(path), "--stdin"],
                input=TEXTS[reader.language].encode(), capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode != 0 or not path.exists():
                complaint = done.stderr.decode(errors="replace").strip() or "no reason given"
                raise RtsepError(f"{PROGRAM} did not read with the voice {voice}: {complaint}")
            found.append(Speech(name, read_sound(path)))
    return found


def _files(place: str) -> list[Speech]:
    path = Path(place)
    if not path.exists():
        raise UsageError(f"{path} is not there: name files of speech, or {ESPEAK}")
    every = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in every if file.suffix.lower() in SOUND_SUFFIXES]
    if not files:
        raise UsageError(f"{path} holds no speech: a sound file is needed")
    return [Speech(file.stem, read_sound(file)) for file in files]
