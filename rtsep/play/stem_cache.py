"""The folder of finished stems: a song is found again by its content, the oldest make room.

A song's folder is named by a hash of the file's content, the model's weights and all options that change
the stems. So a file that was moved or renamed is found, and one that was edited is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rtsep.errors import AudioFileError, RtsepError
from rtsep.play.stem_store import LOCK, StemStore
from rtsep.system.file_lock import try_lock
from rtsep_kernels.user_cache import NO_HOME, user_cache

FOLDER_VARIABLE = "RTSEP_PLAY_CACHE"
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class StemSettings:
    """What decides the stems besides the song: model, mask_extension and precision, by name."""

    model: str
    mask_extension: str
    precision: str


def cache_folder() -> Path:
    """$RTSEP_PLAY_CACHE, or `play` in the user's cache of rtsep; raises RtsepError without a home."""
    moved = os.environ.get(FOLDER_VARIABLE)
    if moved:
        return Path(moved)
    cache = user_cache()
    if cache is None:
        raise RtsepError(
            f"there is no place for stems: {NO_HOME}: set {FOLDER_VARIABLE} to a folder"
        )
    return cache / "play"


def content_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises AudioFileError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while part := file.read(_READ_BYTES):
                digest.update(part)
    except OSError as error:
        raise AudioFileError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


class StemCache:
    """The stores of this user.

    Parameters
    ----------
    folder : Path
        Made with the first store.
    limit_bytes : int
        What all stores may take together; 0 keeps none.
    """

    def __init__(self, folder: Path, limit_bytes: int):
        self.folder, self._limit_bytes = folder, limit_bytes
        self._locks: dict[Path, BinaryIO] = {}

    def open(self, content: str, settings: StemSettings, stems: Sequence[str]) -> StemStore:
        """The store of a song, by its content_hash.

        One that another process plays has a twin, which is not kept; nor is any where the limit is 0.

        Raises RtsepError where the folder cannot be written.
        """
        named = "\n".join((content, settings.model, settings.mask_extension, settings.precision))
        folder = self.folder / hashlib.sha256(named.encode()).hexdigest()[:32]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._limit_bytes and self._take(folder):
                return StemStore(folder, stems)
            twin = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=self.folder))
            self._take(twin)
            return StemStore(twin, stems, keep=False)
        except OSError as error:
            raise RtsepError(
                f"cannot keep stems in {self.folder}: {error.strerror}: make room, or set"
                f" {FOLDER_VARIABLE} to another folder"
            ) from error

    def close(self, store: StemStore) -> None:
        """Close a store; then remove the stores used longest ago, until the limit is kept."""
        store.close()
        lock = self._locks.pop(store.folder, None)
        if lock is not None:
            lock.close()
        with contextlib.suppress(OSError):
            if store.keep:
                os.utime(store.folder)
            self._make_room()

    def _take(self, folder: Path) -> bool:
        """Lock a store for this process; False where another one has it."""
        folder.mkdir(exist_ok=True)
        file = (folder / LOCK).open("ab")
        if not try_lock(file):
            file.close()
            return False
        self._locks[folder] = file
        return True

    def _make_room(self) -> None:
        stores = [entry for entry in self.folder.iterdir() if (entry / LOCK).exists()]
        stores.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
        left = self._limit_bytes
        for entry in stores:
            left -= sum(_on_disk(file) for file in entry.iterdir())
            # A twin that a killed process has left is never used again.
            is_left_over = "-" in entry.name
            if (left < 0 or is_left_over) and self._take_to_remove(entry):
                shutil.rmtree(entry, ignore_errors=True)

    def _take_to_remove(self, folder: Path) -> bool:
        if folder in self._locks:
            return False
        with (folder / LOCK).open("ab") as file:
            return try_lock(file)


def _on_disk(file: Path) -> int:
    status = file.stat()
    return 512 * status.st_blocks if hasattr(status, "st_blocks") else status.st_size
