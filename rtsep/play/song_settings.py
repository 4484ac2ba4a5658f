"""What a person has set for a song, remembered by its content from one run to the next."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from rtsep.errors import RtsepError, UsageError
from rtsep.play.count_in import CountIn
from rtsep.play.speed import Speed

FOLDER_VARIABLE = "RTSEP_PLAY_SETTINGS"


@dataclass(frozen=True)
class StemSetting:
    """One stem's place on the mixer."""

    gain_db: float = 0.0
    muted: bool = False
    soloed: bool = False


@dataclass(frozen=True)
class SongSettings:
    """All that is remembered of a song.

    stems: by name; of one that is left out nothing is known.  loop: in samples.
    """

    stems: dict[str, StemSetting] = field(default_factory=dict)
    speed: Speed = field(default_factory=Speed)
    loop: tuple[int, int] | None = None
    count_in: CountIn = field(default_factory=CountIn)


def settings_folder() -> Path:
    """$RTSEP_PLAY_SETTINGS, or `songs` in the user's folder of rtsep's configuration."""
    moved = os.environ.get(FOLDER_VARIABLE)
    return Path(moved) if moved else user_config_path("rtsep", appauthor=False) / "songs"


def load_settings(folder: Path, content: str) -> SongSettings | None:
    """The settings of a song, by its content_hash; None where there are none that can be read."""
    try:
        return _from_json(json.loads(_path(folder, content).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None


def save_settings(folder: Path, content: str, settings: SongSettings) -> None:
    """Remember the settings of a song. Raises RtsepError where they cannot be written."""
    path = _path(folder, content)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RtsepError(
            f"cannot remember the song's settings in {folder}: {error.strerror}: make room, or set"
            f" {FOLDER_VARIABLE} to another folder"
        ) from error


def _path(folder: Path, content: str) -> Path:
    return folder / f"{content[:32]}.json"


def _from_json(content: Any) -> SongSettings:
    loop = content["loop"]
    return SongSettings(
        stems={str(name): StemSetting(**values) for name, values in content["stems"].items()},
        speed=Speed(**content["speed"]),
        loop=None if loop is None else (int(loop[0]), int(loop[1])),
        count_in=CountIn(**content["count_in"]),
    )
