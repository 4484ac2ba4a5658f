"""Seeded sound and files of it, for the tests; nothing binary is kept in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from rtsep.files.reader import AudioReader

RATE = 44_100


def music(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 1) -> np.ndarray:
    """Return a few swelling tones, a different mix in every channel; (samples, channels) float32.

    The envelope rises from silence and falls back to it: encoders have no edge to smear.
    """
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    envelope = np.sin(np.pi * time_s / seconds) ** 2
    sound = np.zeros((len(time_s), channels))
    for _ in range(6):
        frequency_hz, phase = random.uniform(100, 3000), random.uniform(0, 2 * np.pi)
        beat = 1 + 0.5 * np.sin(2 * np.pi * random.uniform(1, 5) * time_s)
        tone = np.sin(2 * np.pi * frequency_hz * time_s + phase) * beat * envelope
        sound += tone[:, np.newaxis] * random.uniform(0.01, 0.06, channels)
    return sound.astype(np.float32)


def encode(
    path: Path,
    sound: np.ndarray,
    codec: str,
    rate: int = RATE,
    bit_rate: int | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    with_video: bool = False,
    delay_s: float = 0.0,
    pause_s: tuple[float, float] | None = None,
    tracks: int = 1,
) -> Path:
    """Write `sound` with FFmpeg; the container follows from the name.

    delay_s: added to the sound's time stamps. pause_s: packets that begin in between are left out.
    tracks: write the sound so many times, track n n times as loud; the last one is the default.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[sound.shape[1]]
    with av.open(str(path), "w", options=container_options or {}) as container:
        if with_video:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        streams = []
        for number in range(tracks):
            stream = container.add_stream(codec, rate=rate, layout=layout)
            stream.options = codec_options or {}
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            default = av.stream.Disposition.default if number == tracks - 1 else 0
            stream.disposition = av.stream.Disposition(default)
            streams.append(stream)
        if with_video:
            for index in range(round(10 * len(sound) / rate)):
                image = np.full((32, 32, 3), 20 * index % 256, np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
            container.mux(picture.encode(None))
        for number, stream in enumerate(streams, 1):
            for packet in _packets(stream, number * sound, rate, layout):
                time_s = packet.pts * packet.time_base
                if pause_s is None or not pause_s[0] <= time_s < pause_s[1]:
                    packet.pts += round(delay_s / packet.time_base)
                    packet.dts = packet.pts
                    container.mux(packet)
    return path


def _packets(stream, sound: np.ndarray, rate: int, layout: str) -> Iterator[av.Packet]:
    packed = np.ascontiguousarray(sound, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.pts = rate, 0
    converter = av.AudioResampler(
        format=stream.format, layout=layout, rate=rate,
        frame_size=stream.codec_context.frame_size or None,
    )  # fmt: skip
    for piece in [*converter.resample(frame), *converter.resample(None), None]:
        yield from stream.encode(piece)


def write_file(path: Path, sound: np.ndarray, rate: int = RATE) -> Path:
    """Write `sound` in the format that the extension stands for."""
    kind = path.suffix.lstrip(".")
    if kind in ("wav", "aiff", "flac", "w64", "caf", "au", "rf64"):
        encoding = "PCM_24" if kind == "flac" else "FLOAT"
        soundfile.write(path, sound, rate, format=kind.upper(), subtype=encoding)
    elif kind in ("ogg", "opus"):
        encoding = "VORBIS" if kind == "ogg" else "OPUS"
        soundfile.write(path, sound, rate, format="OGG", subtype=encoding)
    elif kind == "mp3":
        encode(path, sound, "libmp3lame", rate, bit_rate=256_000)
    elif kind == "mka":
        encode(path, sound, "flac", rate)  # older Matroska writers forget the delay of AAC
    elif kind in ("m4a", "mp4"):
        front = {"movflags": "faststart"}
        encode(path, sound, "aac", rate, 256_000, None, front, with_video=kind == "mp4")
    else:
        raise ValueError(f"no encoder set up for {path}")
    return path


def read_file(path: Path) -> np.ndarray:
    """Return all of a file, (samples, channels) float32."""
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(4096)))


def cut_short(path: Path, part: float = 0.6) -> Path:
    """Keep only the first `part` of a file, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    return path


def signal_to_noise_db(result: np.ndarray, reference: np.ndarray) -> float:
    """Return how far `result` is from `reference`, both (samples, channels), in dB."""
    error = result.astype(float) - reference
    return float(10 * np.log10(np.sum(reference.astype(float) ** 2) / (np.sum(error**2) + 1e-30)))
