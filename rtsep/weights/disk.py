"""Reading and writing weights: folders, whole files, and the system's errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rtsep.errors import WeightsError
from rtsep.system import part_file


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors into one WeightsError that names `path`."""
    try:
        yield
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors into one WeightsError that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"cannot write {path}: {error.strerror or error}:"
            " make room, or set RTSEP_WEIGHTS to a folder that can be written"
        ) from error


def make_folder(folder: Path) -> None:
    """Create `folder` and those above it; raises WeightsError where that is impossible."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file that appears under `path` complete or not at all.

    Raises WeightsError, leaving nothing behind, if the disk does not take them.
    """
    with writing(path):
        part_file.write_whole(path, write)
