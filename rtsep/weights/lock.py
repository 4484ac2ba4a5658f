"""One writer of a model's weights at a time, among all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rtsep.system.file_lock import try_lock
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


def _try_lock(file: BinaryIO, lock_path: Path) -> bool:
    with writing(lock_path):
        return try_lock(file)
