"""Files made to do harm: paths that lead out, links, devices, bombs, huge announcements."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rtsep.weights import download
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE
from tests.fuzz.children import Case
from tests.fuzz.raw_server import ok
from tests.fuzz.served_kinds import served_case
from tests.fuzz.small_weights import Weights, judge
from tests.fuzz.weights_kinds import packed_case
from tests.weights.made_up_weights import bundle_header, sign_block, table, table_block, varint

TAR, WHEEL = "2stems.tar.gz", "some-1-py3-none-any.whl"
MEGABYTE = 1 << 20


def hostile_tars(weights: Weights, folder: Path, _count: int) -> Iterator[Case]:
    """Release archives."""
    index, data = (weights.checkpoint / INDEX_FILE, weights.checkpoint / DATA_FILE)
    whole = {INDEX_FILE: index.read_bytes(), DATA_FILE: data.read_bytes()}

    def packed(*members: tuple[tarfile.TarInfo, bytes], then: bytes = b"") -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for member, content in members:
                tar.addfile(member, io.BytesIO(content))
        return gzip.compress(buffer.getvalue(), 1) + then

    def case(name: str, content: bytes) -> Case:
        return name, packed_case(weights, folder, TAR, content)

    def placed(prefix: str) -> bytes:
        return packed(
            *((_file(prefix + name, content), content) for name, content in whole.items())
        )

    yield case("names with ..", placed("../../"))
    yield case("absolute names", placed(f"{folder.parent}/out/"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        members = []
        for name in whole:
            link = tarfile.TarInfo(name)
            link.type, link.linkname, link.devmajor, link.devminor = kind, "/dev/zero", 1, 5
            members.append((link, b""))
        yield case(f"members of type {kind!r}", packed(*members))
    link = tarfile.TarInfo("folder")
    link.type, link.linkname = tarfile.SYMTYPE, str(folder.parent)
    inside = ((_file(f"folder/{name}", content), content) for name, content in whole.items())
    yield case("below a symlink that leads out", packed((link, b""), *inside))
    twice = [(_file(name, content), content) for name, content in whole.items()]
    twice += [(_file(name, b"bad"), b"bad") for name in whole]
    yield case("names twice", packed(*twice))
    yield case("an archive in an archive", packed((_file("a.tar.gz", b"x"), b"x")))

    zeros = gzip.compress(bytes(64 * MEGABYTE), 9)
    yield case("3 GB before the checkpoint", _header("zeros", 3 << 30) + 48 * zeros)
    yield case("3 GB of checkpoint", _header(DATA_FILE, 3 << 30) + 48 * zeros)
    yield case("3 GB of zeros and no tar", 48 * zeros)
    yield case("a size that is not there", _header(DATA_FILE, 1 << 40))
    yield case("a negative size", gzip.compress(_signed_size(DATA_FILE, -(1 << 40))))
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        yield case(f"a header of 1 GB ({kind!r})", _header("h", 1 << 30, kind) + 16 * zeros)
        chain = tarfile.TarInfo("h")
        chain.type = kind
        yield case(f"a chain of headers ({kind!r})", gzip.compress(50_000 * chain.tobuf(), 1))
    yield case("a million files", _members(1_000_000))
    yield case("a sparse file of 400 MB", gzip.compress(_sparse(DATA_FILE, 400 * MEGABYTE), 1))


def _file(name: str, content: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member


def _header(name: str, size_bytes: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A compressed header that announces so many bytes; they may follow as further gzip members."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size_bytes, kind
    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT))


def _signed_size(name: str, size_bytes: int) -> bytes:
    member = tarfile.TarInfo(name)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" + (256**11 + size_bytes).to_bytes(11, "big")
    return _sum_up(header)


def _sum_up(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def _sparse(name: str, size_bytes: int) -> bytes:
    """An old GNU sparse file of nothing but a hole."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (size_bytes, 0)
    header[483:495] = b"%011o\0" % size_bytes
    return _sum_up(header)


def _members(count: int) -> bytes:
    block = tarfile.TarInfo("empty").tobuf(tarfile.GNU_FORMAT)
    return count // 1000 * gzip.compress(1000 * block, 9)


def hostile_wheels(weights: Weights, folder: Path, _count: int) -> Iterator[Case]:
    """Wheels."""
    whole = {name: (weights.checkpoint / name).read_bytes() for name in (INDEX_FILE, DATA_FILE)}

    def packed(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return buffer.getvalue()

    def case(name: str, content: bytes) -> Case:
        return name, packed_case(weights, folder, WHEEL, content)

    for prefix in ("../../", f"{folder.parent}/out/", "..\\..\\", "C:\\"):
        yield case(f"names below {prefix}", packed([(prefix + n, c) for n, c in whole.items()]))
    one_over_the_other = [(f"{part}/{n}", c) for part in "ab" for n, c in whole.items()]
    yield case("two checkpoints", packed(one_over_the_other))
    yield case("lzma", packed(list(whole.items()), zipfile.ZIP_LZMA))
    huge = bytearray(packed(list(whole.items()), zipfile.ZIP_LZMA))
    for start in range(len(huge) - 9):
        # LZMA's properties, with a dictionary of 4 GB.
        if huge[start : start + 4] == b"\x09\x04\x05\x00":
            huge[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    yield case("lzma with a dictionary of 4 GB", bytes(huge))
    bomb = packed([(INDEX_FILE, whole[INDEX_FILE]), (DATA_FILE, bytes(200 * MEGABYTE))])
    yield case("200 MB of zeros", bomb)
    for announced in (10, 0x7FFFFFFF, 0xFFFFFFFE):
        # The uncompressed size, in the central directory and before the content.
        real, other = struct.pack("<I", 200 * MEGABYTE), struct.pack("<I", announced)
        yield case(f"200 MB that announce {announced}", bomb.replace(real, other))
    yield case("100,000 files", packed([(f"{n}", b"") for n in range(100_000)], zipfile.ZIP_STORED))
    locked = packed(list(whole.items())).replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )
    yield case("encrypted", locked)


def hostile_folders(weights: Weights, folder: Path, _count: int) -> Iterator[Case]:
    """Folders with a checkpoint whose files are none, or are bombs."""
    index, data = ((weights.checkpoint / name).read_bytes() for name in (INDEX_FILE, DATA_FILE))

    def case(name: str, make: Callable[[], object]) -> Case:
        def attempt() -> str:
            (folder / INDEX_FILE).write_bytes(index)
            (folder / DATA_FILE).write_bytes(data)
            make()
            return judge(lambda: weights.read(folder, folder / "work", True), weights.folded)

        return name, attempt

    for file in (INDEX_FILE, DATA_FILE):
        path = folder / file
        for device in ("/dev/zero", "/dev/null", str(folder)):
            yield case(f"{file} is {device}", lambda p=path, d=device: _link(p, d))
        yield case(f"{file} is a pipe", lambda p=path: _pipe(p))
        yield case(f"{file} is a folder", lambda p=path: (p.unlink(), p.mkdir()))

    def with_index(entries: list[tuple[bytes, bytes]], handles: int) -> Callable[[], object]:
        block = table_block(entries, 16)
        handle = varint(0) + varint(len(block) - 5)
        index_block = table_block([(b"%08d" % n, handle) for n in range(handles)], 16)
        empty = table_block([], 1)
        footer = b"".join(
            varint(offset) + varint(len(part) - 5)
            for offset, part in ((len(block), empty), (len(block) + len(empty), index_block))
        )
        magic = struct.pack("<Q", 0xDB4775248B80FB57)
        content = block + empty + index_block + footer.ljust(40, b"\0") + magic
        return lambda: (folder / INDEX_FILE).write_bytes(content)

    many = [(b"", bundle_header())] + [(b"k%06d" % n, bytes(40)) for n in range(10_000)]
    yield case("one block named 10,000 times", with_index(many, 10_000))

    def growing() -> None:
        entries = b"".join(varint(length) + b"\x01\x00a" for length in range(100_000))
        (folder / INDEX_FILE).write_bytes(table([(b"z", sign_block(entries + bytes(4)))]))

    yield case("keys that grow by a byte each", growing)


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def hostile_servers(weights: Weights, folder: Path, _count: int) -> Iterator[Case]:
    """Answers to a download."""
    download.BODY_MAX_BYTES = 5 * MEGABYTE
    archive = weights.archive.read_bytes()

    def case(name: str, answer: bytes) -> Case:
        return name, served_case(weights, folder, {"/2stems.tar.gz": answer})

    def moved(place: str) -> bytes:
        return f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()

    for place in (
        weights.archive.as_uri(), "file:///etc/passwd", "ftp://127.0.0.1:1/x", "data:,x",
        "http://[", "http://:99999999/", "/2stems.tar.gz", "//", "\x7f", "http://a\x00b/",
    ):  # fmt: skip
        yield case(f"moved to {place!r}", moved(place))
    yield case("a length too long", ok(archive).replace(b"Length: ", b"Length: 1"))
    yield case("a length too short", ok(archive)[:-10] + b"more than announced")
    yield case(
        "a length of 5000 digits", ok(archive).replace(b"Length: ", b"Length: " + b"1" * 5000)
    )
    yield case("a negative length", ok(archive).replace(b"Length: ", b"Length: -"))
    yield case("1 GB announced", ok(archive).replace(b"Length: ", b"Length: 10000"))
    yield case("a body without an end", b"HTTP/1.1 200 OK\r\n\r\n" + bytes(20 * MEGABYTE))
    chunk = b"%x\r\n" % MEGABYTE + bytes(MEGABYTE) + b"\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield case("chunks without an end", chunked + 20 * chunk)
    yield case("a chunk of negative length", chunked + b"-5\r\nxxxxx\r\n")
    yield case("100,000 headers", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000 + b"\r\n")
    yield case("a header of 10 MB", b"HTTP/1.1 200 OK\r\nA: " + bytes(10 * MEGABYTE) + b"\r\n\r\n")
    yield case("nothing", b"")
    yield case("another protocol", b"SSH-2.0-OpenSSH_9\r\n")
    deep = ok(b"[" * 60_000)
    yield (
        "checksums nested 60,000 deep",
        served_case(weights, folder, {"/2stems.tar.gz": ok(archive), "/checksum.json": deep}),
    )


HOSTILE = (hostile_tars, hostile_wheels, hostile_folders, hostile_servers)
