"""Compiled kernels kept on disk, one file for each kernel and signature.

Numba's own cache keeps an index per function beside numbered files. Two processes that compile two
signatures of one function at once can leave an index that names the other's file, a damaged file
ends the program in a traceback, and so does a full disk. Here a file is named after what it holds
and begins with the hash of its content: whatever is missing, damaged, foreign or unreadable is
compiled again, and where nothing can be kept the program runs on and says so once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

HASH_BYTES = hashlib.sha256().digest_size

_complaint_made = False


class DiskCache(FunctionCache):
    """Numba's interface to a cache of one function, with files of our own in `folder`.

    folder: of one state of the kernels' sources, one version of Numba and one of Python.
    A key holds the hash of the files of the function and of the kernels that it calls, which may stand
    elsewhere: Numba's own key holds the function's instructions, and neither its constants nor what it
    calls.
    """

    def __init__(self, function: Callable[..., Any], folder: Path):
        # FunctionCache's own __init__ looks for a folder and would take one beside the sources.
        self._py_func = function
        self._folder = folder
        self._source = _sources_hash(function)
        self._base = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(
            ">", ""
        )
        self.enable()

    @property
    def cache_path(self) -> str:
        """The folder of the files."""
        return str(self._folder)

    def flush(self) -> None:
        """Forget what is kept of this function."""
        for path in self._folder.glob(f"{self._base}-*.nbc"):
            path.unlink(missing_ok=True)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        key = (self._source, *self._index_key(sig, target_context.codegen()))
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[HASH_BYTES:]).digest() != content[:HASH_BYTES]:
            return None
        stored_key, compiled = pickle.loads(content[HASH_BYTES:])
        if stored_key != key:
            return None
        return CompileResult._rebuild(target_context, *compiled)

    def _save_overload(self, sig: Any, data: Any) -> None:
        # What holds addresses of this process means nothing to the next.
        if data.library.has_dynamic_globals or data.lifted:
            return
        key = (self._source, *self._index_key(sig, data.codegen))
        content = dumps((key, data._reduce()))
        path = self._path(key)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(content).digest() + content)
            os.replace(part, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            # Windows refuses to replace a file that another process is reading: it is the same one.
            if not (sys.platform == "win32" and path.exists()):
                complain(f"{self._folder}: {error.strerror or error}")

    def _path(self, key: Any) -> Path:
        # A key's types and processor are named by their text; the key itself stands in the file.
        return (
            self._folder / f"{self._base}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
        )


@functools.cache
def _source_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _called(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The kernels that a function names, by themselves or as members of a module."""
    names = function.__code__.co_names
    known = [function.__globals__.get(name) for name in names]
    modules = [value for value in known if isinstance(value, ModuleType)]
    known += [getattr(module, name, None) for module in modules for name in names]
    for value in known:
        called = getattr(value, "py_func", None)
        if called is not None:
            yield called


def _sources_hash(function: Callable[..., Any]) -> str:
    """The hash of the files of a function and of all kernels below it."""
    found, new = {function}, [function]
    while new:
        for called in _called(new.pop()):
            if called not in found:
                found.add(called)
                new.append(called)
    paths = sorted({one.__code__.co_filename for one in found})
    return hashlib.sha256("".join(map(_source_hash, paths)).encode()).hexdigest()


def complain(reason: object) -> None:
    """Warn, once per process, that compiled kernels are not kept."""
    global _complaint_made
    if not _complaint_made:
        _complaint_made = True
        warnings.warn(
            f"compiled kernels cannot be kept: {reason}: every start compiles again;"
            " set RTSEP_KERNEL_CACHE to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
