"""FFTW's plans of this machine kept from one start to the next.

That saves half a second at each, and has all processes of a machine compute the same to the last bit:
which plan is the fastest is not the same at every try.

FFTW finds the fastest plan of a length by trying (FFTW_MEASURE), and calls what it has learned wisdom.
The file stands in the folder of the compiled kernels. It is a cache: one that cannot be read or written,
is damaged, or comes from another version of FFTW costs the half second, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from functools import cache

import pyfftw

from rtsep_kernels.jit import CACHE_FOLDER

_FILE = None if CACHE_FOLDER is None else CACHE_FOLDER / "fft-wisdom.json"


@contextlib.contextmanager
def remembered_plans() -> Iterator[None]:
    """Within the block FFTs are planned from what earlier processes have learned; the rest is kept."""
    _recall()
    before = pyfftw.export_wisdom()
    yield
    learned = pyfftw.export_wisdom()
    if learned != before:
        _keep(learned)


@cache
def _recall() -> None:
    if _FILE is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads(_FILE.read_text(encoding="ascii"))
            pyfftw.import_wisdom(tuple(base64.b64decode(part) for part in kept))


def _keep(wisdom: tuple[bytes, ...]) -> None:
    if _FILE is None:
        return
    temporary = _FILE.with_name(f"{_FILE.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        _FILE.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([base64.b64encode(part).decode() for part in wisdom])
        temporary.write_text(text, encoding="ascii")
        temporary.replace(_FILE)
