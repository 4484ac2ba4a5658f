"""A model's packed nets in one file, which every process of this machine maps in place of packing anew.

    process 1 --+
    process 2 --+-- map --> nets-....packed  (in the folder of the compiled kernels)
    process 3 --+

The arrays of a net that was packed for this processor are the same in every process. Mapped from one
file they are in memory once, however many processes run. The file holds the nets as pickle writes them,
with the arrays beside, each where a cache line begins; so it serves every class of net that pickle
takes. It stands among the compiled kernels, which are trusted alike, and whose folder has the kernels'
sources, the kernel set and the versions of Python and Numba in its name.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import rtsep.nets
from rtsep.errors import WeightsError
from rtsep.nets.kind import Net
from rtsep.nets.registry import ModelConfig
from rtsep.weights.disk import make_folder, reading, write_whole
from rtsep.weights.download import ByteProgress
from rtsep.weights.library import fetch, weights_path
from rtsep.weights.load_nets import load_nets
from rtsep.weights.lock import only_writer
from rtsep.weights.store import sidecar_of
from rtsep_kernels.jit import CACHE_FOLDER
from rtsep_kernels.precision import Precision
from rtsep_kernels.user_cache import NO_HOME

MAGIC = b"rtsep nets 1\n\0\0\0"
HASH_BYTES = hashlib.sha256().digest_size
# A cache line and the widest vector register.
ALIGNMENT_BYTES = 64
# Length of the pickle, number of arrays; then each array's offset and length; all in bytes.
_HEAD = struct.Struct("<QQ")
_PLACE = struct.Struct("<QQ")


@dataclass(frozen=True)
class SharedNets:
    """Nets of one model. why_not: why they are this process's own; None where they are shared."""

    nets: list[Net]
    why_not: str | None = None


def shared_nets(
    config: ModelConfig, progress: ByteProgress | None = None, precision: Precision = "f32"
) -> SharedNets:
    """The nets of `config`, mapped from the file that all processes share; it is made if need be.

    Where no such file can be had the nets are packed for this process alone. Weights that are not there
    are fetched first. Raises WeightsError.
    """
    weights = weights_path(config.weights_name)
    if not sidecar_of(weights).exists():
        fetch(config.weights_name, progress=progress)
    if CACHE_FOLDER is None:
        return SharedNets(load_nets(config, progress, precision=precision), NO_HOME)
    path = CACHE_FOLDER / f"nets-{_key(weights, config, precision)}.packed"
    nets = _mapped(path)
    if nets is not None:
        return SharedNets(nets)
    try:
        make_folder(path.parent)
        with only_writer(path.with_suffix(".lock"), lambda: None):
            nets = _mapped(path)  # another process may have made it while this one waited
            if nets is None:
                own = load_nets(config, progress, precision=precision)
                try:
                    write_nets(path, own)
                except (pickle.PicklingError, TypeError, AttributeError) as error:
                    return SharedNets(own, f"these nets cannot be written to a file: {error}")
                del own
                nets = _mapped(path)
    except WeightsError as error:
        # Weights that cannot be had are told by this once more.
        own = load_nets(config, progress, precision=precision)
        reason = getattr(error.__cause__, "strerror", None) or error
        return SharedNets(
            own,
            f"cannot write {path}: {reason}: set RTSEP_KERNEL_CACHE to a folder that can be written",
        )
    if nets is None:
        return SharedNets(load_nets(config, progress, precision=precision), f"{path} is damaged")
    return SharedNets(nets)


def write_nets(path: Path, nets: Sequence[Any]) -> None:
    """Write packed nets to a file that appears complete or not at all.

    Raises WeightsError where the disk does not take it; TypeError, AttributeError or PicklingError for
    nets that pickle does not know.
    """
    arrays: list[pickle.PickleBuffer] = []
    skeleton = pickle.dumps(list(nets), protocol=5, buffer_callback=arrays.append)
    views = [array.raw() for array in arrays]
    at = len(MAGIC) + HASH_BYTES + _HEAD.size + len(views) * _PLACE.size + len(skeleton)
    places, gaps = [], []
    for view in views:
        gaps.append(-at % ALIGNMENT_BYTES)
        at += gaps[-1]
        places.append((at, view.nbytes))
        at += view.nbytes
    head = _HEAD.pack(len(skeleton), len(views)) + b"".join(_PLACE.pack(*place) for place in places)

    def write(file: BinaryIO) -> None:
        parts = [head, skeleton]
        for gap, view in zip(gaps, views):
            parts += [bytes(gap), view]  # type: ignore[list-item]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        for part in (MAGIC, digest.digest(), *parts):
            file.write(part)

    write_whole(path, write)


def _mapped(path: Path) -> list[Any] | None:
    """The nets in `path`; None where there is no such file, or it is damaged.

    The map is private and writable, since kernels are compiled for arrays that can be written: a page
    is shared for as long as nobody writes to it, which nobody does.
    """
    try:
        with path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):
        return None
    whole = memoryview(pages)
    start = len(MAGIC) + HASH_BYTES
    if whole[: len(MAGIC)] != MAGIC:
        return None
    if hashlib.sha256(whole[start:]).digest() != whole[len(MAGIC) : start]:
        return None
    skeleton_bytes, count = _HEAD.unpack_from(whole, start)
    places_at = start + _HEAD.size
    skeleton_at = places_at + count * _PLACE.size
    places = _PLACE.iter_unpack(whole[places_at:skeleton_at])
    # As arrays: what pickle makes of them then keeps the pages.
    arrays = [np.frombuffer(pages, np.uint8, length, at) for at, length in places]
    nets: list[Any] = pickle.loads(
        whole[skeleton_at : skeleton_at + skeleton_bytes], buffers=arrays
    )
    return nets


def _key(weights: Path, config: ModelConfig, precision: Precision) -> str:
    """What the packed nets follow from, beside what is in the folder's name."""
    with reading(sidecar_of(weights)):
        content = sidecar_of(weights).read_bytes()
    text = f"{config!r} {precision} {np.__version__} {_sources()}"
    return hashlib.sha256(content + text.encode()).hexdigest()[:16]


@functools.cache
def _sources() -> str:
    """SHA-256 of the modules that know what a net consists of."""
    digest = hashlib.sha256()
    for source in sorted(Path(rtsep.nets.__path__[0]).glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
