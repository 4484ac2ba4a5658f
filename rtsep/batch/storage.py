"""Recordings and stems elsewhere, by an explicit scheme: s3://, gs://, https://, through fsspec.

A recording is copied to this machine before it is separated, its stems are copied back when all are
whole. An object of a storage appears whole or not at all, as a file that is renamed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.errors import AudioFileError, MissingLibraryError, one_line
from rtsep.system.part_file import PartFile

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")


@dataclass(frozen=True)
class Stored:
    """A recording of a storage. in_folder: it was found in a folder, not named."""

    name: str
    tree: str
    size_bytes: int | None
    modified_ns: int | None
    in_folder: bool


def has_scheme(name: str) -> bool:
    """Whether `name` is of a storage; two letters at least, as C: is a drive of Windows."""
    return _SCHEME.match(name) is not None


def find(name: str) -> list[Stored]:
    """What `name` stands for: an object, all below a folder, or what its wildcards meet.

    Raises AudioFileError where the storage does not answer, MissingLibraryError without fsspec.
    """
    system, path = _system(name)
    scheme = _SCHEME.match(name)
    assert scheme is not None
    if scheme[1] in ("http", "https"):  # servers of the web list nothing
        return [Stored(name, "", None, None, False)]
    with _told(name):
        if any(sign in path for sign in "*?["):
            base = path.split("*")[0].split("?")[0].split("[")[0].rpartition("/")[0]
            found, in_folder = system.glob(path, detail=True), False
        elif system.isdir(path):
            base = path.rstrip("/")
            found, in_folder = system.find(path, detail=True), True
        else:
            base = path.rpartition("/")[0]
            found, in_folder = {path: system.info(path)}, False
    return [
        Stored(
            system.unstrip_protocol(entry),
            os.path.dirname(os.path.relpath(entry, base)),
            info.get("size"),
            _modified_ns(info),
            in_folder,
        )
        for entry, info in sorted(found.items())
        if info.get("type") == "file"
    ]


def _modified_ns(info: Mapping[str, Any]) -> int | None:
    moment: Any = info.get("LastModified") or info.get("updated") or info.get("mtime")
    if hasattr(moment, "timestamp"):
        return int(moment.timestamp() * 1e9)
    return int(moment * 1e9) if isinstance(moment, (int, float)) else None


@contextlib.contextmanager
def at_hand(name: str) -> Iterator[Path]:
    """A file of this machine with what `name` holds, for the length of the block."""
    if not has_scheme(name):
        yield Path(name)
        return
    system, path = _system(name)
    with tempfile.TemporaryDirectory(prefix="rtsep-") as folder:
        copy = Path(folder, "input" + os.path.splitext(path)[1])
        with _told(name):
            system.get_file(path, str(copy))
        yield copy


@contextlib.contextmanager
def to_be_sent(targets: Mapping[str, str]) -> Iterator[dict[str, Path]]:
    """Files of this machine to write the stems to, which go to `targets` at the end of the block."""
    if not any(has_scheme(target) for target in targets.values()):
        yield {stem: Path(target) for stem, target in targets.items()}
        return
    with tempfile.TemporaryDirectory(prefix="rtsep-") as folder:
        files = {
            stem: Path(folder, f"{number}{os.path.splitext(target)[1]}")
            for number, (stem, target) in enumerate(targets.items())
        }
        yield files
        for stem, target in targets.items():
            system, path = _system(target)
            with _told(target):
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                system.put_file(str(files[stem]), path)


def size_of(name: str) -> int | None:
    """Length in bytes of what `name` holds; None where there is nothing."""
    if not has_scheme(name):
        try:
            return os.stat(name).st_size
        except (OSError, ValueError):
            return None
    system, path = _system(name)
    system.invalidate_cache()
    try:
        with _told(name):
            size: int | None = system.info(path).get("size")
            return size
    except AudioFileError:
        return None


def duplicate(source: str, target: str, link: bool) -> None:
    """Make `target` hold what `source` does: by a hard link, or by copying it.

    Raises AudioFileError.
    """
    if has_scheme(source) or has_scheme(target):
        system, path = _system(target)
        with _told(target):
            system.copy(_system(source)[1], path)
        return
    try:
        part = PartFile(Path(target))
        try:
            if link:
                part.temporary.unlink()
                os.link(os.path.realpath(source), part.temporary)
            else:
                shutil.copyfile(source, part.temporary)
            part.commit()
        finally:
            part.discard()
    except OSError as error:
        raise AudioFileError(f"cannot write {target}: {error.strerror or error}") from error


def _system(name: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise MissingLibraryError(
            f"{name} is of a storage, which takes fsspec: run `pip install 'rtsep[cluster]'`"
        ) from None
    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise MissingLibraryError(f"{name}: {one_line(error)}") from error
    return system, path


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what storages raise, which may be anything, into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise AudioFileError(f"no such file: {name}") from error
    except Exception as error:
        raise AudioFileError(f"{name}: the storage does not do it: {one_line(error)}") from error
