"""The song through PulseAudio, round and round, by its own players and recorders."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from rtsep_bench.endtoend_routes import EARS
from rtsep_bench.pulse_probe import PLAYER_MS, RAW
from rtsep_bench.soak_probe import HEARD, Record
from rtsep_bench.watchdog import priority

BLOCK = 1024
LISTENER_MS = 50


@contextmanager
def song_on_pulse(
    environ: Mapping[str, str], song: NDArray[np.float32], sink: str | None,
    take: Callable[[Record], None],
) -> Iterator[None]:  # fmt: skip
    """Play into `sink`, or the default one, and hear EARS, for the time of a `with` block.

    song: (samples, 2) float32 at 44.1 kHz.  take: is given what was heard, on a thread of its own.
    """
    device = [] if sink is None else [f"--device={sink}"]
    player = subprocess.Popen(
        [*priority(), "pacat", "--playback", *device, f"--latency-msec={PLAYER_MS}", *RAW],
        env=environ, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    listener = subprocess.Popen(
        [
            *priority(), "pacat", "--record", f"--device={EARS}.monitor",
            f"--latency-msec={LISTENER_MS}", *RAW,
        ],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    threads = [
        threading.Thread(target=_play, args=(player, song), daemon=True),
        threading.Thread(target=_listen, args=(listener, take), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for program in (player, listener):
            program.kill()
            program.wait()
        for thread in threads:
            thread.join()


def _play(player: subprocess.Popen[bytes], song: NDArray[np.float32]) -> None:
    assert player.stdin is not None
    whole = song.astype("<f4").tobytes()
    try:
        while True:
            player.stdin.write(whole)
    except BrokenPipeError:
        pass  # the player has been ended


def _listen(listener: subprocess.Popen[bytes], take: Callable[[Record], None]) -> None:
    assert listener.stdout is not None
    at = 0
    while piece := listener.stdout.read(8 * BLOCK):
        block = np.frombuffer(piece[: len(piece) // 8 * 8], "<f4").reshape(-1, 2)
        take(Record(HEARD, at, time.monotonic(), block))
        at += len(block)
