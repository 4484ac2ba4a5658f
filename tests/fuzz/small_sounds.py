"""Sound files of a second and a half in many containers and codecs, for damaging."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.files.sounds import encode, music, write_file

DURATION_S = 1.5
OPUS_RATE = 48_000


def _by_ffmpeg(name: str, codec: str, **options) -> tuple[str, Callable[[Path], object]]:
    rate = OPUS_RATE if codec == "libopus" else 44_100
    return name, lambda path: encode(path, _sound(rate), codec, rate, **options)


def _by_name(name: str) -> tuple[str, Callable[[Path], object]]:
    rate = OPUS_RATE if name.endswith(".opus") else 44_100
    return name, lambda path: write_file(path, _sound(rate), rate)


def _sound(rate: int) -> np.ndarray:
    return music(DURATION_S, rate)


# Name of the kind: name of the file, and what writes it.
SOUNDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "wav pcm": _by_ffmpeg("a.wav", "pcm_s16le"),
    "wav float": _by_name("a.wav"),
    "wav adpcm": _by_ffmpeg("a.wav", "adpcm_ms"),
    "aiff": _by_name("a.aiff"),
    "caf": _by_name("a.caf"),
    "au": _by_name("a.au"),
    "w64": _by_name("a.w64"),
    "rf64": _by_name("a.rf64"),
    "flac": _by_name("a.flac"),
    "ogg vorbis": _by_name("a.ogg"),
    "ogg opus": _by_name("a.opus"),
    "mp3": _by_name("a.mp3"),
    "m4a aac": _by_name("a.m4a"),
    "m4a alac": _by_ffmpeg("a.m4a", "alac"),
    "mp4 aac with video": _by_name("a.mp4"),
    "mov pcm": _by_ffmpeg("a.mov", "pcm_s16le"),
    "mkv flac": _by_ffmpeg("a.mkv", "flac"),
    "mkv aac with video": _by_ffmpeg("a.mkv", "aac", with_video=True),
    "webm opus": _by_ffmpeg("a.webm", "libopus"),
    "avi mp3": _by_ffmpeg("a.avi", "libmp3lame"),
    "avi pcm with video": _by_ffmpeg("a.avi", "pcm_s16le", with_video=True),
    "mpegts aac": _by_ffmpeg("a.ts", "aac"),
    "mpegts mp2": _by_ffmpeg("a.ts", "mp2"),
    "adts aac": _by_ffmpeg("a.aac", "aac"),
    "ac3": _by_ffmpeg("a.ac3", "ac3"),
    "wavpack": _by_ffmpeg("a.wv", "wavpack"),
    "tta": _by_ffmpeg("a.tta", "tta"),
    "wma": _by_ffmpeg("a.wma", "wmav2", bit_rate=128_000),
}
