"""The sound around a fault: a steady tone that is played, and what is heard of it, whoever dies.

Players and listeners are programs of PulseAudio's. Where one ends, as when its server does, it is
started again and again until it can go on, as a person would.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rtsep_bench.heard import GAIN_DB, SILENT, TONE_RMS, Level, tone
from rtsep_bench.watchdog import priority

RATE = 44_100
RAW = ("--raw", "--format=float32le", f"--rate={RATE}", "--channels=2")
PLAYED, HEARD = 1024, 256
PLAYER_MS, LISTENER_MS = 100, 10
AGAIN_S = 0.05
# The clock of a sink that is fast, and not steady: once about in SWING_S.
MIDDLE_PPM, SWING_PPM, SWING_S = 1000.0, 300.0, 20.0
PACE_S, PIPE_BYTES, F_SETPIPE_SZ = 0.003, 16384, 1031
FILTERED_RMS = TONE_RMS * 10 ** (GAIN_DB / 20)


class Again:
    """A program that is started again where it ends, for the time of a `with` block."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]):
        self._command, self._environ = [*priority(), *command], dict(environ)
        self._ended = threading.Event()
        self._program: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Again:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        while self._thread.is_alive():
            if self._program is not None:
                self._program.kill()
            self._thread.join(AGAIN_S)

    def _keep(self) -> None:
        while not self._ended.is_set():
            with subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            ) as self._program:  # fmt: skip
                try:
                    self._use(self._program)
                except BrokenPipeError:
                    pass  # it has ended
                finally:
                    self._program.kill()
                    if self._program.stdin is not None:
                        # What it has not taken is lost; closing must not complain of that.
                        self._program.stdin = None
            self._ended.wait(AGAIN_S)

    def _use(self, program: subprocess.Popen[bytes]) -> None:
        raise NotImplementedError


class TonePlayer(Again):
    """Plays the tone into a sink, or the default one; as NaN while `is_bad`."""

    def __init__(self, environ: Mapping[str, str], sink: str | None = None):
        device = [] if sink is None else [f"--device={sink}"]
        latency = f"--latency-msec={PLAYER_MS}"
        super().__init__(["pacat", "--playback", *device, latency, *RAW], environ)
        self.is_bad = False

    def _use(self, program: subprocess.Popen[bytes]) -> None:
        assert program.stdin is not None
        at = 0
        while True:
            block = np.repeat(tone(RATE, at, PLAYED)[:, np.newaxis], 2, axis=1)
            if self.is_bad:
                block[:] = np.nan
            program.stdin.write(block.astype("<f4").tobytes())
            program.stdin.flush()
            at = (at + PLAYED) % RATE  # a whole number of periods


class Listener(Again):
    """Hears the monitor of a sink. levels: of all blocks; writer: its thread."""

    def __init__(self, environ: Mapping[str, str], sink: str):
        latency = f"--latency-msec={LISTENER_MS}"
        super().__init__(["pacat", "--record", f"--device={sink}.monitor", latency, *RAW], environ)
        self.levels: list[Level] = []

    def _use(self, program: subprocess.Popen[bytes]) -> None:
        assert program.stdout is not None
        while len(piece := program.stdout.read(8 * HEARD)) == 8 * HEARD:
            self.levels.append(level(np.frombuffer(piece, "<f4")[::2]))


class ClockedListener:
    """Takes what a pipe sink of PulseAudio's plays, at a pace of its own, which is that sink's clock.

    The pace is MIDDLE_PPM faster than RATE, and swings by SWING_PPM about that.

    levels: of all blocks; writer: its thread.
    """

    def __init__(self, pipe: Path):
        self._pipe = pipe
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self.levels: list[Level] = []

    def __enter__(self) -> ClockedListener:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _take(self) -> None:
        taken, begun_s = 0, time.monotonic()
        with open(os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
            while not self._ended.wait(PACE_S):
                since_s = time.monotonic() - begun_s
                swung_s = SWING_S / (2 * np.pi) * (1 - np.cos(2 * np.pi * since_s / SWING_S))
                due = RATE * (since_s * (1 + MIDDLE_PPM / 1e6) + swung_s * SWING_PPM / 1e6)
                piece = pipe.read(8 * (int(due) - taken)) or b""
                taken = int(due)
                if len(piece) >= 8:
                    sound = np.frombuffer(piece[: len(piece) // 8 * 8], "<f4")[::2]
                    self.levels.append(level(sound))


def level(block: np.ndarray) -> Level:
    """How loud (samples,) of sound are that have just come in."""
    rms = float(np.sqrt(np.mean(np.square(block.astype(np.float64)))))
    return Level(time.monotonic(), len(block) / RATE, rms)


def is_filtered(heard: Level) -> bool:
    """Whether it is the tone as rtsep-monitor gives it out."""
    return 0.75 * FILTERED_RMS < heard.rms < 1.25 * FILTERED_RMS


def longest_quiet_s(
    levels: Iterable[Level], begins_s: float, ends_s: float,
    counts: Callable[[Level], bool] = lambda heard: heard.rms > SILENT,
) -> float:  # fmt: skip
    """The longest time between two instants without a block that `counts`, on the person's clock.

    Unlike heard.longest_silence_s, also where nothing comes in at all.
    """
    return longest_quiet(levels, begins_s, ends_s, counts)[1]


def longest_quiet(
    levels: Iterable[Level], begins_s: float, ends_s: float,
    counts: Callable[[Level], bool] = lambda heard: heard.rms > SILENT,
) -> tuple[float, float]:  # fmt: skip
    """As `longest_quiet_s`: when that time began, and its length."""
    sounds = sorted(heard.came_s for heard in levels if counts(heard))
    times = [begins_s, *(at_s for at_s in sounds if begins_s < at_s < ends_s), ends_s]
    return max(
        ((before, after - before) for before, after in itertools.pairwise(times)),
        key=lambda quiet: quiet[1],
    )
