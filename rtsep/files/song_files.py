"""A song whose stems are in files: which files, and which of their tracks. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aif", ".aiff", ".opus")
# The tracks of a Stem file as MUSDB18 has them, in their order.
STEM_FILE_TRACKS = ("mixture", "drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Sound:
    """A sound in a file. track: which of its audio tracks, counted from 1; None: its only one."""

    path: Path
    track: int | None = None


@dataclass(frozen=True)
class SongFiles:
    """The files of one song.

    stems: by name.  mixture: what it is heard as; None for the sum of the stems.
    """

    name: str
    stems: Mapping[str, Sound]
    mixture: Sound | None = None

    @property
    def paths(self) -> list[Path]:
        """Every file once, in a fixed order."""
        sounds = [*self.stems.values(), *([self.mixture] if self.mixture else [])]
        return sorted({sound.path for sound in sounds})

    def as_json(self) -> dict[str, Any]:
        """The song as an object for JSON."""
        stems = {stem: _as_json(sound) for stem, sound in self.stems.items()}
        mixture = None if self.mixture is None else _as_json(self.mixture)
        return {"name": self.name, "stems": stems, "mixture": mixture}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SongFiles:
        """The song of which `as_json` made `values`."""
        stems = {stem: _sound(value) for stem, value in values["stems"].items()}
        mixture = values["mixture"]
        return cls(values["name"], stems, None if mixture is None else _sound(mixture))


def _as_json(sound: Sound) -> list[Any]:
    return [str(sound.path), sound.track]


def _sound(values: list[Any]) -> Sound:
    return Sound(Path(values[0]), values[1])
