"""What weights are known by: the SHA-256 of their files."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from rtsep.errors import WeightsError
from rtsep.weights.disk import reading

CHUNK_BYTES = 1 << 20


def sha256_of(*paths: Path) -> str:
    """SHA-256 in hexadecimal of the files' bytes, one file after another; raises WeightsError."""
    digest = hashlib.sha256()
    for path in paths:
        with reading(path):
            check_regular(path)
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()


def check_regular(path: Path) -> None:
    """Raise WeightsError unless `path` is a file: a device or pipe may have no end, or no beginning.

    Raises OSError where that cannot be found out.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise WeightsError(f"cannot read {path}: it is no regular file")
