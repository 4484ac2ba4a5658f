"""Files of a training: each appears whole, or the one before stays."""

from __future__ import annotations

from pathlib import Path

from rtsep.errors import TrainingError
from rtsep.system.part_file import write_whole


def write_file(path: Path, content: bytes | memoryview, kept: str = "") -> None:
    """Put `content` in place of what the file held.

    kept: what the message adds. Raises TrainingError if the disk does not take it.
    """
    try:
        write_whole(path, lambda file: file.write(content))
    except OSError as error:
        raise TrainingError(
            f"cannot write {path}: {error.strerror or error}: make room{kept}"
        ) from error
