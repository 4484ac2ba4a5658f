"""What every writer of weights needs from the disk: hashes, whole files, one writer at a time."""

from __future__ import annotations

import hashlib
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rtsep.errors import WeightsError
from rtsep.system import part_file

CHUNK_BYTES = 1 << 20
LOCK_POLL_S = 0.2


def sha256_of(*paths: Path) -> str:
    """SHA-256 in hexadecimal of the files' bytes, one file after another; raises WeightsError."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            check_regular(path)
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def check_regular(path: Path) -> None:
    """Raise WeightsError unless `path` is a file: a device or pipe may have no end, or no beginning.

    Raises OSError where that cannot be found out.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise WeightsError(f"cannot read {path}: it is no regular file")


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


@contextmanager
def only_writer(lock_path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file for the length of the block; waits while another process holds it.

    The system drops the lock with the process that holds it, so none is ever left behind locked.
    on_wait: called once if waiting is necessary. Raises WeightsError where locks do not work.
    """
    with writing(lock_path):
        file = lock_path.open("a+b")
    with file:
        waited = False
        while not _try_lock(file, lock_path):
            if not waited:
                on_wait()
                waited = True
            time.sleep(LOCK_POLL_S)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO, lock_path: Path) -> bool:
        # Windows locks a range of bytes, which may lie beyond the end of the file.
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO, lock_path: Path) -> bool:
        with writing(lock_path):
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True
