"""Files that appear under their names whole or not at all.

Until it is complete, a file has a temporary name beside its final one, which no other process and no
earlier run has: `.vocals.wav.1234-5f3a9c0e.part`, with the process's number, or what `name_writer` has
put in its place. It is made exclusively, so that two runs into one place never write into one file. Who
finds at the end that the final name has been given to another file since the beginning leaves that file
alone and raises an error.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from rtsep.system.signals import shielded

PART_SUFFIX = ".part"
# So much of the final name is in the temporary one. No system allows less than 255 bytes, and a
# letter may take 4 of them.
NAME_LETTERS_KEPT = 50
# How often a folder is made again that another run removes before there is a file in it.
FOLDER_ATTEMPTS = 10

# What is being written. A signal may come between the making of a file and the `with` statement
# that would remove it: programs call `remove_leftovers` before they end.
_unfinished: set[PartFile] = set()

# Who writes, in temporary names; None for the process's number.
_writer: str | None = None


class PartFile:
    """An empty file under a temporary name, to be written and then committed or discarded.

    path: the final name; missing folders on the way are made. Where it is a symbolic link, the file
        it leads to is replaced, and the link stays.

    temporary: the name until then.

    Raises OSError, with its reason in `strerror`, where the file could not take its name later on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._final = Path(os.path.realpath(path))
        check_replaceable(self._final)
        self._stood_there = _identity(self._final)
        self._made_folders: list[Path] = []
        unique = f"{_writer or os.getpid()}-{secrets.token_hex(4)}"
        name = f"{_part_prefix(self._final.name)}{unique}{PART_SUFFIX}"
        self.temporary = self._final.with_name(name)
        self._create()

    def commit(self) -> None:
        """Take the final name; raises OSError as `commit_together` does."""
        commit_together([self])

    def discard(self) -> None:
        """Remove the file, if it is still there, and the folders made for it alone."""
        if self not in _unfinished:
            return
        with contextlib.suppress(FileNotFoundError):
            self.temporary.unlink()
        for folder in self._made_folders:
            with contextlib.suppress(OSError):  # not empty: others write there too
                folder.rmdir()
        _unfinished.discard(self)

    def _create(self) -> None:
        for attempt in range(FOLDER_ATTEMPTS):
            folders = (self.temporary.parent, *self.temporary.parent.parents)
            missing = [folder for folder in folders if not folder.exists()]
            self._made_folders += [folder for folder in missing if folder not in self._made_folders]
            _unfinished.add(self)
            try:
                self.temporary.parent.mkdir(parents=True, exist_ok=True)
                self.temporary.open("xb").close()
                return
            except FileNotFoundError:
                # Another run that failed has just removed the folder, which was still empty.
                if attempt == FOLDER_ATTEMPTS - 1:
                    self.discard()
                    raise
            except OSError:
                self.discard()
                raise

    def _check_unclaimed(self) -> None:
        stands_there = _identity(self._final)
        if stands_there is not None and stands_there != self._stood_there:
            raise FileExistsError(
                None, "another program has written that file meanwhile: it is left as it is"
            )

    def _take_name(self) -> None:
        os.replace(self.temporary, self._final)
        _unfinished.discard(self)


def commit_together(parts: Sequence[PartFile]) -> None:
    """Give all of them their final names, one right after the other, or none.

    Raises OSError: FileExistsError where another program has given one of the names to a file of its
    own since the PartFile was made. `filename` is then the name in question.
    """
    with _locked({part.temporary.parent for part in parts}), shielded():
        for act in (PartFile._check_unclaimed, PartFile._take_name):
            for part in parts:
                try:
                    act(part)
                except OSError as error:
                    error.filename = part.path
                    raise


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file that appears under `path` complete or not at all; raises OSError.

    The bytes reach the disk before the file takes its name. A device or pipe is written to directly.
    """
    if is_special(path):
        with path.open("wb") as file:
            write(file)
        return
    part = PartFile(path)
    try:
        with part.temporary.open("r+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.commit()
    finally:
        part.discard()


def check_replaceable(path: Path) -> None:
    """Raise OSError if what stands under `path` cannot be replaced by a file."""
    with contextlib.suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(None, "it is a device or a pipe: name a file")
        if not os.access(path, os.W_OK):
            raise PermissionError(None, "it is write-protected")


def name_writer(writer: str) -> None:
    """Put `writer`, letters and digits, in place of this process's number in temporary names.

    So that processes that work for one whole can find what any of them has left.
    """
    global _writer
    _writer = writer


def killed_parts(path: Path, writer: str | None = None) -> list[Path]:
    """What runs that were killed have left of `path`, and what others are writing right now.

    writer: of this one alone, see `name_writer`.
    """
    final = Path(os.path.realpath(path))
    by = "" if writer is None else f"{writer}-"
    return list(final.parent.glob(f"{glob.escape(_part_prefix(final.name) + by)}*{PART_SUFFIX}"))


def remove_leftovers() -> None:
    """Remove whatever this process has begun and not completed."""
    with shielded():
        for part in list(_unfinished):
            with contextlib.suppress(OSError):  # the folder may be gone, the disk unplugged
                part.discard()


def is_special(path: Path) -> bool:
    """Whether `path` is a device or a pipe, which `write_whole` writes to and never replaces."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _part_prefix(name: str) -> str:
    return f".{name[:NAME_LETTERS_KEPT]}."


def _identity(path: Path) -> tuple[int, ...] | None:
    """What tells the file under `path` from any other that may take its place; None for none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _locked(folders: set[Path]) -> Iterator[None]:
    """Let no other run of rtsep commit into these folders during the block.

    The system drops the lock with the process. Where folders cannot be locked (Windows, some network
    drives), two runs would have to commit within the same microseconds to miss each other.
    """
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            for folder in sorted(folders):  # in one order, or two runs might wait for each other
                with contextlib.suppress(OSError):
                    descriptor = os.open(folder, os.O_RDONLY)
                    stack.callback(os.close, descriptor)
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
