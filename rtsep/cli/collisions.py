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
    read: dict[Key | None, Path] = {}
    for path in inputs:
        read |= {_place(path): path, _file(path): path}
    read.pop(None, None)
    taken: dict[Key, Output] = {}
    for output in outputs:
        place = _place(output.path)
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
    seen: dict[Key, Path] = {}
    for path in inputs:
        if seen.setdefault(_place(path), path) is not path:
            raise UsageError(f"{path} is given twice: name every input once")


def _place(path: Path) -> Key:
    """A key of the name: the deepest folder that exists, by its number, and the names below it."""
    existing = Path(os.path.realpath(path)).parent
    names = [Path(os.path.realpath(path)).name]
    while True:
        with contextlib.suppress(OSError):
            status = existing.stat()
            break
        if existing == existing.parent:
            return (os.path.realpath(path),)
        names.append(existing.name)
        existing = existing.parent
    if _ignores_case(existing):
        names = [unicodedata.normalize("NFC", name).casefold() for name in names]
    return ((status.st_dev, status.st_ino), *reversed(names))


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
