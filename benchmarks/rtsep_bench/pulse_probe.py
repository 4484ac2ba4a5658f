"""Impulses through PulseAudio: a player, and a recorder of its sink beside one of the ears' sink.

Sound comes in piece by piece. A recorder's samples are dated by the piece that came in earliest,
measured from its place, of all that came about then: late pieces were held up, early ones cannot be.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import deque

import numpy as np

from rtsep_bench.heard import IMPULSE_LEVEL, Heard
from rtsep_bench.watchdog import priority

RATE = 44_100
RAW = ("--raw", "--format=float32le", f"--rate={RATE}", "--channels=2")
FRAME_BYTES = 8
# What a recorder asks for, and how much is looked at in one go.
RECORDER_MS, PIECE = 5, 256
# What the player keeps in store, and how much is written in one go.
PLAYER_MS, PLAYED = 200, 1024
# Pieces that came in about the same time, some 0.4 s. A sink that renders anew what it had rendered
# ahead gives its monitor both: what came long before says nothing about the place of a sample.
ABOUT_THEN = 64


class PulseRecorder:
    """Records a monitor; `heard` holds what came, its impulses by the monotonic clock.

    Writer of all: its own thread. Readers: any, who copy what they read.
    """

    def __init__(self, source: str):
        self.heard = Heard(RATE)
        self._program = subprocess.Popen(
            [*priority(), "parec", f"--device={source}", f"--latency-msec={RECORDER_MS}", *RAW],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the recorder."""
        self._program.kill()
        self._program.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._program.stdout is not None
        with self._program.stdout as pipe:
            at = 0
            begins_s: deque[float] = deque(maxlen=ABOUT_THEN)
            while len(sound := pipe.read(FRAME_BYTES * PIECE)) == FRAME_BYTES * PIECE:
                now_s = time.monotonic()
                begins_s.append(now_s - (at + PIECE) / RATE)
                self.heard.add(min(begins_s) + at / RATE, now_s, np.frombuffer(sound, "<f4")[::2])
                at += PIECE


class PulsePlayer:
    """Plays silence into a sink, and impulses into it when told to."""

    def __init__(self, sink: str | None):
        self._random = random.Random(0)
        self._wanted = threading.Event()
        device = [] if sink is None else [f"--device={sink}"]
        self._program = subprocess.Popen(
            [*priority(), "pacat", "--playback", *device, f"--latency-msec={PLAYER_MS}", *RAW],
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def send(self) -> None:
        """Play an impulse soon."""
        self._wanted.set()

    def close(self) -> None:
        """End the player."""
        self._program.kill()
        self._program.wait()
        self._thread.join()

    def _play(self) -> None:
        assert self._program.stdin is not None
        try:
            with self._program.stdin as pipe:
                while True:
                    block = np.zeros((PLAYED, 2), "<f4")
                    if self._wanted.is_set():
                        self._wanted.clear()
                        block[self._random.randrange(PLAYED)] = IMPULSE_LEVEL
                    pipe.write(block.tobytes())
        except BrokenPipeError:
            pass  # the player has been ended


class PulseProbe:
    """A player into one sink and a recorder each of it and of the ears' sink, in a `with` block.

    sent_s, heard: of the sink that is played into, and of the ears'.
    """

    def __init__(self, input_sink: str, ears: str):
        self._recorders = [PulseRecorder(f"{sink}.monitor") for sink in (input_sink, ears)]
        self._player = PulsePlayer(input_sink)
        self.heard = self._recorders[1].heard

    @property
    def sent_s(self) -> list[float]:
        """When impulses came out of the sink that they are played into."""
        return self._recorders[0].heard.impulses_s

    def __enter__(self) -> PulseProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self._player.close()
        for recorder in self._recorders:
            recorder.close()

    def send(self) -> None:
        """Play an impulse soon."""
        self._player.send()

    def update(self) -> None:
        """Nothing: the recorders note what they hear themselves."""
