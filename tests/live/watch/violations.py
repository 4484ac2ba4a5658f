"""What an audio thread must not do, done in a callback to see that the watch finds it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

Call = Callable[[Any, Any], object]


def _before(forbidden: Callable[[], object]) -> Callable[[Call], Call]:
    def around(call: Call) -> Call:
        def process(block: Any, out: Any) -> object:
            forbidden()
            return call(block, out)

        return process

    return around


_lock = threading.Lock()
_kept: list[Any] = []


@njit
def _to_be_compiled(x: int) -> int:
    return x + 1


def _take_a_lock() -> None:
    with _lock:
        pass


def _import() -> None:
    import colorsys  # noqa: F401


def _compile() -> None:
    _to_be_compiled(1)


def _write_a_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"1")


def _touch_memory() -> None:
    np.empty(1 << 20, np.float32)[:] = 1.0


def _keep() -> None:
    _kept.append(object())


# By name: how the callback is broken.
VIOLATIONS = {
    "lock": _before(_take_a_lock),
    "import": _before(_import),
    "compilation": _before(_compile),
    "file": _before(_write_a_file),
    "system call": _before(os.getppid),
    "page fault": _before(_touch_memory),
    "growth": _before(_keep),
}
