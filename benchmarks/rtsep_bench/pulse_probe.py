"""Impulses through PulseAudio: a player, listeners of its sink and of the ears' sink.

A second listener of the ears' sink hears the same impulses: how far the two differ is what a time
measured like this is worth.
"""

from __future__ import annotations

import random
import subprocess
import threading

import numpy as np

from rtsep_bench.heard import IMPULSE_LEVEL, Heard
from rtsep_bench.pulse_listener import RATE, Listener
from rtsep_bench.watchdog import priority

RAW = ("--raw", "--format=float32le", f"--rate={RATE}", "--channels=2")
# What the player keeps in store, and how much is written in one go.
PLAYER_MS, PLAYED = 200, 1024


class PulsePlayer:
    """Plays silence into a sink, and impulses into it when told to."""

    def __init__(self, sink: str):
        self._random = random.Random(0)
        self._wanted = threading.Event()
        self._program = subprocess.Popen(
            [
                *priority(), "pacat", "--playback", f"--device={sink}",
                f"--latency-msec={PLAYER_MS}", *RAW,
            ],
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
    """Plays into one sink and hears that and the ears' sink, in a `with` block.

    Parameters
    ----------
    input_sink : str
        Whom rtsep hears, and whose monitor it has asked for short pieces already.
    ears : Listener
        Of the sink that rtsep plays to.
    """

    def __init__(self, input_sink: str, ears: Listener):
        self._ears = ears
        self._again = Listener(ears.source, takes_back=False)
        self._before = Listener(f"{input_sink}.monitor", takes_back=False)
        self._player = PulsePlayer(input_sink)

    def __enter__(self) -> PulseProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self._player.close()
        for listener in (self._before, self._again):
            listener.close()

    @property
    def heard(self) -> Heard:
        """Of the ears' sink, by its own count of samples."""
        return self._ears.heard

    @property
    def sent_s(self) -> list[float]:
        """When impulses came out of the sink that they are played into, by the monotonic clock."""
        return self._before.heard_s()

    def heard_s(self) -> list[float]:
        """When impulses were heard, by the same clock."""
        return self._ears.heard_s()

    def heard_again_s(self) -> list[float]:
        """When the second listener of the ears' sink heard them."""
        return self._again.heard_s()

    def send(self) -> None:
        """Play an impulse soon."""
        self._player.send()

    def update(self) -> None:
        """Nothing: the listeners note what they hear themselves."""
