"""A server with a default output, what plays where on it, and whether two recordings are one sound."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep_bench.server_process import AudioServer, wait_until
from rtsep_bench.servers import RATE
from rtsep_bench.watchdog import priority
from tests.live.pulse_clients import RAW, read_heard
from tests.live.song import position

EARS, OTHER = "stem", "song"
# An impulse response of so many samples about their delay covers what resamplers do.
TAPS = 32
# Recordings are compared piece by piece, and of each piece the middle, as clocks that are followed move:
# in the first two seconds by some 3,000 ppm, which is 3 samples in the middle.
PIECE, PIECES, MIDDLE = RATE // 2, 4, RATE // 40
# Of two recordings of one sound, beside a clock that is followed.
SAME = 0.2


@dataclass
class Desktop:
    """A server with the sinks EARS, the default one, and OTHER. kind: "pulse" or "pipewire"."""

    kind: str
    server: AudioServer

    def sink_of(self, application: str) -> str:
        """The sink that an application plays to; "" if it plays nothing."""
        sinks = {sink["index"]: sink["name"] for sink in self._list("sinks")}
        for stream in self._list("sink-inputs"):
            if application in stream["properties"].get("application.name", ""):
                return sinks.get(stream["sink"], "")
        return ""

    def played_to(self, sink: str) -> list[str]:
        """The applications that play to a sink."""
        (index,) = (one["index"] for one in self._list("sinks") if one["name"] == sink)
        streams = [one for one in self._list("sink-inputs") if one["sink"] == index]
        return [one["properties"].get("application.name", "") for one in streams]

    def left_over(self) -> list[str]:
        """Names of all sinks and sources of rtsep's."""
        devices = [*self._list("sinks"), *self._list("sources")]
        return [device["name"] for device in devices if device["name"].startswith("rtsep")]

    def default(self, sink: str) -> None:
        """Make a sink the default one, as when headphones are plugged in."""
        self.server.command("pactl", "set-default-sink", sink)

    def wait_for(self, application: str, sink: str) -> None:
        """Wait until an application plays to a sink."""
        wait_until(
            lambda: self.sink_of(application) == sink, f"{application} on {sink}", poll_s=0.1
        )

    def wait_until_put_back(self, application: str) -> None:
        """Wait until an application plays to EARS again, and nothing of rtsep's is left."""
        self.wait_for(application, EARS)
        wait_until(lambda: not self.left_over(), "the end of rtsep's devices")

    def _list(self, what: str) -> list[dict]:
        return json.loads(self.server.command("pactl", "--format=json", "list", what))


@contextlib.contextmanager
def playing_file(server: AudioServer, file: Path, name: str, *options: str) -> Iterator[None]:
    """Play a file by paplay under an application's name, until the end of the block."""
    player = subprocess.Popen(
        [*priority(), "paplay", f"--client-name={name}", *options, str(file)],
        env=server.environ, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        player.kill()
        player.wait()


@contextlib.contextmanager
def recording(server: AudioServer, source: str, folder: Path) -> Iterator[Path]:
    """Record a source; yields the file it goes to, raw float32 in stereo."""
    path = folder / f"{source}.raw"
    recorder = subprocess.Popen(
        [*priority(), "parec", f"--device={source}", "--latency-msec=50", *RAW, str(path)],
        env=server.environ, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 0, f"sound from {source}")
        yield path
    finally:
        recorder.kill()
        recorder.wait()


def newest(path: Path, pieces: int = PIECES) -> np.ndarray:
    """The newest sound that was recorded, (pieces * PIECE, 2) float32."""
    return read_heard(path)[-pieces * PIECE :]


def loudness(path: Path) -> float:
    """The root mean square of the newest sound that was recorded."""
    return float(np.sqrt(np.mean(np.square(newest(path, pieces=1)))))


def wait_for_sound(path: Path, whole: np.ndarray | None = None, least: float = 0.01) -> None:
    """Wait until the newest sound of a recording is loud, and, if given, a piece of `whole`.

    Then there is enough of it to be compared.
    """
    begun_bytes = path.stat().st_size

    def has_come() -> bool:
        if path.stat().st_size - begun_bytes < PIECES * PIECE * 8 or loudness(path) < least:
            return False
        return whole is None or difference(newest(path), whole) < SAME

    wait_until(has_come, f"the sound in {path.name}", poll_s=0.2)


def difference(heard: np.ndarray, whole: np.ndarray) -> float:
    """How far a sound is from being a piece of `whole`, delayed by any fraction of a sample.

    heard, whole: (samples, 2) float32. Returns the root mean square of the difference over that of the
    sound, in the median of pieces of half a second, as a busy machine loses some of it now and then.
    """
    return float(np.median([_difference(part, whole) for part in _pieces(heard)]))


def _pieces(sound: np.ndarray) -> list[np.ndarray]:
    return [sound[at : at + PIECE] for at in range(0, len(sound) - PIECE + 1, PIECE)]


def _difference(piece: np.ndarray, whole: np.ndarray) -> float:
    at = position(piece, whole)
    middle = slice((PIECE - MIDDLE) // 2, (PIECE + MIDDLE) // 2)
    heard = piece[middle, 0].astype(float)
    begins = range(at + middle.start - TAPS // 2, at + middle.start + TAPS // 2)
    if begins[0] < 0 or begins[-1] + MIDDLE > len(whole):
        return 1.0
    shifted = np.stack([whole[begin : begin + MIDDLE, 0] for begin in begins], axis=1).astype(float)
    loudness = np.sqrt(np.mean(heard**2) / np.mean(shifted**2))
    if not 0.9 < loudness < 1.1:
        return 1.0
    response = np.linalg.lstsq(shifted, heard, rcond=1e-4)[0]
    return float(np.sqrt(np.mean((heard - shifted @ response) ** 2) / np.mean(heard**2)))


def make_noise(duration_s: float) -> np.ndarray:
    """Seeded noise up to some 2 kHz, which is like itself nowhere else. (samples, 2) float32."""
    noise = np.random.default_rng(0).standard_normal((round(duration_s * RATE), 2))
    for _ in range(2):
        sums = np.cumsum(noise, axis=0)
        noise = (sums[16:] - sums[:-16]) / 16
    return (0.15 * noise / noise.std()).astype(np.float32)
