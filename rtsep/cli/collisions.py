"""What a program is about to write, held against what it reads, and against each other.

For all programs, and before anything is touched. That two runs at once do not write one file is the
business of part_file.py.
"""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import AudioFileError, UsageError
from rtsep.system.part_file import check_replaceable

# What two names have in common if they stand for one thing.
Key = tuple


@dataclass(frozen=True)
class Output:
    """A file to be written.

    name: what it is, in words. source: the input it is made from, or None. remedy: gives the words on
    what to change, if it would replace an input (None), or is the same file as another output.
    """

    path: Path
    name: str
    remedy: Callable[[Output | None], str]
    source: Path | None = None


def check_collisions(inputs: Sequence[Path], outputs: Sequence[Output]) -> None:
    """Raise UsageError if an output would replace an input, or take the place of another output.

    Symbolic and hard links, folders under several names, and names that a file system takes for the
    same though their letters differ in case are seen through.
    """
    places = _Places()
    read: dict[Key | None, Path] = {}
    for path in inputs:
        read |= {places.key(path): path, _file(path): path}
    read.pop(None, None)
    taken: dict[Key, Output] = {}
    for output in outputs:
        place = places.key(output.path)
        replaced = read.get(place) or read.get(_file(output.path))
        if replaced is not None:
            raise UsageError(
                f"{output.name} would replace the input {replaced}: {output.remedy(None)}"
            )
        other = taken.setdefault(place, output)
        if other is not output:
            raise UsageError(
                f"{other.name} and {output.name} would both be written to {output.path}:"
                f" {output.remedy(other)}"
            )
    for place, output in taken.items():
        for length in range(2, len(place)):
            folder = taken.get(place[:length])
            if folder is not None:
                raise UsageError(
                    f"{folder.name} and the folder of {output.name} would both be {folder.path}:"
                    f" {output.remedy(folder)}"
                )


def check_place(path: Path) -> None:
    """Raise AudioFileError unless a file can be made under `path`, or replaced there."""
    check_folder(path.parent, path)
    try:
        check_replaceable(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AudioFileError(f"cannot write {path}: {reason[0].lower()}{reason[1:]}") from None


def check_folder(folder: Path, target: Path | None = None) -> None:
    """Raise AudioFileError unless files can be made in `folder`, or it can be made itself.

    target: what the message is about, if not the folder.
    """
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    what = target or folder
    if not existing.is_dir():
        raise AudioFileError(f"cannot write to {what}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise AudioFileError(f"cannot write to {what}: no permission to write in {existing}")


def check_given_once(inputs: Sequence[Path]) -> None:
    """Raise UsageError if two of the inputs are one file under one name, however it is spelt."""
    places = _Places()
    seen: dict[Key, Path] = {}
    for path in inputs:
        if seen.setdefault(places.key(path), path) is not path:
            raise UsageError(f"{path} is given twice: name every input once")


class _Places:
    """Keys of names: the deepest folder that exists, by its number, and the names below it.

    What is found out of a folder is kept: it holds for as long as nothing is touched.
    """

    def __init__(self) -> None:
        self._folders: dict[str, tuple[Key, bool]] = {}

    def key(self, path: Path) -> Key:
        """The key of `path`."""
        folder, name = os.path.split(os.path.realpath(path))
        key, ignores_case = self._folder(folder)
        return (*key, _folded(name) if ignores_case else name)

    def _folder(self, folder: str) -> tuple[Key, bool]:
        """The key of a folder, which need not exist, and whether names in it ignore capitals."""
        if folder not in self._folders:
            above, name = os.path.split(folder)
            try:
                status = os.stat(folder)
                known: tuple[Key, bool] = (
                    ((status.st_dev, status.st_ino),),
                    _ignores_case(Path(folder)),
                )
            except OSError:
                if above == folder:
                    known = ((folder,), False)
                else:
                    key, ignores_case = self._folder(above)
                    known = (*key, _folded(name) if ignores_case else name), ignores_case
            self._folders[folder] = known
        return self._folders[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _file(path: Path) -> Key | None:
    """A key of the file itself, the same for all its names; None if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _ignores_case(folder: Path) -> bool:
    """Whether names in `folder` are the same in capitals.

    Told by the names of the folder itself and those above it on the same device, as nothing may be
    written to find out.
    """
    with contextlib.suppress(OSError):
        device = folder.stat().st_dev
        for above in (folder, *folder.parents):
            swapped = above.name.swapcase()
            if swapped != above.name and above.stat().st_dev == device:
                return os.path.samefile(above, above.with_name(swapped))
    return False
