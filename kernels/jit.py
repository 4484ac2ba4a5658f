"""How every kernel is compiled: one decorator, one choice of kernel set, one cache on disk.

The kernel set is chosen by name, once per process, with the environment variable RTSEP_KERNELS:

    vector      vector code at the host's full width (the default)
    vector4     the same code emitted for 4 lanes (SSE2, NEON)
    vector8     ... for 8 lanes (AVX2)
    vector16    ... for 16 lanes (AVX-512)
    plain       no vector code of our own: plain Numba, vectorised by LLVM as it can

It is one choice for the whole process because the kernels are module-level functions: only those
are found again in Numba's cache by the next process.

The cache lives in a per-user folder (RTSEP_KERNEL_CACHE moves it) named after a hash of these
sources. Numba itself only compares the time stamp of the file a function stands in, and would keep
using a conv.py compiled against an older micro.py.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import njit

# Contraction, reassociation and reciprocals are what vectorising needs. Assuming that there is no
# NaN or infinity (nnan, ninf) is left out: NaN must stay visible, a masked NaN would be a click.
FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}

_SETS = {"vector4": 4, "vector8": 8, "vector16": 16, "plain": 8}


def host_vector_width() -> int:
    """Number of float32 lanes of the host's widest vector registers: 16, 8 or 4."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    if features.get("avx2") and features.get("fma"):
        return 8
    return 4


def _choose() -> tuple[str, int]:
    name = os.environ.get("RTSEP_KERNELS") or "vector"
    if name == "vector":
        name = f"vector{host_vector_width()}"
    if name not in _SETS:
        known = ", ".join(["vector", *_SETS])
        raise ImportError(f"RTSEP_KERNELS={name!r} names no kernel set: choose one of {known}")
    if _SETS[name] > host_vector_width() and name != "plain":
        raise ImportError(
            f"RTSEP_KERNELS={name!r} needs {_SETS[name]} lanes, this processor has "
            f"{host_vector_width()}: choose vector or plain"
        )
    return name, _SETS[name]


KERNEL_SET, WIDTH = _choose()
VECTOR = KERNEL_SET != "plain"


def _cache_folder() -> Path:
    moved = os.environ.get("RTSEP_KERNEL_CACHE")
    if moved:
        base = Path(moved)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home())) / "rtsep" / "kernels"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "rtsep" / "kernels"
    else:
        home_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        base = Path(home_cache) / "rtsep" / "kernels"
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return base / f"{digest.hexdigest()[:12]}-{KERNEL_SET}"


CACHE_FOLDER = _cache_folder()
# Numba makes the attributes of this module at run time, which no type checker sees.
_NUMBA_CONFIG: Any = numba.config
_cache_complaint_made = False


def kernel(function=None, *, inline="never", fastmath=None):
    """Compile `function` as a kernel: nogil, cached on disk, NumPy's error model.

    inline: ``"always"`` for helpers that must vanish into their caller.
    fastmath: FAST_MATH where LLVM is to vectorise a reduction; off for the rest.
    """
    if function is None:
        return lambda f: kernel(f, inline=inline, fastmath=fastmath)
    options = {
        "nogil": True,
        "error_model": "numpy",
        "inline": inline,
        "fastmath": fastmath or {"contract"},
    }
    before = _NUMBA_CONFIG.CACHE_DIR
    _NUMBA_CONFIG.CACHE_DIR = str(CACHE_FOLDER)
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError as error:
        # Numba found no folder that it may write to: it works, but compiles in every process.
        global _cache_complaint_made
        if not _cache_complaint_made:
            _cache_complaint_made = True
            warnings.warn(
                f"no folder to keep compiled kernels in ({error}): every start compiles again; "
                "set RTSEP_KERNEL_CACHE to a writable folder",
                RuntimeWarning,
                stacklevel=2,
            )
        return njit(**options)(function)
    finally:
        _NUMBA_CONFIG.CACHE_DIR = before
