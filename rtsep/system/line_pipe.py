"""Lines from a pipe, waited for no longer than one asks."""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

_CHUNK = 65_536
# On Windows: something has come in through any of the pipes, or one has ended.
_news = threading.Condition()


class LineReader:
    """Reads lines from a pipe, which nobody else reads.

    Attributes
    ----------
    ended : bool
        Whether the other end has closed it.
    """

    def __init__(self, pipe: IO[bytes]):
        self.ended = False
        self._pipe, self._rest = pipe, b""
        self._chunks: queue.SimpleQueue[bytes] | None = None
        if sys.platform == "win32":  # where a pipe can be waited for by a thread alone
            self._chunks = queue.SimpleQueue()
            threading.Thread(target=self._pass_on, args=(self._chunks,), daemon=True).start()

    def read(self, timeout_s: float) -> list[bytes]:
        """The lines that have come in, without their ends; none after `timeout_s`, or at the end."""
        ends_s = time.monotonic() + timeout_s
        while not self.ended:
            chunk = self._chunk(max(0.0, ends_s - time.monotonic()))
            if chunk is None:
                break
            self.ended = not chunk
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines:
                return lines
        return []

    def _chunk(self, timeout_s: float) -> bytes | None:
        """What has come in, b"" at the end; None where nothing has."""
        if self._chunks is not None:
            try:
                return self._chunks.get(timeout=timeout_s)
            except queue.Empty:
                return None
        if not select.select([self._pipe], [], [], timeout_s)[0]:
            return None
        return os.read(self._pipe.fileno(), _CHUNK)

    def _pass_on(self, chunks: queue.SimpleQueue[bytes]) -> None:
        chunk = None
        while chunk != b"":
            chunk = os.read(self._pipe.fileno(), _CHUNK)
            with _news:
                chunks.put(chunk)
                _news.notify_all()


def wait_for_any(readers: Sequence[LineReader], timeout_s: float) -> list[LineReader]:
    """Those that can be read without waiting; waits for one of them for `timeout_s` at most."""
    if sys.platform != "win32":
        ready = select.select([reader._pipe for reader in readers], [], [], timeout_s)[0]
        return [reader for reader in readers if reader._pipe in ready]
    with _news:
        _news.wait_for(lambda: any(map(_has_chunk, readers)), timeout_s)
    return list(filter(_has_chunk, readers))


def _has_chunk(reader: LineReader) -> bool:
    return reader._chunks is not None and not reader._chunks.empty()
