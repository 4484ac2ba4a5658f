"""One writer of a model's weights at a time, among all processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rtsep.weights.disk import writing

LOCK_POLL_S = 0.2


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
