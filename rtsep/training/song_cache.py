"""Songs decoded once: samples on disk that training reads at any place, through memory maps.

    CACHE/NAME-HASH/song.json       stems, samples, peaks; written last, so that it means "complete"
    CACHE/NAME-HASH/STEM.pcm        (samples, 2) int16, 44.1 kHz, full scale 1 at FULL_SCALE

The hash is of the files' paths, sizes and times, so that a changed file is decoded anew. Rounding to
16 bits leaves noise 86 dB below full scale.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS, to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.environment import usable_cores
from rtsep.errors import TrainingError
from rtsep.files.reader import AudioReader
from rtsep.files.song_files import SongFiles, Sound
from rtsep.system.part_file import write_whole

# Stems may go beyond full scale where their sum does not: 12 dB of room.
FULL_SCALE = 32767 / 4
# Below -80 dBFS a stem is silent.
SILENT_PEAK = 1e-4
# Stems that differ by less have only been coded differently.
UNEQUAL_S = 0.1
SONG_FILE = "song.json"
FORMAT = 1
BLOCK_SAMPLES = 1 << 18
_MIXTURE = " mixture"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Song:
    """A decoded song. samples: of its longest stem; the others go on with silence."""

    name: str
    samples: int
    stems: dict[str, NDArray[np.int16]]
    mixture: NDArray[np.int16] | None

    @property
    def duration_s(self) -> float:
        """In seconds."""
        return self.samples / SAMPLE_RATE


def read(sound: NDArray[np.int16], start: int, count: int) -> NDArray[np.float32]:
    """`count` samples from `start` on, (count, 2) float32, with silence around what is there."""
    out = np.zeros((count, NET_CHANNELS), np.float32)
    first, stop = max(start, 0), min(start + count, len(sound))
    if stop > first:
        out[first - start : stop - start] = sound[first:stop]
        out /= np.float32(FULL_SCALE)
    return out


def decode_songs(
    songs: Sequence[SongFiles], cache: Path, say: Say, progress: Callable[[int, int], None]
) -> list[Song]:
    """Decode the songs that are not in `cache` yet; returns those that can be trained on.

    say: is told in a line of each song that is left out, or mended.  progress: songs done, and all.
    Raises TrainingError where none is left or the cache cannot be written, AudioFileError where a
    file cannot be read.
    """
    done = 0
    decoded: list[Song] = []
    with ThreadPoolExecutor(max(1, min(usable_cores(), len(songs)))) as pool:
        try:
            for song, remarks in pool.map(lambda files: _decode(files, cache), songs):
                for remark in remarks:
                    say(remark)
                if song is not None:
                    decoded.append(song)
                done += 1
                progress(done, len(songs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not decoded:
        raise TrainingError("no song is left to train on: all of them are silent")
    return decoded


def _decode(files: SongFiles, cache: Path) -> tuple[Song | None, list[str]]:
    sounds = dict(files.stems)
    if files.mixture is not None:
        sounds[_MIXTURE] = files.mixture
    folder = cache / f"{re.sub(r'[^A-Za-z0-9]+', '-', files.name)[:40]}-{_identity(sounds)}"
    known = _read_description(folder)
    if known is None:
        known = _write(folder, files.name, sounds)
    remarks = [f"{files.name}: {remark}" for remark in known["remarks"]]
    maps = {
        name: _map(folder / stem["file"], stem["samples"]) for name, stem in known["stems"].items()
    }
    mixture = maps.pop(_MIXTURE, None)
    peaks = [stem["peak"] for name, stem in known["stems"].items() if name != _MIXTURE]
    if max(peaks) < SILENT_PEAK:
        return None, [*remarks, f"{files.name}: is silent: it is left out"]
    return Song(files.name, max(map(len, maps.values())), maps, mixture), remarks


def _identity(sounds: dict[str, Sound]) -> str:
    digest = hashlib.sha256(str(FORMAT).encode())
    for name, sound in sorted(sounds.items()):
        try:
            stat = sound.path.stat()
        except OSError as error:
            raise TrainingError(f"cannot read {sound.path}: {error.strerror}") from error
        path = sound.path.resolve()
        digest.update(
            f"{name}\0{path}\0{sound.track}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode()
        )
    return digest.hexdigest()[:16]


def _read_description(folder: Path) -> dict[str, Any] | None:
    try:
        known = json.loads((folder / SONG_FILE).read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else None
    except (OSError, ValueError):
        return None


def _write(folder: Path, name: str, sounds: dict[str, Sound]) -> dict[str, Any]:
    stems: dict[str, Any] = {}
    remarks: list[str] = []
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, (stem, sound) in enumerate(sounds.items()):
            file = f"{number}.pcm"
            samples, peak = _write_sound(folder / file, sound, remarks)
            stems[stem] = {"file": file, "samples": samples, "peak": peak}
        remarks += _unequal({stem: entry["samples"] for stem, entry in stems.items()})
        known = {"name": name, "stems": stems, "remarks": remarks}
        write_whole(folder / SONG_FILE, lambda out: out.write(json.dumps(known, indent=1).encode()))
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise TrainingError(
                f"cannot write {folder}: {error.strerror or error}: make room, or name another folder"
                " for decoded songs"
            ) from error
        raise
    return known


def _write_sound(path: Path, sound: Sound, remarks: list[str]) -> tuple[int, float]:
    """Decode one file; returns its samples and its peak."""
    samples, peak = 0, 0.0
    with path.open("wb") as out, AudioReader(sound.path, track=sound.track) as reader:
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, reader.channels)

        def take(block: NDArray[np.float32]) -> None:
            nonlocal samples, peak
            if len(block):
                samples += len(block)
                peak = max(peak, float(np.abs(block).max()))
                scaled = np.clip(np.rint(to_stereo(block) * FULL_SCALE), -32768, 32767)
                out.write(np.ascontiguousarray(scaled, "<i2").data)

        for block in reader.blocks(BLOCK_SAMPLES):
            take(resampler.push(block))
        take(resampler.flush())
        remarks += [f"{sound.path.name} {remark}" for remark in reader.remarks if remark.damage]
    return samples, peak


def _unequal(samples: dict[str, int]) -> list[str]:
    shortest, longest = min(samples, key=samples.__getitem__), max(samples, key=samples.__getitem__)
    if samples[longest] - samples[shortest] <= UNEQUAL_S * SAMPLE_RATE:
        return []
    lengths = [f"{samples[stem] / SAMPLE_RATE:.1f} s" for stem in (shortest, longest)]
    return [
        f"its stems are of unequal length, {shortest.strip()} {lengths[0]}, {longest.strip()}"
        f" {lengths[1]}: silence is taken for what is missing at the end"
    ]


def _map(path: Path, samples: int) -> NDArray[np.int16]:
    try:
        if samples == 0:
            return np.zeros((0, NET_CHANNELS), np.int16)
        return np.memmap(path, "<i2", "r", shape=(samples, NET_CHANNELS))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path.parent} is damaged ({error}): delete that folder, and the song is decoded again"
        ) from error
