"""Where the bytes of sound come from: a file, in which decoders may seek, or a stream, read once.

Both give a `view`, a file object for those who look at the beginning or the end of what there is:
whether it is encrypted, how long it says it is, whether its last page is there.
"""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from rtsep.errors import AudioFileError

# What a stream keeps for those who look: the longest that any of them reads at either end.
KEPT_BYTES = 65_536


class OpenFile(io.FileIO):
    """A file for decoders, which damaged files send to places that do not exist.

    FFmpeg copes with an error that is returned, as its own files do; PyAV would raise the exception
    again later, in the middle of something else.

    label: how to call it in messages.

    Raises AudioFileError unless `path` is a file with something in it.
    """

    def __init__(self, path: Path) -> None:
        self.label = str(path)
        try:
            check_file(path)
            super().__init__(os.fspath(path), "rb")
        except (OSError, ValueError) as error:
            raise _cannot_read(self.label, error) from error

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Seek as io.FileIO does, or return a negative errno."""
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):
            return -errno.EINVAL

    def view(self) -> BinaryIO:
        """The file itself: who looks puts its position back."""
        return self


class ByteStream:
    """A stream of bytes that comes once, from a pipe or a connection. It has no `seek`.

    file: opened for binary reading; it stays open. label: how to call it in messages.
    """

    def __init__(self, file: BinaryIO, label: str | None = None) -> None:
        name = getattr(file, "name", None)  # of a pipe, the number of its descriptor
        self.label = label or (name if isinstance(name, str) else "the stream")
        # read1 gives what has come, where read would wait for all that it is asked for.
        self._read = getattr(file, "read1", file.read)
        self._head = bytearray()
        self._tail = bytearray()
        self._count = 0

    def read(self, count: int) -> bytes:
        """Up to `count` bytes: those that are there, or the next to come; none at the end.

        Raises AudioFileError where they cannot be read.
        """
        try:
            content: bytes | None = self._read(count)
        except (OSError, ValueError) as error:
            raise _cannot_read(self.label, error) from error
        if content is None:
            raise AudioFileError(f"cannot read {self.label}: it does not wait: let it block")
        self._count += len(content)
        self._head += content[: KEPT_BYTES - len(self._head)]
        self._tail += content
        del self._tail[:-KEPT_BYTES]
        return content

    def view(self) -> BinaryIO:
        """What has come so far, as a file of which beginning and end are kept."""
        return _Kept(bytes(self._head), bytes(self._tail), self._count)  # type: ignore[return-value]

    def close(self) -> None:
        """Leave the stream to whoever opened it."""


class _Kept(io.RawIOBase):
    """A file of `length` bytes of which there are the first and the last; between them it ends."""

    def __init__(self, head: bytes, tail: bytes, length: int) -> None:
        self._head, self._tail, self._length = head, tail, length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        start = {0: 0, 1: self._position, 2: self._length}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        tail_at = self._length - len(self._tail)
        part = (
            self._tail[self._position - tail_at :]
            if self._position >= tail_at
            else self._head[self._position :]
        )
        count = min(len(buffer), len(part))
        buffer[:count] = part[:count]
        self._position += count
        return count


def check_file(path: Path) -> None:
    """Raise AudioFileError unless `path` is a file with something in it."""
    try:
        if not path.exists():
            raise AudioFileError(f"no such file: {path}")
        if path.is_dir():
            raise AudioFileError(f"{path} is a folder: name the audio files in it")
        if not path.is_file():
            raise AudioFileError(f"{path} is not a regular file: save the sound to a file first")
        if path.stat().st_size == 0:
            raise AudioFileError(f"{path} is empty: it has 0 bytes")
    except (OSError, ValueError) as error:
        raise _cannot_read(str(path), error) from error


def _cannot_read(label: str, error: Exception) -> AudioFileError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return AudioFileError(f"cannot read {label}: {reason}")
