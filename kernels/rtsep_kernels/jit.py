"""How every kernel is compiled: one decorator, one choice of kernel set, one cache on disk.

The kernel set is chosen by name, once per process, with the environment variable RTSEP_KERNELS:

    vector      vector code at the host's full width (the default)
    vector4     the same code emitted for 4 lanes (SSE2, NEON)
    vector8     ... for 8 lanes (AVX2)
    vector16    ... for 16 lanes (AVX-512)
    plain       no vector code of our own: plain Numba, vectorised by LLVM as it can

It is one choice for the whole process because the kernels are module-level functions: only those
are found again in Numba's cache by the next process.

How pairs of bfloat16 are multiplied (products.py) is a second such choice, with RTSEP_DOT:

    tiles       AMX's tiles of 16 x 16 sums, and the dot products for what does not fill them
    dot         the processor's dot products of pairs (AVX512_BF16; NEON's BFDOT)
    none        two multiply-adds and shifts: right on every processor, and slow

By default it is the best that the processor has.

The cache (disk_cache.py) lives in a per-user folder (RTSEP_KERNEL_CACHE moves it) named after a hash
of these sources. Numba itself only looks at the file a function stands in, and would keep using a
conv.py compiled against an older micro.py.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import llvmlite.binding as llvm
import numba
from numba import njit

from rtsep_kernels.disk_cache import DiskCache, complain
from rtsep_kernels.user_cache import NO_HOME, user_cache

# Contraction, reassociation and reciprocals are what vectorising needs. Assuming that there is no
# NaN or infinity (nnan, ninf) is left out: NaN must stay visible, a masked NaN would be a click.
FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}

# A kernel is called like the function it is made of, so that checkers see its annotations.
Inline = Literal["never", "always"]
Function = TypeVar("Function", bound=Callable[..., Any])

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


def _may_use_tiles() -> bool:
    """Ask Linux for AMX's tile registers: once for the process and all its threads."""
    if not sys.platform.startswith("linux"):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(arch_prctl, request_permission, tile_data) == 0)


def _known_dots() -> dict[str, str]:
    """Ways to multiply pairs that the processor has, the best one first, and the dot products' name."""
    features, machine = llvm.get_host_cpu_features(), platform.machine().lower()
    known = {}
    if machine in ("x86_64", "amd64"):
        wide = VECTOR and (WIDTH == 16 or bool(features.get("avx512vl")))
        if features.get("avx512bf16") and wide:
            tiles = features.get("amx-tile") and features.get("amx-bf16") and WIDTH == 16
            if tiles and _may_use_tiles():
                known["tiles"] = "x86"
            known["dot"] = "x86"
    elif machine in ("aarch64", "arm64") and features.get("bf16") and VECTOR and WIDTH == 4:
        known["dot"] = "neon"
    return known | {"none": "none"}


def _choose_dot() -> tuple[str, str]:
    known = _known_dots()
    name = os.environ.get("RTSEP_DOT") or next(iter(known))
    if name not in known:
        raise ImportError(f"RTSEP_DOT={name!r}: this processor has {', '.join(known)}")
    return name, known[name]


PAIRS, DOT = _choose_dot()
# Whether that was a person's choice.
DOT_ASKED = bool(os.environ.get("RTSEP_DOT"))
TILES = PAIRS == "tiles"


def _cache_folder() -> Path | None:
    """The folder for kernels of this state of the sources; None where the user has none."""
    moved = os.environ.get("RTSEP_KERNEL_CACHE")
    cache = user_cache()
    if moved:
        base = Path(moved)
    elif cache is not None:
        base = cache / "kernels"
    else:
        return None
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return base / f"{digest.hexdigest()[:12]}-{KERNEL_SET}-{PAIRS}"


CACHE_FOLDER = _cache_folder()


@overload
def kernel(function: Function) -> Function: ...


@overload
def kernel(
    *, inline: Inline = "never", fastmath: set[str] | None = None
) -> Callable[[Function], Function]: ...


def kernel(
    function: Callable[..., Any] | None = None,
    *,
    inline: Inline = "never",
    fastmath: set[str] | None = None,
) -> Any:
    """Compile `function` as a kernel: nogil, cached on disk, NumPy's error model.

    inline: ``"always"`` for helpers that must vanish into their caller.
    fastmath: FAST_MATH where LLVM is to vectorise a reduction; off for the rest.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(
            nogil=True, error_model="numpy", inline=inline, fastmath=fastmath or {"contract"}
        )(function)
        if CACHE_FOLDER is None:
            complain(NO_HOME)
        else:
            dispatcher._cache = DiskCache(function, CACHE_FOLDER)
        return dispatcher

    return compiled if function is None else compiled(function)
